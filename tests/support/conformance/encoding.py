"""How vectors write values: bytes as 0x hex, integers as decimal text, and fixed inputs by name."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from microrollup.crypto.ecdsa import PrivateKey, load_private_key


def hex0x(value: bytes) -> str:
    """Bytes as 0x hex."""
    return f"0x{value.hex()}"


def show(value: Any) -> Any:
    """Any value as JSON: integers become decimal text, because JSON numbers end at 2^53 in many languages."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return hex0x(value)
    if isinstance(value, msgspec.Struct):
        return {to_camel(name): show(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, (tuple, list)):
        return [show(item) for item in value]
    if isinstance(value, dict):
        return {key: show(item) for key, item in value.items()}
    raise TypeError(type(value).__name__)


def to_camel(name: str) -> str:
    """`forced_count` -> `forcedCount`."""
    first, *others = name.split("_")
    return first + "".join([part.capitalize() for part in others])


def fill(name: str, size: int = 32) -> bytes:
    """`size` bytes that are the same each time: SHAKE-256 of the name."""
    return hashlib.shake_256(name.encode()).digest(size)


def make_key(name: str) -> PrivateKey:
    """The secp256k1 key of a name: its secret is `fill(name)`."""
    return load_private_key(fill(f"key {name}"))
