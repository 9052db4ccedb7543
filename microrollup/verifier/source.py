"""Where a verifier takes blocks from: a file, the store of somebody else's node, or its address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, Self

from microrollup.block import Block, compute_rollup_id
from microrollup.errors import StoreCorrupt, UsageError
from microrollup.export import BlockFile
from microrollup.genesis import read_genesis
from microrollup.record import Genesis
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.store.environment import DATA_FILE, Environment
from microrollup.store.tables import get_block, get_checkpoint
from microrollup.verifier.http_source import HttpSource, is_address

__all__ = ["BlockSource", "StoreSource", "open_source", "read_batches"]


class BlockSource(Protocol):
    """A rollup's genesis and blocks, from somebody who is not trusted."""

    @property
    def genesis(self) -> Genesis:
        """The genesis record."""
        ...

    def read_blocks(self, first_height: int = 1) -> Iterable[Block]:
        """Blocks from a height on, in order. Raises `DecodeError` or `StoreCorrupt` where they cannot be read."""
        ...


class StoreSource:
    """The blocks of a store, read while its owner may be writing. No transaction is held over more than a block."""

    def __init__(self, directory: Path) -> None:
        """Open the store read-only. Raises `StoreMissing` and other `StoreError`s."""
        self._environment = Environment(directory, read_only=True)
        self.genesis = read_genesis(self._environment)
        self._environment.refresh()
        self._rollup_id = compute_rollup_id(self.genesis)

    def read_tip(self) -> int:
        """The height of the newest closed block."""
        with self._environment.snapshot() as txn:
            return get_checkpoint(txn, self._environment.tables).height

    def read_blocks(self, first_height: int = 1) -> Iterator[Block]:
        """Closed blocks from a height on. Raises `StoreCorrupt`."""
        for height in range(first_height, self.read_tip() + 1):
            with self._environment.snapshot() as txn:
                block = get_block(txn, self._environment.tables, self._rollup_id, height)
            if block is None:
                raise StoreCorrupt(f"blocks/{height}", "missing")
            yield block

    def close(self) -> None:
        """Close the store."""
        self._environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_batches(source: BlockSource, first_height: int, max_bytes: int) -> Iterator[bytes]:
    """The batches in which blocks from a height on would be published, as this source's builder encodes them.

    Compression differs between builds of zlib, so verifiers sign the builder's bytes, once these decode to the right
    blocks.
    """
    rollup_id = compute_rollup_id(source.genesis)
    return (encode_batch(rollup_id, blocks) for blocks in cut_batches(source.read_blocks(first_height), max_bytes))


def open_source(place: str) -> BlockFile | StoreSource | HttpSource:
    """A node's address (`http://…`), a block file, or a directory that holds a store.

    Raises `UsageError` if it is none of them.
    """
    if is_address(place):
        return HttpSource(place)
    path = Path(place)
    if path.is_file():
        return BlockFile(path)
    if (path / DATA_FILE).is_file():
        return StoreSource(path)
    raise UsageError(f"{path} is neither a block file (see `microrollup export`) nor a store directory")
