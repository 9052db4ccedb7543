"""ABI words of values that are hashed here and in contracts."""

from __future__ import annotations

__all__ = ["encode_address", "encode_text", "encode_word"]


def encode_word(value: int) -> bytes:
    """32 bytes big-endian."""
    return value.to_bytes(32, "big")


def encode_address(address: bytes) -> bytes:
    """12 zero bytes and the 20 of an address."""
    return bytes(12) + address


def encode_text(text: bytes) -> bytes:
    """What `abi.encode` writes after the heads for a string of these bytes: length, bytes, zeros up to a whole word."""
    return encode_word(len(text)) + text + bytes(-len(text) % 32)
