"""The rows of an index at a height, for queries: of exactly the block whose state the query sees, or none at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from microrollup.chain.block import Header, compute_block_hash
from microrollup.declaration.index import IndexType, IndexView
from microrollup.declaration.map import bind_map
from microrollup.errors import IndexCode, IndexNotReady, NotRetained, StoreError, StoreMissing
from microrollup.ledger.viewing import ReadFault, ViewedRows
from microrollup.store.environment import DATA_FILE
from microrollup.store.index_store import INDEXES_DIRECTORY, IndexStore
from microrollup.store.overlays import Overlays
from microrollup.store.rows_at import RowsAt
from microrollup.store.spans import Spans

__all__ = ["FindIndex", "IndexReader"]

WAIT_SECONDS: Final = 3.0
"""How long a reader waits for an index that lacks a few blocks: the process that fills it may be starting."""

WAIT_BLOCKS: Final = 8
"""So few; an index that lacks more is being built."""

_PAUSE_SECONDS: Final = 0.005

FindIndex: TypeAlias = Callable[[Header, int], Callable[[Any], IndexView[Any, Any]]]
"""From a block's header and the newest height to what gives the rows of an index, by its function."""


class IndexReader:
    """The indexes of a data directory for readers; any thread may use it. Stores are opened when they are asked for."""

    def __init__(self, directory: Path, indexes: Mapping[str, IndexType]) -> None:
        """`directory` holds the rollup's store. The process that fills the indexes is another one."""
        self._opened = {
            index.function: _Opened(index, directory / INDEXES_DIRECTORY / index.name) for index in indexes.values()
        }

    @contextmanager
    def session(self) -> Iterator[FindIndex]:
        """What `make_view` takes as `find_index`; what it finds can be read until the `with` statement ends."""
        with ExitStack() as stack:

            def at_block(header: Header, tip: int) -> Callable[[Any], IndexView[Any, Any]]:
                known: dict[Any, IndexView[Any, Any]] = {}

                def find(function: Any) -> IndexView[Any, Any]:
                    opened = self._opened.get(function)
                    if opened is None:
                        raise TypeError(f"{getattr(function, '__name__', function)} is not one of the app's indexes")
                    if function not in known:
                        known[function] = opened.view(header, tip, stack)
                    return known[function]

                return find

            yield at_block

    def close(self) -> None:
        """Close what was opened, but for what is being read still."""
        for opened in self._opened.values():
            opened.close()


class _Opened:
    """One index, and its store once it is open."""

    def __init__(self, index: IndexType, directory: Path) -> None:
        self._index = index
        self._directory = directory
        self._lock = threading.Lock()
        self._store: IndexStore | None = None
        self._users = 0
        """Views of the store that are being read; it stays open for them."""
        self._generation = -1
        self._spans, self._overlays = Spans(), Overlays()

    def view(self, header: Header, tip: int, stack: ExitStack) -> IndexView[Any, Any]:
        """The rows after a block. Raises `ReadFault`, of `IndexNotReady` for one, after waiting a little."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._try(header, tip, stack)
            except IndexNotReady as error:
                behind = header.height - error.reached
                waits = error.code == "index_building" and behind <= WAIT_BLOCKS
                if not waits or time.monotonic() >= deadline:
                    raise ReadFault(error) from None
            except StoreError as error:
                raise ReadFault(error) from error
            time.sleep(_PAUSE_SECONDS)

    def _try(self, header: Header, tip: int, stack: ExitStack) -> IndexView[Any, Any]:
        height = header.height
        store = self._get_store()
        if store is None:
            raise self._make_error("index_building", height, -1, tip)
        with ExitStack() as attempt:
            attempt.callback(self._leave)
            txn = attempt.enter_context(store.snapshot())
            head, heights = store.get_head(txn), store.get_heights(txn)
            if head is None or head.id != self._index.id:
                raise self._make_error("index_building", height, -1, tip)
            lowest, reached = heights or (-1, -1)
            if height > reached:
                code: IndexCode = "index_failed" if head.failure else "index_building"
                raise self._make_error(code, height, reached, tip, head.failure)
            if height < lowest:
                raise NotRetained(f"the index {self._index.name} begins at height {lowest}; {height} is wanted")
            block = store.get_block(txn, height)
            if block is None or block.hash != compute_block_hash(header):
                raise self._make_error("index_building", height, lowest - 1, tip)
            spans, overlays = self._get_caches(head.generation)
            rows = RowsAt(txn, store.tables, height, spans, overlays, tip=reached)
            stack.push(attempt.pop_all())
        return IndexView(bind_map(ViewedRows(self._index.field, rows), block.size))

    def _make_error(self, code: IndexCode, height: int, reached: int, tip: int, reason: str = "") -> IndexNotReady:
        return IndexNotReady(code, self._index.name, height=height, reached=reached, tip=tip, reason=reason)

    def _get_store(self) -> IndexStore | None:
        """The store, with one user more, opened anew if it was removed meanwhile; None if there is none."""
        try:
            inode = (self._directory / DATA_FILE).stat().st_ino
        except OSError:
            return None
        with self._lock:
            if self._store is not None and self._store.inode != inode:
                if self._users:
                    return None
                self._store.close()
                self._store, self._generation = None, -1
            if self._store is None:
                try:
                    self._store = IndexStore(self._directory, read_only=True)
                except StoreMissing:
                    return None
            self._users += 1
            return self._store

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1

    def _get_caches(self, generation: int) -> tuple[Spans, Overlays]:
        """What is kept in memory of older heights; void once blocks were taken back."""
        with self._lock:
            if generation != self._generation:
                self._generation, self._spans, self._overlays = generation, Spans(), Overlays()
            return self._spans, self._overlays

    def close(self) -> None:
        with self._lock:
            if self._store is not None and not self._users:
                self._store.close()
                self._store = None
