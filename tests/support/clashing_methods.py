"""A set of methods of which one has the name of the app's own."""

from __future__ import annotations

from microrollup import NodeView, Uint64


def look(node: NodeView) -> Uint64:
    """Named as a method of the app."""
    return node.height
