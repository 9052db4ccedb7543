"""Carrying many signed actions to L1, for users who have no ether there, and telling what became of each.

A plan is written before anything is sent: which actions, in which carriers, from which place of the queue on. What was
sent is then seen on L1, so that a relayer that is killed at any moment goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.carrier import CARRIER_EVENT, MAX_CARRIER_BYTES, decode_carrier, encode_carrier
from microrollup.client import NotFound, SyncClient
from microrollup.codec.json import hex0x, read_hex
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.forcing import find_in_force, open_inbox
from microrollup.deployment.settings_file import write_secretly
from microrollup.errors import RefusedError, StoreFormat, UsageError
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.primitives import Address, Bytes32, Uint64
from microrollup.settlement.forced import compute_forced_id
from microrollup.settlement.place import L1Place
from microrollup.settlement.protocol import Inbox

__all__ = [
    "MAX_RELAYED",
    "RelayOutcome",
    "RelayedFate",
    "Plan",
    "RefusedLine",
    "RelayedAction",
    "count_fates",
    "find_receipt",
    "find_sent",
    "make_plan",
    "read_actions",
    "read_carrier",
    "read_fates",
    "read_plan",
    "send_carriers",
    "write_plan",
]

MAX_RELAYED: Final = 10_000
"""Actions of one plan: some 300 carriers."""

_ROOM: Final = MAX_CARRIER_BYTES - 4
"""For records, beside the first byte and the longest head of an array that fits."""

_ENTRIES_AT_ONCE: Final = 1_000
_MAX_PLAN_BYTES: Final = 64 << 20


class RelayedAction(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A signed action of a plan."""

    line: Uint64
    """Its line in the file, from 0."""
    action_hash: Bytes32
    sender: Address
    nonce: Uint64


class PlannedCarrier(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A payload, and what it brings, in its order."""

    payload: bytes
    actions: tuple[RelayedAction, ...]


class RefusedLine(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A line that no carrier takes."""

    line: Uint64
    code: str
    detail: str


class Plan(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="relay"):
    """What is carried, in which order."""

    rollup_id: Bytes32
    sender: Address
    """The L1 account that pays."""
    first_index: Uint64
    """How long the queue was before anything was sent."""
    carriers: Annotated[tuple[PlannedCarrier, ...], msgspec.Meta(max_length=MAX_RELAYED)]
    refused: tuple[RefusedLine, ...]


RelayOutcome = Literal["executed", "rejected", "faulted", "skipped", "invalid", "voided", "waiting", "not sent"]


class RelayedFate(msgspec.Struct, frozen=True):
    """What became of an action."""

    action: RelayedAction
    outcome: RelayOutcome
    """Skipped: the carrier's bitmap says that it was not taken. Invalid, voided: its carrier was. Waiting: in the
    queue, and in no block yet."""
    reason: str = ""
    index: int | None = None
    """Its carrier's place in the queue."""


def make_plan(rollup: MicroRollup, place: L1Place, lines: Iterable[bytes], key: SigningKey) -> Plan:
    """Pack signed actions, as lines of JSON, into carriers, in the order of the lines.

    What the rollup never takes, envelopes and what is too long for a carrier are refused line by line. Raises
    `UsageError` for another rollup's inbox or for more than `MAX_RELAYED` lines.
    """
    with closing(open_inbox(rollup, place, key)) as inbox:
        genesis = inbox.get_genesis()
        authenticator = Authenticator.of(find_in_force(rollup, inbox), genesis.domain)
        refused: list[RefusedLine] = []
        actions = list(read_actions(authenticator, lines, refused))
        first = inbox.get_forced_count(inbox.get_number())
        return Plan(compute_rollup_id(genesis), compute_address(key), first, tuple(_pack(actions)), tuple(refused))


def read_actions(
    authenticator: Authenticator, lines: Iterable[bytes], refused: list[RefusedLine]
) -> Iterator[tuple[int, Authenticated]]:
    """Signed actions that fit a carrier, with their lines; the others are added to `refused`."""
    for number, line in enumerate(lines):
        if number >= MAX_RELAYED:
            raise UsageError(f"more than {MAX_RELAYED} lines: relay them in parts")
        try:
            action = authenticator.authenticate_line(line)
        except RefusedError as error:
            refused.append(RefusedLine(number, error.code, error.detail))
            continue
        if not isinstance(action, Authenticated):
            refused.append(
                RefusedLine(number, "bad_envelope", "an envelope travels alone: `microrollup force --envelope`")
            )
        elif len(action.record) > _ROOM:
            refused.append(
                RefusedLine(
                    number, "too_large", f"{len(action.record)} bytes; carry it alone: `microrollup force --signed`"
                )
            )
        else:
            yield number, action


def _pack(actions: Iterable[tuple[int, Authenticated]]) -> Iterator[PlannedCarrier]:
    batch: list[tuple[int, Authenticated]] = []
    size = 0
    for line, action in actions:
        if batch and size + len(action.record) > _ROOM:
            yield _make_carrier(batch)
            batch, size = [], 0
        batch.append((line, action))
        size += len(action.record)
    if batch:
        yield _make_carrier(batch)


def _make_carrier(batch: list[tuple[int, Authenticated]]) -> PlannedCarrier:
    payload = encode_carrier([action.record for _, action in batch])
    planned = [RelayedAction(line, each.action_hash, each.sender, each.nonce) for line, each in batch]
    return PlannedCarrier(payload, tuple(planned))


def write_plan(path: Path, plan: Plan) -> None:
    """Make a plan durable, whole or not at all."""
    write_secretly(path, msgspec.msgpack.encode(plan))


def read_plan(path: Path) -> Plan:
    """A plan that was written. Raises `StoreFormat`."""
    try:
        with path.open("rb") as file:
            return msgspec.msgpack.decode(file.read(_MAX_PLAN_BYTES), type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreFormat(f"{path} is not a relayer's plan: {error}") from None


def send_carriers(
    rollup: MicroRollup, place: L1Place, plan: Plan, key: SigningKey, on_sent: Callable[[int], None] = lambda _: None
) -> list[int]:
    """Put the carriers of a plan that L1 does not have yet into the queue, in order; the place of each.

    Raises `UsageError` for a key or an inbox that the plan was not made for, and what the settlement's backend raises.
    """
    with closing(open_inbox(rollup, place, key)) as inbox:
        if (compute_rollup_id(inbox.get_genesis()), compute_address(key)) != (plan.rollup_id, plan.sender):
            raise UsageError("the plan was made for another rollup's inbox, or for another key")
        places = _find_places(inbox, plan)
        for number, carrier in enumerate(plan.carriers):
            if places[number] is None:
                places[number] = inbox.force(carrier.payload, sender=plan.sender)
                on_sent(len(carrier.actions))
        return [found for found in places if found is not None]


def find_sent(rollup: MicroRollup, place: L1Place, plan: Plan, key: SigningKey) -> list[int | None]:
    """The place in the queue of each carrier of a plan, None for what was not sent."""
    with closing(open_inbox(rollup, place, key)) as inbox:
        return _find_places(inbox, plan)


def _find_places(inbox: Inbox, plan: Plan) -> list[int | None]:
    """By L1's own record. Carriers with the same bytes are told apart by their order."""
    wanted: dict[bytes, list[int]] = {}
    for number, carrier in enumerate(plan.carriers):
        wanted.setdefault(carrier.payload, []).append(number)
    places: list[int | None] = [None] * len(plan.carriers)
    first = plan.first_index
    while entries := inbox.get_forced_entries(first, inbox.get_number(), _ENTRIES_AT_ONCE):
        for entry in entries:
            if entry.sender == plan.sender and (numbers := wanted.get(entry.payload)):
                places[numbers.pop(0)] = entry.index
        first += len(entries)
    return places


def read_fates(node: str, plan: Plan, places: Iterable[int | None]) -> list[RelayedFate]:
    """What became of each action, by what a node of the rollup answers: the carrier's bitmap, then its own receipt.

    Raises `UsageError` for the node of another rollup, and what the client raises.
    """
    fates: list[RelayedFate] = []
    with SyncClient(node, rollup_id=plan.rollup_id) as client:
        for carrier, index in zip(plan.carriers, places, strict=True):
            if index is None:
                fates += [RelayedFate(action, "not sent") for action in carrier.actions]
            else:
                fates += read_carrier(client, plan.rollup_id, carrier.payload, dict(enumerate(carrier.actions)), index)
    return fates


def read_carrier(
    client: SyncClient, rollup_id: bytes, payload: bytes, wanted: Mapping[int, RelayedAction], index: int
) -> list[RelayedFate]:
    """What became of actions of one carrier, by their places in it; `index` is its place in the queue."""
    actions = wanted.values()
    receipt = find_receipt(client, compute_forced_id(rollup_id, index))
    if receipt is None:
        return [RelayedFate(action, "waiting", index=index) for action in actions]
    if receipt["status"] != "executed":
        outcome: RelayOutcome = "voided" if receipt["status"].startswith("voided") else "invalid"
        return [RelayedFate(action, outcome, receipt["reason"], index) for action in actions]
    marks = _read_marks(receipt, len(decode_carrier(payload)))
    fates = []
    for place, action in wanted.items():
        found = find_receipt(client, action.action_hash)
        if not marks[place]:
            reason = "" if found is None else f"it came in another way: {found['status']}"
            fates.append(RelayedFate(action, "skipped", reason, index))
        elif found is None:
            fates.append(RelayedFate(action, "waiting", index=index))
        else:
            fates.append(RelayedFate(action, found["status"], found["reason"], index))
    return fates


def _read_marks(receipt: dict[str, Any], count: int) -> list[bool]:
    (data,) = [event["data"] for event in receipt["events"] if event["name"] == CARRIER_EVENT]
    bitmap = read_hex(data, "bitmap")
    return [bool(bitmap[place // 8] >> place % 8 & 1) for place in range(count)]


def find_receipt(client: SyncClient, action_hash: bytes) -> dict[str, Any] | None:
    """The receipt of an action, None if the node has none yet."""
    try:
        found: dict[str, Any] = client.call("getReceipt", hash=hex0x(action_hash))
    except NotFound:
        return None
    return found


def count_fates(fates: Iterable[RelayedFate]) -> dict[str, int]:
    """How many actions have which outcome."""
    return dict(Counter(fate.outcome for fate in fates))
