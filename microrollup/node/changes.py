"""What each action of a closed block changed: its entries executed again on the state before the block.

Nothing of this is kept anywhere: the state before is read through the changes of later blocks, as far as they are
retained, and execution is `apply_actions`, one entry at a time.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from microrollup.chain.block_entry import is_block_record
from microrollup.chain.carrier import count_carried
from microrollup.chain.envelope_record import is_envelope_record
from microrollup.chain.receipt import EXECUTED
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.declaration.map import Map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.errors import LimitExceeded
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.execution.block_context import BlockContext
from microrollup.execution.entry import (
    decode_forced,
    is_forced_record,
    make_block_entry,
    make_carried_entry,
    make_entry,
    make_forced_entry,
    make_signed_entry,
)
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, Entry, apply_actions
from microrollup.ledger.code import get_code_at
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.past_state import read_past_state
from microrollup.node.lookups import ClosedBlock
from microrollup.node.open_entries import LoggedAction

__all__ = ["StateChange", "read_changes"]

LIMIT_SECONDS: Final = 2.0


class StateChange(msgspec.Struct, frozen=True):
    """A key's change by one action; `ABSENT` where there was, or is, no value."""

    field: StateField
    key: bytes
    """Encoded."""
    before: Any
    after: Any


def read_changes(ledger: Ledger, block: ClosedBlock) -> list[list[StateChange]]:
    """The changes of each of the block's entries, in order.

    Raises `NotRetained`, and `LimitExceeded` for a block that takes longer than a reader may.
    """
    if not block.actions:
        return []
    height, timestamp = block.header.height, block.header.timestamp
    if any(is_upgrade_record(action.record) for action in block.actions):
        return [[] for _ in block.actions]  # a migration may change everything
    deadline = time.monotonic() + LIMIT_SECONDS

    def watch() -> None:
        if time.monotonic() > deadline:
            raise LimitExceeded(f"block {height} is too far back to be executed again in {LIMIT_SECONDS:g} s")

    changes: list[list[StateChange]] = []
    with ledger.environment.snapshot() as txn:
        rollup = get_code_at(ledger.environment, txn, ledger.app, height)
        authenticator = ledger.find_authenticator(block.header)
        app = read_past_state(ledger.environment, txn, rollup, height - 1, watch)
        brought: list[bytes] = []  # for what follows and came in a carrier: who put that into the queue
        for action in block.actions:
            if time.monotonic() > deadline:
                raise LimitExceeded(f"block {height} takes longer than {LIMIT_SECONDS:g} s to execute again")
            journal = Journal(len(rollup.state_fields))
            l1_sender = brought.pop() if brought else None
            if action.receipt.status == EXECUTED:
                entry = _make_entry(rollup, ledger.rollup_id, authenticator, action)
                if l1_sender is not None:
                    entry = make_carried_entry(entry, l1_sender)
                nonces: Map[bytes, int] = Map({entry.sender: entry.nonce}) if entry.nonce else Map()
                context = BlockContext(height, timestamp, action.seq, journal, rollup_id=ledger.rollup_id)
                if entry.candidates is None:
                    app = apply_actions(rollup, ChainState(app, nonces, 0), [entry], context)[0].app
                else:
                    brought = [entry.l1_sender] * count_carried(action.receipt)
            changes.append(
                [
                    StateChange(field, encoded, change.before, change.after)
                    for field, touched in zip(rollup.state_type.fields, journal.fields, strict=True)
                    for encoded, change in touched.items()
                ]
            )
    return changes


def _make_entry(rollup: MicroRollup, rollup_id: bytes, authenticator: Authenticator, action: LoggedAction) -> Entry:
    """The entry of a logged action; its signature was checked when it was taken."""
    if is_block_record(action.record):
        return make_block_entry(rollup_id, action.height)
    if is_forced_record(action.record):
        return make_forced_entry(rollup, rollup_id, decode_forced(action.record), authenticator)
    if is_envelope_record(action.record):
        return make_entry(rollup, rollup_id, authenticator.open_record(action.record))
    nonce = rollup.action_types.decode_trusted(action.record).nonce
    sender = action.sender or b""
    return make_signed_entry(rollup, Authenticated(action.record, sender, nonce, action.receipt.action_hash))
