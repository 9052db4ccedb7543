"""Solidity's ABI by hand, as state transition code may do it: reading follows offsets, writing gives the one form.

What is read with these functions is compared with what is written again, so nothing but `abi.encode`'s form passes.
"""

from __future__ import annotations

from collections.abc import Sequence

from microrollup import require
from microrollup.crypto.keccak import keccak256

__all__ = [
    "decode_siblings",
    "encode_bytes",
    "encode_siblings",
    "encode_word",
    "fold",
    "join_parts",
    "read_bytes",
    "read_word",
]


def read_word(raw: bytes, at: int) -> int:
    """The word at a position, as a number."""
    require(at + 32 <= len(raw), "not the ABI's form: too short")
    return int.from_bytes(raw[at : at + 32], "big")


def read_bytes(raw: bytes, start: int, place: int) -> bytes:
    """`bytes` of a tuple that starts at `start`; the `place`-th word of the tuple is their offset."""
    at = start + read_word(raw, start + 32 * place)
    size = read_word(raw, at)
    require(at + 32 + size <= len(raw), "not the ABI's form: bytes are cut off")
    return raw[at + 32 : at + 32 + size]


def encode_word(value: int) -> bytes:
    """A number of at most 256 bits as a word."""
    return value.to_bytes(32, "big")


def encode_bytes(value: bytes) -> bytes:
    """`bytes` as a tail: their length and they themselves, padded."""
    return encode_word(len(value)) + value + bytes(-len(value) % 32)


def join_parts(parts: Sequence[tuple[bool, bytes]]) -> bytes:
    """A tuple of parts: (False, its word), or (True, its tail)."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    at = 32 * len(parts)
    for is_tail, encoded in parts:
        heads.append(encode_word(at) if is_tail else encoded)
        if is_tail:
            tails.append(encoded)
            at += len(encoded)
    return b"".join(heads) + b"".join(tails)


def decode_siblings(encoded: bytes) -> tuple[bytes, ...]:
    """The hashes of `abi.encode(bytes32[])`, in this form only."""
    require(read_word(encoded, 0) == 32, "not the ABI's form: offset of a proof")
    count = read_word(encoded, 32)
    require(len(encoded) == 64 + 32 * count, "not the ABI's form: length of a proof")
    return tuple([encoded[at : at + 32] for at in range(64, 64 + 32 * count, 32)])


def encode_siblings(siblings: Sequence[bytes]) -> bytes:
    """The way back."""
    return encode_word(32) + encode_word(len(siblings)) + b"".join(siblings)


def fold(leaf: bytes, siblings: Sequence[bytes]) -> bytes:
    """The root that a leaf and its siblings give: parents are keccak256 of their children in ascending order."""
    node = leaf
    for sibling in siblings:
        node = keccak256(node + sibling if node < sibling else sibling + node)
    return node
