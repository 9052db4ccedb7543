"""Signed acknowledgements (C0): the operator's word that an action is durable, executed, and what became of it.

    Acknowledgement(bytes32 rollupId,bytes32 actionHash,uint64 seq,uint64 height,bytes32 receiptHash)

in the domain `{name: microrollup, version: 1, chainId: L1's, verifyingContract: the inbox}`. `receiptHash` is the leaf
of the receipt in the block's receipts root, so that an acknowledgement and a sealed block that says something else
convict the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec

from microrollup.chain.receipt import STATUS_NAMES, Receipt
from microrollup.codec.canonical import encode_canonical
from microrollup.codec.document import read_document, to_document
from microrollup.codec.schema import describe_struct
from microrollup.crypto.ecdsa import SigningKey, canonicalize_signature, recover_address, sign_messages
from microrollup.crypto.eip712 import compile_struct_hash, compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.items import compute_item_hash
from microrollup.errors import DecodeError, MicrorollupError, ReceiptMismatch, RefusedError, WrongOperator
from microrollup.primitives import Bytes, Bytes32, Uint64

__all__ = [
    "ACKNOWLEDGED",
    "Acknowledgement",
    "AcknowledgementForm",
    "EventForm",
    "ReadFields",
    "SignedAcknowledgement",
    "acknowledgement_from_json",
    "acknowledgement_to_json",
    "compute_acknowledgement_digest",
    "compute_receipt_hash",
    "make_acknowledgement_form",
    "make_event_forms",
    "read_acknowledgement_form",
    "recover_operator",
    "sign_acknowledgement",
    "sign_acknowledgements",
    "verify_acknowledgement",
]

ACKNOWLEDGED: Final = "C0"
"""The confirmation level of an acknowledgement."""

_Status: TypeAlias = Literal["executed", "rejected", "faulted"]
"""Forced actions come through L1 and are not acknowledged."""

_STATUSES: Final[tuple[_Status, ...]] = get_args(_Status)

_DOMAIN_NAME: Final = "microrollup"
_DOMAIN_VERSION: Final = "1"
_WHAT: Final = "acknowledgement"


class Acknowledgement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the operator signs."""

    rollup_id: Bytes32
    action_hash: Bytes32
    seq: Uint64
    height: Uint64
    """Of the block that holds the action, which may still be open."""
    receipt_hash: Bytes32
    """See `compute_receipt_hash`."""


class SignedAcknowledgement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The operator's signature, with the receipt that `receipt_hash` stands for: 65 bytes `r || s || v`, low s."""

    acknowledgement: Acknowledgement
    receipt: Receipt
    signature: Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]

    def __repr__(self) -> str:
        """One line: what became of which action."""
        outcome = self.status + (f": {self.reason}" if self.reason else "")
        events = "".join([f", {name}" for name, _ in self.receipt.events])
        place = f"seq {self.seq}, block {self.height}"
        return f"<SignedAcknowledgement 0x{self.action_hash.hex()[:16]}…: {outcome}, {place}{events}>"

    @property
    def action_hash(self) -> bytes:
        """Identity of the action, 32 bytes."""
        return self.acknowledgement.action_hash

    @property
    def seq(self) -> int:
        """Place of the action in the log."""
        return self.acknowledgement.seq

    @property
    def height(self) -> int:
        """Of the action's block."""
        return self.acknowledgement.height

    @property
    def status(self) -> str:
        """What became of the action, in a word: "executed", "rejected" or "faulted"."""
        return STATUS_NAMES[self.receipt.status]

    @property
    def reason(self) -> str:
        """Why it was rejected; empty otherwise."""
        return self.receipt.reason


_hash_struct: Final = compile_struct_hash(describe_struct(Acknowledgement, where="event"))


def compute_receipt_hash(receipt: Receipt) -> bytes:
    """`keccak256(0x00 || canonical receipt)`, 32 bytes: the receipt's leaf in the receipts root."""
    return compute_item_hash(encode_canonical(receipt))


@lru_cache(maxsize=16)
def _compute_separator(chain_id: int, inbox: bytes) -> bytes:
    return compute_domain_separator(_DOMAIN_NAME, _DOMAIN_VERSION, chain_id, inbox)


def compute_acknowledgement_digest(acknowledgement: Acknowledgement, chain_id: int, inbox: bytes) -> bytes:
    """The 32-byte EIP-712 digest that the operator signs; `inbox` is a 20-byte address."""
    return keccak256(_encode(acknowledgement, chain_id, inbox))


def _encode(acknowledgement: Acknowledgement, chain_id: int, inbox: bytes) -> bytes:
    return b"\x19\x01" + _compute_separator(chain_id, inbox) + _hash_struct(acknowledgement)


def sign_acknowledgement(
    key: SigningKey, rollup_id: bytes, height: int, receipt: Receipt, *, chain_id: int, inbox: bytes
) -> SignedAcknowledgement:
    """Sign that an action is durable and became `receipt` in the block at `height`. Raises `SignerUnavailable`.

    RFC 6979 makes the same bytes each time, so the acknowledgement of a known action can be made again from the log.
    """
    (signed,) = sign_acknowledgements(key, rollup_id, [(height, receipt)], chain_id=chain_id, inbox=inbox)
    if isinstance(signed, MicrorollupError):
        raise signed
    return signed


def sign_acknowledgements(
    key: SigningKey, rollup_id: bytes, places: Sequence[tuple[int, Receipt]], *, chain_id: int, inbox: bytes
) -> list[SignedAcknowledgement | MicrorollupError]:
    """Sign for several actions, each with its block's height; in place of a signature that is not had, the reason."""
    words = [
        Acknowledgement(
            rollup_id=rollup_id,
            action_hash=receipt.action_hash,
            seq=receipt.seq,
            height=height,
            receipt_hash=compute_receipt_hash(receipt),
        )
        for height, receipt in places
    ]
    signatures = sign_messages(key, [_encode(each, chain_id, inbox) for each in words])
    return [
        signature
        if isinstance(signature, MicrorollupError)
        else SignedAcknowledgement(acknowledgement, receipt, signature)
        for acknowledgement, (_, receipt), signature in zip(words, places, signatures, strict=True)
    ]


def recover_operator(signed: SignedAcknowledgement, *, chain_id: int, inbox: bytes) -> bytes | None:
    """The 20-byte address whose key signed; a stranger's if another domain or other words were signed.

    None if no key can have made the signature, or if it is not in the one accepted form (65 bytes, low s, v 27 or 28).
    """
    signature = signed.signature
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    digest = compute_acknowledgement_digest(signed.acknowledgement, chain_id, inbox)
    try:
        return recover_address(digest, canonicalize_signature(signature))
    except RefusedError:
        return None


def verify_acknowledgement(
    signed: SignedAcknowledgement, operator: bytes, *, chain_id: int, inbox: bytes
) -> SignedAcknowledgement:
    """Check that the operator (20-byte address) signed it, and that it speaks of its receipt; returns it.

    Raises `WrongOperator` or `ReceiptMismatch`.
    """
    found = recover_operator(signed, chain_id=chain_id, inbox=inbox)
    if found != operator:
        raise WrongOperator(operator, found)
    acknowledgement, receipt = signed.acknowledgement, signed.receipt
    if (acknowledgement.seq, acknowledgement.action_hash) != (receipt.seq, receipt.action_hash):
        raise ReceiptMismatch("the receipt is of another action")
    if acknowledgement.receipt_hash != compute_receipt_hash(receipt):
        raise ReceiptMismatch("the operator signed another receipt")
    return signed


# --- JSON ------------------------------------------------------------------------------------------------------------


ReadFields: TypeAlias = Callable[[str, bytes], dict[str, Any] | None]
"""The members of an event as plain JSON, by its name and bytes; None if its class is not known."""


class EventForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event of a receipt."""

    name: str
    data: Bytes
    """The canonical msgpack of its members, which the receipt commits to."""
    fields: Annotated[dict[str, Any], msgspec.Meta(description="its members by name")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    """Read out of `data` for people; left out where the event's class is not known. Readers that check take `data`."""


class AcknowledgementForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON of an acknowledgement: the signed members, the receipt's, `confirmation` and `signature`."""

    rollup_id: Bytes32
    action_hash: Bytes32
    seq: Uint64
    height: Uint64
    status: _Status
    reason: str
    events: tuple[EventForm, ...]
    confirmation: Literal["C0"]
    receipt_hash: Bytes32
    signature: Bytes


def make_event_forms(receipt: Receipt, read_fields: ReadFields | None = None) -> tuple[EventForm, ...]:
    """The events of a receipt, with their members where `read_fields` knows them."""
    forms = []
    for name, data in receipt.events:
        fields = None if read_fields is None else read_fields(name, data)
        forms.append(EventForm(name, data, msgspec.UNSET if fields is None else fields))
    return tuple(forms)


def make_acknowledgement_form(
    signed: SignedAcknowledgement, read_fields: ReadFields | None = None
) -> AcknowledgementForm:
    """The form of an acknowledgement; `read_fields` gives events their members."""
    acknowledgement, receipt = signed.acknowledgement, signed.receipt
    return AcknowledgementForm(
        rollup_id=acknowledgement.rollup_id,
        action_hash=acknowledgement.action_hash,
        seq=acknowledgement.seq,
        height=acknowledgement.height,
        status=_STATUSES[receipt.status],
        reason=receipt.reason,
        events=make_event_forms(receipt, read_fields),
        confirmation=ACKNOWLEDGED,
        receipt_hash=acknowledgement.receipt_hash,
        signature=signed.signature,
    )


def read_acknowledgement_form(form: AcknowledgementForm) -> SignedAcknowledgement:
    """The acknowledgement of its form. Raises `DecodeError`; nothing is verified."""
    if len(form.signature) != 65:
        raise DecodeError(_WHAT, f"a signature has 65 bytes, not {len(form.signature)}")
    events = tuple([(event.name, event.data) for event in form.events])
    receipt = Receipt(form.seq, form.action_hash, _STATUSES.index(form.status), form.reason, events)
    acknowledgement = Acknowledgement(form.rollup_id, form.action_hash, form.seq, form.height, form.receipt_hash)
    return SignedAcknowledgement(acknowledgement, receipt, form.signature)


def acknowledgement_to_json(signed: SignedAcknowledgement, read_fields: ReadFields | None = None) -> dict[str, Any]:
    """The plain objects of RPC and files; see `make_acknowledgement_form`."""
    return to_document(make_acknowledgement_form(signed, read_fields))


def acknowledgement_from_json(document: Any) -> SignedAcknowledgement:
    """Read such parsed objects, nothing left out and nothing more. Raises `DecodeError`; nothing is verified."""
    try:
        return read_acknowledgement_form(read_document(AcknowledgementForm, document))
    except RefusedError as error:
        raise DecodeError(_WHAT, error.detail) from None
