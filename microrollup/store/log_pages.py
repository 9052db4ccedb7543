"""The log, read page by page: no snapshot is held while the reader works, waits for a pipe, or pauses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from microrollup.errors import StoreCorrupt
from microrollup.store.environment import Environment
from microrollup.store.tables import get_chain, iterate_log

__all__ = ["read_log_pages"]

_PAGE_RECORDS: Final = 256


def read_log_pages(environment: Environment, rollup_id: bytes, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Records with their numbers from `first` up to the end of the log, each checked against the chain.

    A snapshot of the log that is held keeps every page that the writer replaces, for as long as a pipe is not read.
    Raises `StoreCorrupt`, also if records that were read are taken back meanwhile, and `NotRetained`.
    """
    chain: bytes | None = None
    while True:
        with environment.snapshot() as txn:
            if chain is not None and get_chain(txn, environment.tables, first - 1, rollup_id) != chain:
                raise StoreCorrupt(f"log/{first - 1}", "the record was taken back while the log was read")
            page = list(islice(iterate_log(txn, environment.tables, rollup_id, first), _PAGE_RECORDS))
            if not page:
                return
            first = page[-1][0] + 1
            chain = get_chain(txn, environment.tables, first - 1, rollup_id)
        yield from page
