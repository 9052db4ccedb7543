"""Commitments and proofs of blobs (EIP-4844, EIP-7594), on the ceremony's trusted set-up.

Readers of blobs commit to them again: a sum of the set-up's points, which `kzg_points.bin` holds ready; loading
them takes milliseconds. Only who sends blobs makes proofs, with `ckzg`, whose form of the set-up takes 1.4 s and some
100 MB: it is loaded once per process, when it is first needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

import msgspec

from microrollup.crypto.bls_points import load_curve
from microrollup.errors import DecodeError, MicrorollupError
from microrollup.settlement.ethereum.blobs import BLOB_BYTES

__all__ = ["Sidecar", "compute_cell_proofs", "compute_blob_proofs", "compute_versioned_hash", "make_sidecar"]

_VERSION: Final = b"\x01"
"""VERSIONED_HASH_VERSION_KZG."""

_POINTS_SHA256: Final = "f39d3cb84a0b8e5dbba3601ad506e5a6fc89db22b361b59b10207768a82ba623"
"""Of `kzg_points.bin`: the 4,096 points of G1 in Lagrange form, in the order of a blob's elements (bit-reversed), each
as its two coordinates, 96 bytes, big-endian.
"""

_ELEMENT_BYTES: Final = 32
_POINT_BYTES: Final = 96


class Sidecar(msgspec.Struct, frozen=True):
    """What travels beside a blob transaction, without the proofs, whose kind depends on the node."""

    blobs: tuple[bytes, ...]
    commitments: tuple[bytes, ...]
    """48 bytes each."""
    versioned_hashes: tuple[bytes, ...]
    """32 bytes each; what the transaction, and so L1, commits to."""


def _load_library() -> Any:
    import ckzg  # type: ignore[import-not-found]  # noqa: PLC0415  # an extra, with no types

    return ckzg


@cache
def _load_points() -> list[Any]:
    packed = (files("microrollup.settlement.ethereum") / "kzg_points.bin").read_bytes()
    if hashlib.sha256(packed).hexdigest() != _POINTS_SHA256:
        raise MicrorollupError("kzg_points.bin is not the file that came with microrollup: install it again")
    read = load_curve().G1Point.from_xy_bytes_unchecked_be  # what the digest says was checked
    return [read(packed[at : at + _POINT_BYTES]) for at in range(0, len(packed), _POINT_BYTES)]


@cache
def _load_setup() -> Any:
    ckzg = _load_library()
    with as_file(files("eth_account.typed_transactions.blob_transactions") / "kzg_trusted_setup.txt") as path:
        return ckzg.load_trusted_setup(str(path), 0)


def make_sidecar(blobs: Sequence[bytes]) -> Sidecar:
    """Commit to blobs: some 5 to 50 ms each, by how full they are."""
    commitments = tuple([_compute_commitment(blob) for blob in blobs])
    return Sidecar(tuple(blobs), commitments, tuple([_hash_commitment(commitment) for commitment in commitments]))


def compute_versioned_hash(blob: bytes) -> bytes:
    """`0x01 || sha256(commitment)[1:]`, 32 bytes. Raises `DecodeError` for anything but a blob."""
    return _hash_commitment(_compute_commitment(blob))


def _hash_commitment(commitment: bytes) -> bytes:
    return _VERSION + hashlib.sha256(commitment).digest()[1:]


def _compute_commitment(blob: bytes) -> bytes:
    if len(blob) != BLOB_BYTES:
        raise DecodeError("blob", f"{len(blob)} bytes, a blob has {BLOB_BYTES}")
    curve = load_curve()
    try:
        read = curve.Scalar.from_be_bytes
        elements = [read(blob[at : at + _ELEMENT_BYTES]) for at in range(0, BLOB_BYTES, _ELEMENT_BYTES)]
    except ValueError as error:
        raise DecodeError("blob", f"not 4,096 field elements: {error}") from None
    return bytes(curve.G1Point.multiexp_unchecked(_load_points(), elements).to_compressed_bytes())


def compute_blob_proofs(sidecar: Sidecar) -> list[bytes]:
    """One proof a blob: what nodes take before Osaka (EIP-4844)."""
    ckzg = _load_library()
    pairs = zip(sidecar.blobs, sidecar.commitments, strict=True)
    return [bytes(ckzg.compute_blob_kzg_proof(blob, commitment, _load_setup())) for blob, commitment in pairs]


def compute_cell_proofs(sidecar: Sidecar) -> list[bytes]:
    """128 proofs a blob: what nodes take from Osaka on (EIP-7594). Some 0.2 s a blob."""
    ckzg = _load_library()
    setup = _load_setup()
    return [bytes(proof) for blob in sidecar.blobs for proof in ckzg.compute_cells_and_kzg_proofs(blob, setup)[1]]
