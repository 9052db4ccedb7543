"""What became of signed actions that somebody carried to L1: looked for in all carriers of the queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Final

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.carrier import CARRIER_FORMAT, decode_carrier
from microrollup.client import SyncClient
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.forcing import find_in_force
from microrollup.deployment.relaying import (
    RefusedLine,
    RelayedAction,
    RelayedFate,
    RelayOutcome,
    find_receipt,
    read_actions,
    read_carrier,
)
from microrollup.errors import DecodeError, UsageError
from microrollup.execution.authentication import Authenticator
from microrollup.settlement.forced import ForcedEntry
from microrollup.settlement.place import L1Place, open_l1
from microrollup.settlement.protocol import L1View

__all__ = ["find_fates"]

_ENTRIES_AT_ONCE: Final = 1_000
_RANKS: Final[tuple[RelayOutcome, ...]] = (
    "executed", "rejected", "faulted", "waiting", "skipped", "invalid", "voided", "not sent",
)  # fmt: skip
"""Of an action that several carriers brought, the first of these holds."""
_NOT_TAKEN: Final = _RANKS[4:]
"""By a carrier: it may have come alone, forced or submitted."""


def find_fates(
    rollup: MicroRollup, place: L1Place, lines: Iterable[bytes], node: str, first_index: int = 0
) -> tuple[list[RelayedFate], list[RefusedLine]]:
    """What became of signed actions, as lines of JSON, and which lines no carrier takes.

    The queue is read from `first_index` on; a node of the rollup has the carriers' bitmaps and receipts. Raises
    `UsageError` for another rollup's inbox, and what the settlement's backend and the client raise.
    """
    with closing(open_l1(place)) as inbox:
        genesis = inbox.get_genesis()
        if genesis.name != rollup.name:
            raise UsageError(f"the inbox is of the rollup {genesis.name!r}, not of {rollup.name!r}")
        rollup_id, refused = compute_rollup_id(genesis), list[RefusedLine]()
        authenticator = Authenticator.of(find_in_force(rollup, inbox), genesis.domain)
        wanted = {
            action.record: RelayedAction(line, action.action_hash, action.sender, action.nonce)
            for line, action in read_actions(authenticator, lines, refused)
        }
        best = {action.line: RelayedFate(action, "not sent") for action in wanted.values()}
        with SyncClient(node, rollup_id=rollup_id) as client:
            for entry in _read_queue(inbox, first_index):
                found = {at: wanted[each] for at, each in enumerate(_list_records(entry)) if each in wanted}
                for fate in read_carrier(client, rollup_id, entry.payload, found, entry.index) if found else ():
                    line = fate.action.line
                    best[line] = min(best[line], fate, key=lambda each: _RANKS.index(each.outcome))
            for line, fate in best.items():
                if fate.outcome in _NOT_TAKEN and (receipt := find_receipt(client, fate.action.action_hash)):
                    best[line] = RelayedFate(fate.action, receipt["status"], receipt["reason"])
    return [best[line] for line in sorted(best)], refused


def _read_queue(inbox: L1View, first: int) -> Iterator[ForcedEntry]:
    number = inbox.get_number()
    while entries := inbox.get_forced_entries(first, number, _ENTRIES_AT_ONCE):
        yield from entries
        first += len(entries)


def _list_records(entry: ForcedEntry) -> tuple[bytes, ...]:
    """What a carrier brings; nothing for other entries, and for one that is not canonical."""
    if not entry.payload.startswith(CARRIER_FORMAT):
        return ()
    try:
        return tuple(decode_carrier(entry.payload))
    except DecodeError:
        return ()
