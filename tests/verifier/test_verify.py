"""Lying blocks: whatever a builder alters, with the old seal or under a fresh one, is refused by its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernel_fixtures import OWNER, START, VERIFIER_KEY, Chain, make_key, make_steps, seal, verify
from microrollup.chain.block import Block, Header
from microrollup.chain.record import Open, Seal, encode_record
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.errors import Divergence, LimitExceeded
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_BLOCK_ACTIONS, MAX_BLOCK_RECORD_BYTES, MAX_CLOCK_LEAD_SECONDS
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.verifier.verify import verify_block

UNSIGNED_SEAL_FIELDS = {"info"}
"""Words for diagnosis, which no signature covers."""


class Scene:
    """A verifier behind block 2, and the honest block 3: two forced actions, then five signed by three senders."""

    def __init__(self, root: Path) -> None:
        self.chain = chain = Chain(root)
        self.root = root
        for value in range(4):
            chain.edit(("set_animal", value, value + 1), ("set_ticket", value, 5), name="bob")
        chain.close_block()
        chain.advance(5)
        chain.edit(("set_note", 1, 1), ("count", 0, 2))
        chain.close_block()
        verifier = chain.make_verifier()
        chain.verify(verifier)
        verifier.close()
        chain.force(make_steps(("set_guard", 1, 1)), "carol")
        chain.force(b"\x00no action", "carol")
        for value in range(5):
            name = ("alice", "bob", "alice", "dora", "bob")[value]
            chain.edit(("set_animal", 10 + value, value), ("set_guard", value, value), ("count", 0, 1), name=name)
        chain.advance()
        chain.close_block()
        (self.block,) = chain.get_blocks(3)
        self.parent = chain.get_blocks(2)[0]
        self.stranger = chain.signer.sign(make_steps(("set_ticket", 77, 77)), "erin", 0)
        self.copies = 0

    def verify(self, block: Block, *, l1: bool = True) -> None:
        """Verify a block behind block 2, and leave the verifier's store as it was."""
        ledger = Ledger.open(self.root / "verifier", self.chain.rollup, audit=True, map_size=self.chain.map_size)
        ledger.finish = lambda closing, seal: closing.header  # type: ignore[method-assign]
        try:
            verify(ledger, [block], self.chain.l1 if l1 else None)
        finally:
            ledger.abandon()

    def refuse(self, block: Block, *, l1: bool = True) -> Divergence:
        """The divergence that a lying block gives."""
        with pytest.raises(Divergence) as caught:
            self.verify(block, l1=l1)
        assert 3 == caught.value.height
        return caught.value


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("lies"))
    yield made
    made.chain.close()


def alter(value: Any) -> list[Any]:
    """Other values of the same type: neighbours and ends of integers, flipped bits and zeros of bytes."""
    if isinstance(value, int):
        return sorted({value + 1, max(value - 1, 0), 0, 2**64 - 1} - {value})
    if isinstance(value, str):
        return [value + "x", ""]
    assert isinstance(value, bytes)
    flipped = [value[:at] + bytes((value[at] ^ bit,)) + value[at + 1 :] for at, bit in ((0, 128), (len(value) - 1, 1))]
    return [*flipped, bytes(len(value))] if any(value) else flipped


def reseal(block: Block, header: Header, **changes: Any) -> Block:
    """The block with another header, under the builder's own signature."""
    return msgspec.structs.replace(block, header=header, seal=seal(header), **changes)


def test_honest_block(scene: Scene, tmp_path: Path) -> None:
    """The block that all lies below are made of is right, and stored once it is verified."""
    assert 7 == scene.block.header.action_count
    assert 2 == scene.block.header.forced_count
    scene.verify(scene.block)
    scene.verify(scene.block, l1=False)
    shutil.copytree(scene.root / "verifier", tmp_path / "verifier")
    with Ledger.open(tmp_path / "verifier", scene.chain.rollup, audit=True) as ledger:
        verify(ledger, [scene.block], scene.chain.l1)
        assert scene.block == ledger.get_block(3)
        assert scene.block.header == ledger.header


@pytest.mark.parametrize("sealed_again", [False, True], ids=["old-seal", "resealed"])
@pytest.mark.parametrize("field", Header.__struct_fields__)
def test_header_field(scene: Scene, field: str, sealed_again: bool) -> None:
    """Every word of the header, altered in every way, is named; a seal over the altered header does not help."""
    honest = getattr(scene.block.header, field)
    lies = alter(honest)
    assert lies
    for lie in lies:
        header = msgspec.structs.replace(scene.block.header, **{field: lie})
        block = reseal(scene.block, header) if sealed_again else msgspec.structs.replace(scene.block, header=header)
        error = scene.refuse(block)
        assert (field, lie) == (error.field, error.found)
        assert error.field == scene.refuse(block, l1=False).field


@pytest.mark.parametrize("field", Open.__struct_fields__)
def test_open_field(scene: Scene, field: str) -> None:
    """An opening that the header does not repeat is refused by the name of the field that differs."""
    for lie in alter(getattr(scene.block.open, field)):
        opened = msgspec.structs.replace(scene.block.open, **{field: lie})
        error = scene.refuse(msgspec.structs.replace(scene.block, open=opened))
        assert (field, lie, getattr(scene.block.open, field)) == (error.field, error.expected, error.found)


@pytest.mark.parametrize("field", sorted(set(Open.__struct_fields__) & set(Header.__struct_fields__)))
def test_open_and_header_agree_on_a_lie(scene: Scene, field: str) -> None:
    """A builder that opens, closes and seals with the same wrong word is held to the rule that binds the word."""
    parent, number = scene.parent.header, scene.chain.l1.get_number()
    lies: dict[str, list[Any]] = {
        "height": [2, 4],
        "timestamp": [
            parent.timestamp - 1,
            parent.timestamp,
            scene.block.header.l1_origin * SECONDS_PER_BLOCK - 1,
            scene.block.header.l1_origin * SECONDS_PER_BLOCK + MAX_CLOCK_LEAD_SECONDS + 1,
        ],
        "l1_origin": [parent.l1_origin - 1, number, number + 1],
        "stf_id": alter(scene.block.header.stf_id),
    }
    for lie in lies[field]:
        header = msgspec.structs.replace(scene.block.header, **{field: lie})
        block = reseal(scene.block, header, open=msgspec.structs.replace(scene.block.open, **{field: lie}))
        assert field == scene.refuse(block).field


def test_timestamp_bounds(scene: Scene) -> None:
    """The L1 origin's own time, and an hour after it, are the last ones that a builder may choose."""
    for moment in (
        scene.block.header.l1_origin * SECONDS_PER_BLOCK,
        scene.block.header.l1_origin * SECONDS_PER_BLOCK + MAX_CLOCK_LEAD_SECONDS,
    ):
        header = msgspec.structs.replace(scene.block.header, timestamp=moment)
        scene.verify(reseal(scene.block, header, open=msgspec.structs.replace(scene.block.open, timestamp=moment)))


@pytest.mark.parametrize("field", Seal.__struct_fields__)
def test_seal_field(scene: Scene, field: str) -> None:
    """Every field of the seal that means anything is refused when altered; the words for diagnosis mean nothing."""
    for lie in alter(getattr(scene.block.seal, field)):
        block = msgspec.structs.replace(scene.block, seal=msgspec.structs.replace(scene.block.seal, **{field: lie}))
        if field in UNSIGNED_SEAL_FIELDS:
            scene.verify(block)
        else:
            assert "seal" == scene.refuse(block).field
            assert "seal" == scene.refuse(block, l1=False).field


def test_every_seal(scene: Scene) -> None:
    """A seal of another key, of another block, in another text form, or with the high s is no seal of this block."""
    signature = scene.block.seal.signature
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    lies = [
        seal(scene.block.header, VERIFIER_KEY).signature,
        scene.parent.seal.signature,
        signature[:64] + bytes((signature[64] - 27,)),
        signature[:32] + high + bytes((55 - signature[64],)),
        bytes(65),
    ]
    for lie in lies:
        error = scene.refuse(msgspec.structs.replace(scene.block, seal=Seal(0, lie, "")))
        assert "seal" == error.field


def test_another_round(scene: Scene) -> None:
    """A seal's round is signed: another one beside the same signature seals nothing, a seal of that round does."""
    for round_ in (1, 2**64 - 1):
        changed = msgspec.structs.replace(scene.block.seal, round=round_)
        assert "seal" == scene.refuse(msgspec.structs.replace(scene.block, seal=changed)).field
        scene.verify(msgspec.structs.replace(scene.block, seal=seal(scene.block.header, round_=round_)))


@pytest.mark.parametrize("byte", range(65))
def test_each_byte_of_the_seal(scene: Scene, byte: int) -> None:
    """No byte of the seal's signature may differ."""
    raw = bytearray(scene.block.seal.signature)
    raw[byte] ^= 1
    assert "seal" == scene.refuse(msgspec.structs.replace(scene.block, seal=Seal(0, bytes(raw), ""))).field


# --- entries ---------------------------------------------------------------------------------------------------------

Records = tuple[bytes, ...]


def adapt(block: Block, records: Records) -> Block:
    """A liar that brings count and root of the entries in line, and seals."""
    count = sum(map(is_forced_record, records)) - sum(map(is_forced_record, block.records))
    header = msgspec.structs.replace(
        block.header,
        action_count=len(records),
        actions_root=compute_items_root(list(records)),
        forced_count=block.header.forced_count + count,
    )
    return reseal(block, header, records=records)


def drop(at: int) -> Callable[[Records], Records]:
    return lambda records: (*records[:at], *records[at + 1 :])


def insert(at: int, record: bytes) -> Callable[[Records], Records]:
    return lambda records: (*records[:at], record, *records[at:])


def repeat(source: int, at: int) -> Callable[[Records], Records]:
    return lambda records: (*records[:at], records[source], *records[at:])


def swap(one: int, other: int) -> Callable[[Records], Records]:
    def swapped(records: Records) -> Records:
        changed = list(records)
        changed[one], changed[other] = changed[other], changed[one]
        return tuple(changed)

    return swapped


def flip(at: int, byte: int) -> Callable[[Records], Records]:
    def flipped(records: Records) -> Records:
        raw = bytearray(records[at])
        raw[byte] ^= 1
        return (*records[:at], bytes(raw), *records[at + 1 :])

    return flipped


# The entries of block 3: forced 0 (carol), forced 1 (undecodable); then alice, bob, alice, dora, bob.
ENTRY_LIES: dict[str, tuple[Callable[[Records], Records], str, str]] = {
    # name: what is done, the field named with the old header, the field named once the liar has adapted the header
    "drop the first forced": (drop(0), "action_count", "forced"),
    "drop the last forced": (drop(1), "action_count", "forced_count"),
    "drop alice's first": (drop(2), "action_count", "nonce"),
    "drop bob's first": (drop(3), "action_count", "nonce"),
    "drop alice's last": (drop(4), "action_count", "receipts_root"),
    "drop dora's only": (drop(5), "action_count", "receipts_root"),
    "drop the last": (drop(6), "action_count", "receipts_root"),
    "drop all": (lambda records: (), "action_count", "forced_count"),
    "drop all signed": (lambda records: records[:2], "action_count", "receipts_root"),
    "repeat a forced": (repeat(0, 1), "action_count", "forced"),
    "repeat the last forced": (repeat(1, 2), "action_count", "forced"),
    "repeat a forced at the end": (repeat(0, 7), "action_count", "forced"),
    "repeat a signed next to it": (repeat(2, 3), "action_count", "nonce"),
    "repeat a signed at the end": (repeat(5, 7), "action_count", "nonce"),
    "swap forced": (swap(0, 1), "forced", "forced"),
    "swap forced and signed": (swap(1, 2), "forced", "forced"),
    "swap neighbours": (swap(2, 3), "actions_root", "receipts_root"),
    "swap far": (swap(3, 5), "actions_root", "receipts_root"),
    "swap two of one sender": (swap(2, 4), "nonce", "nonce"),
    "swap two of one sender, others between": (swap(3, 6), "nonce", "nonce"),
}


@pytest.mark.parametrize("name", ENTRY_LIES)
def test_entries_dropped_repeated_swapped(scene: Scene, name: str) -> None:
    """No entry can go, come twice or change places, whatever the header says about it."""
    change, plain, adapted = ENTRY_LIES[name]
    records = change(scene.block.records)
    assert records != scene.block.records
    assert plain == scene.refuse(msgspec.structs.replace(scene.block, records=records)).field
    assert adapted == scene.refuse(adapt(scene.block, records)).field


@pytest.mark.parametrize("at", range(8))
def test_entry_added(scene: Scene, at: int) -> None:
    """An action that its sender did sign, put where it executes but was not in the builder's block, is noticed."""
    records = insert(at, scene.stranger.record)(scene.block.records)
    assert "action_count" == scene.refuse(msgspec.structs.replace(scene.block, records=records)).field
    assert ("forced" if at < 2 else "receipts_root") == scene.refuse(adapt(scene.block, records)).field


@pytest.mark.parametrize("entry", range(2, 7))
def test_entry_altered(scene: Scene, entry: int) -> None:
    """Each byte of a signed entry is covered: altered, it does not decode, or no key signed it, or a stranger did."""
    named = set()
    for byte in range(len(scene.block.records[entry])):
        records = flip(entry, byte)(scene.block.records)
        error = scene.refuse(adapt(scene.block, records))
        assert error.seq is None or error.seq >= scene.block.header.first_seq + entry
        named.add(error.field)
    assert named <= {"record", "signature", "nonce", "forced", "receipts_root"}
    assert {"record", "signature"} <= named


@pytest.mark.parametrize("entry", range(2))
def test_forced_entry_altered(scene: Scene, entry: int) -> None:
    """Each byte of a forced entry is compared with the inbox; the queue's hash tells without an inbox."""
    raw = scene.block.records[entry]
    for byte in range(len(raw)):
        block = adapt(scene.block, flip(entry, byte)(scene.block.records))
        assert scene.refuse(block).field in {"forced", "record", "forced_count"}
        assert scene.refuse(block, l1=False).field in {
            "forced",
            "record",
            "forced_hash",
            "forced_count",
            "receipts_root",
        }
    for field, lie in (("sender", bytes(20)), ("inclusion_block", START), ("payload", b""), ("voided", True)):
        forced = msgspec.structs.replace(decode_forced(raw), **{field: lie})
        records = (*scene.block.records[:entry], encode_record(forced), *scene.block.records[entry + 1 :])
        error = scene.refuse(adapt(scene.block, records))
        assert ("forced", scene.block.header.first_seq + entry) == (error.field, error.seq)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\x00",
        b"\x96\xa6forced",
        encode_record(Open(3, 0, 0, bytes(32))),
        b"\x94\xa4Edit\x92\x90\xc2\x00\xc4\x41" + bytes(65),
        b"\x94\xa4Edit\x92\x90\xc2\x00\xc4\x41" + b"\xff" * 65,
        b"\x00" * 20_000,
    ],
    ids=["empty", "zero", "forced-tag", "kernel-record", "zero-signature", "impossible-signature", "long"],
)
@pytest.mark.parametrize("at", [0, 2, 7])
def test_foreign_bytes_as_an_entry(scene: Scene, at: int, record: bytes) -> None:
    """Bytes that are no entry are refused as one, wherever they stand, with the seq of their place."""
    error = scene.refuse(adapt(scene.block, insert(at, record)(scene.block.records)))
    expected = {"record", "signature"} if at == 7 or record.startswith(b"\x96") else {"record", "signature", "forced"}
    assert error.field in expected | {"forced_count"}


def test_block_too_large(scene: Scene) -> None:
    """More entries, or more bytes of them, than a block holds are refused before anything is executed."""
    many = scene.block.records + (scene.stranger.record,) * MAX_BLOCK_ACTIONS
    assert "action_count" == scene.refuse(adapt(scene.block, many)).field
    large = scene.block.records + (bytes(16_000),) * (MAX_BLOCK_RECORD_BYTES // 16_000 + 1)
    assert "records" == scene.refuse(adapt(scene.block, large)).field


def test_another_rollups_block(scene: Scene, tmp_path: Path) -> None:
    """A right block of another rollup is refused by its id."""
    other = Chain(tmp_path, block_size=10)
    other.edit(("count", 0, 1))
    other.close_block()
    (block,) = other.get_blocks()
    header = msgspec.structs.replace(block.header, rollup_id=bytes(32))
    verifier = other.make_verifier()
    with pytest.raises(Divergence) as caught:
        other.verify(verifier, [reseal(block, header)])
    assert "rollup_id" == caught.value.field
    verifier.abandon()
    other.close()


def test_time_limit_is_no_verdict(scene: Scene) -> None:
    """A verifier that runs out of its own time for a block says so, and does not call the block wrong."""
    ledger = Ledger.open(scene.root / "verifier", scene.chain.rollup, audit=True)
    outcomes = [
        ledger.authenticator.authenticate_record(record)
        for record in scene.block.records
        if not is_forced_record(record)
    ]
    with pytest.raises(LimitExceeded):
        verify_block(ledger, scene.block, scene.chain.l1, outcomes, limit_seconds=-1.0)
    ledger.abandon()


def test_outcomes_must_fit(scene: Scene) -> None:
    """A caller that brings other than one outcome a signed record has made a mistake of its own."""
    ledger = Ledger.open(scene.root / "verifier", scene.chain.rollup, audit=True)
    with pytest.raises(ValueError, match="one outcome"):
        verify_block(ledger, scene.block, scene.chain.l1, [])
    ledger.abandon()


@pytest.mark.parametrize(("early", "name"), [(1, "builder"), (0, "successor")], ids=["before", "from then on"])
def test_change_of_the_builder(tmp_path: Path, early: int, name: str) -> None:
    """A seal is the builder's as of the block's L1 origin: the old one's up to the change, the new one's from then."""
    chain = Chain(tmp_path)
    verifier = chain.make_verifier()
    effective = chain.l1.change_builder(compute_address(make_key("successor")), caller=OWNER)
    chain.advance(effective + 1 - early - chain.l1.get_number())
    chain.sequencer._key = make_key(name)  # the other one would not build at all
    assert effective - early == chain.close_block(allow_empty=True).l1_origin
    (block,) = chain.get_blocks()
    for signer in ("builder", "successor"):
        sealed = msgspec.structs.replace(block, seal=seal(block.header, make_key(signer)))
        if signer != name:
            with pytest.raises(Divergence) as caught:
                chain.verify(verifier, [sealed])
            assert ("seal", compute_address(make_key(name))) == (caught.value.field, caught.value.expected)
            verifier.abandon()
            verifier = Ledger.open(tmp_path / "verifier", chain.rollup, audit=True, map_size=chain.map_size)
    chain.verify(verifier, [msgspec.structs.replace(block, seal=seal(block.header, make_key(name)))])
    verifier.close()
    chain.close()
