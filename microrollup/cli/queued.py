"""How commands show what they have put into the inbox's queue on L1."""

from __future__ import annotations

from microrollup.cli.output import Output, make_facts
from microrollup.codec.json import hex0x
from microrollup.deployment.forcing import QueuedAction

__all__ = ["show_queued"]


def show_queued(output: Output, queued: QueuedAction, *, is_envelope: bool = False) -> None:
    """Its place, its identities, and from which L1 block on it is due."""
    document = {
        "index": queued.index,
        "actionHash": hex0x(queued.action_hash),
        "signedHash": None if queued.signed_hash is None else hex0x(queued.signed_hash),
        "sender": hex0x(queued.sender),
        "inclusionBlock": queued.inclusion_block,
        "payload": hex0x(queued.payload),
    }
    own = "as envelope" if is_envelope else "as signed"
    facts: dict[str, object] = {
        "forced action": f"{queued.index} in the queue, {len(queued.payload)} bytes",
        "action hash": hex0x(queued.action_hash),
        **({} if queued.signed_hash is None else {own: hex0x(queued.signed_hash)}),
        "sender": "none" if is_envelope else hex0x(queued.sender),
        "L1 block": "included, though L1 does not show it now: look at `microrollup status` before you force it again"
        if queued.inclusion_block is None
        else f"{queued.inclusion_block}; due in every block of the rollup whose origin has reached it",
    }
    output.show(document, make_facts(facts))
