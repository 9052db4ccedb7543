"""The table of methods: name, params, what is answered, and the function that asks the node.

A method of an app's own has its place here too: `make_methods(more=...)` with names in the app's namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from microrollup.acknowledgement import SignedAcknowledgement, acknowledgement_to_json
from microrollup.codec.json import hex0x
from microrollup.errors import MicrorollupError, UsageError
from microrollup.export import encode_block
from microrollup.node.changes import read_changes
from microrollup.node.errors import NotFound
from microrollup.node.open_entries import LoggedAction
from microrollup.node.runtime import Node
from microrollup.node.status import describe_status
from microrollup.proof_json import proof_to_json, read_key
from microrollup.receipt import FAULTED
from microrollup.receipt_proof import InboxDomain, make_receipt_proof, receipt_proof_to_json
from microrollup.record import encode_record
from microrollup.rpc import params as p
from microrollup.rpc import schemas as s
from microrollup.rpc.config import describe_config
from microrollup.rpc.errors import (
    ACTION_REFUSED,
    ATTESTATION_REFUSED,
    INTAKE_STOPPED,
    INVALID_PARAMS,
    LIMIT_EXCEEDED,
    NOT_FOUND,
    NOT_RETAINED,
)
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.views import Views
from microrollup.settlement.attestation import attestation_from_json

__all__ = ["PREFIX", "Api", "Method", "acknowledge", "make_methods"]

PREFIX: Final = "rollup_"

MAX_BLOCKS_BYTES: Final = 4 << 20
"""Records of one `getBlocks`, after the first block."""


class Api:
    """What methods work with."""

    def __init__(self, node: Node, limits: RpcLimits, count_subscribers: Callable[[], int] = lambda: 0) -> None:
        self.node = node
        self.limits = limits
        self.views = Views(node)
        self.count_subscribers = count_subscribers


Handler = Callable[[Api, Any], Any]


class Method(msgspec.Struct, frozen=True):
    """One method. `handler` runs in a worker thread; None where the connection itself answers."""

    name: str
    summary: str
    params: type[msgspec.Struct]
    result: dict[str, Any]
    handler: Handler | None
    errors: tuple[int, ...] = ()
    submits: bool = False
    """It takes actions: awaited in the event loop, since the answer comes when they are durable."""
    socket_only: bool = False
    """It needs a WebSocket."""


# Reading


def _config(api: Api, _: p.NoParams) -> Any:
    return describe_config(api.node, api.limits)


def _find(api: Api, reference: p.ActionRef) -> LoggedAction:
    """The action that is meant by hash or by seq."""
    if (reference.hash is None) == (reference.seq is None):
        raise UsageError("name the action by `hash` or by `seq`")
    if isinstance(reference.hash, str):
        return api.node.lookups.find_action(bytes.fromhex(reference.hash[2:]))
    seq = reference.seq if isinstance(reference.seq, int) else reference.hash
    return api.node.lookups.get_action(seq or 0)


def _get_action(api: Api, params: p.HashParams) -> Any:
    return api.views.action(api.node.lookups.find_action(bytes.fromhex(params.hash[2:])))


def _get_receipt(api: Api, params: p.ActionRef) -> Any:
    return api.views.receipt(_find(api, params))


def _get_receipt_proof(api: Api, params: p.HashParams) -> Any:
    node, lookups = api.node, api.node.lookups
    action = lookups.find_action(bytes.fromhex(params.hash[2:]))
    if action.height > lookups.get_tip():
        raise NotFound(f"the action's block {action.height} is not closed yet")
    header, seal = lookups.get_header(action.height), lookups.get_seal(action.height)
    if seal is None:
        raise NotFound("genesis has no receipts")
    ack = node.sign(action.height, action.receipt) if action.receipt.status <= FAULTED else None
    domain = InboxDomain(node.genesis.l1_chain_id, node.l1.get_inbox())
    proof = make_receipt_proof(header, seal, lookups.get_receipts(header), action.seq - header.first_seq, ack, domain)
    return receipt_proof_to_json(proof)


def _choose_height(height: int | str | None) -> int | None:
    return height if isinstance(height, int) else None


def _get_block(api: Api, params: p.BlockParams) -> Any:
    block = api.node.lookups.get_block(_choose_height(params.height))
    document = api.views.block(block)
    if params.with_changes:
        changes = read_changes(api.node.ledger, block)
        for action, changed in zip(document["actions"], changes, strict=True):
            action["changes"] = [api.views.change(change) for change in changed]
    return document


def _get_header(api: Api, params: p.HeaderParams) -> Any:
    return api.views.header(api.node.lookups.get_header(_choose_height(params.height)))


def _height(api: Api, _: p.NoParams) -> Any:
    confirmations = api.node.confirmations
    return {
        "latest": confirmations.latest,
        "verified": confirmations.verified,
        "available": confirmations.available,
        "settled": confirmations.settled,
    }


def _get_state(api: Api, params: p.StateParams) -> Any:
    field = api.node.lookups.get_field(params.field)
    value = api.node.lookups.get_value(field, read_key(field, params.key), _choose_height(params.height))
    return api.views.value(value)


def _get_proof(api: Api, params: p.ProofParams) -> Any:
    field = api.node.lookups.get_field(params.field)
    proof = api.node.lookups.prove(field, read_key(field, params.key), _choose_height(params.height))
    return proof_to_json(field, proof)


def _get_nonce(api: Api, params: p.NonceParams) -> Any:
    sender = bytes.fromhex(params.sender[2:])
    closed, pending = api.node.lookups.get_nonces(sender)
    return {"sender": hex0x(sender), "next": pending, "pending": pending, "closed": closed}


def _get_confirmation(api: Api, params: p.ConfirmationParams) -> Any:
    if (params.hash is None) == (params.height is None):
        raise UsageError("name an action by `hash`, or a block by `height`")
    node = api.node
    if isinstance(params.hash, str):
        action = node.lookups.find_action(bytes.fromhex(params.hash[2:]))
        height, level = action.height, api.views.level(action)
    else:
        height = (params.height if params.height is not None else params.hash) or 0
        if not node.lookups.is_block(height):
            raise NotFound(f"there is no block {height}")
        level = node.confirmations.get_level(height)
    depth = node.get_settled_depth(height) if level == "C3B" else None
    return api.views.confirmed(height, level, depth)


def _get_batch(api: Api, params: p.BatchParams) -> Any:
    batch, last_height = api.node.get_batch(params.first_height)
    return {"batch": hex0x(batch), "firstHeight": params.first_height, "lastHeight": last_height}


def _get_blocks(api: Api, params: p.BlocksParams) -> Any:
    last = params.first + min(params.limit, api.limits.blocks) - 1
    blocks = api.node.lookups.read_blocks(max(1, params.first), last, MAX_BLOCKS_BYTES)
    return [hex0x(encode_block(block)) for block in blocks]


def _get_genesis(api: Api, _: p.NoParams) -> Any:
    return {"record": hex0x(encode_record(api.node.genesis))}


def _status(api: Api, _: p.NoParams) -> Any:
    return {**describe_status(api.node), "subscribers": api.count_subscribers()}


# Writing


def _submit_attestation(api: Api, params: p.AttestationParams) -> Any:
    count, quorum = api.node.submit_attestation(attestation_from_json(bytes(params.attestation)))
    return {"accepted": True, "count": count, "quorum": quorum}


def acknowledge(api: Api, results: Sequence[Any]) -> list[dict[str, Any] | BaseException]:
    """The acknowledgements of what is durable, signed now, and the errors of the rest."""
    answers: list[dict[str, Any] | BaseException] = []
    for result in results:
        try:
            signed = api.node.acknowledge(result)
        except MicrorollupError as error:  # a known action whose receipt is not kept: no reason to lose the others
            signed = error
        answers.append(acknowledgement_to_json(signed) if isinstance(signed, SignedAcknowledgement) else signed)
    return answers


_ACTION_ERRORS: Final = (ACTION_REFUSED, INTAKE_STOPPED, LIMIT_EXCEEDED)
_READ_ERRORS: Final = (NOT_FOUND, NOT_RETAINED)

_METHODS: Final = (
    Method("config", "What this rollup is, and all that wallets need to sign actions.", p.NoParams, s.CONFIG, _config),
    Method(
        "submitAction",
        "Take one signed action; answered when it is durable (C0). A known action gets its first answer again.",
        p.SubmitParams,
        s.ACK,
        None,
        _ACTION_ERRORS,
        submits=True,
    ),
    Method(
        "submitActions",
        "Take several signed actions, each with a result of its own: `{ack}` or `{error}`.",
        p.SubmitManyParams,
        s.array(s.obj(ack_=s.ACK, error_={"type": "object"})),
        None,
        (INTAKE_STOPPED, LIMIT_EXCEEDED),
        submits=True,
    ),
    Method("getAction", "An action as it was signed or forced.", p.HashParams, s.ACTION, _get_action, (NOT_FOUND,)),
    Method("getReceipt", "What became of an action.", p.ActionRef, s.RECEIPT, _get_receipt, (NOT_FOUND,)),
    Method(
        "getReceiptProof",
        "A receipt that anyone checks offline: its path to a sealed header, and the signed acknowledgement.",
        p.HashParams,
        s.RECEIPT_PROOF,
        _get_receipt_proof,
        (NOT_FOUND,),
    ),
    Method("getBlock", "A block and what became of its actions.", p.BlockParams, s.BLOCK, _get_block, _READ_ERRORS),
    Method("getHeader", "The header of a closed block.", p.HeaderParams, s.HEADER, _get_header, _READ_ERRORS),
    Method("height", "The newest heights by confirmation.", p.NoParams, s.HEIGHTS, _height),
    Method("getState", "What a field holds at a key and height.", p.StateParams, s.STATE, _get_state, _READ_ERRORS),
    Method(
        "getProof",
        "The proof of what a settled field holds at a key and height, or that it holds nothing.",
        p.ProofParams,
        s.PROOF,
        _get_proof,
        _READ_ERRORS,
    ),
    Method("getNonce", "A sender's next nonce.", p.NonceParams, s.NONCES, _get_nonce),
    Method(
        "getConfirmation",
        "How far an action or a height is confirmed. The open block is at C0 as soon as it holds a durable action.",
        p.ConfirmationParams,
        s.CONFIRMATION,
        _get_confirmation,
        (NOT_FOUND,),
    ),
    Method(
        "getBatch",
        "The builder's own bytes of the batch that begins at a height: what verifiers sign.",
        p.BatchParams,
        s.BATCH,
        _get_batch,
        (NOT_FOUND,),
    ),
    Method(
        "getBlocks",
        "Whole blocks as verifiers take them: canonical msgpack in hex digits; at least one, fewer if large.",
        p.BlocksParams,
        s.array(s.HEX),
        _get_blocks,
        _READ_ERRORS,
    ),
    Method("getGenesis", "The genesis record.", p.NoParams, s.obj(record=s.HEX), _get_genesis),
    Method(
        "submitAttestation",
        "Hand in a verifier's attestation of the batch that is to be settled next.",
        p.AttestationParams,
        s.obj(accepted=s.BOOLEAN, count=s.INTEGER, quorum=s.INTEGER),
        _submit_attestation,
        (ATTESTATION_REFUSED, INVALID_PARAMS),
    ),
    Method(
        "subscribe",
        "Be told what is new of a topic, as `rollup_subscription` notifications; over a WebSocket only.",
        p.SubscribeParams,
        s.SUBSCRIPTION,
        None,
        (LIMIT_EXCEEDED, NOT_FOUND),
        socket_only=True,
    ),
    Method("unsubscribe", "End a subscription.", p.UnsubscribeParams, s.BOOLEAN, None, (NOT_FOUND,), socket_only=True),
    Method("status", "How the node is.", p.NoParams, s.STATUS, _status),
)


def make_methods(more: Sequence[Method] = ()) -> dict[str, Method]:
    """All methods by their full names; `more` are an app's own, whose names are full already.

    Raises `UsageError` for a name that is taken or lies in this server's namespace.
    """
    methods = {PREFIX + method.name: method for method in _METHODS}
    for method in more:
        if method.name in methods or method.name.startswith((PREFIX, "rpc.")) or method.handler is None:
            raise UsageError(f"a method cannot be called {method.name!r}")
        methods[method.name] = method
    return methods
