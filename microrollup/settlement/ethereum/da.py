"""Where batches are published: one `DaKind` per way, all that sets it apart from the others.

A new way is a class here, its tag in `options.DaTag`, and a function of the inbox that takes what it publishes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from microrollup.chain.block import Header
from microrollup.errors import DecodeError
from microrollup.settlement.batch import MAX_BATCH_BYTES, compute_blob_data_hash, compute_data_hash
from microrollup.settlement.ethereum.answers import L1Transaction
from microrollup.settlement.ethereum.blobs import pack_blobs, unpack_blobs
from microrollup.settlement.ethereum.contract import read_bytes_argument
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.index import IndexedBatch
from microrollup.settlement.ethereum.kzg import Sidecar, make_sidecar
from microrollup.settlement.ethereum.options import DaTag

__all__ = ["DA_KINDS", "MAX_CALLDATA_BYTES", "DaKind", "FetchBlob", "Publication", "publish", "show_unpublished"]

MAX_CALLDATA_BYTES: Final = 120_000
"""Nodes relay no transaction above 128 KiB unless it carries blobs, and since EIP-7825 none above 16,777,216 gas."""

_MAX_INPUT_BYTES: Final = 10 * 1024 * 1024
"""No block of L1 is longer (EIP-7934), and with it no transaction. Our own are far shorter, but who settles may add
bytes that the inbox does not look at, and what it took must be read."""

_BATCH_WORD: Final = len(Header.__struct_fields__) + 3 + 1
"""Of `settleCalldata`: the words of header and claim precede the offsets of signatures and batch."""

FetchBlob = Callable[[bytes], Awaitable[bytes]]
"""The blob of a 32-byte versioned hash, from wherever it is kept. Raises `BlobsMissing`, `BlobsUnreachable`."""


class Publication(msgspec.Struct, frozen=True):
    """A batch as it is published: what is attested, and the call that settles it."""

    batch: bytes
    data_hash: bytes
    """32 bytes, in every attestation."""
    function: str
    """Of the inbox; it takes header, claim and signatures, and then `arguments`."""
    arguments: tuple[Any, ...] = ()
    sidecar: Sidecar | None = None
    """What travels beside the transaction."""


class DaKind(Protocol):
    """One way to publish batches and to read them back."""

    tag: DaTag
    """As options, commands and events name it."""
    max_bytes: int
    """Of a batch that is published this way; longer ones are cut."""
    needs_blobs: bool
    """Whether L1 must have blobs (EIP-4844)."""

    def publish(self, batch: bytes) -> Publication:
        """Pack a batch and commit to it. Raises `DecodeError` for one that could not be read back as it is."""
        ...

    async def read(self, settled: IndexedBatch, transaction: L1Transaction, inbox: bytes, fetch: FetchBlob) -> bytes:
        """The batch that a transaction settled, checked against what was attested.

        Raises `L1BadAnswer` for what the node says, `DecodeError` if a quorum attested what is not a batch, and what
        `fetch` raises.
        """
        ...


class _Blobs:
    """In the blobs of the transaction (EIP-4844), which nodes keep for some 18 days."""

    tag: DaTag = "blobs"
    needs_blobs = True
    max_bytes = MAX_BATCH_BYTES

    def publish(self, batch: bytes) -> Publication:
        sidecar = make_sidecar(pack_blobs(batch))
        return Publication(batch, compute_blob_data_hash(sidecar.versioned_hashes), "settleBlobs", sidecar=sidecar)

    async def read(self, settled: IndexedBatch, transaction: L1Transaction, inbox: bytes, fetch: FetchBlob) -> bytes:
        del inbox  # the hashes are the transaction's, whichever contract calls the inbox
        hashes = transaction.blob_hashes
        if not hashes or compute_blob_data_hash(hashes) != settled.data_hash:
            raise L1BadAnswer("transaction", "its blobs are not those that were attested")
        blobs = [await fetch(versioned_hash) for versioned_hash in hashes]
        try:
            return unpack_blobs(blobs)
        except DecodeError as error:
            raise DecodeError("settled batch", error.reason) from None


class _Calldata:
    """In the input of the transaction, which L1 keeps for good; what is too long for it goes into blobs."""

    tag: DaTag = "calldata"
    needs_blobs = False
    max_bytes = MAX_CALLDATA_BYTES

    def publish(self, batch: bytes) -> Publication:
        if len(batch) > self.max_bytes:
            return DA_KINDS["blobs"].publish(batch)
        return show_unpublished(batch)

    async def read(self, settled: IndexedBatch, transaction: L1Transaction, inbox: bytes, fetch: FetchBlob) -> bytes:
        """A settler cannot hide the batch in an unusual encoding: it is read as the inbox read it."""
        del fetch
        if transaction.to != inbox:
            raise L1BadAnswer("transaction", "does not call the inbox")
        if len(transaction.input) > _MAX_INPUT_BYTES:
            raise L1BadAnswer("transaction", f"an input of {len(transaction.input)} bytes")
        batch = read_bytes_argument("settleCalldata", transaction.input, _BATCH_WORD)
        if compute_data_hash(batch) != settled.data_hash:
            raise L1BadAnswer("transaction", "its input is not the batch that was attested")
        return batch


DA_KINDS: Final[dict[DaTag, DaKind]] = {"blobs": _Blobs(), "calldata": _Calldata()}
"""All that there are, by tag."""


def publish(batch: bytes, tag: DaTag) -> Publication | None:
    """A batch published one way; `None` for bytes that could not be read back."""
    try:
        return DA_KINDS[tag].publish(batch)
    except DecodeError:
        return None


def show_unpublished(batch: bytes) -> Publication:
    """Any bytes, in the input of a call: the inbox's rules can be asked about them."""
    return Publication(batch, compute_data_hash(batch), "settleCalldata", (batch,))
