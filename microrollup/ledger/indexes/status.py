"""How the indexes of a data directory stand, for operators. Read from their stores, also while a node fills them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from microrollup.declaration.index import IndexType
from microrollup.errors import StoreError
from microrollup.store.index_store import IndexStore, list_stores

__all__ = ["IndexStatus", "list_statuses", "read_status"]


class IndexStatus(msgspec.Struct, frozen=True):
    """How one index stands."""

    name: str
    lowest: int
    """The lowest height that can be read; -1 while there is none."""
    reached: int
    """The highest; -1 while there is none."""
    tip: int
    """The newest closed block."""
    rows: int
    """Entries at the highest height."""
    failure: str = ""
    """Why it stopped; empty while it goes on."""

    @property
    def is_building(self) -> bool:
        """Whether it goes on and has not reached the newest block."""
        return self.reached < self.tip and not self.failure


def read_status(store: IndexStore, name: str, id_: bytes | None, tip: int) -> IndexStatus:
    """How an index stands; rows of another id than the one given count for nothing. Raises `StoreCorrupt`."""
    with store.snapshot() as txn:
        head, heights = store.get_head(txn), store.get_heights(txn)
        if head is None or (id_ is not None and head.id != id_):
            return IndexStatus(name, -1, -1, tip, 0)
        block = None if heights is None else store.get_block(txn, heights[1])
        lowest, reached = heights or (-1, -1)
        return IndexStatus(name, lowest, reached, tip, 0 if block is None else block.size, head.failure)


def list_statuses(directory: Path, tip: int, indexes: Mapping[str, IndexType] | None = None) -> list[IndexStatus]:
    """How all indexes of a data directory stand, whether a node runs or not; the newest closed block is `tip`.

    With the app's `indexes`, those that nobody has begun are among them.
    """
    found: dict[str, IndexStatus] = {name: IndexStatus(name, -1, -1, tip, 0) for name in indexes or {}}
    for path in list_stores(directory):
        if indexes is None or path.name in indexes:
            try:
                with IndexStore(path, read_only=True) as store:
                    id_ = None if indexes is None else indexes[path.name].id
                    found[path.name] = read_status(store, path.name, id_, tip)
            except StoreError as error:
                found[path.name] = IndexStatus(path.name, -1, -1, tip, 0, str(error))
    return [found[name] for name in sorted(found)]
