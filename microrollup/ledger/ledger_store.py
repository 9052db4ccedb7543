"""What a ledger holds on disk: its closed blocks, the tree's files, and letting go of them."""

from __future__ import annotations

from typing import Self

from microrollup.chain.block import Block, Header, compute_block_hash
from microrollup.chain.record import Genesis
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import StoreCorrupt, StoreError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.stf import ChainState, Entry
from microrollup.ledger.code import find_code
from microrollup.ledger.entries import read_log_entry
from microrollup.ledger.flush import Flushing
from microrollup.ledger.memory import StateMemory
from microrollup.ledger.open_block import OpenBlock
from microrollup.ledger.remote import RemoteLog
from microrollup.store.environment import Environment, encode_number, map_errors
from microrollup.store.retention import put_settled
from microrollup.store.tables import SYNCED_KEY, Checkpoint, get_block, get_block_row
from microrollup.store.tree import FlatTree

__all__ = ["LedgerStore"]


class LedgerStore:
    """The part of a ledger that is about its store alone, and about who has its records before."""

    app: MicroRollup
    rollup: MicroRollup
    genesis: Genesis
    authenticator: Authenticator
    environment: Environment
    rollup_id: bytes
    checkpoint: Checkpoint
    tree: FlatTree
    flushing: Flushing
    _synced_height: int
    _unsynced_leaves: int
    _length: int
    _chain: bytes
    state: ChainState
    block: OpenBlock | None
    _memory: StateMemory
    _pending: list[bytes]
    _opening: tuple[int, int] | None
    remote: RemoteLog | None = None
    """Takes every record before this store does, once somebody sets it."""

    @property
    def log_end(self) -> tuple[int, bytes]:
        """The number of the log's next record, and the 32-byte chain value after its last: what is durable here."""
        return self._length, self._chain

    def _replicate(self, records: list[bytes], header: Header | None = None) -> None:
        """First elsewhere, then here: what another node does not find may have been acknowledged by nobody."""
        if self.remote is not None:
            raw = None if header is None else encode_canonical(header)
            self.remote.append(self._length, self._chain, records, raw)

    def close(self) -> None:
        """Write out all rows, make the flat files durable and close the store. Uncommitted entries are dropped."""
        try:
            self.flushing.flush()
            self.sync_tree()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without writing anything, as after an error; the next opening repairs what has to be."""
        self.tree.close()
        self.environment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def get_block(self, height: int) -> Block | None:
        """A closed block above genesis, whole. Raises `StoreCorrupt`; `NotRetained` for what a snapshot left out."""
        with map_errors(self.environment.directory):
            return get_block(self.environment.reader, self.environment.tables, self.rollup_id, height)

    def get_block_hash(self, height: int) -> bytes:
        """The hash of a closed block. Raises `StoreCorrupt` if there is none, and `NotRetained`."""
        if height == self.checkpoint.height:
            return self.checkpoint.block_hash
        return compute_block_hash(self.get_header(height))

    def get_header(self, height: int) -> Header:
        """The header of a closed block. Raises `StoreCorrupt` if there is none, and `NotRetained`."""
        with map_errors(self.environment.directory):
            row = get_block_row(self.environment.reader, self.environment.tables, height)
        if row is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return row.header

    def find_authenticator(self, header: Header) -> Authenticator:
        """The authenticator of the code that executed a block. Raises `OtherCode`."""
        version = find_code(self.environment, self.app, header.height, header.stf_id)
        return self.authenticator if version is self.rollup else Authenticator.of(version, self.genesis.domain)

    def read_entry(self, record: bytes, height: int | None = None, index: int = 0) -> Entry:
        """Authenticate a record of this log (L1 vouches for forced ones). Raises `StoreCorrupt`.

        `height` is that of its block, by default the open one's; `index` its place there.
        """
        height = self.checkpoint.height + 1 if height is None else height
        return read_log_entry(self.rollup, self.rollup_id, self.authenticator, record, height, index)

    def note_settled(self, height: int, time: int) -> None:
        """Note that a height settled on L1 at `time` (seconds); it decides how long old heights are kept."""
        with self.environment.write() as txn:
            put_settled(txn, self.environment.tables, height, time)

    def drop_block(self) -> None:
        """Let go of the open block, none of whose entries is durable, as where it is found to be wrong.

        Raises `StoreError` if some are.
        """
        if self.block is not None and self.block.durable:
            raise StoreError(f"block {self.block.open.height} has entries that are durable")
        self._pending.clear()
        self._opening = self.block = None
        self.state = self._memory.load(self.checkpoint)

    def sync_tree(self) -> None:
        """Make the flat files durable, and note up to which height they are."""
        if self._synced_height == self.checkpoint.height:
            return
        self.tree.sync()
        with self.environment.write() as txn:
            txn.put(SYNCED_KEY, encode_number(self.checkpoint.height), db=self.environment.tables["meta"])
        self._synced_height = self.checkpoint.height
        self._unsynced_leaves = 0
