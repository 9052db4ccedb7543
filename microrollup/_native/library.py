"""The compiled library, called through ctypes. Every length is checked here, and once more in C.

Short calls keep the GIL: to give it up for a few microseconds would let another thread take it for milliseconds.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import coincurve
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]  # a compiled module
from coincurve.context import GLOBAL_CONTEXT

__all__ = ["FastLibrary", "LibraryUnfit"]

LEVELS: Final = ("plain", "avx2", "avx512")
"""Which instructions are used, by the number that C knows."""

_HASH_BYTES: Final = 32
_DIGEST_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 65
_ADDRESS_BYTES: Final = 20

_COINCURVE: Final = "21."
"""The versions whose functions were looked at; another one may have others of the same names."""

_SIGNATURE_STRUCT: Final = "secp256k1_ecdsa_recoverable_signature"
_KEY_STRUCT: Final = "secp256k1_pubkey"
_STRUCT_BYTES: Final = {_SIGNATURE_STRUCT: 65, _KEY_STRUCT: 64}

_BYTES_WITH_GIL: Final = 1 << 16
"""Up to this much, 0.1 ms or less, is hashed with the GIL held."""

_SIZE: Final = ctypes.c_size_t
_IN: Final = ctypes.c_char_p
_OUT: Final = ctypes.c_void_p
_ENDS: Final = ctypes.c_void_p


class LibraryUnfit(Exception):
    """The library cannot be used here; the text says why."""


class _Secp256k1(ctypes.Structure):
    """libsecp256k1's functions as coincurve holds them: it need not export them."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("parse", ctypes.c_void_p),
        ("recover", ctypes.c_void_p),
        ("serialize", ctypes.c_void_p),
        ("signature_bytes", ctypes.c_size_t),
        ("key_bytes", ctypes.c_size_t),
    )


_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "microrollup_hash_rows": (ctypes.c_int, _IN, _SIZE, _SIZE, _SIZE, _OUT, _SIZE),
    "microrollup_hash_items": (ctypes.c_int, _IN, _SIZE, _ENDS, _SIZE, _OUT, _SIZE),
    "microrollup_fold_items": (ctypes.c_int, _IN, _SIZE, _ENDS, _SIZE, _OUT, _SIZE),
    "microrollup_recover_many": (
        ctypes.c_int, ctypes.POINTER(_Secp256k1), _IN, _SIZE, _IN, _SIZE, _SIZE, _OUT, _SIZE, _OUT, _SIZE,
    ),
    "microrollup_find_level": (),
}  # fmt: skip


class FastLibrary:
    """What `fast.c` does, for bytes of Python's. Give it only to code that has a way without it."""

    def __init__(self, path: Path, source_hash: str, level: int | None = None) -> None:
        """Load the library at `path` that was built from the source with this SHA-256 (hex); `level` is the highest
        that the processor has, or a lower one.

        Raises `LibraryUnfit` if it cannot be loaded or is of another source, or coincurve is not the one that it knows.
        """
        self._secp256k1 = _find_secp256k1()
        try:
            self._releasing, self._holding = ctypes.CDLL(str(path)), ctypes.PyDLL(str(path))
            self._releasing.microrollup_source_hash.restype = ctypes.c_char_p
            found = self._releasing.microrollup_source_hash()
            for opened in (self._releasing, self._holding):
                for name, parameters in _SIGNATURES.items():
                    function = getattr(opened, name)
                    function.argtypes, function.restype = parameters, ctypes.c_int
        except (OSError, AttributeError) as error:
            reason = str(error).replace(str(path), path.name)  # whoever asks a node for its status reads this
            raise LibraryUnfit(f"it cannot be loaded: {reason}") from None
        if found != source_hash.encode():
            raise LibraryUnfit("it was built from another source: install the package again")
        highest: int = self._releasing.microrollup_find_level()
        self._level = highest if level is None else level
        if not 0 <= self._level <= highest:
            raise LibraryUnfit(f"this processor has the levels up to {highest}, not {level}")

    @property
    def level(self) -> str:
        """Which instructions it uses: one of `LEVELS`."""
        return LEVELS[self._level]

    def hash_rows(self, rows: bytes, row_bytes: int) -> bytearray:
        """keccak256 of each row of `row_bytes` bytes, 32 bytes each, one after the other."""
        count, rest = divmod(len(rows), row_bytes)
        if rest:
            raise ValueError(f"{len(rows)} bytes are no rows of {row_bytes}")
        out = bytearray(_HASH_BYTES * count)
        if count:
            opened = self._pick(len(rows))
            _require(
                opened.microrollup_hash_rows(self._level, rows, len(rows), row_bytes, count, _point(out), len(out))
            )
        return out

    def hash_items(self, items: Sequence[bytes]) -> list[bytes]:
        """keccak256 of each item."""
        out = bytes(self._with_items("microrollup_hash_items", items))
        return [out[place : place + _HASH_BYTES] for place in range(0, len(out), _HASH_BYTES)]

    def fold_items(self, items: Sequence[bytes]) -> bytes:
        """The root of `crypto.merkle.items` over one item or more. Raises `ValueError` for none."""
        if not items:
            raise ValueError("no items have no root")
        return bytes(self._with_items("microrollup_fold_items", items)[:_HASH_BYTES])

    def recover_addresses(self, digests: Sequence[bytes], signatures: Sequence[bytes]) -> list[bytes | None]:
        """The address (20 bytes) whose key made each signature (65 bytes, `r || s || recovery id`) over its digest (32
        bytes), or None. Raises `ValueError` for other lengths.
        """
        count = len(digests)
        if len(signatures) != count or {*map(len, digests)} - {_DIGEST_BYTES} or {*map(len, signatures)} - {
            _SIGNATURE_BYTES
        }:  # fmt: skip
            raise ValueError("a digest has 32 bytes, its signature 65")
        if not count:
            return []
        joined, marks = b"".join(digests), b"".join(signatures)
        out, found = bytearray(_ADDRESS_BYTES * count), bytearray(count)
        _require(
            self._releasing.microrollup_recover_many(
                self._level, self._secp256k1, joined, len(joined), marks, len(marks), count,
                _point(out), len(out), _point(found), len(found),
            )
        )  # fmt: skip
        raw = bytes(out)
        return [raw[20 * place : 20 * place + 20] if one else None for place, one in enumerate(found)]

    def _with_items(self, function: str, items: Sequence[bytes]) -> bytearray:
        data, ends = b"".join(items), array("Q", accumulate(map(len, items)))
        out = bytearray(_HASH_BYTES * len(ends))
        if ends:
            call = getattr(self._pick(len(data)), function)
            _require(call(self._level, data, len(data), _point(ends), len(ends), _point(out), len(out)))
        return out

    def _pick(self, size: int) -> ctypes.CDLL:
        return self._holding if size <= _BYTES_WITH_GIL else self._releasing


def _find_secp256k1() -> _Secp256k1:
    """The functions and sizes. Raises `LibraryUnfit` unless coincurve is as it was looked at."""
    if not coincurve.__version__.startswith(_COINCURVE):
        raise LibraryUnfit(f"it knows coincurve 21, not {coincurve.__version__}")
    try:
        sizes = {name: ffi.sizeof(name) for name in _STRUCT_BYTES}
        functions = [
            int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
            for name in (
                "secp256k1_ecdsa_recoverable_signature_parse_compact",
                "secp256k1_ecdsa_recover",
                "secp256k1_ec_pubkey_serialize",
            )
        ]
        context = int(ffi.cast("uintptr_t", GLOBAL_CONTEXT.ctx))
    except (AttributeError, TypeError, ffi.error) as error:
        raise LibraryUnfit(f"coincurve lacks what it calls: {error}") from None
    if sizes != _STRUCT_BYTES:
        raise LibraryUnfit(f"coincurve's structs have other sizes: {sizes}")
    return _Secp256k1(context, *functions, sizes[_SIGNATURE_STRUCT], sizes[_KEY_STRUCT])


def _point(buffer: bytearray | array[int]) -> ctypes.Array[ctypes.c_char]:
    """A pointer to a buffer that is written, or read without a copy; it keeps the buffer."""
    return (ctypes.c_char * 0).from_buffer(buffer)


def _require(code: int) -> None:
    if code:
        raise ValueError(f"the native helper refuses its arguments ({code})")
