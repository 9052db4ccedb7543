"""Points of BLS12-381 from outside: each is in the prime-order subgroup, not infinity, and in its one encoding.

`group` is the library's `G1Point` or `G2Point`.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from microrollup.errors import BadSignature

__all__ = ["load_curve", "read_coordinates", "read_point"]


@functools.cache
def load_curve() -> Any:
    """The library, which is imported when it is needed."""
    return importlib.import_module("py_arkworks_bls12381")


def read_point(group: Any, encoded: bytes, what: str) -> Any:
    """A point from its compressed form. Raises `BadSignature`.

    The library takes several encodings of infinity; encoding again shows any form that is not canonical.
    """
    try:
        point = group.from_compressed_bytes(encoded)
    except ValueError:
        raise BadSignature(f"{what} is not a compressed point of the subgroup") from None
    if point == group.identity() or bytes(point.to_compressed_bytes()) != encoded:
        raise BadSignature(f"{what} is infinity, or not in its canonical encoding")
    return point


def read_coordinates(group: Any, raw: bytes, what: str) -> Any:
    """The same from coordinates of 48 bytes, big-endian. Raises `BadSignature`."""
    try:
        point = group.from_xy_bytes_be(raw)
    except ValueError:
        raise BadSignature(f"{what} is not a point of the subgroup") from None
    if point == group.identity() or bytes(point.to_xy_bytes_be()) != raw:
        raise BadSignature(f"{what} is infinity, or not in its canonical encoding")
    return point
