"""How a batch is published: as calldata or in blobs; and how it is read back from what L1 says of its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from microrollup.errors import DecodeError
from microrollup.settlement.batch import compute_blob_data_hash, compute_data_hash
from microrollup.settlement.ethereum.answers import L1Transaction
from microrollup.settlement.ethereum.blobs import pack_blobs, unpack_blobs
from microrollup.settlement.ethereum.contract import read_bytes_argument
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.index import Settled
from microrollup.settlement.ethereum.kzg import Sidecar, make_sidecar

__all__ = ["MAX_CALLDATA_BYTES", "Publication", "publish", "read_blob_hashes", "read_blobs", "read_calldata"]

MAX_CALLDATA_BYTES: Final = 120_000
"""Nodes relay no transaction above 128 KiB unless it carries blobs, and since EIP-7825 none above 16,777,216 gas."""

_MAX_INPUT_BYTES: Final = 10 * 1024 * 1024
"""No block of L1 is longer (EIP-7934), and with it no transaction. Our own are far shorter, but who settles may add
bytes that the inbox does not look at, and what it took must be read."""

_BATCH_WORD: Final = 14 + 3 + 1
"""Of `settleCalldata`: the words of header and claim stand before the offsets of signatures and batch."""


class Publication(msgspec.Struct, frozen=True):
    """A batch as it is published; `sidecar` is `None` with calldata."""

    batch: bytes
    data_hash: bytes
    sidecar: Sidecar | None


def publish(batch: bytes, da: str) -> Publication:
    """Pack a batch for blobs or calldata, and commit to it. What is too long for calldata goes into blobs all the same.

    Raises `DecodeError` for a batch that blobs cannot give back as it is; calldata take any bytes.
    """
    if da == "calldata" and len(batch) <= MAX_CALLDATA_BYTES:
        return Publication(batch, compute_data_hash(batch), None)
    sidecar = make_sidecar(pack_blobs(batch))
    return Publication(batch, compute_blob_data_hash(sidecar.versioned_hashes), sidecar)


def read_calldata(settled: Settled, transaction: L1Transaction, inbox: bytes) -> bytes:
    """The batch in a transaction's input, checked against what was attested. Raises `L1BadAnswer`.

    Whoever settles cannot hide the batch in an unusual encoding: it is read as the inbox read it.
    """
    if transaction.to != inbox:
        raise L1BadAnswer("transaction", "does not call the inbox")
    if len(transaction.input) > _MAX_INPUT_BYTES:
        raise L1BadAnswer("transaction", f"an input of {len(transaction.input)} bytes")
    batch = read_bytes_argument("settleCalldata", transaction.input, _BATCH_WORD)
    if compute_data_hash(batch) != settled.data_hash:
        raise L1BadAnswer("transaction", "its input is not the batch that was attested")
    return batch


def read_blob_hashes(settled: Settled, transaction: L1Transaction) -> tuple[bytes, ...]:
    """The versioned hashes of a transaction, checked against what was attested. Raises `L1BadAnswer`."""
    hashes = transaction.blob_hashes
    if not hashes or compute_blob_data_hash(hashes) != settled.data_hash:
        raise L1BadAnswer("transaction", "its blobs are not those that were attested")
    return hashes


def read_blobs(blobs: Sequence[bytes]) -> bytes:
    """The batch in blobs that were attested. Raises `DecodeError`: a quorum attested what is no batch."""
    try:
        return unpack_blobs(blobs)
    except DecodeError as error:
        raise DecodeError("settled batch", error.reason) from None
