"""What a node answers about actions and blocks, and tells subscribers of them."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from microrollup.chain.acknowledgement import AcknowledgementForm, EventForm
from microrollup.chain.answers.confirmations import Level
from microrollup.chain.answers.state import AppValue, ChangedKey
from microrollup.chain.block import Header
from microrollup.chain.block_json import SealForm
from microrollup.chain.receipt import ReceiptStatus
from microrollup.primitives import Address, Bytes, Bytes32, Int32, Uint64

__all__ = [
    "ActionAnswer",
    "AttestationAnswer",
    "BatchAnswer",
    "BlockAnswer",
    "BlockEntry",
    "BlockNews",
    "EnvelopeForm",
    "ErrorForm",
    "EventNews",
    "ForcedForm",
    "GenesisAnswer",
    "HeaderAnswer",
    "ActionOrigin",
    "ReceiptAnswer",
    "SubmitAnswer",
    "SubscriptionAnswer",
]

ActionOrigin: TypeAlias = str
""""signed" by its sender; "l1", an L1 account's own action, forced through the inbox; "block", the block's own entry,
the hook's; "upgrade", an entry of a block that upgrades; or the name of the envelope of the app's own in which it
came."""


class ErrorForm(Struct, frozen=True):
    """The error member of a JSON-RPC answer."""

    code: Int32
    message: str
    data: Any | UnsetType = UNSET


class SubmitAnswer(Struct, frozen=True):
    """What became of one action among several: exactly one of both."""

    ack: AcknowledgementForm | UnsetType = UNSET
    error: ErrorForm | UnsetType = UNSET


class ForcedForm(Struct, frozen=True):
    """A forced action as it lies in the inbox's queue."""

    index: Uint64
    inclusion_block: Uint64
    payload: Bytes
    voided: bool


class EnvelopeForm(Struct, frozen=True):
    """An envelope of the app's own."""

    name: str
    raw: Bytes
    """In the app's own format."""


class ActionAnswer(Struct, frozen=True):
    """An action as it was signed or forced, or as it came in an envelope."""

    hash: Bytes32
    seq: Uint64
    height: Uint64
    sender: Address | None
    origin: ActionOrigin
    type: str | None
    """Null for a forced action whose payload is not an action, and for the block's own entry."""
    message: AppValue
    """What was signed, `nonce` included; null as `type` is. A forced action has no nonce, nor has an envelope's."""
    signature: Bytes | None
    """Null for an L1 account's own action, an envelope's, and for the block's own entry."""
    forced: ForcedForm | UnsetType = UNSET
    """There for what came through the inbox, signed or not; its `hash` is the queue's."""
    envelope: EnvelopeForm | UnsetType = UNSET
    """There for what came in an envelope, whatever way that took; it has no sender, which is shown as zero."""


class ReceiptAnswer(Struct, frozen=True):
    """What became of an action."""

    action_hash: Bytes32
    type: str | None
    seq: Uint64
    height: Uint64
    status: ReceiptStatus
    reason: str
    events: tuple[EventForm, ...]
    confirmation: Level
    sender: Address | None


class HeaderAnswer(Header, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The words of a header, and its hash."""

    hash: Bytes32


class BlockEntry(Struct, frozen=True):
    """An action in its block."""

    seq: Uint64
    hash: Bytes32
    type: str | None
    sender: Address | None
    origin: ActionOrigin
    status: ReceiptStatus
    reason: str
    changes: tuple[ChangedKey, ...] | UnsetType = UNSET
    """There if they were asked for."""


class BlockAnswer(Struct, frozen=True):
    """A closed block with what became of its actions."""

    header: Header
    hash: Bytes32
    seal: SealForm | None
    """Null for genesis only."""
    actions: tuple[BlockEntry, ...]
    confirmation: Level


class BatchAnswer(Struct, frozen=True):
    """The builder's own bytes of a batch: what verifiers sign."""

    batch: Bytes
    first_height: Uint64
    last_height: Uint64


class GenesisAnswer(Struct, frozen=True):
    """The genesis record: canonical msgpack."""

    record: Bytes


class AttestationAnswer(Struct, frozen=True):
    """An attestation was taken: how many there are, of how many."""

    accepted: bool
    count: Uint64
    quorum: Uint64


class SettlementAnswer(Struct, frozen=True):
    """A batch up to the newest closed block is cut as soon as the one before it has settled."""

    height: Uint64
    left: Uint64 | None
    """Batches that may still be asked for within 24 hours without a token; None: a token was given."""


class SubscriptionAnswer(Struct, frozen=True):
    """A subscription, and the cursor at which it begins."""

    subscription: str
    cursor: Uint64


class BlockNews(Struct, frozen=True):
    """A closed block without its entries, as subscribers get it."""

    header: Header
    hash: Bytes32
    confirmation: Level


class EventNews(EventForm, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event, and the action that emitted it."""

    action_hash: Bytes32
    seq: Uint64
    height: Uint64
    sender: Address | None
