"""The bytes of the envelope `dkim`: `[bin, [bin, ...], bin, bin]` in msgpack, each length in its shortest form.

The reader takes longer forms too; an envelope whose bytes are not those of its encoding does not open.
"""

from __future__ import annotations

from typing import Final

from microrollup import Revert, require

__all__ = ["decode_mail", "encode_mail"]

_NO_MAIL: Final = "no msgpack of a key, header fields, a signature and a salt of 32 bytes"


def encode_mail(key: bytes, fields: tuple[bytes, ...], signature: bytes, salt: bytes) -> bytes:
    """`[public key, [header field, ...], signature, salt]`, up to 65,535 bytes each."""
    count = bytes([0x90 + len(fields)]) if len(fields) < 16 else b"\xdc" + len(fields).to_bytes(2, "big")
    texts = b"".join([_encode_bytes(field) for field in fields])
    return b"\x94" + _encode_bytes(key) + count + texts + _encode_bytes(signature) + _encode_bytes(salt)


def decode_mail(raw: bytes) -> tuple[bytes, tuple[bytes, ...], bytes, bytes]:
    """Key, header fields, signature, salt of 32 bytes. Rejects everything else."""
    require(raw[:1] == b"\x94", _NO_MAIL)
    key, place = _read_bytes(raw, 1)
    head = _take(raw, place, 1)[0]
    if head == 0xDC:
        count, place = int.from_bytes(_take(raw, place + 1, 2), "big"), place + 3
    else:
        require(0x90 <= head <= 0x9F, _NO_MAIL)
        count, place = head - 0x90, place + 1
    fields = []
    for _ in range(count):
        field, place = _read_bytes(raw, place)
        fields.append(field)
    signature, place = _read_bytes(raw, place)
    salt, place = _read_bytes(raw, place)
    require(place == len(raw) and len(salt) == 32, _NO_MAIL)
    return key, tuple(fields), signature, salt


def _encode_bytes(value: bytes) -> bytes:
    size = len(value)
    return (b"\xc4" + bytes([size]) if size < 256 else b"\xc5" + size.to_bytes(2, "big")) + value


def _read_bytes(raw: bytes, place: int) -> tuple[bytes, int]:
    """A byte string, and where it ends."""
    head = _take(raw, place, 1)
    if head not in (b"\xc4", b"\xc5"):
        raise Revert(_NO_MAIL)
    width = 1 if head == b"\xc4" else 2
    size, start = int.from_bytes(_take(raw, place + 1, width), "big"), place + 1 + width
    return _take(raw, start, size), start + size


def _take(raw: bytes, place: int, size: int) -> bytes:
    require(place + size <= len(raw), _NO_MAIL)
    return raw[place : place + size]
