"""Block files: a rollup's genesis and its blocks in one file, to be verified by somebody else.

Layout: `MAGIC`, then frames of `length(4, big-endian) || canonical msgpack`: first the genesis record, then the list of
manifests of the code that built the blocks (each as bytes; its keccak256 is the stfId), then for each block from
height 1 `[header, open, [record...], seal]`. Manifests decide nothing: they let a verifier name the files that differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from microrollup.chain.block import Block, Header
from microrollup.chain.record import Genesis, Open, Seal, decode_genesis, encode_record
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError
from microrollup.primitives import MAX_BLOCK_ACTIONS, MAX_BLOCK_RECORD_BYTES
from microrollup.system import write_whole

__all__ = ["MAGIC", "BlockFile", "decode_block", "encode_block", "write_blocks"]

MAGIC: Final = b"microrollup blocks 2\n"

MAX_FRAME_BYTES: Final = MAX_BLOCK_RECORD_BYTES + 5 * MAX_BLOCK_ACTIONS + 4096
"""A block: its records with their lengths, and room for header, opening and seal."""

_MIN_FRAME_BYTES: Final = 100
"""No block is shorter: its header alone holds four hashes."""


class _WireBlock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    header: Header
    open: Open
    records: tuple[bytes, ...]
    seal: Seal


class _Headed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A block of which only the header is wanted."""

    header: Header
    open: msgspec.Raw
    records: msgspec.Raw
    seal: msgspec.Raw


_MANIFESTS: Final = msgspec.msgpack.Decoder(tuple[bytes, ...])
_DECODER: Final = msgspec.msgpack.Decoder(_WireBlock)
_HEADED_DECODER: Final = msgspec.msgpack.Decoder(_Headed)


def encode_block(block: Block) -> bytes:
    """Canonical msgpack `[header, open, [record...], seal]`; records as byte strings."""
    return encode_canonical(_WireBlock(block.header, block.open, block.records, block.seal))


def decode_block(raw: bytes) -> Block:
    """The block of its canonical bytes, at most `MAX_FRAME_BYTES`. Raises `DecodeError`."""
    wire = decode_canonical(_DECODER, raw, what="block", limit=MAX_FRAME_BYTES)
    return Block(wire.header, wire.open, wire.records, wire.seal)


def _read_height(raw: bytes) -> int:
    """The height that a block claims. Raises `DecodeError`."""
    return decode_canonical(_HEADED_DECODER, raw, what="block", limit=MAX_FRAME_BYTES).header.height


def write_blocks(
    target: Path | BinaryIO, genesis: Genesis, blocks: Iterable[Block], manifests: Iterable[bytes] = ()
) -> int:
    """Write a block file, replacing the one at a path only once it is whole; the number of blocks written."""
    count = 0
    with write_whole(target) as file:
        file.write(MAGIC)
        _write_frame(file, encode_record(genesis))
        _write_frame(file, encode_canonical(tuple(manifests)))
        for block in blocks:
            _write_frame(file, encode_block(block))
            count += 1
    return count


def _write_frame(file: BinaryIO, body: bytes) -> None:
    file.write(len(body).to_bytes(4, "big"))
    file.write(body)


class BlockFile:
    """Reads a block file; blocks come one at a time, so the file may be larger than memory."""

    def __init__(self, path: Path) -> None:
        """Read the genesis. Raises `DecodeError` if the file is not a block file, and `OSError`."""
        self._path = path
        with path.open("rb") as file:
            self.genesis, self.manifests = self._read_head(file)

    def _read_head(self, file: BinaryIO) -> tuple[Genesis, dict[bytes, bytes]]:
        """The genesis, and the bytes of manifests by their stfId."""
        if file.read(len(MAGIC)) != MAGIC:
            raise DecodeError(str(self._path), "not a file of microrollup blocks")
        raw = self._read_frame(file)
        if raw is None:
            raise DecodeError(str(self._path), "ends before the genesis record")
        genesis, raw = decode_genesis(raw), self._read_frame(file)
        if raw is None:
            raise DecodeError(str(self._path), "ends before the manifests")
        manifests = decode_canonical(_MANIFESTS, raw, what="manifests", limit=MAX_FRAME_BYTES)
        return genesis, {keccak256(manifest): manifest for manifest in manifests}

    def _read_frame(self, file: BinaryIO) -> bytes | None:
        head = file.read(4)
        if not head:
            return None
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > MAX_FRAME_BYTES:
            raise DecodeError(str(self._path), "a frame is cut off or larger than any block")
        body = file.read(size)
        if len(body) < size:
            raise DecodeError(str(self._path), "the last frame is cut off")
        return body

    def read_manifest(self, stf_id: bytes) -> bytes | None:
        """The manifest that hashes to a 32-byte stfId, if the file has it."""
        return self.manifests.get(stf_id)

    def read_tip(self) -> int:
        """The height that the last block claims, 0 without blocks; the others are skipped. Raises `DecodeError`."""
        last: int | None = None
        with self._path.open("rb") as file:
            self._read_head(file)
            while True:
                at, size = file.tell(), int.from_bytes(file.read(4), "big")
                if not _MIN_FRAME_BYTES <= size <= MAX_FRAME_BYTES:
                    break
                last = at
                file.seek(size, os.SEEK_CUR)
            if last is None:
                return 0
            file.seek(last)
            return _read_height(self._read_frame(file) or b"")

    def read_blocks(self, first_height: int = 1) -> Iterator[Block]:
        """Blocks in the file's order; those below `first_height` are left out, and only their headers looked at. Raises
        `DecodeError`.
        """
        with self._path.open("rb") as file:
            self._read_head(file)
            while (raw := self._read_frame(file)) is not None:
                if first_height <= 1 or _read_height(raw) >= first_height:
                    yield decode_block(raw)
