"""The indexes beside a store: every row carries a check, and what is damaged is filled again by a node."""

from __future__ import annotations

from typing import Final

from microrollup.chain.block import compute_block_hash
from microrollup.errors import DecodeError, StoreCorrupt, StoreError
from microrollup.maintenance.scrub.scan import Scan
from microrollup.store.index_store import INDEXES_DIRECTORY, IndexStore, list_stores
from microrollup.store.row_check import make_unpacker
from microrollup.store.tables import get_block_row

__all__ = ["check_indexes"]

_REPORTED: Final = 1_000
"""Rows between two reports."""


def check_indexes(scan: Scan) -> None:
    """Read every row of every index, and compare the newest block of each with the store's."""
    count = 0
    for path in list_stores(scan.environment.directory):
        try:
            with IndexStore(path, read_only=True) as store:
                count = _check_index(scan, store, count)
        except StoreError as error:
            scan.find(INDEXES_DIRECTORY, path.name, error.reason if isinstance(error, StoreCorrupt) else str(error))
    if count:
        scan.count(INDEXES_DIRECTORY, count)


def _check_index(scan: Scan, store: IndexStore, count: int) -> int:
    """Raises `StoreError` for what is damaged."""
    name, unpack = store.directory.name, make_unpacker()
    with store.snapshot() as txn:
        for key, value in txn.cursor(store.tables["state"]):
            try:
                unpack(bytes(key), bytes(value))
            except DecodeError as error:
                scan.find(INDEXES_DIRECTORY, f"{name}/0x{bytes(key).hex()}", error.reason)
            count += 1
            if count % _REPORTED == 0:
                scan.report(INDEXES_DIRECTORY, count, count)
        heights = store.get_heights(txn)
        if store.get_head(txn) is None or heights is None:
            return count
        for height in range(heights[0], heights[1] + 1):
            block = store.get_block(txn, height)
            if block is None:
                scan.find(INDEXES_DIRECTORY, f"{name}/blocks/{height}", "missing")
            elif height == heights[1]:
                row = get_block_row(scan.txn, scan.tables, height)
                if row is not None and compute_block_hash(row.header) != block.hash:
                    scan.find(INDEXES_DIRECTORY, f"{name}/blocks/{height}", "is another block than the store's")
            if height > heights[0]:
                store.read_changes(txn, height)
    return count
