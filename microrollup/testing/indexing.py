"""The indexes of an app over the blocks of a test's run, filled as a node fills them, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from microrollup.chain.block import Header
from microrollup.chain.block_entry import BlockBegin
from microrollup.chain.receipt import STATUS_NAMES
from microrollup.declaration.index import BlockReceipt, Change, IndexBlock, IndexType, IndexView
from microrollup.declaration.map import ABSENT, Absent, Map, bind_map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.errors import IndexNotReady
from microrollup.execution.indexing import IndexFault, IndexRunner
from microrollup.ledger.indexes.blocks import find_field
from microrollup.ledger.viewing import ReadFault
from microrollup.primitives import ZERO_ADDRESS, ZERO_BYTES32
from microrollup.testing.executed import EventDecoder, ExecutedBlock, Execution

__all__ = ["fill_index"]


class _Rows:
    """The rows of one index, encoded (a `MapSource`)."""

    def __init__(self, field: StateField, rows: dict[bytes, bytes]) -> None:
        self._field = field
        self._rows = rows
        self.key_class = field.key_classes

    def load(self, key: Any) -> Any | Absent:
        raw = self._rows.get(self._field.encode_key(key))
        return ABSENT if raw is None else self._field.decode_row(raw)

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        for key in sorted(self._rows, reverse=reverse):
            if start <= key and (stop is None or key < stop):
                yield self._field.decode_key(key), self._field.decode_row(self._rows[key])

    def sort_key(self, key: Any) -> bytes:
        return self._field.encode_key(key)

    def sort_prefix(self, prefix: Any) -> bytes:
        return self._field.encode_prefix(prefix)


class _Source:
    """What of a header there is without a store."""

    def __init__(self, height: int, timestamp: int, action_count: int, first_seq: int) -> None:
        self.height = height
        self.timestamp = timestamp
        self._action_count = action_count
        self._first_seq = first_seq

    def read_header(self) -> Header:
        zero = ZERO_BYTES32
        return Header(
            zero, self.height, zero, self.timestamp, zero, 0, 0, zero, self._first_seq, self._action_count, zero, zero,
            zero, zero,
        )  # fmt: skip

    def read_first_builder(self) -> bytes:
        return ZERO_ADDRESS


class _RunBlock(_Source):
    """A block of a run (a `IndexBlockSource`)."""

    def __init__(self, app: MicroRollup, block: ExecutedBlock) -> None:
        first = block.receipts[0].seq if block.receipts else 0
        super().__init__(block.height, block.timestamp, len(block.receipts), first)
        self._app = app
        self._block = block

    @property
    def size(self) -> int:
        return len(self._block.receipts) + sum(map(len, self._block.journal.fields))

    def read_state(self) -> Any:
        return self._block.state

    def read_receipts(self) -> tuple[BlockReceipt, ...]:
        decoder = EventDecoder(self._app)
        return tuple(
            [
                BlockReceipt(
                    receipt.seq, receipt.action_hash, STATUS_NAMES[receipt.status], receipt.reason,
                    decoder.decode_all(receipt.events), partial(_read_entry, entry),
                )
                for entry, receipt in zip(self._block.entries, self._block.receipts, strict=True)
            ]
        )  # fmt: skip

    def list_changes(self, entries: Map[Any, Any]) -> list[Change[Any, Any]]:
        field = find_field(self._app, self._block.state, entries)
        touched = self._block.journal.fields[field.position]
        return [
            Change(change.key, _none(change.before), _none(change.after))
            for _, change in sorted(touched.items())
            if change.row_before != change.row
        ]


class _FirstBlock(_Source):
    """The state that a run begins with, all entries new (a `IndexBlockSource`)."""

    def __init__(self, app: MicroRollup, run: Execution) -> None:
        super().__init__(run.begins, run.blocks[0].timestamp if run.blocks else run.timestamp, 0, 0)
        self._app = app
        self._state = run.start

    @property
    def size(self) -> int:
        return sum([len(field.read(self._state)) for field in self._app.state_type.fields if field.is_map])

    def read_state(self) -> Any:
        return self._state

    def read_receipts(self) -> tuple[BlockReceipt, ...]:
        return ()

    def list_changes(self, entries: Map[Any, Any]) -> list[Change[Any, Any]]:
        find_field(self._app, self._state, entries)
        return [Change(key, None, value) for key, value in entries.items()]


def fill_index(app: MicroRollup, runner: IndexRunner, index: IndexType, run: Execution) -> IndexView[Any, Any]:
    """An index after all blocks of a run. Raises `ReadFault` of `IndexNotReady` if it fails at one of them."""
    sources: list[_FirstBlock | _RunBlock] = [_FirstBlock(app, run), *[_RunBlock(app, block) for block in run.blocks]]
    rows: dict[bytes, bytes] = {}
    for source in sources:
        entries: Map[Any, Any] = bind_map(_Rows(index.field, rows), len(rows))
        height = source.height
        try:
            updates, _ = runner.run(index, partial(IndexBlock, source), entries, source.size)
        except IndexFault as fault:
            reason, reached = f"block {height}: {fault}", height - 1
            raise ReadFault(
                IndexNotReady("index_failed", index.name, height=height, reached=reached, tip=height, reason=reason)
            ) from None
        for key, value in updates:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
    return IndexView(bind_map(_Rows(index.field, rows), len(rows)))


def _read_entry(entry: Any, _: int) -> tuple[bytes, Any]:
    return entry.sender, None if isinstance(entry.action, BlockBegin) else entry.action


def _none(value: Any) -> Any:
    return None if value is ABSENT else value
