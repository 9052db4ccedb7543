"""RSA keys as DNS holds them for DKIM: DER SubjectPublicKeyInfo (RFC 5280, 4.1), read strictly."""

from __future__ import annotations

from typing import Final

from microrollup import require

__all__ = ["encode_rsa_key", "read_rsa_key"]

_ALGORITHM: Final = bytes.fromhex("300d06092a864886f70d0101010500")
"""rsaEncryption, with NULL for parameters (RFC 3279, 2.3.1)."""
_NO_KEY: Final = "the key is not an RSA key in DER"


def encode_rsa_key(modulus: bytes, exponent: int) -> bytes:
    """The one DER form of a key: `modulus` big-endian without zeros before it, `exponent` below 2^32."""
    short = exponent.to_bytes(4, "big").lstrip(b"\0")
    numbers = _encode(0x30, _encode_integer(modulus) + _encode_integer(short))
    return _encode(0x30, _ALGORITHM + _encode(0x03, b"\0" + numbers))


def read_rsa_key(key: bytes) -> tuple[bytes, int]:
    """Modulus and exponent. Rejects what is not their one DER form."""
    whole, rest = _read(key, 0x30)
    require(rest == b"" and whole.startswith(_ALGORITHM), _NO_KEY)
    bits, rest = _read(whole[len(_ALGORITHM) :], 0x03)
    require(rest == b"" and bits[:1] == b"\0", _NO_KEY)
    numbers, rest = _read(bits[1:], 0x30)
    modulus, tail = _read(numbers, 0x02)
    exponent, end = _read(tail, 0x02)
    require(rest == b"" and end == b"" and len(exponent) <= 4, _NO_KEY)
    found = modulus.lstrip(b"\0"), int.from_bytes(exponent, "big")
    require(encode_rsa_key(*found) == key, _NO_KEY)
    return found


def _encode(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes(4, "big").lstrip(b"\0")
    return bytes([tag, 0x80 + len(length)]) + length + content


def _encode_integer(number: bytes) -> bytes:
    return _encode(0x02, b"\0" + number if number == b"" or number[0] >= 0x80 else number)


def _read(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """What an element of DER holds, and what follows it."""
    require(len(data) >= 2 and data[0] == tag, _NO_KEY)
    size, start = data[1], 2
    if size >= 0x80:
        start += size - 0x80
        require(size <= 0x82 and len(data) >= start, _NO_KEY)
        size = int.from_bytes(data[2:start], "big")
    require(start + size <= len(data), _NO_KEY)
    return data[start : start + size], data[start + size :]
