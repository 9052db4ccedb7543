"""Sealing a block, also while the signer that holds the builder's key is away for a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from microrollup.chain.block import Header, seal_header
from microrollup.chain.record import Seal
from microrollup.crypto.ecdsa import SignerUnavailable, SigningKey

__all__ = ["SignerPatience", "never_wait", "seal_patiently"]

SignerPatience: TypeAlias = Callable[[SignerUnavailable], bool]
"""Is told that a block could not be sealed; returns after a pause whether to try again."""


def never_wait(_: SignerUnavailable) -> bool:
    """The patience of a command: it ends, and goes on from what is durable when it is called again."""
    return False


def seal_patiently(key: SigningKey, header: Header, round_: int, patience: SignerPatience) -> Seal:
    """The builder's seal of a header. Raises `SignerUnavailable` when patience ends."""
    while True:
        try:
            return seal_header(key, header, round_)
        except SignerUnavailable as away:
            if not patience(away):
                raise
