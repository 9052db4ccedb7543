"""Methods as another system calls them: a set that a node switches on."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from microrollup import NodeView, Uint64
from microrollup.errors import UsageError


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several members."""

    number: str | UnsetType = UNSET
    word: str | UnsetType = UNSET


def echo(node: NodeView, quantity: str, more: Any = None) -> list[Any]:
    """What came."""
    assert node.height >= 0
    return [quantity, more]


def choose(node: NodeView, choice: Choice) -> Choice:
    """What was chosen."""
    assert node.height >= 0
    return choice


def missing(node: NodeView) -> Uint64:
    """What is not there."""
    return node.get_receipt(bytes(32)).seq


def wrong(node: NodeView) -> Uint64:
    """Refuses what it was given."""
    raise UsageError(f"not at height {node.height}")
