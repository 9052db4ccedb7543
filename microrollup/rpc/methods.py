"""The table of methods: name, params, answer, and the function that asks the node.

A method of an app's own has its place here too: `make_methods(more=...)` with names in the app's namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from microrollup.chain.acknowledgement import AcknowledgementForm, SignedAcknowledgement, make_acknowledgement_form
from microrollup.chain.answers.actions import (
    ActionAnswer,
    AttestationAnswer,
    BatchAnswer,
    BlockAnswer,
    GenesisAnswer,
    HeaderAnswer,
    ReceiptAnswer,
    SettlementAnswer,
    SubmitAnswer,
    SubscriptionAnswer,
)
from microrollup.chain.answers.confirmations import Confirmation, Heights
from microrollup.chain.answers.node import CodeAnswer, NodeConfig, StatusAnswer
from microrollup.chain.answers.pages import PageAnswer
from microrollup.chain.answers.state import EntriesAnswer, NonceAnswer, StateAnswer, StateProofAnswer
from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.chain.export import encode_block
from microrollup.chain.receipt import FAULTED
from microrollup.chain.receipt_proof import InboxDomain, ReceiptProofForm, make_receipt_proof, make_receipt_proof_form
from microrollup.chain.record import encode_record
from microrollup.errors import UsageError
from microrollup.ledger.paging import make_entries_answer, read_page_request
from microrollup.ledger.proof_json import make_proof_answer, read_key
from microrollup.node.changes import read_changes
from microrollup.node.errors import NotRecorded
from microrollup.node.open_entries import LoggedAction
from microrollup.node.status import describe_heights, describe_status
from microrollup.primitives import Bytes
from microrollup.rpc import params as p
from microrollup.rpc.config import describe_config
from microrollup.rpc.errors import (
    ACTION_REFUSED,
    ATTESTATION_REFUSED,
    INTAKE_STOPPED,
    INVALID_PARAMS,
    LIMIT_EXCEEDED,
    NOT_FOUND,
    NOT_RETAINED,
    UNAUTHORIZED,
)
from microrollup.rpc.method import ActionMethod, Api, AppMethod, Method, PlainMethod, QueryMethod, SocketMethod
from microrollup.settlement.attestation import attestation_from_json

__all__ = ["PREFIX", "Acknowledged", "acknowledge", "make_methods"]

PREFIX: Final = "rollup_"

MAX_BLOCKS_BYTES: Final = 4 << 20
"""Records of one `getBlocks`, after the first block."""

Acknowledged: TypeAlias = AcknowledgementForm | BaseException
"""Of one action: its acknowledgement, or why there is none."""


# Reading


def _config(api: Api, _: p.NoParams) -> NodeConfig:
    return describe_config(api.node, api.limits)


def _get_pages(api: Api, _: p.NoParams) -> list[PageAnswer]:
    return list(api.node.pages)


def _find_by_hash(api: Api, text: str, name: str | None) -> LoggedAction:
    """The action of an identity in hex digits; with an envelope's name, that of the hash which it gives itself."""
    found = bytes.fromhex(text[2:])
    return api.node.lookups.find_action(found if name is None else compute_envelope_id(api.node.rollup_id, name, found))


def _find(api: Api, reference: p.ActionRef) -> LoggedAction:
    """The action that is meant by hash or by seq."""
    if (reference.hash is None) == (reference.seq is None):
        raise UsageError("name the action by `hash` or by `seq`")
    if isinstance(reference.hash, str):
        return _find_by_hash(api, reference.hash, reference.name)
    seq = reference.seq if isinstance(reference.seq, int) else reference.hash
    return api.node.lookups.get_action(seq or 0)


def _get_action(api: Api, params: p.HashParams) -> ActionAnswer:
    return api.views.action(_find_by_hash(api, params.hash, params.name))


def _get_receipt(api: Api, params: p.ActionRef) -> ReceiptAnswer:
    return api.views.receipt(_find(api, params))


def _get_receipt_proof(api: Api, params: p.HashParams) -> ReceiptProofForm:
    node, lookups = api.node, api.node.lookups
    action = _find_by_hash(api, params.hash, params.name)
    if action.height > lookups.get_tip():
        raise NotRecorded(f"the action's block {action.height} is not closed yet")
    header, seal = lookups.get_header(action.height), lookups.get_seal(action.height)
    if seal is None:
        raise NotRecorded("genesis has no receipts")
    ack = node.sign(action.height, action.receipt) if action.receipt.status <= FAULTED else None
    domain = InboxDomain(node.genesis.l1_chain_id, node.l1.get_inbox())
    proof = make_receipt_proof(header, seal, lookups.get_receipts(header), action.seq - header.first_seq, ack, domain)
    return make_receipt_proof_form(proof, api.views.read_fields)


def _choose_height(height: int | str | None) -> int | None:
    return height if isinstance(height, int) else None


def _get_block(api: Api, params: p.BlockParams) -> BlockAnswer:
    block = api.node.lookups.get_block(_choose_height(params.height))
    return api.views.block(block, read_changes(api.node.ledger, block) if params.with_changes else None)


def _get_header(api: Api, params: p.HeaderParams) -> HeaderAnswer:
    return api.views.header(api.node.lookups.get_header(_choose_height(params.height)))


def _height(api: Api, _: p.NoParams) -> Heights:
    return describe_heights(api.node)


def _get_state(api: Api, params: p.StateParams) -> StateAnswer:
    height = _choose_height(params.height)
    field = api.node.lookups.get_field(params.field, height)
    value = api.node.lookups.get_value(field, read_key(field, params.key), height)
    return api.views.value(value)


def _get_entries(api: Api, params: p.EntriesParams) -> EntriesAnswer:
    height = _choose_height(params.height)
    field = api.node.lookups.get_field(params.field, height)
    request = read_page_request(field, params.prefix, params.after, params.limit, reverse=params.reverse)
    return make_entries_answer(field, api.node.lookups.read_page(request, height))


def _get_proof(api: Api, params: p.ProofParams) -> StateProofAnswer:
    height = _choose_height(params.height)
    field = api.node.lookups.get_field(params.field, height)
    proof = api.node.lookups.prove(field, read_key(field, params.key), height)
    return make_proof_answer(field, proof)


def _get_nonce(api: Api, params: p.NonceParams) -> NonceAnswer:
    sender = bytes.fromhex(params.sender[2:])
    closed, pending = api.node.lookups.get_nonces(sender)
    return NonceAnswer(sender, pending, pending, closed)


def _get_confirmation(api: Api, params: p.ConfirmationParams) -> Confirmation:
    if (params.hash is None) == (params.height is None):
        raise UsageError("name an action by `hash`, or a block by `height`")
    node = api.node
    if isinstance(params.hash, str):
        action = _find_by_hash(api, params.hash, params.name)
        height, level = action.height, api.views.level(action)
    else:
        height = (params.height if params.height is not None else params.hash) or 0
        if not node.lookups.is_block(height):
            raise NotRecorded(f"there is no block {height}")
        level = node.confirmations.get_level(height)
    depth = node.get_settled_depth(height) if level == "C3B" else None
    return api.views.confirmed(height, level, depth)


def _get_batch(api: Api, params: p.BatchParams) -> BatchAnswer:
    batch, last_height = api.node.get_batch(params.first_height)
    return BatchAnswer(batch, params.first_height, last_height)


def _get_blocks(api: Api, params: p.BlocksParams) -> list[bytes]:
    last = params.first + min(params.limit, api.limits.blocks) - 1
    blocks = api.node.lookups.read_blocks(max(1, params.first), last, MAX_BLOCKS_BYTES)
    return [encode_block(block) for block in blocks]


def _get_genesis(api: Api, _: p.NoParams) -> GenesisAnswer:
    return GenesisAnswer(encode_record(api.node.genesis))


def _code(api: Api, params: p.CodeParams) -> CodeAnswer:
    stf_id = api.node.rollup.stf_id if params.stf_id is None else bytes.fromhex(params.stf_id[2:])
    return CodeAnswer(stf_id, api.node.lookups.read_manifest(stf_id))


def _status(api: Api, _: p.NoParams) -> StatusAnswer:
    return describe_status(api.node, api.count_subscribers())


# Writing


def _submit_attestation(api: Api, params: p.AttestationParams) -> AttestationAnswer:
    count, quorum = api.node.submit_attestation(attestation_from_json(bytes(params.attestation)))
    return AttestationAnswer(accepted=True, count=count, quorum=quorum)


def _request_settlement(api: Api, params: p.SettlementParams) -> SettlementAnswer:
    left = api.node.request_settlement(params.token)
    return SettlementAnswer(api.node.confirmations.latest, left)


def acknowledge(api: Api, results: Sequence[Any]) -> list[Acknowledged]:
    """The acknowledgements of what is durable, signed now, and the errors of the rest."""
    return [
        make_acknowledgement_form(signed, api.views.read_fields)
        if isinstance(signed, SignedAcknowledgement)
        else signed
        for signed in api.node.acknowledge(results)
    ]


_ACTION_ERRORS: Final = (ACTION_REFUSED, INTAKE_STOPPED, LIMIT_EXCEEDED, UNAUTHORIZED)
_READ_ERRORS: Final = (NOT_FOUND, NOT_RETAINED)

_METHODS: Final[tuple[Method, ...]] = (
    PlainMethod(
        "config", "What this rollup is, and all that wallets need to sign actions.", p.NoParams, NodeConfig, _config
    ),
    ActionMethod(
        "submitAction",
        "Take one signed action; answered when it is durable (C0). A known action gets its first answer again.",
        p.SubmitParams,
        AcknowledgementForm,
        _ACTION_ERRORS,
    ),
    ActionMethod(
        "submitActions",
        "Take several signed actions, each with a result of its own: `{ack}` or `{error}`.",
        p.SubmitManyParams,
        list[SubmitAnswer],
        (INTAKE_STOPPED, LIMIT_EXCEEDED, UNAUTHORIZED),
    ),
    ActionMethod(
        "submitEnvelope",
        "Take what comes in an envelope of the app's own; answered when it is durable (C0), refused if it does not"
        " execute. A known one gets its first answer again.",
        p.EnvelopeParams,
        AcknowledgementForm,
        _ACTION_ERRORS,
    ),
    PlainMethod(
        "getAction",
        "An action as it was signed or forced.",
        p.HashParams,
        ActionAnswer,
        _get_action,
        (NOT_FOUND,),
        at_source="missing",
    ),
    PlainMethod(
        "getReceipt",
        "What became of an action.",
        p.ActionRef,
        ReceiptAnswer,
        _get_receipt,
        (NOT_FOUND,),
        at_source="missing",
    ),
    PlainMethod(
        "getReceiptProof",
        "A receipt that anyone checks offline: its path to a sealed header, and the signed acknowledgement.",
        p.HashParams,
        ReceiptProofForm,
        _get_receipt_proof,
        (NOT_FOUND,),
        at_source="missing",
    ),
    PlainMethod(
        "getBlock", "A block and what became of its actions.", p.BlockParams, BlockAnswer, _get_block, _READ_ERRORS
    ),
    PlainMethod("getHeader", "The header of a closed block.", p.HeaderParams, HeaderAnswer, _get_header, _READ_ERRORS),
    PlainMethod("height", "The newest heights by confirmation.", p.NoParams, Heights, _height),
    PlainMethod(
        "getState", "What a field holds at a key and height.", p.StateParams, StateAnswer, _get_state, _READ_ERRORS
    ),
    PlainMethod(
        "getEntries",
        "A page of a map field at a height: its entries in order, with where the next page begins.",
        p.EntriesParams,
        EntriesAnswer,
        _get_entries,
        _READ_ERRORS,
    ),
    PlainMethod(
        "getProof",
        "The proof of what a settled field holds at a key and height, or that it holds nothing.",
        p.ProofParams,
        StateProofAnswer,
        _get_proof,
        _READ_ERRORS,
    ),
    PlainMethod(
        "getNonce",
        "A sender's next nonce.",
        p.NonceParams,
        NonceAnswer,
        _get_nonce,
        at_source="always",
    ),
    PlainMethod(
        "getConfirmation",
        "How far an action or a height is confirmed. The open block is at C0 as soon as it holds a durable action.",
        p.ConfirmationParams,
        Confirmation,
        _get_confirmation,
        (NOT_FOUND,),
        at_source="missing",
    ),
    PlainMethod(
        "getBatch",
        "The builder's own bytes of the batch that begins at a height: what verifiers sign.",
        p.BatchParams,
        BatchAnswer,
        _get_batch,
        (NOT_FOUND,),
        at_source="always",
    ),
    PlainMethod(
        "getBlocks",
        "Whole blocks as verifiers take them: canonical msgpack in hex digits; at least one, fewer if large.",
        p.BlocksParams,
        list[Bytes],
        _get_blocks,
        _READ_ERRORS,
    ),
    PlainMethod(
        "code",
        "The manifest whose keccak256 is the stfId: rules, schemas, and the hash of each module of the app.",
        p.CodeParams,
        CodeAnswer,
        _code,
        (NOT_FOUND,),
    ),
    PlainMethod("getPages", "The pages of the app's own, for the explorer.", p.NoParams, list[PageAnswer], _get_pages),
    PlainMethod("getGenesis", "The genesis record.", p.NoParams, GenesisAnswer, _get_genesis),
    PlainMethod(
        "submitAttestation",
        "Hand in a verifier's attestation of the batch that is to be settled next.",
        p.AttestationParams,
        AttestationAnswer,
        _submit_attestation,
        (ATTESTATION_REFUSED, INVALID_PARAMS),
        at_source="always",
    ),
    PlainMethod(
        "requestSettlement",
        "Have what is closed settled at once, without waiting for more: with a token, or out of the day's budget.",
        p.SettlementParams,
        SettlementAnswer,
        _request_settlement,
        (ACTION_REFUSED,),
        at_source="always",
    ),
    SocketMethod(
        "subscribe",
        "Be told what is new of a topic, as `rollup_subscription` notifications; over a WebSocket only.",
        p.SubscribeParams,
        SubscriptionAnswer,
        (LIMIT_EXCEEDED, NOT_FOUND),
    ),
    SocketMethod("unsubscribe", "End a subscription.", p.UnsubscribeParams, bool, (NOT_FOUND,)),
    PlainMethod("status", "How the node is.", p.NoParams, StatusAnswer, _status),
)


def make_methods(more: Sequence[PlainMethod | QueryMethod | AppMethod] = ()) -> dict[str, Method]:
    """All methods by their full names; `more` are an app's own, whose names are full already.

    Raises `UsageError` for a name that is taken or lies in this server's namespace.
    """
    methods: dict[str, Method] = {PREFIX + method.name: method for method in _METHODS}
    for method in more:
        if method.name in methods or method.name.startswith((PREFIX, "rpc.")):
            raise UsageError(f"a method cannot be called {method.name!r}")
        methods[method.name] = method
    return methods
