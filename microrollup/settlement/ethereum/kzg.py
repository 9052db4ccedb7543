"""Commitments and proofs of blobs (EIP-4844, EIP-7594), by `ckzg` on the ceremony's trusted set-up.

The set-up takes 1.4 s and some 100 MB, so it is loaded once per process, when it is first needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

import msgspec

from microrollup.errors import DecodeError
from microrollup.settlement.ethereum.blobs import BLOB_BYTES

__all__ = ["Sidecar", "compute_cell_proofs", "compute_blob_proofs", "compute_versioned_hash", "make_sidecar"]

_VERSION: Final = b"\x01"
"""VERSIONED_HASH_VERSION_KZG."""


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
    ckzg = _load_library()
    if len(blob) != BLOB_BYTES:
        raise DecodeError("blob", f"{len(blob)} bytes, a blob has {BLOB_BYTES}")
    try:
        return bytes(ckzg.blob_to_kzg_commitment(blob, _load_setup()))
    except (RuntimeError, ValueError) as error:
        raise DecodeError("blob", f"not 4,096 field elements: {error}") from None


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
