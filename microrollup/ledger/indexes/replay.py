"""Executing closed blocks again for indexes: the state at heights where the store has it no more."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from microrollup.chain.block import Header
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import StoreCorrupt, StoreError
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.indexes.blocks import BlockReader
from microrollup.ledger.ledger import Ledger
from microrollup.limits import relaxed_limits
from microrollup.store.environment import Environment, Transaction
from microrollup.store.retention import get_lowest_height
from microrollup.store.tables import get_block, get_block_row

__all__ = ["REPLAY_DIRECTORY", "Replay"]

REPLAY_DIRECTORY: Final = "replay-for-indexes"
"""In a data directory, while there is an index that needs it: a whole store, as `microrollup replay` makes it."""


class Replay:
    """A second ledger that follows a store's blocks from the genesis on. Its blocks are as the store's, to the byte."""

    def __init__(self, rollup: MicroRollup, source: Environment, directory: Path, height: int) -> None:
        """Go on with what is in `directory` if it can still tell the block at `height`; else begin there anew.

        Raises `StoreError`.
        """
        self._source = source
        self._rollup = rollup
        self.directory = directory
        try:
            self._ledger = Ledger.open(directory, rollup)
            usable = self.holds(height) and self._is_of_source()
            if not usable:
                self._ledger.abandon()
        except StoreError:
            usable = False
        if not usable:
            shutil.rmtree(directory, ignore_errors=True)
            self._ledger = Ledger.create(directory, rollup, read_genesis(source))
        self.reader = BlockReader(rollup, self._ledger.environment)

    def _is_of_source(self) -> bool:
        with self._source.snapshot() as txn:
            row = get_block_row(txn, self._source.tables, self.header.height)
        return row is not None and row.header == self.header

    def holds(self, height: int) -> bool:
        """Whether a block's changes can be read here, or will be once it is executed."""
        newest = self.header.height
        with self.environment.snapshot() as txn:
            lowest = get_lowest_height(txn, self.environment.tables, newest)
        return height > lowest or height == lowest == 0

    @property
    def header(self) -> Header:
        """The newest block that was executed again."""
        return self._ledger.header

    def step(self, txn: Transaction) -> None:
        """Execute the next block. Raises `StoreCorrupt` if it comes out another one, `NotRetained`, `OtherCode`."""
        ledger = self._ledger
        height = ledger.checkpoint.height + 1
        block = get_block(txn, self._source.tables, ledger.rollup_id, height)
        if block is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        ledger.begin(block.open, rebuilt=True)
        with relaxed_limits():
            ledger.execute([ledger.read_entry(record, index=index) for index, record in enumerate(block.records)])
        closing = ledger.compute_header()
        if closing.header != block.header:
            raise StoreCorrupt(
                f"blocks/{height}", "executed again, it is another block; `microrollup replay` says where"
            )
        ledger.finish(closing, block.seal)

    @property
    def environment(self) -> Environment:
        """The store of the replay."""
        return self._ledger.environment

    def close(self, *, remove: bool = False) -> None:
        """Close the store; with `remove`, nobody needs it any more."""
        self._ledger.close()
        if remove:
            shutil.rmtree(self.directory, ignore_errors=True)
