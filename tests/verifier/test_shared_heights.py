"""A verifier's key on more than one machine signs one hash a height."""

from contextlib import closing
from pathlib import Path

import pytest

import counting
from kernel_fixtures import make_key
from microrollup.deployment.directory import VerifierChoice, open_rollup
from microrollup.deployment.verifying import make_request, verify_blocks
from microrollup.errors import AttestationConflict, CommitFailed, MicrorollupError
from microrollup.execution.authentication import Authenticator
from microrollup.keys.files import verifier_key_path
from microrollup.replication.errors import NotReplicated
from microrollup.replication.opening import ReplicaPlace
from microrollup.replication.protocol import link
from microrollup.replication.sqlite import SqliteLog
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.place import LocalPlace
from microrollup.testing.signing import sign_action
from microrollup.verifier.signatures import SharedHeights, SignedHeights

ROLLUP = bytes(32)
VERIFIER = bytes(20)


def test_two_machines_sign_one_hash(tmp_path: Path) -> None:
    """What one has signed binds the other; a machine that cannot ask signs nothing."""
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log), SignedHeights(tmp_path / "a") as one, SignedHeights(tmp_path / "b") as two:
        here, there = SharedHeights(one, log, VERIFIER), SharedHeights(two, log, VERIFIER)
        with pytest.raises(CommitFailed):
            here.record(ROLLUP, [(1, b"a" * 32)])
        log.found(ROLLUP, link(ROLLUP, [b"genesis"]))
        here.record(ROLLUP, [(1, b"a" * 32), (2, b"b" * 32)])
        there.record(ROLLUP, [(2, b"b" * 32)])
        with pytest.raises(AttestationConflict):
            there.record(ROLLUP, [(1, b"x" * 32)])


def test_a_verifier_s_process_notes_what_it_signs(tmp_path: Path) -> None:
    """The row is in the log before the attestation is reported; another hash there ends the attesting."""
    directory, log = tmp_path / "node", SqliteLog(tmp_path / "log.sqlite")
    with open_rollup(directory, counting.app, verifiers=VerifierChoice()) as opened:
        ledger = opened.ledger
        sequencer: Sequencer[int] = Sequencer(ledger, opened.key, opened.l1)
        line = sign_action(counting.app, counting.Add(by=1), 0, make_key("alice"), ledger.genesis.domain)
        action = Authenticator.of(counting.app, ledger.genesis.domain).authenticate_line(line)
        sequencer.submit([(0, action)])
        sequencer.close_block()
        sequencer.close()
        rollup_id = ledger.rollup_id
    with closing(log):
        log.found(rollup_id, link(rollup_id, [b"genesis"]))
        place = ReplicaPlace(f"sqlite:{tmp_path / 'log.sqlite'}", "", None, single_copy=True)
        key, l1 = verifier_key_path(directory), LocalPlace(str(directory / "l1"))
        signed = [tmp_path / f"signed-{number}" for number in range(2)]
        requests = [
            make_request("counting:app", directory, tmp_path / f"own-{number}", l1=l1, key=key, signed=each,
                         workers=0, replica=place)
            for number, each in enumerate(signed)
        ]  # fmt: skip
        verify_blocks(requests[0])
        assert [(1,)] == log._ask("SELECT height FROM signed")
        log._ask("UPDATE signed SET block_hash = ?", [bytes(32)])
        with pytest.raises(MicrorollupError, match="height 1"):
            verify_blocks(requests[1])


def test_an_empty_database_is_said(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.sqlite")) as log, pytest.raises(NotReplicated):
        log.record_signed(VERIFIER, ROLLUP, [(1, b"a" * 32)])
