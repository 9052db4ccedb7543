"""What a sender signs: the action's digest, and what some schemes need besides it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

__all__ = ["Statement"]

_ZERO_WORD: Final = bytes(32)


def _sign_nothing(_: bytes) -> bytes:
    raise NotImplementedError("this statement is of a bare digest, which no member of a group signs")


class Statement(msgspec.Struct, frozen=True, gc=False):
    """An action with its nonce, as the schemes see it."""

    digest: bytes
    """The 32-byte EIP-712 digest of the action."""
    nonce: int = 0
    """The sender's nonce in the action."""
    domain_separator: bytes = _ZERO_WORD
    """The 32-byte hash of the EIP-712 domain."""
    compute_member_digest: Callable[[bytes], bytes] = _sign_nothing
    """The 20-byte sender of a group -> the 32-byte digest that its members sign: the action's type with a further last
    member `address sender`. So a member's signature is not an action of his own.
    """
