"""What can be asked of the shelf."""

from __future__ import annotations

from microrollup import Address, Uint16, Uint64, View
from shelf import Shelf
from shelf_indexes import by_rank, fussy, history, sizes

__all__ = ["by_rank", "fussy", "history", "sizes"]


def best(view: View[Shelf], limit: Uint16 = 10) -> list[tuple[Uint64, Uint64]]:
    """(rank, number), the highest first."""
    return [key for key, _ in view.index(by_rank).page(limit=limit, reverse=True)[0]]


def ranked(view: View[Shelf], rank: Uint64, after: Uint64 = 0, limit: Uint16 = 3) -> tuple[list[Uint64], Uint64 | None]:
    """Numbers of a rank above `after`, and after which to go on."""
    entries, following = view.index(by_rank).page(prefix=(rank,), after=(rank, after), limit=limit)
    return [number for (_, number), _ in entries], None if following is None else following[1]


def placed_by(view: View[Shelf], who: Address) -> list[Uint64]:
    """The ranks that somebody has placed, in order."""
    rows = view.index(history)
    return [rank for _, rank in rows.items(prefix=(who,))]


def count_ranked(view: View[Shelf], rank: Uint64) -> tuple[Uint64, bool, Uint64]:
    """How often `fussy` has seen a rank, whether it is the least one of all, and how many rows `sizes` has."""
    rows = view.index(fussy)
    first = rows.first()
    return rows.get(rank, 0), first is not None and first[0] == rank and rank in rows, len(view.index(sizes))


def no_index(view: View[Shelf]) -> Uint64:
    """Asks for an index that is none."""
    return len(view.index(best))  # type: ignore[arg-type]


def height(view: View[Shelf]) -> Uint64:
    """The height that is read; no index is."""
    return view.height
