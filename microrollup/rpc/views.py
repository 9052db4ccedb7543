"""What the node knows, as the Structs that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from microrollup.chain.acknowledgement import EventForm, ReadFields, make_event_forms
from microrollup.chain.answers.actions import (
    ActionAnswer,
    ActionOrigin,
    BlockAnswer,
    BlockEntry,
    BlockNews,
    EnvelopeForm,
    EventNews,
    ForcedForm,
    HeaderAnswer,
    ReceiptAnswer,
)
from microrollup.chain.answers.confirmations import Confirmation, Level
from microrollup.chain.answers.state import ChangedKey, StateAnswer
from microrollup.chain.block import Header, compute_block_hash
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.block_json import make_seal_form
from microrollup.chain.envelope_record import decode_envelope_record, encode_envelope_record, is_envelope_record
from microrollup.chain.receipt import STATUS_NAMES
from microrollup.chain.record import Forced
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.codec.json import read_hex, to_json_value
from microrollup.declaration.events import EventReader
from microrollup.declaration.map import ABSENT
from microrollup.errors import DecodeError
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.execution.payload import FORCED_FORMAT, decode_forced_action, find_carried_record, find_opened_envelope
from microrollup.ledger.proof_json import key_to_json
from microrollup.node.changes import StateChange
from microrollup.node.confirmations import describe_outcome
from microrollup.node.lookups import ClosedBlock, Value
from microrollup.node.open_entries import LoggedAction
from microrollup.node.reading import ReadingNode

__all__ = ["Views"]


class Views:
    """Shows what one node knows."""

    def __init__(self, node: ReadingNode) -> None:
        self._node = node
        self.event_reader = EventReader(node.rollup.event_classes)
        self.read_fields = self.event_reader.read
        self._readers = {node.rollup: self.event_reader}

    def _find_reader(self, height: int) -> ReadFields:
        """Reads the events of a block as the version declares them that executed it."""
        version = self._node.lookups.codes.get(height)
        if version not in self._readers:
            self._readers[version] = EventReader(version.event_classes)
        return self._readers[version].read

    def level(self, action: LoggedAction) -> Level:
        """The confirmation level of an action: what its block has reached; its own outcome once that is closed."""
        level = self._node.confirmations.get_level(action.height)
        return describe_outcome(action.receipt.status) if level == "C1" else level

    def events(self, action: LoggedAction) -> list[EventNews]:
        """The events of an action, as subscribers get them."""
        return [_tell(action, event) for event in self._read_events(action)]

    def _read_events(self, action: LoggedAction) -> tuple[EventForm, ...]:
        return make_event_forms(action.receipt, self._find_reader(action.height))

    def receipt(self, action: LoggedAction) -> ReceiptAnswer:
        """What became of an action."""
        receipt = action.receipt
        return ReceiptAnswer(
            action_hash=receipt.action_hash,
            type=self._name_type(action),
            seq=action.seq,
            height=action.height,
            status=STATUS_NAMES[receipt.status],
            reason=receipt.reason,
            events=self._read_events(action),
            confirmation=self.level(action),
            sender=action.sender,
        )

    def action(self, action: LoggedAction) -> ActionAnswer:
        """An action as it was signed, or forced."""
        record = action.record
        place = action.receipt.action_hash, action.seq, action.height, action.sender
        shown: ForcedForm | UnsetType = UNSET
        if is_forced_record(record):
            forced = decode_forced(record)
            shown = ForcedForm(forced.index, forced.inclusion_block, forced.payload, forced.voided)
            carried = _take_carried(forced, action.receipt.status)
            if carried is None:
                return ActionAnswer(
                    *place, "l1", *self._read_forced(forced, action.height), signature=None, forced=shown
                )
            record = carried
        if is_block_record(record) or is_upgrade_record(record):
            return ActionAnswer(*place, _name_origin(record), None, None, signature=None)
        if is_envelope_record(record):
            envelope = decode_envelope_record(record)
            described = self._node.lookups.describe_enveloped(record, action.height)
            form = EnvelopeForm(envelope.name, envelope.raw)
            return ActionAnswer(*place, envelope.name, *described, signature=None, forced=shown, envelope=form)
        signed = self._node.lookups.decode_signed(record, action.height)
        signature = read_hex(signed["signature"], "signature")
        return ActionAnswer(*place, "signed", signed["type"], signed["message"], signature, forced=shown)

    def _read_forced(self, forced: Forced, height: int) -> tuple[str | None, dict[str, Any] | None]:
        """Type and message of an L1 account's own action; None for both if the payload is not one."""
        rollup = self._node.lookups.codes.get(height)
        if forced.voided or forced.payload[:1] != FORCED_FORMAT:
            return None, None
        try:
            action = decode_forced_action(rollup, forced.payload)
        except DecodeError:
            return None, None
        action_type = rollup.action_types.by_name[type(action).__name__]
        return action_type.name, to_json_value(action_type.type, action)

    def header(self, header: Header) -> HeaderAnswer:
        """The words of a header, and its hash."""
        return HeaderAnswer(**msgspec.structs.asdict(header), hash=compute_block_hash(header))

    def block_news(self, header: Header) -> BlockNews:
        """A closed block without its entries, as subscribers get it."""
        return BlockNews(header, compute_block_hash(header), self._node.confirmations.get_level(header.height))

    def block(self, block: ClosedBlock, changes: Sequence[Sequence[StateChange]] | None = None) -> BlockAnswer:
        """A closed block with its entries and what became of them; `changes` is what each of them changed."""
        entries = [self._entry(action) for action in block.actions]
        if changes is not None:
            entries = [
                msgspec.structs.replace(entry, changes=tuple([self._change(change) for change in changed]))
                for entry, changed in zip(entries, changes, strict=True)
            ]
        return BlockAnswer(
            header=block.header,
            hash=block.hash,
            seal=None if block.seal is None else make_seal_form(block.seal),
            actions=tuple(entries),
            confirmation=self._node.confirmations.get_level(block.header.height),
        )

    def _entry(self, action: LoggedAction) -> BlockEntry:
        receipt = action.receipt
        return BlockEntry(
            seq=action.seq,
            hash=receipt.action_hash,
            type=self._name_type(action),
            sender=action.sender,
            origin=_name_origin(_take_record(action)),
            status=STATUS_NAMES[receipt.status],
            reason=receipt.reason,
        )

    def _name_type(self, action: LoggedAction) -> str | None:
        """The type of a stored action; None for a forced one whose payload is not an action, and for the hook."""
        record = _take_record(action)
        if is_block_record(record) or is_upgrade_record(record):
            return None
        if is_envelope_record(record):
            return self._name_enveloped(record, action.height)
        if is_forced_record(record):
            return self._read_forced(decode_forced(record), action.height)[0]
        types = self._node.lookups.codes.get(action.height).action_types
        return types.by_record_type[type(types.decode_record(record))].name

    def _name_enveloped(self, record: bytes, height: int) -> str | None:
        """The type of what came in an envelope: the only one there, or found out by opening it."""
        envelope = self._node.lookups.codes.get(height).envelopes.get(decode_envelope_record(record).name)
        names = [] if envelope is None else [*envelope.types.by_name]
        return names[0] if len(names) == 1 else self._node.lookups.describe_enveloped(record, height)[0]

    def value(self, value: Value) -> StateAnswer:
        """What a field holds at a key."""
        shown = to_json_value(value.field.value_type, value.value) if value.exists else None
        return StateAnswer(value.field.name, key_to_json(value.field, value.key), value.exists, shown, value.height)

    def _change(self, change: StateChange) -> ChangedKey:
        field = change.field
        before, after = [
            None if value is ABSENT else to_json_value(field.value_type, value)
            for value in (change.before, change.after)
        ]
        return ChangedKey(field.name, key_to_json(field, change.key), before, after)

    def confirmed(self, height: int, level: Level, depth: int | None) -> Confirmation:
        """The level that a height has reached; how deep it is settled, or what is wrong with it."""
        divergent = self._node.confirmations.divergent if level == "C2X" else None
        return Confirmation(level, height, depth, UNSET if divergent is None else divergent)


def _name_origin(record: bytes) -> ActionOrigin:
    if is_block_record(record):
        return "block"
    if is_upgrade_record(record):
        return "upgrade"
    if is_envelope_record(record):
        return decode_envelope_record(record).name
    return "l1" if is_forced_record(record) else "signed"


def _take_record(action: LoggedAction) -> bytes:
    """The record of a signed action or an envelope, also of one that was carried; else the entry's own."""
    if not is_forced_record(action.record):
        return action.record
    return _take_carried(decode_forced(action.record), action.receipt.status) or action.record


def _take_carried(forced: Forced, status: int) -> bytes | None:
    """The record of what an entry of the queue carried: a signed action or an envelope, None for an own action."""
    envelope = find_opened_envelope(forced, status)
    return find_carried_record(forced, status) if envelope is None else encode_envelope_record(*envelope)


def _tell(action: LoggedAction, event: EventForm) -> EventNews:
    return EventNews(
        event.name,
        event.data,
        event.fields,
        action_hash=action.receipt.action_hash,
        seq=action.seq,
        height=action.height,
        sender=action.sender,
    )
