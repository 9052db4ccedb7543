"""A signer elsewhere: what it signs is what a key here signs, and what it does not sign is not acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from microrollup.chain.acknowledgement import SignedAcknowledgement, recover_operator, sign_acknowledgements
from microrollup.chain.block import Header, compute_block_hash, recover_sealer, seal_header
from microrollup.chain.receipt import Receipt
from microrollup.crypto.ecdsa import SignerUnavailable, compute_address, load_private_key, sign_message, sign_messages
from microrollup.crypto.keccak import keccak256
from microrollup.errors import IntakeStopped, UsageError
from microrollup.keys.errors import WrongSigner
from microrollup.keys.reference import open_key
from microrollup.keys.remote import MAX_AT_ONCE, RemoteKey
from microrollup.node.options import NodeOptions
from microrollup.node.writer import WriterOptions
from microrollup.settlement.attestation import BatchAttestation, recover_attester, sign_attestation
from node_fixtures import BUILDER_KEY, FAST, Site
from signer_double import SignerDouble, run_signer
from waiting import wait_for

OTHER = load_private_key(keccak256(b"another key of the signer"))
ADDRESS = compute_address(BUILDER_KEY)
SLOW_BLOCKS = NodeOptions(timing=WriterOptions(block_seconds=3_600, gap_seconds=60, poll_seconds=0.05))


@pytest.fixture
def signer() -> Iterator[SignerDouble]:
    with run_signer(BUILDER_KEY, OTHER) as double:
        yield double


@pytest.fixture
def key(signer: SignerDouble) -> Iterator[RemoteKey]:
    with closing(RemoteKey.open(f"{signer.url}#0x{ADDRESS.hex()}")) as key:
        yield key


def test_it_signs_as_a_key_here(signer: SignerDouble, key: RemoteKey) -> None:
    """Seals, acknowledgements and attestations come out the same, byte for byte; each seal is one request."""
    site_header = make_header()
    assert seal_header(BUILDER_KEY, site_header, 3) == seal_header(key, site_header, 3)
    assert [compute_block_hash(site_header) + (3).to_bytes(32, "big")] == signer.signed  # abi.encode(blockHash, round)
    assert ADDRESS == recover_sealer(compute_block_hash(site_header), seal_header(key, site_header, 3))
    attestation = BatchAttestation(bytes(32), 1, 2, b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, b"\x04" * 32)
    signed = sign_attestation(key, attestation, 31337, bytes(20))
    assert signed == sign_attestation(BUILDER_KEY, attestation, 31337, bytes(20))
    assert ADDRESS == recover_attester(signed, 31337, bytes(20)) == compute_address(key)
    places = [(1, Receipt(seq, bytes([seq]) * 32, 0, "", ())) for seq in range(40)]
    remote, local = (
        sign_acknowledgements(each, bytes(32), places, chain_id=31337, inbox=bytes(20)) for each in (key, BUILDER_KEY)
    )
    assert remote == local
    assert key.failure is None


def make_header():

    return Header(b"\x01" * 32, 5, b"\x02" * 32, 9, b"\x03" * 32, 4, 0, bytes(32), 0, 0, *[bytes(32)] * 4)


def test_a_group_is_bounded(signer: SignerDouble, key: RemoteKey) -> None:
    """Messages of one group are under way together, never more than the limit."""
    signer.gate.clear()
    found: list[object] = []

    thread = threading.Thread(target=lambda: found.extend(sign_messages(key, [bytes([n]) for n in range(50)])))
    thread.start()
    wait_for(lambda: signer.most == MAX_AT_ONCE)
    signer.gate.set()
    thread.join(60)
    assert sign_messages(BUILDER_KEY, [bytes([n]) for n in range(50)]) == found
    assert MAX_AT_ONCE == signer.most


def test_the_key_is_chosen(signer: SignerDouble) -> None:
    """A signer with several keys needs an address; one with another key, or no signer at all, is said so."""
    with pytest.raises(WrongSigner, match="name one of them"):
        RemoteKey.open(signer.url)
    with pytest.raises(WrongSigner, match=f"0x{ADDRESS.hex()}"):
        RemoteKey.open(f"{signer.url}#0x{'11' * 20}")
    with pytest.raises(UsageError, match="not an address"):
        RemoteKey.open(f"{signer.url}#0x11")
    with pytest.raises(UsageError, match="is named as"):
        RemoteKey.open("ftp://host#0x11")
    with pytest.raises(SignerUnavailable, match="does not answer"):
        RemoteKey.open("http://127.0.0.1:1")
    with pytest.raises(WrongSigner, match="refuses"):
        RemoteKey.open(f"{signer.url}/elsewhere")
    with run_signer(BUILDER_KEY) as alone, closing(open_key(alone.url).key) as key:
        assert compute_address(key) == ADDRESS


@pytest.mark.parametrize("answer", [b"", b"0x12", b"x" * 132, b"0x" + b"11" * 65, b"y" * 100_000])
def test_a_wrong_signature_is_not_used(signer: SignerDouble, key: RemoteKey, answer: bytes) -> None:
    """What is not the key's signature of the message counts as none."""
    signer.answer = answer or None
    if not answer:
        signer.keys = dict.fromkeys(signer.keys, OTHER)
    with pytest.raises(SignerUnavailable, match="wrong signature"):
        sign_message(key, b"message")
    assert "wrong signature" in (key.failure or "")


def test_a_signer_that_goes_away_within_a_group(tmp_path, signer: SignerDouble, key: RemoteKey) -> None:
    """What was signed is acknowledged, the rest is not, though durable; intake says why it is stopped and opens again
    when the signer is back, and the same actions get the acknowledgements that they lacked.
    """
    site = Site(tmp_path)
    lines = [site.line(("count", 0, 1), nonce=nonce) for nonce in range(30)]
    with site.open(options=SLOW_BLOCKS, key=key) as node:
        results = node.submit(lines).result(60)
        signer.left = 7
        first = node.acknowledge(results)
        signed = [each for each in first if isinstance(each, SignedAcknowledgement)]
        assert {*map(type, first)} == {SignedAcknowledgement, SignerUnavailable}
        assert 7 == len(signed) == len(signer.signed)
        assert all(recover_operator(each, chain_id=31337, inbox=bytes(20)) == ADDRESS for each in signed)
        assert "does not answer" in (node.stopped or "")
        with pytest.raises(IntakeStopped, match="does not answer"):
            node.submit(lines)
        assert 30 == node.ledger.next_seq
        signer.left = None
        wait_for(lambda: node.stopped is None)
        again = node.acknowledge(node.submit(lines).result(60))
        assert [0, *range(1, 30)] == [each.seq for each in again]  # type: ignore[union-attr]
        assert signed == [each for each, before in zip(again, first, strict=True) if each == before]


def test_a_block_waits_for_its_seal(tmp_path, signer: SignerDouble, key: RemoteKey) -> None:
    """While the signer is away no block closes, whether its time is up or it is full; then it closes as it was."""
    site = Site(tmp_path)
    with site.open(options=FAST, key=key) as node:
        signer.left = 0
        node.submit([site.line(("count", 0, 1))]).result(60)
        wait_for(lambda: node.stopped is not None)
        assert 0 == node.lookups.get_tip()
        signer.left = None
        wait_for(lambda: node.lookups.get_tip() == 1)
        wait_for(lambda: node.stopped is None)
        header, seal = node.lookups.get_header(1), node.lookups.get_seal(1)
        assert ADDRESS == recover_sealer(compute_block_hash(header), seal)
    small = NodeOptions(block_size=2, timing=SLOW_BLOCKS.timing)
    with site.open(options=small, key=key) as node:
        signer.left = 1
        waiting = node.submit([site.line(("count", 0, 1)) for _ in range(5)])
        wait_for(lambda: node.stopped is not None)
        assert not waiting.done()
        signer.left = None
        assert [1, 2, 3, 4, 5] == [result.receipt.seq for result in waiting.result(60)]
        wait_for(lambda: node.lookups.get_tip() == 3)


def test_a_node_stops_and_starts_without_its_signer(tmp_path, signer: SignerDouble, key: RemoteKey) -> None:
    """Stopped while the signer is away, a node leaves its block open; the next start closes it, nothing lost."""
    site = Site(tmp_path)
    line = site.line(("count", 0, 1))
    with site.open(options=SLOW_BLOCKS, key=key) as node:
        (result,) = node.submit([line]).result(60)
        signer.left = 0
    signer.left = None
    with site.open(options=FAST, key=key) as node:
        wait_for(lambda: node.lookups.get_tip() == 1)
        (ack,) = node.acknowledge(node.submit([line]).result(60))
        assert isinstance(ack, SignedAcknowledgement)
        assert (result.receipt, 1) == (ack.receipt, ack.height)
