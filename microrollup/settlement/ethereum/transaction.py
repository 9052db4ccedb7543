"""Signed transactions as bytes: type 2 (EIP-1559), and type 3 (EIP-4844) as nodes of each fork take it."""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec
import rlp  # type: ignore[import-untyped]

from microrollup.crypto.ecdsa import SigningKey, sign_message
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.fees import Fees
from microrollup.settlement.ethereum.kzg import Sidecar, compute_blob_proofs, compute_cell_proofs

__all__ = [
    "ProofKind",
    "SignedTransaction",
    "TransactionRequest",
    "Wrapper",
    "sign_transaction",
]

ProofKind = Literal["cells", "blobs"]
"""128 cell proofs a blob, from Osaka on (EIP-7594), or one proof a blob (EIP-4844)."""


class TransactionRequest(msgspec.Struct, frozen=True):
    """What a transaction does; `to` is `None` if it creates a contract."""

    to: bytes | None
    data: bytes
    gas: int
    sidecar: Sidecar | None = None
    value: int = 0
    """Wei."""


class SignedTransaction(msgspec.Struct, frozen=True):
    """As it is sent. `raw` holds the blobs, the hash does not."""

    hash: bytes
    raw: bytes
    nonce: int
    fees: Fees


class Wrapper:
    """What travels with a blob transaction, encoded once a kind however often the fee is raised."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar
        self._items: dict[ProofKind, list[Any]] = {}

    def wrap(self, payload: bytes, kind: ProofKind) -> bytes:
        """`0x03 || rlp([body, 1, blobs, commitments, cell proofs])`, without the 1 before Osaka."""
        if kind not in self._items:
            blobs, commitments = list(self._sidecar.blobs), list(self._sidecar.commitments)
            if kind == "cells":
                self._items[kind] = [b"\x01", blobs, commitments, compute_cell_proofs(self._sidecar)]
            else:
                self._items[kind] = [blobs, commitments, compute_blob_proofs(self._sidecar)]
        encoded: bytes = rlp.encode([rlp.decode(payload[1:]), *self._items[kind]])
        return payload[:1] + encoded


def sign_transaction(
    key: SigningKey,
    call: TransactionRequest,
    chain_id: int,
    nonce: int,
    fees: Fees,
    wrapper: Wrapper | None,
    kind: ProofKind,
) -> SignedTransaction:
    """Sign; `wrapper` is of the call's sidecar. Raises `SignerUnavailable`."""
    body: list[Any] = [chain_id, nonce, fees.tip, fees.cap, call.gas, call.to or b"", call.value, call.data, []]
    if call.sidecar is not None:
        body += [fees.blob_cap, list(call.sidecar.versioned_hashes)]
    prefix = b"\x02" if call.sidecar is None else b"\x03"
    unsigned = cast("bytes", rlp.encode(body))
    signature = sign_message(key, prefix + unsigned)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    signed = cast("bytes", rlp.encode([*body, signature[64] - 27, r, s]))
    payload = prefix + signed
    raw = payload if wrapper is None else wrapper.wrap(payload, kind)
    return SignedTransaction(keccak256(payload), raw, nonce, fees)
