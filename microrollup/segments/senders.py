"""Who sent what, noted by a first pass for this machine's workers, so that each signature is recovered once.

It is the same division of work as in `AuthenticationPool`: processes of one machine believe each other. A note is of a
block that the pass has executed and found right, and is taken for that very block; any other is treated as ever.
Actions are executed twice by the worker all the same: an app that counts its calls does so alike in both processes.

File: for each block `length(4) || blake3(body) (32) || body`, where the body is canonical msgpack `[height, block hash,
[authenticated…]]`, in the order of the blocks. The hash is keyed by a secret of the run: who else writes to the work
directory is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from blake3 import blake3

from microrollup.chain.block import Block, Header, compute_block_hash
from microrollup.execution.authentication import Authenticated, Authentication
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import is_signed_record
from microrollup.verifier.follow import authenticate_blocks

__all__ = ["SenderNotes", "SenderWriter", "authenticate_noted"]

_HEAD_BYTES: Final = 36
_MAX_BODY_BYTES: Final = 16 << 20
"""A block has 700,000 bytes of records, and an outcome 90 bytes beside its record; only damage has more."""


class _Noted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    height: int
    block_hash: bytes
    outcomes: list[Authenticated]


_DECODER: Final = msgspec.msgpack.Decoder(_Noted)
_encode: Final = msgspec.msgpack.Encoder().encode


class SenderWriter:
    """Writes the notes of a pass, a file for each place where it may be cut."""

    def __init__(self, directory: Path, key: bytes) -> None:
        """`key`: 32 bytes that the readers have too."""
        self._directory = directory
        self._key = key
        self._start: int | None = None
        self._file: BinaryIO | None = None

    def note(self, start: int, header: Header, outcomes: Sequence[Authentication]) -> None:
        """What authenticating a block has come to, which is right and of the segment after the block `start`.

        Blocks that hold anything but signed actions are left out; so is everything once the disk refuses.
        """
        with suppress(OSError):
            if start != self._start:
                self.close()
                self._start = start
                self._directory.mkdir(parents=True, exist_ok=True)
                self._file = (self._directory / str(start)).open("wb")
            passed = [outcome for outcome in outcomes if isinstance(outcome, Authenticated)]
            if self._file is not None and len(passed) == len(outcomes):
                body = _encode(_Noted(header.height, compute_block_hash(header), passed))
                if len(body) <= _MAX_BODY_BYTES:
                    self._file.write(len(body).to_bytes(4, "big") + blake3(body, key=self._key).digest() + body)

    def close(self) -> None:
        """Have the notes so far readable by others."""
        if self._file is not None:
            self._file.close()
        self._file = None


class SenderNotes:
    """Reads one file of notes, in the order of the blocks. One that is cut off or damaged ends there."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Raises `FileNotFoundError` if there are none."""
        self._key = key
        self._file = path.open("rb")
        self._next: _Noted | None = None
        self._advance()

    def _advance(self) -> None:
        head = self._file.read(_HEAD_BYTES)
        size = int.from_bytes(head[:4], "big")
        body = self._file.read(size) if len(head) == _HEAD_BYTES and size <= _MAX_BODY_BYTES else b""
        self._next = _DECODER.decode(body) if blake3(body, key=self._key).digest() == head[4:] else None

    def find(self, block: Block, version: int) -> list[Authentication] | None:
        """The outcomes of a block's signed records under a version; None if they are not noted."""
        while self._next is not None and self._next.height < block.header.height:
            self._advance()
        noted = self._next
        if noted is None or noted.height != block.header.height or noted.block_hash != compute_block_hash(block.header):
            return None
        records = [record for record in block.records if is_signed_record(record)]
        fits = records == [outcome.record for outcome in noted.outcomes]
        return [*noted.outcomes] if fits and {outcome.version for outcome in noted.outcomes} <= {version} else None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def authenticate_noted(
    notes: SenderNotes, blocks: Iterable[Block], pool: AuthenticationPool, limit_seconds: float
) -> Iterator[tuple[Block, list[Authentication]]]:
    """`authenticate_blocks` by what is noted, as far as it is."""
    for block in blocks:
        found = notes.find(block, pool.find_version(block.open.stf_id))
        if found is None:
            yield from authenticate_blocks((block,), pool, limit_seconds)
        else:
            yield block, found
