"""Batches: consecutive blocks as they are published, `zlib(msgpack [1, rollupId, [[open, [record ...], seal] ...]])`.

A reader of L1 and DA alone rebuilds every header from this and the parent's state, and compares the last one's hash
with the inbox's. So headers do not travel. The records are the log's, byte for byte.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Final

import msgspec

from microrollup.chain.block import Block, Header
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.record import Open, Seal
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, UsageError
from microrollup.primitives import MAX_ACTION_BYTES, MAX_BLOCK_ACTIONS, MAX_BLOCK_RECORD_BYTES, Bytes32, Uint64

__all__ = [
    "BASED_DATA_HASH",
    "BATCH_VERSION",
    "MAX_BATCH_BYTES",
    "MAX_INFLATED_BYTES",
    "Batch",
    "BatchBlock",
    "compute_blob_data_hash",
    "compute_data_hash",
    "cut_batches",
    "decode_batch",
    "encode_batch",
]

BATCH_VERSION: Final = 1

MAX_BATCH_BYTES: Final = 6 * 31 * 4096
"""A compressed batch, 761,856 bytes: six EIP-4844 blobs of 4,096 field elements with 31 usable bytes each."""

MAX_INFLATED_BYTES: Final = 64 * 1024 * 1024
"""A batch after decompression; what a reader is ready to hold in memory."""

MIN_RECORD_BYTES: Final = 32
"""No record is shorter (a signature or a sender and a payload are in it), which bounds how many a batch can hold."""

_MIN_BLOCK_BYTES: Final = 100
"""No block is shorter: its stf id and its seal's signature alone have 97 bytes."""

_MAX_BATCH_BLOCKS: Final = MAX_INFLATED_BYTES // _MIN_BLOCK_BYTES


_CUT_MARGIN: Final = 128
"""For what precedes the blocks (39 to 43 bytes), and what a different beginning does to the compression."""


class BatchBlock(msgspec.Struct, frozen=True):
    """A block as a batch carries it: everything of `microrollup.chain.block.Block` but the header."""

    open: Open
    records: tuple[bytes, ...]
    seal: Seal


class Batch(msgspec.Struct, frozen=True):
    """Consecutive blocks of one rollup, in ascending order; at least one."""

    rollup_id: Bytes32
    blocks: tuple[BatchBlock, ...]


class _WireBlock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A block on the wire. The records stay raw: the reader of actions decodes them, strictly, one by one."""

    open: Open
    records: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MAX_BLOCK_ACTIONS)]
    seal: Seal


class _WireBatch(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A batch on the wire. Blocks stay raw at first, so that only one block's items exist unchecked at a time."""

    version: Uint64
    rollup_id: Bytes32
    blocks: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(min_length=1, max_length=_MAX_BATCH_BLOCKS)]


_BATCH_DECODER: Final = msgspec.msgpack.Decoder(_WireBatch)
_BLOCK_DECODER: Final = msgspec.msgpack.Decoder(_WireBlock)


def encode_batch(rollup_id: bytes, blocks: Sequence[Block]) -> bytes:
    """The batch of consecutive `blocks` (at least one) of the rollup with this 32-byte id.

    Raises `UsageError` for blocks of another rollup or with a gap between them, and for more than `MAX_BATCH_BYTES`.
    """
    if not blocks:
        raise UsageError("a batch has at least one block")
    for offset, block in enumerate(blocks):
        if block.header.rollup_id != rollup_id:
            raise UsageError(f"block {block.header.height} belongs to rollup 0x{block.header.rollup_id.hex()}")
        if not block.header.height == block.open.height == blocks[0].header.height + offset:
            raise UsageError(f"block {block.header.height} does not continue the batch")
    raw = encode_canonical(_WireBatch(BATCH_VERSION, rollup_id, tuple([_encode_block(block) for block in blocks])))
    if len(raw) > MAX_INFLATED_BYTES:
        raise UsageError(f"{len(raw)} bytes of blocks are too many for a batch; see `cut_batches`")
    batch = zlib.compress(raw)
    if len(batch) > MAX_BATCH_BYTES:
        raise UsageError(f"the batch has {len(batch)} bytes, the limit is {MAX_BATCH_BYTES}; see `cut_batches`")
    return batch


def _encode_block(block: Block) -> msgspec.Raw:
    records = tuple([msgspec.Raw(record) for record in block.records])
    return msgspec.Raw(encode_canonical(_WireBlock(block.open, records, block.seal)))


def decode_batch(raw: bytes) -> Batch:
    """The blocks of a batch from anywhere.

    Checked: sizes and counts before memory is spent, canonical msgpack down to the records' edges, version, and heights
    that ascend by one. Not checked: what a record says, and whether any of it is true. Raises `DecodeError` only.
    """
    body = _inflate(raw)
    wire = decode_canonical(_BATCH_DECODER, body, what="batch", limit=MAX_INFLATED_BYTES)
    if wire.version != BATCH_VERSION:
        raise DecodeError("batch", f"version {wire.version}, known is {BATCH_VERSION}")
    blocks = tuple([_decode_block(bytes(block)) for block in wire.blocks])
    for offset, block in enumerate(blocks):
        if block.open.height != blocks[0].open.height + offset:
            raise DecodeError("batch", f"height {block.open.height} does not follow the one before it")
    return Batch(wire.rollup_id, blocks)


def _decode_block(raw: bytes) -> BatchBlock:
    wire = decode_canonical(_BLOCK_DECODER, raw, what="batch block", limit=MAX_INFLATED_BYTES)
    records = tuple([bytes(record) for record in wire.records])
    sizes = [len(record) for record in records[1 if records and is_block_record(records[0]) else 0 :]]
    if sizes and (min(sizes) < MIN_RECORD_BYTES or max(sizes) > MAX_ACTION_BYTES):
        raise DecodeError("batch block", f"a record of {min(sizes)} or of {max(sizes)} bytes is out of bounds")
    if sum(sizes) > MAX_BLOCK_RECORD_BYTES:
        raise DecodeError("batch block", f"{sum(sizes)} bytes of records, the limit is {MAX_BLOCK_RECORD_BYTES}")
    return BatchBlock(wire.open, records, wire.seal)


def _inflate(raw: bytes) -> bytes:
    if len(raw) > MAX_BATCH_BYTES:
        raise DecodeError("batch", f"{len(raw)} bytes, the limit is {MAX_BATCH_BYTES}")
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(raw, MAX_INFLATED_BYTES + 1)
    except zlib.error as error:
        raise DecodeError("batch", str(error)) from None
    if len(body) > MAX_INFLATED_BYTES:
        raise DecodeError("batch", f"inflates to more than {MAX_INFLATED_BYTES} bytes")
    if not inflater.eof:
        raise DecodeError("batch", "the compressed data end too early")
    if inflater.unused_data:
        raise DecodeError("batch", f"{len(inflater.unused_data)} bytes follow the compressed data")
    return body


BASED_DATA_HASH: Final = keccak256(b"\x04")
"""Of a based rollup, which publishes nothing: all data is in the events of the queue."""


def compute_data_hash(batch: bytes) -> bytes:
    """`keccak256(0x01 || batch)`: the attested commitment to a batch that is published as calldata bytes."""
    return keccak256(b"\x01" + batch)


def compute_blob_data_hash(versioned_hashes: Sequence[bytes]) -> bytes:
    """`keccak256(0x02 || 32-byte versioned hashes)`: the same for blobs (EIP-4844). The tag keeps the two apart."""
    return keccak256(b"\x02" + b"".join(versioned_hashes))


def cut_batches(
    blocks: Iterable[Block],
    max_bytes: int = MAX_BATCH_BYTES,
    *,
    may_end: Callable[[int, Header], bool] = lambda _forced_count, _header: True,
    forced_count: int = 0,
) -> Iterator[list[Block]]:
    """Cut consecutive blocks into batches: greedy, each with as many blocks as stay in bounds once compressed.

    `may_end(taken, header)` says whether a batch may end with a header, `taken` being the forced actions that were
    taken before the batch; `forced_count` is that of the first batch. Blocks with which no batch may end yet are left
    over. A block that upgrades begins a batch. A single block always fits, whatever its size, and so do blocks that
    cannot be parted, up to `MAX_BATCH_BYTES`. Pure and lazy: it reads a block ahead and holds one batch.
    """
    batch: list[Block] = []
    measure, end = _Measure(), 0
    waiting, source = deque[Block](), iter(blocks)
    while (block := waiting.popleft() if waiting else next(source, None)) is not None:
        body = bytes(_encode_block(block))
        is_first = any(map(is_upgrade_record, block.records[:1]))
        if batch and (is_first or not measure.try_add(body, (max_bytes if end else MAX_BATCH_BYTES) - _CUT_MARGIN)):
            waiting.extendleft(reversed([*batch[end or len(batch) :], block]))
            batch = batch[: end or len(batch)]
            yield batch
            forced_count = batch[-1].header.forced_count
            batch, measure, end = [], _Measure(), 0
            continue
        if not batch:
            measure.try_add(body, None)
        batch.append(block)
        if may_end(forced_count, block.header):
            end = len(batch)
    if end:
        yield batch[:end]


class _Measure:
    """How long a batch gets, compressed as far as it goes and finished on trial after each block."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj()
        self._raw_bytes = 0
        self._compressed_bytes = 0

    def try_add(self, body: bytes, limit: int | None) -> bool:
        """Add a block unless the batch would pass the limit, or its inflated one."""
        compressor = self._compressor.copy()
        size = self._compressed_bytes + len(compressor.compress(body))
        raw_bytes = self._raw_bytes + len(body)
        if limit is not None:
            finished = size + len(compressor.copy().flush())
            if finished > limit or raw_bytes > MAX_INFLATED_BYTES - _CUT_MARGIN:
                return False
        self._compressor, self._compressed_bytes, self._raw_bytes = compressor, size, raw_bytes
        return True
