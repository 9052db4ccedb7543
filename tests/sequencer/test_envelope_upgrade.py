"""Envelopes across an upgrade: each is opened by the version that is in force where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gate import v2
from microrollup.chain.envelope_record import is_envelope_record
from microrollup.errors import BadEnvelope, DuplicateAction, RefusedError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.envelope import Enveloped
from microrollup.execution.payload import encode_envelope_payload
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import compare_stores, replay_log
from microrollup.sequencer.sequencer import Sequenced
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import verify_blocks
from shop.chain import ShopChain

WHO = b"\5" * 20


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[ShopChain]:
    made = ShopChain(tmp_path, v2.app)
    yield made
    made.close()


def make_old(number: int) -> bytes:
    return b"one" + number.to_bytes(29, "big")


def make_new(number: int) -> bytes:
    return b"two" + number.to_bytes(9, "big") + WHO


def open_pass(gate: ShopChain, raw: bytes) -> Enveloped:
    return gate.ledger.authenticator.open_envelope("pass", raw)


def hand_in(gate: ShopChain, *opened: Enveloped) -> list[Sequenced | RefusedError]:
    return [outcome for _, outcome in sorted(gate.sequencer.submit(enumerate(opened)), key=lambda pair: pair[0])]


def test_each_version_opens_its_own(gate: ShopChain, tmp_path: Path) -> None:
    """The old form is taken before, the new one after; what was opened before is not taken after; a forced one is
    opened by the version of the block that takes it. Verifiers, derivation, replay and a rebuild agree.
    """
    with pytest.raises(BadEnvelope):
        open_pass(gate, make_new(0))
    first, late = open_pass(gate, make_old(0)), open_pass(gate, make_old(1))
    assert isinstance(hand_in(gate, first)[0], Sequenced)
    gate.build()
    gate.announce(v2.app)
    for raw in (make_old(1), make_new(1)):
        gate.l1.force(encode_envelope_payload("pass", raw), sender=WHO)
    gate.advance(2)
    gate.build()
    gate.build()
    assert v2.app.stf_id == gate.ledger.header.stf_id
    entered = gate.ledger.state.app
    assert isinstance(entered, v2.Gate)
    assert 2 == entered.entered
    (refused,) = hand_in(gate, late)
    assert isinstance(refused, RefusedError)
    with pytest.raises(BadEnvelope):
        open_pass(gate, make_old(2))
    taken, again = hand_in(gate, open_pass(gate, make_new(2)), open_pass(gate, make_new(1)))
    assert isinstance(taken, Sequenced)
    assert isinstance(again, DuplicateAction)
    gate.build()
    kept = [record for block in gate.blocks() for record in block.records if is_envelope_record(record)]
    assert [make_old(0), make_new(2)] == [record[-32:] for record in kept]
    check_everywhere(gate, tmp_path)
    gate.sequencer.rebuild(1)
    check_everywhere(gate, tmp_path / "rebuilt")


def check_everywhere(gate: ShopChain, directory: Path) -> None:
    """A verifier, a derivation from L1 and a replay of the log come to the same."""
    header, tip = gate.ledger.header, gate.ledger.checkpoint.height
    directory.mkdir(exist_ok=True)
    with AuthenticationPool("gate.v2", gate.genesis.domain, 0) as pool:
        with Ledger.create(directory / f"verifier {tip}", v2.app, gate.genesis, audit=True) as verifier:
            verify_blocks(verifier, gate.blocks(), gate.l1, pool)
            assert header == verifier.header
        if gate.l1.get_settled().height == 0:
            gate.settle()
            with Ledger.create(directory / "derived", v2.app, gate.genesis) as derived:
                derive_blocks(derived, gate.l1, pool)
                assert header == derived.header
        gate.ledger.sync_tree()
        with replay_log(gate.ledger.environment, v2.app, directory / "replayed", pool) as replayed:
            replayed.sync_tree()
            assert [] == compare_stores(gate.ledger.environment, replayed.environment)
