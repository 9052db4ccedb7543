"""Entries: records of the log made ready for execution. Signed actions, forced ones and what came in envelopes meet
here.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from microrollup.chain import carrier
from microrollup.chain.block_entry import BLOCK_RECORD, BlockBegin, compute_block_entry_id, is_block_record
from microrollup.chain.envelope_record import compute_envelope_id
from microrollup.chain.forced_record import decode_forced, is_forced_record
from microrollup.chain.receipt import EXECUTED, INVALID_FORCED, VOIDED_FORCED
from microrollup.chain.record import Close, Forced, Genesis, Open, Rebuild, encode_record
from microrollup.chain.upgrade_entry import compute_upgrade_id, is_upgrade_record
from microrollup.codec.canonical import decode_canonical
from microrollup.crypto.signatures.schemes import get_scheme
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import BadEnvelope, DecodeError, RefusedError
from microrollup.execution import payload
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.execution.envelope import Enveloped
from microrollup.execution.stf import CarriedCandidate, Entry
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.forced import compute_forced_id

__all__ = [
    "compute_carried_id",
    "decode_forced",
    "decode_kernel_record",
    "is_forced_record",
    "is_signed_record",
    "make_upgrade_entry",
    "make_block_entry",
    "make_carried_entry",
    "make_entry",
    "make_envelope_entry",
    "make_forced_entry",
    "make_signed_entry",
]

_KERNEL_TAGS: Final = frozenset({b"\xa7g", b"\xa4o", b"\xa5c", b"\xa7r"})
"""Length and first letter of the kernel's tags; the names of actions begin with a capital."""
_KERNEL_DECODER: Final[msgspec.msgpack.Decoder[Genesis | Open | Close | Rebuild]] = msgspec.msgpack.Decoder(
    Genesis | Open | Close | Rebuild
)


def is_signed_record(record: bytes) -> bool:
    """Whether an entry's record is to be authenticated: a signed action's or an envelope's; neither a forced action's
    nor one of the block's own.
    """
    return not (is_forced_record(record) or is_block_record(record) or is_upgrade_record(record))


def decode_kernel_record(record: bytes) -> Genesis | Open | Close | Rebuild | None:
    """The kernel's own record, or None if it is an entry (a signed or forced action). Raises `DecodeError`."""
    if record[1:3] in _KERNEL_TAGS:
        return decode_canonical(_KERNEL_DECODER, record, what="record", limit=64 * 1024)
    return None


def make_signed_entry(rollup: MicroRollup, authenticated: Authenticated) -> Entry:
    """The entry of a signed action whose sender is known; authentication has made sure that its record is canonical."""
    record = authenticated.record
    action, scheme = _decode_action(rollup, record)
    sender, nonce, action_hash = authenticated.sender, authenticated.nonce, authenticated.action_hash
    if scheme == 0:
        return Entry(record, sender, nonce, action_hash, action)
    return Entry(record, sender, nonce, action_hash, action, scheme=scheme)


def make_envelope_entry(
    rollup: MicroRollup, rollup_id: bytes, enveloped: Enveloped, *, must_execute: bool = False
) -> Entry:
    """The entry of what came in an envelope of the app's own: it has no sender, and no kernel nonce."""
    return Entry(
        record=enveloped.record,
        sender=ZERO_ADDRESS,
        nonce=None,
        action_hash=compute_envelope_id(rollup_id, enveloped.name, enveloped.hash),
        action=rollup.envelopes[enveloped.name].decode_action(enveloped.action),
        kind="envelope",
        origin=enveloped.name,
        must_execute=must_execute,
    )


def make_entry(rollup: MicroRollup, rollup_id: bytes, authentic: Authenticated | Enveloped) -> Entry:
    """The entry of a record that was authenticated."""
    if isinstance(authentic, Enveloped):
        return make_envelope_entry(rollup, rollup_id, authentic)
    return make_signed_entry(rollup, authentic)


def make_block_entry(rollup_id: bytes, height: int) -> Entry:
    """The own entry of the block at `height`, which runs the app's hook; for apps that have one."""
    return Entry(
        record=BLOCK_RECORD,
        sender=ZERO_ADDRESS,
        nonce=None,
        action_hash=compute_block_entry_id(rollup_id, height),
        action=BlockBegin(),
        kind="block",
        origin="block",
    )


def make_upgrade_entry(rollup_id: bytes, height: int, index: int, record: bytes) -> Entry:
    """The entry of an upgrade block's record, at its place `index` among them."""
    return Entry(
        record=record,
        sender=ZERO_ADDRESS,
        nonce=None,
        action_hash=compute_upgrade_id(rollup_id, height, index),
        action=None,
        kind="upgrade",
        origin="upgrade",
    )


def _decode_action(rollup: MicroRollup, trusted: bytes) -> tuple[Action, int]:
    """The action of an authenticated record, and the scheme of its signature."""
    types = rollup.action_types
    record = types.decode_trusted(trusted)
    return types.to_action(record), get_scheme(record.signature)


def make_forced_entry(
    rollup: MicroRollup, rollup_id: bytes, forced: Forced, authenticator: Authenticator, *, twice: bool = False
) -> Entry:
    """The entry of what the queue holds: voided, invalid (status 3), or ready to execute.

    An L1 account's own action has no kernel nonce, nor has what came in an envelope. A carried one has its signer's,
    which is looked at when it executes. An envelope is opened `twice` where a verifier executes twice. A carrier has
    a candidate for each of its records.
    """
    entry = Entry(
        record=encode_record(forced),
        sender=forced.sender,
        nonce=None,
        action_hash=compute_forced_id(rollup_id, forced.index),
        action=None,
        status=VOIDED_FORCED if forced.voided else INVALID_FORCED,
        kind="forced",
        origin="l1",
        l1_sender=forced.sender,
    )
    if forced.voided:
        return entry
    try:
        match forced.payload[:1]:
            case payload.FORCED_FORMAT:
                action = payload.decode_forced_action(rollup, forced.payload)
                return replace(entry, action=action, status=EXECUTED)
            case payload.CARRIED_FORMAT:
                entry = replace(entry, opening_steps=authenticator.count_signature_steps(forced.payload[1:]))
                carried = payload.decode_carried_action(authenticator, forced.payload)
                action, scheme = _decode_action(rollup, carried.record)
                return replace(
                    entry,
                    sender=carried.sender,
                    nonce=carried.nonce,
                    action=action,
                    status=EXECUTED,
                    origin="signed",
                    signed_hash=carried.action_hash,
                    scheme=scheme,
                )
            case payload.ENVELOPE_FORMAT:
                name, raw = payload.decode_envelope_payload(forced.payload)
                enveloped = authenticator.open_envelope(name, raw, twice=twice)
                inner = make_envelope_entry(rollup, rollup_id, enveloped)
                return replace(
                    entry,
                    opening_steps=enveloped.steps,
                    sender=ZERO_ADDRESS,
                    action=inner.action,
                    status=EXECUTED,
                    origin=name,
                    signed_hash=inner.action_hash,
                )
            case carrier.CARRIER_FORMAT:
                records = carrier.decode_carrier(forced.payload)
                candidates = [_make_candidate(rollup, record, forced, authenticator) for record in records]
                return replace(entry, status=EXECUTED, candidates=tuple(candidates))
    except BadEnvelope as bad:
        return replace(entry, opening_steps=bad.steps)
    except (DecodeError, RefusedError):
        return entry
    return entry


def _make_candidate(
    rollup: MicroRollup, record: bytes, forced: Forced, authenticator: Authenticator
) -> CarriedCandidate:
    """One of a carrier's records: the same entry as a signed one's, but for where it came from."""
    steps = authenticator.count_signature_steps(record)
    try:
        signed = make_signed_entry(rollup, authenticator.authenticate_signed(record))
    except (DecodeError, RefusedError):
        return CarriedCandidate(None, steps)
    return CarriedCandidate(make_carried_entry(signed, forced.sender), steps)


def make_carried_entry(signed: Entry, l1_sender: bytes) -> Entry:
    """The entry of a signed action that came in a carrier, which the 20-byte `l1_sender` put into the queue."""
    return replace(signed, kind="carried", l1_sender=l1_sender)


def compute_carried_id(rollup_id: bytes, forced: Forced, status: int, authenticator: Authenticator) -> bytes | None:
    """The identity, as a signed action or as an envelope, by which an entry of the queue is in the log besides its own,
    by its receipt's status; None if it has only that one.

    Raises a `DecodeError` or a class of `RefusedError` for what cannot have had that status.
    """
    record = payload.find_carried_record(forced, status)
    if record is not None:
        return authenticator.authenticate_signed(record).action_hash
    envelope = payload.find_carried_envelope(forced, status)
    if envelope is None:
        return None
    enveloped = authenticator.open_envelope(*envelope)
    return compute_envelope_id(rollup_id, enveloped.name, enveloped.hash)
