"""Batches: what is encoded comes back, nothing else is taken, and no input costs more than its limits say."""

from __future__ import annotations

import zlib
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.chain.block import Block, compute_genesis_header
from microrollup.chain.block_entry import BLOCK_RECORD
from microrollup.chain.record import Open, Seal
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, UsageError
from microrollup.primitives import MAX_ACTION_BYTES, MAX_BLOCK_ACTIONS, MAX_BLOCK_RECORD_BYTES
from microrollup.settlement.batch import (
    MAX_BATCH_BYTES,
    MAX_INFLATED_BYTES,
    MIN_RECORD_BYTES,
    compute_blob_data_hash,
    compute_data_hash,
    cut_batches,
    decode_batch,
    encode_batch,
)
from microrollup.testing.settlement_harness import make_genesis

ROLLUP_ID = keccak256(b"rollup")
HEADER = msgspec.structs.replace(compute_genesis_header(make_genesis(1, 12)), rollup_id=ROLLUP_ID)


def make_record(seed: int, size: int = 40) -> bytes:
    """A signed action's record, as far as a batch cares."""
    return encode_canonical(["Move", [seed, b"x" * size], seed, bytes(65)])


def make_block(height: int, records: tuple[bytes, ...] = (), info: str = "3.11") -> Block:
    header = msgspec.structs.replace(HEADER, height=height)
    opened = Open(height, 1_700_000_000 + height, 1_000 + height, keccak256(b"stf"))
    return Block(header, opened, records, Seal(2, keccak256(b"seal") * 2 + b"\x1b", info))


def make_body(*blocks: Block, version: int = 1) -> list[object]:
    """A batch before compression, as plain values."""
    return [
        version,
        ROLLUP_ID,
        [[block.open, [msgspec.Raw(record) for record in block.records], block.seal] for block in blocks],
    ]


def pack(body: object) -> bytes:
    return zlib.compress(encode_canonical(body))


blocks_strategy = st.builds(
    lambda first, record_lists: [
        make_block(first + i, tuple([make_record(n, n % 300) for n in numbers]))
        for i, numbers in enumerate(record_lists)
    ],
    st.integers(1, 2**63),
    st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=5), min_size=1, max_size=5),
)


@given(blocks_strategy)
def test_decoding_gives_what_was_encoded(blocks: list[Block]) -> None:
    """Opening, records (byte for byte) and seal of every block survive, in order."""
    batch = decode_batch(encode_batch(ROLLUP_ID, blocks))
    assert ROLLUP_ID == batch.rollup_id
    assert [(block.open, block.records, block.seal) for block in blocks] == [
        (block.open, block.records, block.seal) for block in batch.blocks
    ]


def test_format_is_pinned() -> None:
    """`zlib(msgpack [1, rollupId, [[open, [record ...], seal]]])`, to the byte before compression."""
    block = make_block(1, (make_record(7),))
    expected = (
        b"\x93\x01\xc4\x20" + ROLLUP_ID + b"\x91\x93"
        b"\x95\xa4open\x01\xce\x65\x53\xf1\x01\xcd\x03\xe9\xc4\x20" + keccak256(b"stf") + b"\x91" + make_record(7)
        + b"\x93\x02\xc4\x41" + keccak256(b"seal") * 2 + b"\x1b\xa43.11"
    )  # fmt: skip
    assert expected == zlib.decompress(encode_batch(ROLLUP_ID, [block]))


def test_any_zlib_stream_of_the_same_bytes_is_taken() -> None:
    """How well the data are compressed is the publisher's affair; the attestation covers the bytes."""
    batch = encode_batch(ROLLUP_ID, [make_block(1)])
    assert decode_batch(batch) == decode_batch(zlib.compress(zlib.decompress(batch), 0))


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([], "at least one"),
        ([make_block(1), make_block(3)], "does not continue"),
        ([make_block(2), make_block(1)], "does not continue"),
        ([msgspec.structs.replace(make_block(1), open=make_block(2).open)], "does not continue"),
    ],
)
def test_refuses_to_encode_what_is_no_batch(blocks: list[Block], words: str) -> None:
    """No blocks, a gap, a step back, or a header that is not of its opening: the caller is told."""
    with pytest.raises(UsageError, match=words):
        encode_batch(ROLLUP_ID, blocks)


def test_refuses_to_encode_another_rollups_block() -> None:
    """The rollup id is that of every header."""
    with pytest.raises(UsageError, match="belongs to rollup"):
        encode_batch(keccak256(b"other"), [make_block(1)])


def test_refuses_to_encode_more_than_fits() -> None:
    """Blocks that do not compress below the limit are refused, and cut by `cut_batches`."""
    noise = b"".join([keccak256(i.to_bytes(4, "big")) for i in range(MAX_BATCH_BYTES // 32)])
    records = tuple([encode_canonical([noise[i : i + 16_000]]) for i in range(0, len(noise), 16_000)])
    blocks = [make_block(1, records[:24]), make_block(2, records[24:])]
    with pytest.raises(UsageError, match="cut_batches"):
        encode_batch(ROLLUP_ID, blocks)
    assert [[1], [2]] == [[block.header.height for block in batch] for batch in cut_batches(blocks)]


def test_largest_block_fits_a_batch() -> None:
    """A block at its limit of bytes fits, although noise does not compress."""
    noise = b"".join([keccak256(i.to_bytes(4, "big")) for i in range(MAX_BLOCK_RECORD_BYTES // 32)])
    size = 16_000
    records = [encode_canonical([noise[i : i + size - 4]]) for i in range(0, 43 * size, size)]
    records.append(encode_canonical([noise[: MAX_BLOCK_RECORD_BYTES - sum(map(len, records)) - 4]]))
    assert MAX_BLOCK_RECORD_BYTES == sum(map(len, records))
    block = make_block(1, tuple(records), "x" * 256)
    assert block.records == decode_batch(encode_batch(ROLLUP_ID, [block])).blocks[0].records


@given(st.binary(max_size=300))
def test_noise_raises_decode_error_only(raw: bytes) -> None:
    """Neither noise nor noise that was compressed gets any other error out."""
    for data in (raw, zlib.compress(raw)):
        with pytest.raises(DecodeError):
            decode_batch(data)


@given(st.data())
def test_mutated_bodies_raise_or_are_canonical(data: st.DataObject) -> None:
    """A changed byte is refused, or leaves a batch that says exactly the changed bytes."""
    blocks = [make_block(5, (make_record(1), make_record(2))), make_block(6)]
    body = bytearray(encode_canonical(make_body(*blocks)))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] = data.draw(st.integers(0, 255))
    try:
        batch = decode_batch(zlib.compress(bytes(body)))
    except DecodeError:
        return
    again = [1, batch.rollup_id, [[b.open, [msgspec.Raw(r) for r in b.records], b.seal] for b in batch.blocks]]
    assert bytes(body) == encode_canonical(again)


@given(st.integers(0, 2**32))
def test_cut_and_padded_data_are_refused(seed: int) -> None:
    """Every proper prefix and every extension of a batch is refused."""
    batch = encode_batch(ROLLUP_ID, [make_block(1, (make_record(seed),))])
    for data in (batch[: seed % len(batch)], batch + b"\x00", batch + batch):
        with pytest.raises(DecodeError):
            decode_batch(data)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (make_body(make_block(1), version=2), "version 2"),
        (make_body(make_block(1), version=0), "version 0"),
        (make_body(), "length >= 1"),
        (make_body(make_block(1), make_block(3)), "height 3 does not follow"),
        (make_body(make_block(1), make_block(1)), "height 1 does not follow"),
        ([*make_body(make_block(1)), 0], "length"),
        ([1, ROLLUP_ID[1:], [[make_block(1).open, [], make_block(1).seal]]], "length"),
        ([1, ROLLUP_ID, [[make_block(1).open, [], make_block(1).seal, 0]]], "length"),
        ([1, ROLLUP_ID, [[["close", 1, 2, 3, bytes(32)], [], make_block(1).seal]]], "Invalid value"),
        (make_body(make_block(1, (b"\xc4\x1d" + bytes(29),))), "out of bounds"),
        (make_body(make_block(1, (make_record(1, MAX_ACTION_BYTES),))), "out of bounds"),
        (make_body(make_block(1, (BLOCK_RECORD, BLOCK_RECORD))), "out of bounds"),
        (make_body(make_block(1, tuple([make_record(1, 15_000)] * 47))), "bytes of records"),
        (make_body(make_block(1, (make_record(1, 1),) * (MAX_BLOCK_ACTIONS + 1))), "length <="),
    ],
)
def test_refuses_bodies_out_of_bounds(body: object, words: str) -> None:
    """Each limit and each rule of the format has its refusal."""
    with pytest.raises(DecodeError, match=words):
        decode_batch(pack(body))


def test_takes_bodies_within_bounds() -> None:
    """The shortest record and the greatest number of entries pass."""
    shortest = b"\xc4\x1e" + bytes(30)
    assert MIN_RECORD_BYTES == len(shortest)
    assert (shortest,) == decode_batch(pack(make_body(make_block(1, (shortest,))))).blocks[0].records
    first = make_block(1, (BLOCK_RECORD, shortest))
    assert first.records == decode_batch(pack(make_body(first))).blocks[0].records
    many = make_block(1, (shortest,) * MAX_BLOCK_ACTIONS)
    assert MAX_BLOCK_ACTIONS == len(decode_batch(pack(make_body(many))).blocks[0].records)


def test_refuses_padded_numbers() -> None:
    """Msgpack knows longer forms of an integer; only the shortest is canonical."""
    body = encode_canonical(make_body(make_block(1)))
    assert b"\x93\x01" == body[:2]
    with pytest.raises(DecodeError, match="canonical"):
        decode_batch(zlib.compress(b"\x93\xcc\x01" + body[2:]))
    with pytest.raises(DecodeError, match="canonical"):
        decode_batch(zlib.compress(body.replace(b"\xa4open\x01", b"\xa4open\xcc\x01")))


def test_bombs_are_refused_early() -> None:
    """A small input that inflates, nests or counts without end is refused before memory is spent."""
    deflater = zlib.compressobj(9)
    chunk = bytes(1 << 20)
    bomb = b"".join([deflater.compress(chunk) for _ in range(MAX_INFLATED_BYTES // len(chunk) + 1)]) + deflater.flush()
    assert len(bomb) < MAX_BATCH_BYTES
    with pytest.raises(DecodeError, match="inflates to more"):
        decode_batch(bomb)
    with pytest.raises(DecodeError, match="limit is"):
        decode_batch(bytes(MAX_BATCH_BYTES + 1))
    head = b"\x93\x01\xc4\x20" + ROLLUP_ID
    with pytest.raises(DecodeError, match="length <="):
        decode_batch(zlib.compress(head + b"\xdd\xff\xff\xff\xff"))
    with pytest.raises(DecodeError):
        decode_batch(zlib.compress(head + b"\x91" * 1_000_000 + b"\x00"))


def test_data_hashes_are_tagged() -> None:
    """Calldata and blobs hash under different first bytes, so one cannot pass for the other."""
    hashes = [keccak256(b"1"), keccak256(b"2")]
    assert keccak256(b"\x01" + b"".join(hashes)) == compute_data_hash(b"".join(hashes))
    assert keccak256(b"\x02" + b"".join(hashes)) == compute_blob_data_hash(hashes)


@given(st.lists(st.integers(0, 900), max_size=30), st.integers(0, 3000))
def test_cutting_is_greedy_and_loses_nothing(sizes: list[int], limit: int) -> None:
    """Batches hold all blocks in order, keep the limit unless they are one block, and are as long as that allows."""
    blocks = [make_block(i + 1, (make_record(i, size),)) for i, size in enumerate(sizes)]
    batches = list(cut_batches(iter(blocks), limit))
    assert blocks == [block for batch in batches for block in batch]

    for batch in batches:
        assert len(batch) == 1 or len(encode_batch(ROLLUP_ID, batch)) <= limit
    for batch, successor in pairwise(batches):
        assert limit - 128 < len(encode_batch(ROLLUP_ID, [*batch, successor[0]]))


def test_six_blobs_hold_what_compresses_into_them() -> None:
    """Blocks of more than a block's bytes share a batch if they compress: the limit is that of what is published."""
    records = tuple([make_record(number, 500) for number in range(1_200)])
    blocks = [make_block(height, records) for height in (1, 2, 3)]
    assert sum(map(len, records)) * 3 > 2 * MAX_BLOCK_RECORD_BYTES
    assert [[1, 2, 3]] == [[block.header.height for block in batch] for batch in cut_batches(blocks)]
