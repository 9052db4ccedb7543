"""Receipts that anyone checks offline: a receipt, its way up to the receipts root of a header, the builder's seal on
that header, and the operator's signed acknowledgement if there is one.

What such a file proves depends on what its reader already trusts: a block hash (out of the inbox, or from a verifier)
proves the outcome by itself; a builder's address proves who answers for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from microrollup.chain.acknowledgement import (
    AcknowledgementForm,
    ReadFields,
    SignedAcknowledgement,
    compute_receipt_hash,
    make_acknowledgement_form,
    read_acknowledgement_form,
    verify_acknowledgement,
)
from microrollup.chain.block import EMPTY_SEAL, Header, compute_block_hash, recover_sealer
from microrollup.chain.block_json import SealForm, make_seal_form, read_seal_form
from microrollup.chain.receipt import STATUS_NAMES, Receipt
from microrollup.chain.record import Seal
from microrollup.codec.canonical import decode_canonical
from microrollup.codec.document import read_document, to_document
from microrollup.crypto.merkle.items import ItemProof, prove_item, verify_item
from microrollup.errors import (
    DecodeError,
    ForeignRollup,
    ProofError,
    ReceiptMismatch,
    RefusedError,
    WrongBlock,
    WrongSeal,
)
from microrollup.primitives import MAX_EVENT_BYTES, ZERO_ADDRESS, Address, Bytes, Bytes32, Uint64

__all__ = [
    "MAX_RECEIPT_BYTES",
    "MAX_SIBLINGS",
    "CheckedReceipt",
    "InboxDomain",
    "ReceiptProof",
    "ReceiptProofForm",
    "check_receipt_proof",
    "decode_receipt",
    "make_receipt_proof",
    "make_receipt_proof_form",
    "receipt_proof_from_json",
    "receipt_proof_to_json",
]

MAX_RECEIPT_BYTES: Final = MAX_EVENT_BYTES + 2048
"""A canonical receipt: its events, and room for the reason and the lengths."""

MAX_SIBLINGS: Final = 64
_WHAT: Final = "receipt proof"


class InboxDomain(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Under which chain id and inbox an acknowledgement was signed."""

    chain_id: Uint64
    verifying_contract: Address


class ReceiptProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All that a file holds; nothing of it is true until `check_receipt_proof` says so."""

    receipt: bytes
    """Canonical msgpack, as the receipts root commits to it."""
    path: ItemProof
    count: Uint64
    """Receipts of the block; the header's `action_count`, or the proof is refused."""
    header: Header
    block_hash: Bytes32
    seal: Seal
    acknowledgement: SignedAcknowledgement | None = None
    domain: InboxDomain | None = None
    """Of the acknowledgement; there if and only if it is."""


class CheckedReceipt(msgspec.Struct, frozen=True):
    """What a receipt proof proves."""

    receipt: Receipt
    header: Header
    block_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    builder: Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
    """Who sealed the header (and signed the acknowledgement, if there is one); zero where nobody did, as in a based
    rollup: then the trusted block hash alone says that the block is one.
    """
    acknowledged: bool
    proven: tuple[str, ...]
    """Sentences, each checked."""
    unchecked: tuple[str, ...]
    """Sentences on what the reader has to know from elsewhere."""

    @property
    def status(self) -> str:
        """What became of the action, in a word."""
        return STATUS_NAMES[self.receipt.status]


_RECEIPT_DECODER: Final = msgspec.msgpack.Decoder(Receipt)


def decode_receipt(raw: bytes) -> Receipt:
    """The receipt of its canonical bytes. Raises `DecodeError`."""
    receipt = decode_canonical(_RECEIPT_DECODER, raw, what="receipt", limit=MAX_RECEIPT_BYTES)
    if not 0 <= receipt.status < len(STATUS_NAMES):
        raise DecodeError("receipt", f"there is no status {receipt.status}")
    return receipt


def make_receipt_proof(
    header: Header,
    seal: Seal,
    receipts: Sequence[bytes],
    index: int,
    acknowledgement: SignedAcknowledgement | None = None,
    domain: InboxDomain | None = None,
) -> ReceiptProof:
    """The proof of the receipt at `index` among a closed block's canonical `receipts`.

    An acknowledgement comes with the domain under which it was signed. Raises `IndexError` beyond the receipts.
    """
    return ReceiptProof(
        receipt=receipts[index],
        path=prove_item(receipts, index),
        count=len(receipts),
        header=header,
        block_hash=compute_block_hash(header),
        seal=seal,
        acknowledgement=acknowledgement,
        domain=None if acknowledgement is None else domain,
    )


def check_receipt_proof(
    proof: ReceiptProof,
    *,
    rollup_id: bytes | None = None,
    builder: bytes | None = None,
    block_hash: bytes | None = None,
    domain: InboxDomain | None = None,
) -> CheckedReceipt:
    """Check a proof against itself, and against what the caller knows from elsewhere; what is proven.

    A block of a based rollup has no seal: give its hash, or a `builder` of zero.

    Raises `DecodeError` for the receipt, `WrongBlock`, `ForeignRollup`, `WrongSeal`, `ProofError` for the path, and
    `AcknowledgementError`s.
    """
    receipt, header = decode_receipt(proof.receipt), proof.header
    _check_block(proof, rollup_id, block_hash)
    sealer = _check_seal(proof, builder, is_trusted=block_hash is not None)
    _check_path(proof, receipt)
    if proof.acknowledgement is not None:
        _check_acknowledgement(proof, proof.acknowledgement, receipt, sealer, domain)
    acknowledged = proof.acknowledgement is not None
    proven = _list_proven(proof, receipt, sealer, rollup_id, builder, block_hash)
    unchecked = _list_unchecked(sealer, acknowledged, rollup_id, builder, block_hash, domain)
    return CheckedReceipt(receipt, header, proof.block_hash, sealer, acknowledged, proven, unchecked)


def _check_block(proof: ReceiptProof, rollup_id: bytes | None, block_hash: bytes | None) -> None:
    computed = compute_block_hash(proof.header)
    if proof.block_hash != computed:
        raise WrongBlock("the stated block hash is not the header's", expected=computed, found=proof.block_hash)
    if block_hash is not None and computed != block_hash:
        raise WrongBlock("the header is of another block than the trusted one", expected=block_hash, found=computed)
    if rollup_id is not None and proof.header.rollup_id != rollup_id:
        raise ForeignRollup(rollup_id, proof.header.rollup_id)


def _check_seal(proof: ReceiptProof, builder: bytes | None, *, is_trusted: bool) -> bytes:
    """Who sealed; zero for nobody, which only a reader accepts who says so, or who has the block's hash."""
    if proof.seal == EMPTY_SEAL and (builder == ZERO_ADDRESS or (builder is None and is_trusted)):
        return ZERO_ADDRESS
    sealer = recover_sealer(proof.block_hash, proof.seal)
    if sealer is None or (builder is not None and sealer != builder):
        raise WrongSeal(builder, sealer)
    return sealer


def _check_path(proof: ReceiptProof, receipt: Receipt) -> None:
    """The count is the header's word, and a receipt's place follows from its sequence number."""
    header = proof.header
    if proof.count != header.action_count:
        raise ProofError(f"the block has {header.action_count} receipts, not {proof.count}")
    if proof.path.index != receipt.seq - header.first_seq:
        raise ProofError(f"the receipt of seq {receipt.seq} is not at {proof.path.index} in this block")
    verify_item(header.receipts_root, proof.receipt, proof.path, count=header.action_count)


def _check_acknowledgement(
    proof: ReceiptProof,
    signed: SignedAcknowledgement,
    receipt: Receipt,
    sealer: bytes,
    expected: InboxDomain | None,
) -> None:
    domain = proof.domain if expected is None else expected
    if domain is None:
        raise DecodeError(_WHAT, "an acknowledgement comes with the domain of its signature")
    verify_acknowledgement(signed, sealer, chain_id=domain.chain_id, inbox=domain.verifying_contract)
    words = signed.acknowledgement
    if words.rollup_id != proof.header.rollup_id:
        raise ReceiptMismatch("the acknowledgement is of another rollup")
    if words.receipt_hash != compute_receipt_hash(receipt):
        raise ReceiptMismatch("the operator acknowledged another receipt than the block holds")
    if words.height != proof.header.height:
        raise ReceiptMismatch(f"the operator acknowledged height {words.height}, not {proof.header.height}")


def _list_proven(
    proof: ReceiptProof,
    receipt: Receipt,
    sealer: bytes,
    rollup_id: bytes | None,
    builder: bytes | None,
    block_hash: bytes | None,
) -> tuple[str, ...]:
    header = proof.header
    outcome = STATUS_NAMES[receipt.status] + (f" ({receipt.reason})" if receipt.reason else "")
    sealed = "the builder" if builder is not None else f"0x{sealer.hex()}"
    seal = f"block 0x{proof.block_hash.hex()} was sealed by {sealed}"
    if sealer == ZERO_ADDRESS:
        seal = f"block 0x{proof.block_hash.hex()} bears no seal"
    sentences = [
        f"action 0x{receipt.action_hash.hex()} was {outcome} at seq {receipt.seq}",
        f"its receipt is number {proof.path.index + 1} of {header.action_count} in block {header.height}",
        seal,
    ]
    if proof.acknowledgement is not None:
        sentences.append("the same key signed the acknowledgement of this very receipt")
    if rollup_id is not None:
        sentences.append("the block is of the rollup that was named")
    if block_hash is not None:
        sentences.append("the block is the trusted one")
    return tuple(sentences)


def _list_unchecked(
    sealer: bytes,
    acknowledged: bool,
    rollup_id: bytes | None,
    builder: bytes | None,
    block_hash: bytes | None,
    domain: InboxDomain | None,
) -> tuple[str, ...]:
    sentences = []
    if rollup_id is None and block_hash is None:
        sentences.append("whether the rollup is the one that is meant: no rollup id was given")
    if sealer == ZERO_ADDRESS and block_hash is None:
        sentences.append("whether anything of it is so: there is no seal, so only a block hash from elsewhere tells")
    elif builder is None and block_hash is None:
        sentences.append("whether who sealed is the rollup's builder: no address was given")
    if acknowledged and domain is None:
        sentences.append("whether the acknowledgement's chain and inbox are the rollup's: the file names them itself")
    if block_hash is None:
        sentences.append("whether the block was verified and settled: compare its hash with the inbox or a verifier")
    return tuple(sentences)


# --- JSON ------------------------------------------------------------------------------------------------------------


class ReceiptProofForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The JSON of a receipt proof, as RPC answers it and a file holds it."""

    ack: AcknowledgementForm | msgspec.UnsetType = msgspec.UNSET
    domain: InboxDomain | msgspec.UnsetType = msgspec.UNSET
    """Of the acknowledgement's signature; there if and only if it is."""
    receipt: Bytes
    """Canonical msgpack: what the receipts root commits to."""
    index: Uint64
    """Of the receipt in its block."""
    count: Uint64
    """Receipts of the block."""
    siblings: tuple[Bytes32, ...]
    """The way up to the receipts root, the receipt's own sibling first."""
    header: Header
    block_hash: Bytes32
    seal: SealForm


def make_receipt_proof_form(proof: ReceiptProof, read_fields: ReadFields | None = None) -> ReceiptProofForm:
    """The form of a proof; `read_fields` gives the acknowledgement's events their members."""
    signed = proof.acknowledgement
    return ReceiptProofForm(
        ack=msgspec.UNSET if signed is None else make_acknowledgement_form(signed, read_fields),
        domain=msgspec.UNSET if proof.domain is None else proof.domain,
        receipt=proof.receipt,
        index=proof.path.index,
        count=proof.count,
        siblings=proof.path.siblings,
        header=proof.header,
        block_hash=proof.block_hash,
        seal=make_seal_form(proof.seal),
    )


def receipt_proof_to_json(proof: ReceiptProof) -> dict[str, Any]:
    """The plain objects of the RPC answer and of the file: `ack` and `domain` first, if they are there."""
    return to_document(make_receipt_proof_form(proof))


def receipt_proof_from_json(document: Any) -> ReceiptProof:
    """Read such parsed objects, nothing left out and nothing more. Raises `DecodeError`; nothing is verified."""
    try:
        return _read_form(read_document(ReceiptProofForm, document))
    except RefusedError as error:
        raise DecodeError(_WHAT, error.detail) from None


def _read_form(form: ReceiptProofForm) -> ReceiptProof:
    if (form.ack is msgspec.UNSET) != (form.domain is msgspec.UNSET):
        raise DecodeError(_WHAT, "an acknowledgement and the domain of its signature come together")
    if len(form.siblings) > MAX_SIBLINGS:
        raise DecodeError(_WHAT, f"{len(form.siblings)} siblings, at most {MAX_SIBLINGS} are possible")
    return ReceiptProof(
        receipt=form.receipt,
        path=ItemProof(form.index, form.siblings),
        count=form.count,
        header=form.header,
        block_hash=form.block_hash,
        seal=read_seal_form(form.seal),
        acknowledgement=None if form.ack is msgspec.UNSET else read_acknowledgement_form(form.ack),
        domain=None if form.domain is msgspec.UNSET else form.domain,
    )
