"""An action into the inbox's queue on L1, which no operator can leave out."""

from __future__ import annotations

from contextlib import closing

import msgspec

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.chain.record import DomainConfig
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError
from microrollup.execution.authentication import Authenticator
from microrollup.execution.envelope import Enveloped, EnvelopeOpener
from microrollup.execution.payload import encode_carried_payload, encode_envelope_payload, encode_forced_payload
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.forced import compute_forced_id
from microrollup.settlement.place import L1Place, open_l1
from microrollup.settlement.protocol import Inbox

__all__ = [
    "QueuedAction",
    "carry_action",
    "carry_line",
    "find_in_force",
    "force_action",
    "force_envelope",
    "open_inbox",
]


class QueuedAction(msgspec.Struct, frozen=True):
    """A forced action in the inbox's queue."""

    index: int
    """Its place in the queue, counted from zero."""
    action_hash: bytes
    """Its identity in the queue, which its receipt has."""
    sender: bytes
    """20 bytes: the L1 account, or who signed what it carries; zero for an envelope."""
    inclusion_block: int | None
    """The L1 block that included it; None if L1 does not show it now."""
    payload: bytes
    signed_hash: bytes | None = None
    """The identity as a signed action, or as an envelope, of what was carried; look-ups know it too, an envelope's once
    it has executed."""


def force_action(rollup: MicroRollup, place: L1Place, action: Action, key: SigningKey) -> QueuedAction:
    """Put an action into the queue; its sender is the key's address, which on Ethereum pays the gas.

    Raises `UsageError` if the inbox is another rollup's, and what the settlement's backend raises.
    """
    with closing(open_inbox(rollup, place, key)) as inbox:
        payload = encode_forced_payload(find_in_force(rollup, inbox), action)
        return _force(inbox, payload, compute_address(key))


def carry_action(rollup: MicroRollup, place: L1Place, line: bytes, key: SigningKey) -> QueuedAction:
    """Put an action that somebody signed into the queue, in its JSON form; on Ethereum the key pays the gas.

    Its nonce is looked at when it executes. Raises `UsageError` as `force_action` does, and a class of `RefusedError`
    for an action that this rollup never takes.
    """
    with closing(open_inbox(rollup, place, key)) as inbox:
        authenticator = Authenticator.of(find_in_force(rollup, inbox), inbox.get_genesis().domain)
        return _carry(inbox, authenticator, line, key)


def carry_line(
    rollup_id: bytes, domain: DomainConfig, authenticator: Authenticator, place: L1Place, line: bytes, key: SigningKey
) -> QueuedAction:
    """The same for the rollup of this id, whose app need not be known here: `authenticator` knows its actions.

    Raises as `carry_action` does; the inbox has to be that of this very rollup, and the domain in which the line was
    signed too: a node that named another rollup's would have its reader publish a signature for that one.
    """
    with closing(open_l1(place, [key])) as inbox:
        genesis = inbox.get_genesis()
        found, own = compute_rollup_id(genesis), genesis.domain
        if found != rollup_id:
            raise UsageError(f"the inbox is of the rollup 0x{found.hex()}, the node of 0x{rollup_id.hex()}")
        if msgspec.structs.replace(domain, version=own.version) != own:  # an upgrade changes the version alone
            rollup = f"{domain.name!r} on chain {domain.chain_id}, 0x{domain.verifying_contract.hex()}"
            raise UsageError(
                f"the node lets sign for {rollup}, which is not the inbox's rollup: nothing was sent; do not trust it"
            )
        return _carry(inbox, authenticator, line, key)


def _carry(inbox: Inbox, authenticator: Authenticator, line: bytes, key: SigningKey) -> QueuedAction:
    signed = authenticator.authenticate_line(line)
    if isinstance(signed, Enveloped):
        raise UsageError("the line is an envelope's, nobody signed it; see `force_envelope`")
    queued = _force(inbox, encode_carried_payload(signed.record), compute_address(key))
    return msgspec.structs.replace(queued, sender=signed.sender, signed_hash=signed.action_hash)


def force_envelope(rollup: MicroRollup, place: L1Place, name: str, raw: bytes, key: SigningKey) -> QueuedAction:
    """Put what comes in an envelope of that name into the queue; on Ethereum the key pays the gas.

    Raises `UsageError` as `force_action` does, `UnknownEnvelope` and `BadEnvelope` for what would not open, and
    `TooLarge` for what no payload has room for.
    """
    with closing(open_inbox(rollup, place, key)) as inbox:
        enveloped = EnvelopeOpener(find_in_force(rollup, inbox)).open(name, raw)
        payload = encode_envelope_payload(name, raw)
        rollup_id = compute_rollup_id(inbox.get_genesis())
        queued = _force(inbox, payload, compute_address(key))
    identity = compute_envelope_id(rollup_id, name, enveloped.hash)
    return msgspec.structs.replace(queued, sender=ZERO_ADDRESS, signed_hash=identity)


def find_in_force(rollup: MicroRollup, inbox: Inbox) -> MicroRollup:
    """The version that L1 has in force now, or the newest known; an upgrade that failed leaves the one before."""
    return rollup.find_version(inbox.get_stf_id(inbox.get_number())) or rollup


def open_inbox(rollup: MicroRollup, place: L1Place, key: SigningKey) -> Inbox:
    """The inbox at a place, called from a key. Raises `UsageError` if it is of a rollup of another name."""
    inbox = open_l1(place, [key])
    found = inbox.get_genesis().name
    if found != rollup.name:
        inbox.close()
        raise UsageError(f"the inbox is of the rollup {found!r}, not of {rollup.name!r}")
    return inbox


def _force(inbox: Inbox, payload: bytes, sender: bytes) -> QueuedAction:
    index = inbox.force(payload, sender=sender)
    entries = inbox.get_forced_entries(index, inbox.get_number(), 1)
    action_hash = compute_forced_id(compute_rollup_id(inbox.get_genesis()), index)
    return QueuedAction(index, action_hash, sender, entries[0].inclusion_block if entries else None, payload)
