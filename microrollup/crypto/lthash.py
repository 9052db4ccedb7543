"""LtHash-16: a hash of a set of entries that changes in constant time when one entry changes.

Each entry is spread by BLAKE3 over 1,024 lanes of 16 bits, and the lanes of all entries are added: the order in which
they came is lost, and what was added can be taken away. Sources: Lewi et al. 2019 (LtHash); Solana SIMD-0215.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from microrollup.crypto.blake import make_hasher

__all__ = ["EMPTY_LANES", "LANES_BYTES", "compute_metadata_root", "encode_entry", "update_lanes"]

LANES_BYTES: Final = 2048
"""1,024 lanes of 16 bits."""

EMPTY_LANES: Final = bytes(LANES_BYTES)
"""The lanes of no entries."""

_CHUNK_ENTRIES: Final = 256
"""Entries summed at once: 512 KiB of lanes, so that memory is bounded and the second-level cache holds them."""

MetadataEntry = tuple[int, bytes, bytes]
"""Metadata field, key bytes, value bytes."""


def encode_entry(field: int, key: bytes, value: bytes) -> bytes:
    """What is hashed for an entry: `u16 field || u32 len(key) || key || value`, big-endian."""
    return field.to_bytes(2, "big") + len(key).to_bytes(4, "big") + key + value


def update_lanes(lanes: bytes, removed: Iterable[MetadataEntry], added: Iterable[MetadataEntry]) -> bytes:
    """The 2,048 bytes of lanes after taking `removed` away from and adding `added` to `lanes`.

    The caller vouches that what it removes was there: a set hash cannot know. Raises `ValueError` for other lengths.
    """
    if len(lanes) != LANES_BYTES:
        raise ValueError(f"lanes have {LANES_BYTES} bytes, not {len(lanes)}")
    total = np.frombuffer(lanes, "<u2") + _sum_entries(added) - _sum_entries(removed)
    return total.astype("<u2").tobytes()


def _sum_entries(entries: Iterable[MetadataEntry]) -> npt.NDArray[np.uint16]:
    total = np.zeros(LANES_BYTES // 2, np.uint16)
    remaining, spread = iter(entries), make_hasher(LANES_BYTES)
    while chunk := list(islice(remaining, _CHUNK_ENTRIES)):
        lanes = b"".join([spread(encode_entry(*entry)) for entry in chunk])
        total += np.frombuffer(lanes, "<u2").reshape(-1, LANES_BYTES // 2).sum(axis=0, dtype=np.uint16)
    return total


def compute_metadata_root(lanes: bytes) -> bytes:
    """BLAKE3 of the 2,048 bytes of lanes: the 32 bytes that a header commits to."""
    return blake3(lanes).digest()
