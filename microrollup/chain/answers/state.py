"""What a node answers about the state of an app, whose own types its declaration has."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from microrollup.crypto.merkle.indexed import Leaf
from microrollup.primitives import Address, Bytes, Bytes32, Uint64

__all__ = [
    "AppValue",
    "ChangedKey",
    "EntriesAnswer",
    "EntryForm",
    "NonceAnswer",
    "StateAnswer",
    "StateProofAnswer",
]

AppValue: TypeAlias = Annotated[
    Any,
    Meta(
        title="AppValue",
        description="Of the type that the app declares: bytes are 0x-hex, integers numbers up to 2^53 - 1 and strings"
        " of decimal digits from 2^53 on, structs are objects with camelCase members, tuples and lists are arrays.",
    ),
]


class StateAnswer(Struct, frozen=True):
    """What a field holds at a key and height."""

    field: str
    key: AppValue
    exists: bool
    value: AppValue
    height: Uint64


class EntryForm(Struct, frozen=True):
    """An entry of a map."""

    key: AppValue
    value: AppValue


class EntriesAnswer(Struct, frozen=True):
    """A page of a map field at a height, in the order of encoded keys."""

    field: str
    entries: tuple[EntryForm, ...]
    next: AppValue
    """The key to give as `after` for the next page, at this height; null if this is the last one."""
    height: Uint64


class StateProofAnswer(Struct, frozen=True):
    """What a settled field holds at a key, or that it holds nothing, and the way up to the state root."""

    key: AppValue
    exists: bool
    """Whether the key was ever set."""
    value: Bytes | None
    """What the leaf commits to: empty for a deleted key, null for one that was never set."""
    leaf: Leaf
    """The key's own, or the one whose gap it lies in."""
    leaf_index: Uint64
    siblings: tuple[Bytes32, ...]
    """The leaf's own sibling first."""
    is_left: Uint64
    """Bit i is set if sibling i is the left one of its pair."""
    state_root: Bytes32
    height: Uint64
    field: str
    encoded_key: Bytes
    tree_key: Bytes32
    stored: AppValue
    """The value as the state holds it, which may say more than its leaf."""


class NonceAnswer(Struct, frozen=True):
    """A sender's nonces."""

    sender: Address
    next: Uint64
    """After all that is acknowledged: the one to sign."""
    pending: Uint64
    """The same."""
    closed: Uint64
    """After the newest closed block."""


class ChangedKey(Struct, frozen=True):
    """A state key that an action changed: the value before and after, null where there is no value."""

    field: str
    key: AppValue
    before: AppValue
    after: AppValue
