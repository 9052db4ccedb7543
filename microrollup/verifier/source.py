"""Where a verifier takes blocks from: a file, the store of somebody else's node, or its address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final, Protocol, Self

from microrollup.chain.block import Block, Header, compute_rollup_id
from microrollup.chain.export import BlockFile
from microrollup.chain.record import Genesis
from microrollup.errors import MicrorollupError, StoreCorrupt, UsageError
from microrollup.ledger.code import read_manifests
from microrollup.ledger.genesis import read_genesis
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.settlement.due import make_may_end
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import DATA_FILE, Environment
from microrollup.store.retention import get_lowest_height
from microrollup.store.tables import get_block, get_block_row, get_checkpoint
from microrollup.verifier.derive import SettledSource
from microrollup.verifier.http_source import HttpSource, is_address

__all__ = ["BlockSource", "StoreSource", "find_tip", "open_source", "read_batches"]


class BlockSource(Protocol):
    """A rollup's genesis and blocks, from somebody who is not trusted."""

    @property
    def genesis(self) -> Genesis:
        """The genesis record."""
        ...

    def read_blocks(self, first_height: int = 1) -> Iterable[Block]:
        """Blocks from a height on, in order. Raises `DecodeError` or `StoreCorrupt` where they cannot be read."""
        ...

    def read_tip(self) -> int:
        """The height of the last block that the source says it has. Raises as `read_blocks`."""
        ...

    def read_manifest(self, stf_id: bytes) -> bytes | None:
        """The manifest of the code with this 32-byte stfId, if the source has it; not checked."""
        ...


class StoreSource:
    """The blocks of a store, read while its owner may be writing. No transaction is held over more than a block."""

    def __init__(self, directory: Path) -> None:
        """Open the store read-only. Raises `StoreMissing` and other `StoreError`s."""
        self.environment: Final = Environment(directory, read_only=True)
        self.genesis = read_genesis(self.environment)
        self.environment.refresh()
        self._rollup_id = compute_rollup_id(self.genesis)

    def read_tip(self) -> int:
        """The height of the newest closed block."""
        with self.environment.snapshot() as txn:
            return get_checkpoint(txn, self.environment.tables).height

    def read_lowest(self) -> int:
        """The lowest height whose state the store still has."""
        with self.environment.snapshot() as txn:
            tip = get_checkpoint(txn, self.environment.tables).height
            return get_lowest_height(txn, self.environment.tables, tip)

    def read_header(self, height: int) -> Header:
        """A closed block's header. Raises `StoreCorrupt`, and `NotRetained` before where the store begins."""
        with self.environment.snapshot() as txn:
            row = get_block_row(txn, self.environment.tables, height)
        if row is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return row.header

    def read_blocks(self, first_height: int = 1) -> Iterator[Block]:
        """Closed blocks from a height on. Raises `StoreCorrupt`."""
        for height in range(first_height, self.read_tip() + 1):
            with self.environment.snapshot() as txn:
                block = get_block(txn, self.environment.tables, self._rollup_id, height)
            if block is None:
                raise StoreCorrupt(f"blocks/{height}", "missing")
            yield block

    def read_manifest(self, stf_id: bytes) -> bytes | None:
        """The manifest that the store keeps under an stfId."""
        return read_manifests(self.environment).get(stf_id)

    def read_manifests(self) -> tuple[bytes, ...]:
        """All manifests that the store keeps, for an export."""
        return tuple(read_manifests(self.environment).values())

    def close(self) -> None:
        """Close the store."""
        self.environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_batches(source: BlockSource, first_height: int, last_height: int, l1: L1View) -> Iterator[bytes]:
    """The batches in which blocks from the settled head on would be published, as this source's builder encodes them.

    They end at `last_height`, or before it where the inbox would not take such an end. Compression differs between
    builds of zlib, so verifiers sign the builder's bytes, once these decode to the right blocks.
    """
    rollup_id = compute_rollup_id(source.genesis)
    batches = cut_batches(
        takewhile(lambda block: block.open.height <= last_height, source.read_blocks(first_height)),
        l1.get_max_batch_bytes(),
        may_end=make_may_end(l1),
        forced_count=l1.get_settled().forced_count,
    )
    return (encode_batch(rollup_id, blocks) for blocks in batches)


def find_tip(source: BlockSource | SettledSource) -> int:
    """The height at which a source says that it ends, for showing how far one is; 0 if it does not say."""
    try:
        return source.read_tip()
    except (MicrorollupError, OSError):
        return 0


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
