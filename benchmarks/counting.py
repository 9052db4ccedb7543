"""Counting calls of Keccak-256, so that a path and its limit are known to hash equally often."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from microrollup._native.choice import Choice, take
from microrollup.crypto.keccak import keccak256

__all__ = ["KeccakCount", "count_keccaks"]


class KeccakCount:
    """How often Keccak-256 was called, and with how many bytes each time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, preimage: bytes) -> bytes:
        """Hash and count."""
        self.sizes.append(len(preimage))
        return keccak256(preimage)


@contextmanager
def count_keccaks() -> Iterator[KeccakCount]:
    """Count every call by the name `keccak256` in any module that is loaded. Not for timed runs.

    Meanwhile the process does without the native helper, whose hashes nobody sees.
    """
    count = KeccakCount()
    before = take(Choice(None, "keccaks are counted"))
    holders = [
        module
        for name, module in list(sys.modules.items())
        if name != __name__ and vars(module).get("keccak256") is keccak256
    ]
    for module in holders:
        vars(module)["keccak256"] = count
    try:
        yield count
    finally:
        take(before)
        for module in holders:
            vars(module)["keccak256"] = keccak256
