"""A signed action or an envelope as it is sent, and sent again: one line of JSON, and its identity."""

from __future__ import annotations

import msgspec

from microrollup.primitives import Address, Bytes32, Uint64

__all__ = ["SignedAction"]


class SignedAction(msgspec.Struct, frozen=True):
    """The bytes that travel, unchanged however often they are sent."""

    line: bytes
    """The JSON form, without a line end."""
    sender: Address
    nonce: Uint64
    action_hash: Bytes32 | None
    """Its identity, as the acknowledgement has to state it. None for an envelope of an app that is not known here."""
