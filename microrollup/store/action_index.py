"""Where an action is in the log, by its hash.

Hashes are random, and one B-tree over all of them would rewrite a page for every action of a block. So keys begin with
the number of a bucket of 65,536 actions: a block's entries fall into the few hundred pages of the newest bucket. A
look-up asks one bucket after another, the newest first: some 150 of them at 10 million actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["BUCKET_BITS", "LogPlace", "encode_place", "find_action", "make_index_key"]

BUCKET_BITS: Final = 16
_KEY_BYTES: Final = 4


class LogPlace(NamedTuple):
    """A logged action's sequence number, and the height of its block."""

    seq: int
    height: int


def make_index_key(seq: int, action_hash: bytes) -> bytes:
    """The row key of an action: its bucket in 4 bytes, big-endian, then its 32-byte hash."""
    return (seq >> BUCKET_BITS).to_bytes(_KEY_BYTES, "big") + action_hash


def encode_place(seq: int, height: int) -> bytes:
    """The row: `seq(8) || height(8)`, big-endian."""
    return seq.to_bytes(8, "big") + height.to_bytes(8, "big")


def find_action(get: Callable[[bytes], bytes | None], action_hash: bytes, next_seq: int) -> LogPlace | None:
    """The place of an action among those below `next_seq`; `get` reads a row of the `index` table."""
    for bucket in range(next_seq >> BUCKET_BITS, -1, -1):
        raw = get(bucket.to_bytes(_KEY_BYTES, "big") + action_hash)
        if raw is not None:
            return LogPlace(int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big"))
    return None
