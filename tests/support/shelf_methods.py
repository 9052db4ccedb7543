"""A method of the shelf that reads an index in the node's own process."""

from __future__ import annotations

from microrollup import NodeView, Uint64
from shelf_indexes import by_rank


def lowest(node: NodeView) -> tuple[Uint64, Uint64] | None:
    """(rank, number) of the lowest rank."""
    first = node.view().index(by_rank).first()
    return None if first is None else first[0]
