"""The journal of a block: its net changes, entry by entry, from which tree, set hash and rows are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from microrollup.declaration.state import StateField

__all__ = ["Journal", "KeyChange"]


class KeyChange(msgspec.Struct, gc=False):
    """One key's net change over a block so far; untracked by the garbage collector, like all that is kept per entry."""

    field: StateField
    encoded: bytes
    """The encoded key."""
    key: Any
    before: Any
    """Value before the block, or `ABSENT`."""
    after: Any
    """Value now, or `ABSENT`."""
    leaf: bytes
    """What the commitment binds of it now; empty for a deleted key."""
    row_before: bytes | None
    """Encoded value before the block; None if there was none."""
    row: bytes | None
    """Encoded value now; None for a deleted key."""
    is_first: bool = True
    """No entry before the one that changes it now has changed it."""


class Journal:
    """The net changes of a block, collected entry by entry, for tree, set hash and rows.

    `fields[i]` belongs to the state's i-th field: encoded key -> `KeyChange`. `order` lists settled keys as (field
    position, encoded key) in the order in which leaves are appended.
    """

    __slots__ = ("fields", "nonces", "order")

    def __init__(self, field_count: int) -> None:
        self.fields: list[dict[bytes, KeyChange]] = [{} for _ in range(field_count)]
        self.order: list[tuple[int, bytes]] = []
        self.nonces: dict[bytes, int] = {}
        """Sender -> nonce before the block."""

    def enter(self, changes: Iterable[KeyChange]) -> None:
        """Take over the changes of an entry, in their order."""
        for change in changes:
            field, encoded = change.field, change.encoded
            if change.is_first and field.settled:
                self.order.append((field.position, encoded))
            self.fields[field.position][encoded] = change
