"""The params of each method: one Struct per method, by name or by position in the order of the fields.

The OpenRPC document is made from these, so what it says is what is decoded.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microrollup.chain.envelope_record import MAX_ENVELOPE_NAME
from microrollup.primitives import MAX_ENVELOPE_BYTES

__all__ = [
    "MAX_SAFE",
    "ActionRef",
    "AttestationParams",
    "BatchParams",
    "BlockParams",
    "BlocksParams",
    "CodeParams",
    "ConfirmationParams",
    "EntriesParams",
    "EnvelopeParams",
    "HashParams",
    "HeaderParams",
    "NoParams",
    "NonceParams",
    "Params",
    "ProofParams",
    "ReceiptParams",
    "SettlementParams",
    "StateParams",
    "SubmitManyParams",
    "SubmitParams",
    "SubscribeParams",
    "SubscriptionFilter",
    "UnsubscribeParams",
]

MAX_SAFE = 2**53 - 1

HexHash = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{64}$", description="32 bytes in hex digits")]
HexAddress = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$", description="20 bytes in hex digits")]
SafeInteger = Annotated[int, Meta(ge=0, le=MAX_SAFE)]
HeightOrLatest = SafeInteger | Literal["latest"]
FieldName = Annotated[
    str, Meta(min_length=1, max_length=128, description="a field of the state, with all of its dotted name")
]


EnvelopeName = Annotated[
    str, Meta(min_length=1, max_length=MAX_ENVELOPE_NAME, description="of an envelope of the app's own")
]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of all params."""


class NoParams(Params, frozen=True):
    """A method without params."""


class SubmitParams(Params, frozen=True):
    """One signed action in its JSON form, `{type, message, signature[, sender]}`; read strictly by its own rules."""

    action: msgspec.Raw


class SubmitManyParams(Params, frozen=True):
    """Signed actions in their JSON form."""

    actions: list[msgspec.Raw]


class EnvelopeParams(Params, frozen=True):
    """What comes in an envelope of the app's own: the envelope's name, and its bytes in hex digits."""

    name: EnvelopeName
    raw: Annotated[str, Meta(pattern="^0x([0-9a-fA-F]{2})*$", max_length=2 + 2 * MAX_ENVELOPE_BYTES)]


class HashParams(Params, frozen=True):
    """An action by its identity; with the `name` of an envelope, by the hash that the envelope gives itself."""

    hash: HexHash
    name: EnvelopeName | None = None


class CodeParams(Params, frozen=True):
    """The code of some blocks, by the stfId in their headers; by default the code that the node runs."""

    stf_id: HexHash | None = None


class ActionRef(Params, frozen=True):
    """An action by its identity or by its place in the log; with the `name` of an envelope, by the hash that the
    envelope gives itself.
    """

    hash: HexHash | SafeInteger | None = None
    seq: SafeInteger | None = None
    name: EnvelopeName | None = None


ReceiptParams = ActionRef


class BlockParams(Params, frozen=True):
    """A closed block; `withChanges` adds what each action changed."""

    height: HeightOrLatest = "latest"
    with_changes: bool = False


class HeaderParams(Params, frozen=True):
    """A closed block."""

    height: HeightOrLatest = "latest"


class StateParams(Params, frozen=True):
    """A field of the state, a key if it is a map, and a height."""

    field: FieldName
    key: Any = None
    height: HeightOrLatest | None = None


class EntriesParams(Params, frozen=True):
    """A map field, and which of its entries at a height."""

    field: FieldName
    prefix: Any = None
    """Whole leading components of a composite key as an array; the beginning of a key that is text or bytes."""
    after: Any = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 1_000
    reverse: bool = False
    height: HeightOrLatest | None = None


class ProofParams(Params, frozen=True):
    """The same for a settled field, which may be left out where the state has one settled map."""

    field: FieldName | None = None
    key: Any = None
    height: HeightOrLatest | None = None


class NonceParams(Params, frozen=True):
    """A sender."""

    sender: HexAddress


class ConfirmationParams(Params, frozen=True):
    """An action by its identity, or a height; with the `name` of an envelope, by the hash that the envelope gives
    itself.
    """

    hash: HexHash | SafeInteger | None = None
    height: SafeInteger | None = None
    name: EnvelopeName | None = None


class BatchParams(Params, frozen=True):
    """Where the batch begins."""

    first_height: SafeInteger


class BlocksParams(Params, frozen=True, rename={"first": "from"}):
    """Blocks from a height on."""

    first: SafeInteger
    limit: Annotated[int, Meta(ge=1, le=100)] = 100


class SettlementParams(Params, frozen=True):
    """A batch is asked for at once."""

    token: Annotated[str, Meta(max_length=1024, description="the node's, where there is one")] | None = None
    """Without it the day's budget is used."""


class AttestationParams(Params, frozen=True):
    """An attestation in its JSON form, `{attestation: {…}, signature}`."""

    attestation: msgspec.Raw


class SubscriptionFilter(Params, frozen=True):
    """Only receipts of a sender, only events of a name."""

    sender: HexAddress | None = None
    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class SubscribeParams(Params, frozen=True, rename={"start": "from"}):
    """A topic, what of it, and where to begin: at a cursor (inclusive), or with what is new from now on."""

    topic: Literal["blocks", "receipts", "events", "confirmations"]
    filter: SubscriptionFilter | None = None
    start: SafeInteger | None = None


class UnsubscribeParams(Params, frozen=True):
    """A subscription of this connection."""

    subscription: Annotated[str, Meta(max_length=64)]
