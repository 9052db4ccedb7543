"""What the node knows, as plain JSON objects: names in camelCase, bytes as 0x-hex, large integers as strings."""

from __future__ import annotations

from typing import Any

from microrollup.block import Header, compute_block_hash
from microrollup.block_json import header_to_json, seal_to_json
from microrollup.codec.json import hex0x, to_json_value
from microrollup.entry import decode_forced, is_forced_record, make_forced_entry
from microrollup.errors import DecodeError
from microrollup.map import ABSENT
from microrollup.node.changes import StateChange
from microrollup.node.confirmations import describe_outcome
from microrollup.node.events import EventReader
from microrollup.node.lookups import ClosedBlock, Value
from microrollup.node.open_entries import LoggedAction
from microrollup.node.runtime import Node
from microrollup.proof_json import key_to_json
from microrollup.receipt import STATUS_NAMES, Receipt

__all__ = ["Views"]


class Views:
    """Writes what one node knows."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._events = EventReader(node.rollup)

    def events(self, receipt: Receipt) -> list[dict[str, Any]]:
        """The events of a receipt: name, bytes, and the members where the event's class is known."""
        documents = []
        for name, data in receipt.events:
            document: dict[str, Any] = {"name": name, "data": hex0x(data)}
            fields = self._events.read(name, data)
            if fields is not None:
                document["fields"] = fields
            documents.append(document)
        return documents

    def level(self, action: LoggedAction) -> str:
        """The confirmation level of an action: what its block has reached, or its own outcome."""
        level = self._node.confirmations.get_level(action.height)
        return describe_outcome(action.receipt.status) if level in ("C0", "C1") else level

    def receipt(self, action: LoggedAction) -> dict[str, Any]:
        """What became of an action."""
        receipt = action.receipt
        return {
            "actionHash": hex0x(receipt.action_hash),
            "type": self._name_type(action.record),
            "seq": action.seq,
            "height": action.height,
            "status": STATUS_NAMES[receipt.status],
            "reason": receipt.reason,
            "events": self.events(receipt),
            "confirmation": self.level(action),
            "sender": None if action.sender is None else hex0x(action.sender),
        }

    def action(self, action: LoggedAction) -> dict[str, Any]:
        """An action as it was signed, or forced."""
        document: dict[str, Any] = {
            "hash": hex0x(action.receipt.action_hash),
            "seq": action.seq,
            "height": action.height,
            "sender": None if action.sender is None else hex0x(action.sender),
        }
        if is_forced_record(action.record):
            return document | {"origin": "l1", "signature": None} | self._forced(action.record)
        return document | {"origin": "signed"} | self._node.lookups.decode_signed(action.record)

    def _forced(self, record: bytes) -> dict[str, Any]:
        """A forced action: its message as far as it decodes, and how it lies in the inbox's queue."""
        forced = decode_forced(record)
        document: dict[str, Any] = {
            "type": None,
            "message": None,
            "forced": {
                "index": forced.index,
                "inclusionBlock": forced.inclusion_block,
                "payload": hex0x(forced.payload),
                "voided": forced.voided,
            },
        }
        rollup = self._node.rollup
        try:
            entry = make_forced_entry(rollup, self._node.rollup_id, forced)
        except DecodeError:
            return document
        if entry.action is not None:
            action_type = rollup.action_types.by_name[type(entry.action).__name__]
            document |= {"type": action_type.name, "message": to_json_value(action_type.type, entry.action)}
        return document

    def header(self, header: Header) -> dict[str, Any]:
        """The words of a header, and its hash."""
        return {**header_to_json(header), "hash": hex0x(compute_block_hash(header))}

    def block_summary(self, header: Header) -> dict[str, Any]:
        """A closed block without its entries, as subscribers get it."""
        return {
            "header": header_to_json(header),
            "hash": hex0x(compute_block_hash(header)),
            "confirmation": self._node.confirmations.get_level(header.height),
        }

    def block(self, block: ClosedBlock) -> dict[str, Any]:
        """A closed block with its entries and what became of them."""
        return {
            "header": header_to_json(block.header),
            "hash": hex0x(block.hash),
            "seal": None if block.seal is None else seal_to_json(block.seal),
            "actions": [self._entry(action) for action in block.actions],
            "confirmation": self._node.confirmations.get_level(block.header.height),
        }

    def _entry(self, action: LoggedAction) -> dict[str, Any]:
        receipt = action.receipt
        forced = is_forced_record(action.record)
        return {
            "seq": action.seq,
            "hash": hex0x(receipt.action_hash),
            "type": self._name_type(action.record),
            "sender": None if action.sender is None else hex0x(action.sender),
            "origin": "l1" if forced else "signed",
            "status": STATUS_NAMES[receipt.status],
            "reason": receipt.reason,
        }

    def _name_type(self, record: bytes) -> str | None:
        """The type of a stored action; None for a forced one whose payload is none."""
        if is_forced_record(record):
            name: str | None = self._forced(record)["type"]
            return name
        types = self._node.rollup.action_types
        return types.by_record_type[type(types.decode_record(record))].name

    def value(self, value: Value) -> dict[str, Any]:
        """What a field holds at a key."""
        shown = to_json_value(value.field.value_type, value.value) if value.exists else None
        return {
            "field": value.field.name,
            "key": key_to_json(value.field, value.key),
            "exists": value.exists,
            "value": shown,
            "height": value.height,
        }

    def change(self, change: StateChange) -> dict[str, Any]:
        """What an action changed: a state key, its value before and after; null where there was or is none."""
        field = change.field
        before, after = [
            None if value is ABSENT else to_json_value(field.value_type, value)
            for value in (change.before, change.after)
        ]
        return {"field": field.name, "key": key_to_json(field, change.key), "before": before, "after": after}

    def confirmed(self, height: int, level: str, depth: int | None) -> dict[str, Any]:
        """The level that a height has reached; how deep it is settled, or what is wrong with it."""
        document: dict[str, Any] = {"level": level, "height": height, "settledDepth": depth}
        divergent = self._node.confirmations.divergent
        if level == "C2X" and divergent is not None:
            document["divergence"] = {
                "height": divergent.height,
                "seq": divergent.seq,
                "field": divergent.field,
                "expected": divergent.expected,
                "found": divergent.found,
            }
        return document
