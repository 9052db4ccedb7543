"""What queries of Keystore+ answer about what concerns one sender. Times are seconds of block timestamps."""

from __future__ import annotations

from msgspec import Struct

from microrollup import Address, Bytes32, Uint8, Uint64

__all__ = ["DueUpdate", "OwnEntry", "OwnPage", "OwnPolicy", "VoiceAnswer"]


class OwnEntry(Struct, frozen=True):
    """An account that the sender may change."""

    key: Bytes32
    name: str
    """Its label; empty: none."""
    state: str
    """`active`, `recovering` or `locked`."""
    code_hash: Bytes32
    config_hash: Bytes32
    careful: bool
    """Whether updates wait for the next vk."""


class OwnPage(Struct, frozen=True):
    """Accounts in the order of their keys."""

    items: list[OwnEntry]
    next: Bytes32 | None
    """To go on after; null at the end."""


class DueUpdate(Struct, frozen=True):
    """An update that waits for its next vk."""

    key: Bytes32
    name: str
    code_hash: Bytes32
    config_hash: Bytes32


class OwnPolicy(Struct, frozen=True):
    """Who may recover an account, and how."""

    key: Bytes32
    name: str
    state: str
    """`in force` or `announced`."""
    threshold: Uint8
    count: Uint8
    mode: str
    """`veto` or `lock`."""
    delay: Uint64
    """Seconds."""
    effective: Uint64
    """0: in force for longer than is known."""


class VoiceAnswer(Struct, frozen=True):
    """A proposal, and the voice that the sender has in it."""

    proposal: Bytes32
    key: Bytes32
    name: str
    state: str
    """`open` to votes; `waiting` after its threshold; `ready` to be finished; `lapsed`."""
    supports: Uint8
    threshold: Uint8
    cancels: Uint8
    cancels_needed: Uint8
    until: Uint64
    """When this state ends by itself."""
    mode: str
    """`veto` or `lock`."""
    guardian: Uint8
    """The place by which the sender speaks; 255: as the owner, or not at all."""
    vote: str
    """How that guardian has voted: `supports`, `cancels` or nothing."""
    vk: Address
    """The next holder."""
