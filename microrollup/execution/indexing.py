"""Running the function of an index over a block: its steps are counted, and what it puts and deletes is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog

from microrollup.declaration.index import Index, IndexBlock, IndexType, IndexView, take_page
from microrollup.declaration.map import ABSENT, Absent, Map, StoreFault, collect_changes
from microrollup.declaration.query import Reads
from microrollup.errors import MicrorollupError
from microrollup.execution.metering import MeteredMaps, add_framework
from microrollup.guard.metered import MeteredCode
from microrollup.guard.stack import with_room
from microrollup.guard.steps import LimitReached

__all__ = ["BLOCK_STEPS", "ENTRY_STEPS", "MAX_INDEX_BYTES", "IndexFault", "IndexRunner", "RowUpdate", "add_indexes"]

BLOCK_STEPS: Final = 1_000_000
ENTRY_STEPS: Final = 2_000
"""Budget of an index for a block: the former, and the latter for each receipt and each changed row of the state."""

MAX_INDEX_BYTES: Final = 16 << 20
"""Encoded keys and values that an index changes in one block."""

_log = structlog.get_logger(__name__)

RowUpdate = tuple[bytes, bytes | None]
"""Encoded key and encoded value of a row that an index has changed; None: deleted."""


class IndexFault(MicrorollupError):
    """The function of an index failed at a block: it reached a limit, or raised."""


class IndexRunner:
    """The metered form of an app's indexes. For one thread."""

    def __init__(self, reads: Reads) -> None:
        self._parts = reads.parts
        self._code = MeteredCode()
        add_indexes(self._code, add_framework(self._code))
        self._code.build(reads.trees)

    @with_room
    def run(
        self,
        index: IndexType,
        make_block: Callable[[Callable[[Any], Any]], IndexBlock[Any]],
        rows: Map[Any, Any],
        size: int,
    ) -> tuple[list[RowUpdate], int]:
        """What an index makes of a block of so many receipts and changed rows, and how many entries it has then.

        Raises `IndexFault`, and `StoreFault` if the state or the rows could not be read meanwhile.
        """
        function, meter = self._code.find(index.function), self._code.meter
        if function is None:
            raise AssertionError(f"{index.name} is not in the trees of its own module")
        entries: Index[Any, Any] = Index(rows, index.field)
        block = make_block(self._parts[index.state].read)
        meter.budget = BLOCK_STEPS + ENTRY_STEPS * size
        try:
            with meter:
                function(block, entries)
        except LimitReached as reached:
            raise IndexFault(f"it reached a limit ({reached.limit})") from None
        except StoreFault:
            raise
        except MemoryError:
            raise IndexFault("it wants more memory than its process has") from None
        except BaseException as error:  # whatever class the index made up for it
            if not isinstance(error, Exception):
                raise
            _log.error(
                "index_raised", index=index.name, height=block.height, error=type(error).__name__, exc_info=error
            )
            raise IndexFault(f"it raised {type(error).__name__}: {error}"[:256]) from None
        if meter.limit is not None or entries.left < 0:
            raise IndexFault(f"it reached a limit ({meter.limit or 'entries'})")
        return _encode_changes(index, rows, entries.version)


def _encode_changes(index: IndexType, before: Map[Any, Any], after: Map[Any, Any]) -> tuple[list[RowUpdate], int]:
    encode_key, encode_value = index.field.encode_key, index.field.encode_row
    updates: list[RowUpdate] = []
    total = 0
    for key, old, new in collect_changes(before, after):
        update = encode_key(key), None if isinstance(new, Absent) else encode_value(new)
        if old is ABSENT and new is ABSENT:
            continue
        updates.append(update)
        total += len(update[0]) + len(update[1] or b"")
        if total > MAX_INDEX_BYTES:
            raise IndexFault(f"it changes more than {MAX_INDEX_BYTES} bytes in one block")
    return sorted(updates), len(after)


def add_indexes(code: MeteredCode, maps: MeteredMaps) -> None:
    """Add what queries and indexes do with the entries of an index, before `build`; each costs what a map's does."""

    def lift(operation: Callable[..., Any]) -> Callable[..., Any]:
        return lambda rows, *arguments, **named: operation(rows.version, *arguments, **named)

    def page(
        rows: IndexView[Any, Any], *, after: Any = None, limit: int = 50, prefix: Any = None, reverse: bool = False
    ) -> Any:
        def items(**bounds: Any) -> Iterator[tuple[Any, Any]]:
            return maps.items(rows.version, **bounds)

        return take_page(items, after, limit, prefix, reverse=reverse)

    def put(rows: Index[Any, Any], key: Any, value: Any) -> None:
        rows.check(key, value)
        rows.version = maps.set(rows.version, key, value)

    def delete(rows: Index[Any, Any], key: Any) -> None:
        rows.check(key)
        rows.version = maps.delete(rows.version, key)

    for cls in (Index, IndexView):
        code.methods |= {
            (cls, name): lift(getattr(maps, name)) for name in ("get", "items", "keys", "values", "first", "last")
        }
        code.methods[cls, "page"] = page
        code.kinds |= {(cls, "$in"): lift(maps.contains), (cls, "$item"): lift(maps.get_item)}
        code.walker.iterators[cls] = lift(maps.iterate)
    code.methods |= {(Index, "put"): put, (Index, "delete"): delete}
