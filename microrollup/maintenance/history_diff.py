"""`diff_history`: recorded blocks executed by other code, and what comes out differently. The store is only read.

The state goes on from block to block as the other code makes it, so what follows a difference may differ too. The
recorded side is what the store holds: receipts, and per block the rows that changed, as far as these are retained.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from microrollup.chain.block import Block, compute_rollup_id
from microrollup.chain.block_entry import is_block_record
from microrollup.chain.carrier import decode_bitmap
from microrollup.chain.receipt import INVALID_FORCED, Receipt
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.declaration.manifest import decode_manifest
from microrollup.declaration.map import Map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import State
from microrollup.errors import DecodeError, MicrorollupError, RefusedError, StoreCorrupt, UsageError
from microrollup.execution.authentication import Authentication, Authenticator
from microrollup.execution.authentication_pool import RecordChunk
from microrollup.execution.block_context import BlockContext
from microrollup.execution.entry import (
    decode_forced,
    is_forced_record,
    is_signed_record,
    make_block_entry,
    make_entry,
    make_forced_entry,
)
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, Entry, Stopped, apply_actions
from microrollup.ledger.code import read_manifests
from microrollup.ledger.genesis import read_genesis
from microrollup.ledger.past_state import read_past_state
from microrollup.limits import relaxed_limits
from microrollup.maintenance.replay import RecordAuthentication
from microrollup.store.environment import Environment, Transaction, encode_number
from microrollup.store.row_changes import decode_row_changes
from microrollup.store.row_check import unpack_row
from microrollup.store.tables import get_block_records, get_block_row, get_checkpoint, get_log_start, get_receipt

__all__ = ["ActionDifference", "BlockDifference", "HistoryDiff", "TypeCount", "diff_history"]

BLOCK_HOOK: Final = "(block hook)"
UNREADABLE: Final = "(unreadable)"
CARRIER: Final = "(carrier)"
"""In place of a type: the block's own entry, a forced payload that is not an action of this code, and one that brings
many.
"""


class ActionDifference(msgspec.Struct, frozen=True):
    """What one entry does otherwise."""

    height: int
    seq: int | None
    """None for a run of a hook that was not recorded."""
    type: str
    recorded: Receipt | None
    executed: Receipt | None
    note: str
    """Why there is no receipt on one side; empty otherwise."""
    fields: tuple[str, ...]
    """Of the state: those in which the entry now leaves another value than was recorded for its block."""


class BlockDifference(msgspec.Struct, frozen=True):
    """In which state fields a block ends otherwise, and at how many keys."""

    height: int
    fields: dict[str, int]


class TypeCount(msgspec.Struct):
    """What differs over all entries of one type."""

    entries: int = 0
    outcome: int = 0
    """Another status or reason, or no receipt on one side."""
    events: int = 0
    fields: dict[str, int] = msgspec.field(default_factory=dict[str, int])


class HistoryDiff(msgspec.Struct):
    """What other code makes of recorded blocks."""

    first: int
    last: int
    types: dict[str, TypeCount]
    differing: int = 0
    actions: list[ActionDifference] = msgspec.field(default_factory=list[ActionDifference])
    """The first ones that differ, in order."""
    blocks: list[BlockDifference] = msgspec.field(default_factory=list[BlockDifference])
    """The first ones that differ."""
    fields_unknown: int = 0
    """Blocks whose recorded rows are not comparable: no longer retained, or of another shape of the state."""


def diff_history(
    environment: Environment,
    rollup: MicroRollup,
    pool: RecordAuthentication,
    first: int | None = None,
    *,
    limit: int,
    on_block: Callable[[int], None] = lambda _: None,
) -> HistoryDiff:
    """Execute the closed blocks from height `first` on by the code of `rollup`, and compare.

    Without `first` it begins with the genesis of `rollup`; otherwise, and in a restored store, with the recorded state
    before it. At most `limit` differing actions and blocks are listed, all are counted. Raises `UsageError` for a
    height that does not exist, or a recorded state of another shape; `NotRetained`, `StoreCorrupt`.
    """
    with environment.snapshot() as txn:
        run = _Run(environment, txn, rollup, first, limit)
        version = len(rollup.versions) - 1
        chunks = (RecordChunk(filter(is_signed_record, block.records), version) for block in run.read())
        outcomes = pool.authenticate_records(chunks)
        with relaxed_limits():
            for block, signed in zip(run.read(), outcomes, strict=True):
                run.execute(block, iter(signed))
                on_block(block.header.height)
        return run.diff


class _Run:
    """The other code's state on its way through the blocks."""

    def __init__(
        self, environment: Environment, txn: Transaction, rollup: MicroRollup, first: int | None, limit: int
    ) -> None:
        self._environment, self._txn, self._rollup, self._limit = environment, txn, rollup, limit
        tables = environment.tables
        genesis = read_genesis(environment)
        self._rollup_id = compute_rollup_id(genesis)
        self._authenticator = Authenticator.of(rollup, genesis.domain)
        start = get_log_start(txn, tables)
        tip = get_checkpoint(txn, tables).height
        lowest = 1 if start is None else start.height + 1
        begin = lowest if first is None else first
        if not lowest <= begin <= tip:
            raise UsageError(f"there is no block {begin} to execute: the store has {lowest} to {tip}")
        if rollup.previous is not None and begin == 1:
            raise UsageError(
                f"version {rollup.version} follows on {rollup.previous.app.version}, whose blocks it does not execute:"
                " compare an edit of the version that built them, or begin after the upgrade"
            )
        self._manifests = {stf_id: decode_manifest(raw) for stf_id, raw in read_manifests(environment).items()}
        self._state: State = rollup.genesis
        self._carried: deque[Entry | None] = deque()
        """What follows of the records that a carrier brought."""
        if begin > 1:
            before = get_block_row(txn, tables, begin - 1)
            if before is None or not self._has_shape(before.header.stf_id):
                raise UsageError(
                    f"the state before block {begin} has another shape than this code's: begin elsewhere, at block 1"
                    " with an edit of the first version"
                )
            self._state = read_past_state(environment, txn, rollup, begin - 1, lambda: None)
        self._other: dict[bytes, tuple[bytes | None, bytes | None]] = {}
        """Row key -> recorded and executed value, of the rows that differ so far."""
        self._fields = {field.row_prefix: field for field in rollup.state_type.fields}
        self.diff = HistoryDiff(begin, tip, {})

    def read(self) -> Iterator[Block]:
        """The blocks, in order."""
        for height in range(self.diff.first, self.diff.last + 1):
            block = self._get_block(height)
            if any(map(is_upgrade_record, block.records)):
                raise UsageError(f"block {height} upgrades to another version: what follows it is not compared")
            yield block

    def _get_block(self, height: int) -> Block:
        tables = self._environment.tables
        row = get_block_row(self._txn, tables, height)
        if row is None or row.seal is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return Block(row.header, row.open, get_block_records(self._txn, tables, self._rollup_id, row), row.seal)

    def _has_shape(self, stf_id: bytes) -> bool:
        """Whether rows of the state after a block of that code are rows of this one: the same types under the same
        numbers.
        """
        manifest, shape = self._manifests.get(stf_id), self._rollup.state_type
        if manifest is None or manifest.state_schema != shape.schema:
            return False
        numbers = {(field.name, field.metadata): field.number for field in manifest.fields}
        return numbers == {(field.name, not field.settled): field.number for field in shape.fields}

    def execute(self, block: Block, outcomes: Iterator[Authentication]) -> None:
        """Execute a block's entries, each with the whole budget of a block, and note what differs. What carriers
        brought executes as what it is: signed actions.
        """
        made: list[tuple[ActionDifference, dict[bytes, bytes | None]]] = []
        before: dict[bytes, bytes | None] = {}
        records = list(enumerate(block.records, block.header.first_seq))
        if self._rollup.on_block is not None and not (records and is_block_record(records[0][1])):
            entry = make_block_entry(self._rollup_id, block.header.height)
            made.append(self._try(block, None, BLOCK_HOOK, entry, None, before))
        for seq, record in records:
            receipt = self._read_receipt(seq)
            name, read = self._read_entry(block.header.height, record, receipt, outcomes)
            made.append(self._try(block, seq, name, read, receipt, before))
        after = {key: row for _, rows in made for key, row in rows.items()}
        wrong = self._compare_rows(block, before, after)
        for difference, rows in made:
            names = sorted({self._fields[key[:2]].name for key in wrong & rows.keys()})
            self._count(msgspec.structs.replace(difference, fields=tuple(names)))

    def _read_receipt(self, seq: int) -> Receipt:
        raw = get_receipt(self._txn, self._environment.tables, seq)
        if raw is None:
            raise StoreCorrupt(f"receipts/{seq}", "missing")
        return decode_receipt(raw)

    def _read_entry(
        self, height: int, record: bytes, receipt: Receipt, outcomes: Iterator[Authentication]
    ) -> tuple[str, Entry | str]:
        """The entry's type, and the entry as this code reads it, or why it does not."""
        rollup = self._rollup
        if is_block_record(record):
            hooked = rollup.on_block is not None
            return BLOCK_HOOK, make_block_entry(self._rollup_id, height) if hooked else "this code has no block hook"
        if self._carried:
            entry, _ = self._carried.popleft(), next(outcomes)
            if entry is None or entry.action_hash != receipt.action_hash:
                return _read_name(record), "not an action of this code"
            return type(entry.action).__name__, entry
        if is_forced_record(record):
            entry = make_forced_entry(rollup, self._rollup_id, decode_forced(record), self._authenticator)
            name = UNREADABLE if entry.action is None else type(entry.action).__name__
            if entry.nonce is not None and receipt.status == INVALID_FORCED:
                # carried in vain: its nonce was not the next one, which other code does not change
                entry = msgspec.structs.replace(entry, nonce=None, action=None, status=INVALID_FORCED)
            if entry.candidates is not None:
                marks = decode_bitmap(receipt, len(entry.candidates))
                taken = [each for each, is_taken in zip(entry.candidates, marks, strict=True) if is_taken]
                self._carried.extend([candidate.entry for candidate in taken])
                return CARRIER, entry
            return name, entry
        outcome, name = next(outcomes), _read_name(record)
        # another schema gives another digest, and so another sender: the wallet signed something else
        if isinstance(outcome, (RefusedError, DecodeError)):
            return name, "not an action of this code"
        entry = make_entry(rollup, self._rollup_id, outcome)
        if entry.action_hash != receipt.action_hash:
            return name, "not an action of this code"
        return type(entry.action).__name__, entry

    def _try(
        self,
        block: Block,
        seq: int | None,
        name: str,
        entry: Entry | str,
        recorded: Receipt | None,
        before: dict[bytes, bytes | None],
    ) -> tuple[ActionDifference, dict[bytes, bytes | None]]:
        """Execute one entry on the state; its receipt beside the recorded one, and the rows that it leaves."""
        note, executed = "was not recorded" if recorded is None else "", None
        journal = Journal(len(self._rollup.state_type.fields))
        if isinstance(entry, str):
            note = entry
        elif entry.candidates is not None:
            executed = recorded  # what it brings follows; which of it was taken, other code hardly changes
        else:
            nonces: Map[bytes, int] = Map({entry.sender: entry.nonce}) if entry.nonce else Map()
            context = BlockContext(
                block.header.height, block.header.timestamp, seq or 0, journal, rebuilt=True, rollup_id=self._rollup_id
            )
            try:
                chain, (executed,) = apply_actions(self._rollup, ChainState(self._state, nonces, 0), [entry], context)
                self._state = chain.app
            except Stopped as stopped:
                note = str(stopped)
        rows: dict[bytes, bytes | None] = {}
        for field, touched in zip(self._rollup.state_type.fields, journal.fields, strict=True):
            for key, change in touched.items():
                before.setdefault(field.row_prefix + key, change.row_before)
                rows[field.row_prefix + key] = change.row
        return ActionDifference(block.header.height, seq, name, recorded, executed, note, ()), rows

    def _compare_rows(
        self, block: Block, before: dict[bytes, bytes | None], after: dict[bytes, bytes | None]
    ) -> set[bytes]:
        """The rows that this block has changed on either side, and that now differ."""
        height = block.header.height
        raw = self._txn.get(encode_number(height), db=self._environment.tables["changes"])
        if raw is None or not self._has_shape(block.header.stf_id):
            self.diff.fields_unknown += 1
            return set()
        recorded = {
            change.key: tuple(None if row is None else unpack_row(change.key, row) for row in (change.old, change.new))
            for change in decode_row_changes(height, bytes(raw))
            if change.key[:2] in self._fields
        }
        wrong: set[bytes] = set()
        for key in recorded.keys() | after.keys():
            was, here = self._other.get(key, (None, None))
            known = key in self._other
            ours = recorded[key][1] if key in recorded else was if known else before[key]
            theirs = after[key] if key in after else here if known else recorded[key][0]
            if ours == theirs:
                self._other.pop(key, None)
            else:
                self._other[key] = (ours, theirs)
                wrong.add(key)
        if wrong and len(self.diff.blocks) < self._limit:
            names = sorted(self._fields[key[:2]].name for key in wrong)
            self.diff.blocks.append(BlockDifference(height, {name: names.count(name) for name in dict.fromkeys(names)}))
        return wrong

    def _count(self, difference: ActionDifference) -> None:
        count = self.diff.types.setdefault(difference.type, TypeCount())
        count.entries += 1
        outcome, events = True, False
        if (recorded := difference.recorded) is not None and (executed := difference.executed) is not None:
            outcome = (recorded.status, recorded.reason) != (executed.status, executed.reason)
            events = recorded.events != executed.events
        count.outcome += outcome
        count.events += events
        for name in difference.fields:
            count.fields[name] = count.fields.get(name, 0) + 1
        if outcome or events or difference.fields:
            self.diff.differing += 1
            if len(self.diff.actions) < self._limit:
                self.diff.actions.append(difference)


def _read_name(record: bytes) -> str:
    """The type that a signed action's record names, whether this code knows it or not."""
    try:
        name = msgspec.msgpack.decode(record, type=list[msgspec.Raw])[0]
        return str(msgspec.msgpack.decode(name, type=str))
    except (msgspec.MsgspecError, IndexError, MicrorollupError):
        return UNREADABLE
