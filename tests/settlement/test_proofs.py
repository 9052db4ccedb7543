"""Proofs for the rules of a verifier set: honest and hostile places, contracts that say no, and what settles."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ethereum_site import Site, make_site, run_l1
from l1_fixtures import Anvil
from microrollup.chain.block import Block
from microrollup.errors import UsageError
from microrollup.node.settling import Settler
from microrollup.settlement.attestation import compute_attestation_digest
from microrollup.settlement.errors import TooFewAttestations
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.proofs import MAX_PROOF_BYTES, ProofBook, ProofSource, read_proof_source
from microrollup.settlement.quorum import BatchProof
from microrollup.settlement.quorum_errors import RuleUnmet
from microrollup.settlement.verifiers import COUNT, REQUIRE, VerifierRule, VerifierSet
from microrollup.testing.anvil import pass_blocks
from microrollup.testing.settlement_harness import (
    BUILDER,
    OWNER,
    VERIFIER_KEYS,
    Proposal,
    attest,
    extend,
    make_genesis,
    propose,
)
from microrollup.verifier.verify import list_unchecked
from proof_contracts import install_proof_verifier
from waiting import wait_for

REQUIRED, COUNTED, BURNER = (bytes([byte]) * 20 for byte in (0x71, 0x72, 0x73))
STATEMENT = bytes(31) + b"\x07"
RULES = VerifierSet(
    make_genesis(1, 1).verifiers, 3, rules=(VerifierRule(REQUIRE, REQUIRED, 0), VerifierRule(COUNT, COUNTED, 1))
)


def write(directory: Path, statement: bytes, proof: bytes) -> None:
    directory.mkdir(exist_ok=True)
    (directory / f"0x{statement.hex()}").write_bytes(proof)


class Web:
    """A server that answers every request with the same bytes, or that only listens."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.paths: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/proofs?key=1"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.paths.append(connection.recv(4096).split(b" ")[1].decode())
            if self.answer is None:
                self._held.append(connection)
                continue
            with connection:
                connection.sendall(self.answer)

    def close(self) -> None:
        self._listener.close()
        for connection in self._held:
            connection.close()


def reply(body: bytes, status: str = "200 OK", head: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{head}connection: close\r\n\r\n".encode() + body


def test_a_proof_is_found_by_its_statement(tmp_path: Path) -> None:
    """In a directory and on the web; one that counts is asked for only while signatures are too few."""
    write(tmp_path / "required", STATEMENT, b"one")
    with closing(Web(reply(b"two"))) as web:
        book = ProofBook([ProofSource(REQUIRED, str(tmp_path / "required")), ProofSource(COUNTED, web.url)])
        full = book.gather(RULES, STATEMENT, 3)
        assert ((BatchProof(0, b"one"),), 0, ()) == (full.proofs, full.weight, full.missing)
        assert [] == web.paths
        less = book.gather(RULES, STATEMENT, 2)
        assert ((BatchProof(0, b"one"), BatchProof(1, b"two")), 1) == (less.proofs, less.weight)
        assert [f"/proofs/0x{STATEMENT.hex()}?key=1"] == web.paths
        assert less.is_enough(RULES, 2)
        assert not less.is_enough(RULES, 1)
        assert not book.gather(RULES, bytes(32), 3).is_enough(RULES, 3)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "not yet": (lambda: reply(b"", "404 Not Found"), "not there yet"),
    "broken": (lambda: reply(b"", "500 Internal Server Error"), "HTTP 500"),
    "another place": (lambda: reply(b"", "302 Found", "location: http://169.254.169.254/\r\n"), "HTTP 302"),
    "endless": (lambda: reply(bytes(MAX_PROOF_BYTES + 1)), "at most"),
    "packed": (lambda: reply(b"not gzip", head="content-encoding: gzip\r\n"), "DecodingError"),
    "no HTTP": (lambda: b"\0" * 100, "ProtocolError"),
    "nothing": (lambda: b"", "ProtocolError"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_place_gives_no_proof(name: str) -> None:
    """Whatever it answers, there is no proof, the reason is said, and a place that failed is left alone for a while."""
    answer, words = HOSTILE[name]
    now = [0.0]
    with closing(Web(answer())) as web:
        book = ProofBook([ProofSource(REQUIRED, web.url)], lambda: now[0])
        gathered = book.gather(RULES, STATEMENT, 3)
        assert () == gathered.proofs
        assert words in gathered.missing[0]
        assert "key=1" not in gathered.missing[0]
        assert words in book.gather(RULES, STATEMENT, 3).missing[0]
        assert (2 if name == "not yet" else 1) == len(web.paths)
        now[0] = 60.0
        web.answer = reply(b"at last")
        assert (BatchProof(0, b"at last"),) == book.gather(RULES, STATEMENT, 3).proofs


def test_a_place_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after some seconds, and left alone."""
    monkeypatch.setattr("microrollup.settlement.proofs._SECONDS", 0.2)
    with closing(Web(None)) as web:
        book = ProofBook([ProofSource(REQUIRED, web.url)], lambda: 0.0)
        for _ in range(3):
            assert "nothing came within" in book.gather(RULES, STATEMENT, 3).missing[0]
        assert 1 == len(web.paths)
    assert "rule 0" in book.gather(RULES, bytes(32), 3).missing[0]


def test_files_that_are_no_proofs(tmp_path: Path) -> None:
    """A directory, and a file that is too long, are none."""
    book = ProofBook([ProofSource(REQUIRED, str(tmp_path))], lambda: 0.0)
    (tmp_path / f"0x{STATEMENT.hex()}").mkdir()
    assert "not there yet" in book.gather(RULES, STATEMENT, 3).missing[0]
    (tmp_path / f"0x{STATEMENT.hex()}").rmdir()
    write(tmp_path, STATEMENT, bytes(MAX_PROOF_BYTES + 1))
    assert "at most" in book.gather(RULES, STATEMENT, 3).missing[0]


def test_what_names_a_place() -> None:
    """An address and a place, each contract once."""
    source = read_proof_source(f"0x{REQUIRED.hex()}=https://host/path?a=b")
    assert ProofSource(REQUIRED, "https://host/path?a=b") == source
    assert read_proof_source(f"0x{REQUIRED.hex()}=proofs").place.startswith("/")
    for text in ("", "0x71=proofs", f"0x{REQUIRED.hex()}", f"0x{REQUIRED.hex()}=", "proofs"):
        with pytest.raises(UsageError, match="is not ADDRESS=URL"):
            read_proof_source(text)
    with pytest.raises(UsageError, match="named twice"):
        ProofBook([source, source])


# --- on L1 -----------------------------------------------------------------------------------------------------------


def install_verifiers(anvil: Anvil) -> None:
    """Two contracts that say yes where the proof begins with the statement, and one that burns all gas."""
    for address in (REQUIRED, COUNTED):
        install_proof_verifier(anvil, address)
    anvil.call("anvil_setCode", f"0x{BURNER.hex()}", "0x5b5f56")


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_l1() as anvil:
        install_verifiers(anvil)
        yield anvil


@contextmanager
def opened(anvil: Anvil, *rules: VerifierRule, quorum: int = 3) -> Iterator[tuple[Site, EthereumSettlement]]:
    """An inbox in which a set with these rules is in force."""
    with make_site(anvil, da="calldata") as site:
        inbox = site.open()
        inbox.change_verifiers(VerifierSet(make_genesis(1, 1).verifiers, quorum, rules=rules), caller=OWNER)
        pass_blocks(anvil, CHANGE_DELAY_BLOCKS)
        yield site, inbox


def compute_statement(inbox: EthereumSettlement, proposal: Proposal) -> bytes:
    return compute_attestation_digest(proposal.attestation, 31337, inbox.get_inbox())


def test_a_batch_with_proofs_settles(anvil: Anvil) -> None:
    """What the contracts accept counts; readers take the batch and say that they did not check its proofs."""
    with opened(anvil, VerifierRule(REQUIRE, REQUIRED, 0), VerifierRule(COUNT, COUNTED, 1)) as (site, inbox):
        proposal = propose(inbox, extend(inbox))
        statement = compute_statement(inbox, proposal)
        before = site.count_nonces()

        def settle(*proofs: BatchProof) -> Any:
            return inbox.settle(
                proposal.batch, proposal.header, proposal.attestations, submitter=BUILDER, proofs=proofs
            )

        with pytest.raises(RuleUnmet):
            settle()
        with pytest.raises(RuleUnmet):
            settle(BatchProof(0, bytes(32)), BatchProof(1, statement))
        with pytest.raises(TooFewAttestations):
            settle(BatchProof(0, statement))
        assert before == site.count_nonces()
        assert proposal.header.height == settle(BatchProof(0, statement), BatchProof(1, statement)).height
        reader = site.open()
        assert proposal.header.height == reader.get_settled().height
        assert ["proofs"] == list_unchecked(reader)
        settled = reader.get_settled_at(1)
        assert settled is not None
        assert proposal.batch == settled.batch


def test_readers_of_sets_without_rules_check_all(anvil: Anvil) -> None:
    """Nothing is unchecked while no set has rules."""
    with make_site(anvil, da="calldata") as site:
        assert [] == list_unchecked(site.open())


class Listener:
    """Hears how settling goes."""

    def __init__(self) -> None:
        self.included = 0

    def note_candidate(self, last_height: int) -> None:
        pass

    def note_included(self, head: Any) -> None:
        self.included = head.height

    def note_stalled(self, height: int, age: int) -> None:
        pass

    def note_final(self, height: int) -> None:
        pass

    def note_reorg(self, reorg: Any) -> None:
        pass


@contextmanager
def settling(
    inbox: EthereumSettlement, blocks: list[Block], *sources: ProofSource
) -> Iterator[tuple[Settler, Listener]]:
    listener = Listener()
    rollup_id = blocks[0].header.rollup_id
    settler = Settler(
        inbox, rollup_id, 31337, BUILDER, lambda first: iter(blocks[first - 1 :]), listener, proofs=sources
    )
    settler.start()
    try:
        yield settler, listener
    finally:
        settler.close()


def make_blocks(inbox: EthereumSettlement) -> list[Block]:
    from microrollup.testing.settlement_harness import _make_block

    return [_make_block(extend(inbox))]


def sign_all(inbox: EthereumSettlement, settler: Settler, count: int) -> bytes:
    """So many verifiers attest the batch; its statement."""
    candidate = wait_for(lambda: settler.get_candidate(1))
    for signed in attest(inbox, candidate.attestation, VERIFIER_KEYS[:count]):
        settler.take(signed)
    return compute_attestation_digest(candidate.attestation, 31337, inbox.get_inbox())


def test_the_settler_waits_for_a_proof(anvil: Anvil, tmp_path: Path) -> None:
    """A node that settles waits for what a rule requires, leaves a proof alone that the contract refuses, without
    paying for it, and settles once the place has another.
    """
    with opened(anvil, VerifierRule(REQUIRE, REQUIRED, 0)) as (site, inbox):
        before = site.count_nonces()
        with settling(inbox, make_blocks(inbox), ProofSource(REQUIRED, str(tmp_path))) as (settler, listener):
            statement = sign_all(inbox, settler, 3)
            write(tmp_path, statement, bytes(32))
            wait_for(lambda: settler._proofs._refused)
            assert (0, before) == (listener.included, site.count_nonces())
            write(tmp_path, statement, statement)
            settler._proofs._quiet.clear()
            wait_for(lambda: listener.included == 1)
        assert before + 1 == site.count_nonces()


def test_a_proof_that_counts_cannot_spoil_a_batch(anvil: Anvil, tmp_path: Path) -> None:
    """A contract that burns all gas, and a prover who brings nonsense, are left out where signatures suffice; where
    they do not, nothing is sent until a third verifier attests.
    """
    write_all = tmp_path / "proofs"
    with opened(anvil, VerifierRule(COUNT, BURNER, 1)) as (site, inbox):
        before = site.count_nonces()
        with settling(inbox, make_blocks(inbox), ProofSource(BURNER, str(write_all))) as (settler, listener):
            statement = sign_all(inbox, settler, 2)
            write(write_all, statement, b"nonsense")
            wait_for(lambda: settler._proofs._refused)
            assert (0, before) == (listener.included, site.count_nonces())
            sign_all(inbox, settler, 3)
            wait_for(lambda: listener.included == 1)
        assert before + 1 == site.count_nonces()
