"""The journal of a block: its net changes, action by action, from which tree, set hash, rows and undo are made."""

from __future__ import annotations

from typing import Any

import msgspec

from microrollup.state import StateField

__all__ = ["Change", "Journal", "NetChange"]

NetChange = tuple[StateField, bytes, Any, Any, Any, bytes]
"""Field, encoded key, key, old value, new value, leaf bytes (empty for a deleted key)."""


class Change(msgspec.Struct, gc=False):
    """One key's net change over a block so far; untracked by the garbage collector, like all that is kept by action."""

    key: Any
    before: Any
    """Value before the block, or `ABSENT`."""
    after: Any
    """Value now, or `ABSENT`."""
    leaf: bytes
    """What the commitment binds of it now; empty for a deleted key."""


class Journal:
    """The net changes of a block, collected action by action, for tree, set hash, rows and undo.

    `fields[i]` belongs to the state's i-th field: encoded key -> `Change`. `order` lists settled keys as (field
    position, encoded key) in the order in which leaves are appended.
    """

    __slots__ = ("fields", "nonces", "order")

    def __init__(self, field_count: int) -> None:
        self.fields: list[dict[bytes, Change]] = [{} for _ in range(field_count)]
        self.order: list[tuple[int, bytes]] = []
        self.nonces: dict[bytes, int] = {}
        """Sender -> nonce before the block."""
