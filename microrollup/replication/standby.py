"""A standby: takes the records of a replicated log and executes them, so that it can go on where the leader stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from microrollup.chain.block import Header, compute_block_hash, recover_sealer
from microrollup.chain.record import Close, Open, Rebuild
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.codec.canonical import decode_canonical
from microrollup.errors import Divergence
from microrollup.execution.entry import decode_forced, decode_kernel_record, is_forced_record
from microrollup.ledger.ledger import Ledger
from microrollup.limits import relaxed_limits
from microrollup.replication.errors import LogMoved
from microrollup.replication.protocol import LogEnd, LogRow, ReplicatedLog
from microrollup.replication.reading import read_linked, require_prefix
from microrollup.settlement.protocol import L1View

__all__ = ["Standby"]

ROWS_AT_ONCE: Final = 5_000
_GROUP: Final = 500
"""Entries that are executed together."""

_HEADER_DECODER: Final = msgspec.msgpack.Decoder(Header)
_MAX_HEADER_BYTES: Final = 4_096


class Standby:
    """Brings a ledger after a replicated log. One thread uses it; the ledger must have no remote log.

    After an error the ledger's memory is ahead of its store: abandon it.
    """

    def __init__(self, log: ReplicatedLog, ledger: Ledger, l1: L1View, node: str, url: str) -> None:
        """`node` is registered under `url`. Raises `OtherLog` unless the ledger's log is a prefix, and `LogMoved`."""
        self._log = log
        self._ledger = ledger
        self._l1 = l1
        self._node = node
        self._url = url
        require_prefix(log, self.end)
        self.register()

    @property
    def end(self) -> LogEnd:
        """Where the ledger's own log ends."""
        return LogEnd(*self._ledger.log_end)

    def register(self) -> None:
        """Say how far this node is."""
        self._log.register(self._node, self._url, self.end.number)

    def step(self) -> int:
        """Take what the log has more, as much as fits one step; how many records were taken.

        Nothing is taken for good before a later change of this session has become durable: so no record stays here
        that the database could still lose. Raises `Divergence` where a block is not what its leader sealed, naming the
        field; a record of a later L1 than this node sees waits.
        """
        rows = read_linked(self._log, self.end, ROWS_AT_ONCE)
        if not rows:
            return 0
        self.register()
        rows = rows[: _count_whole(rows)] if len(rows) == ROWS_AT_ONCE else rows
        before = self.end.number
        self._take(rows)
        return self.end.number - before

    def _take(self, rows: Sequence[LogRow]) -> None:
        records: list[bytes] = []
        for row in rows:
            kernel = decode_kernel_record(row.record)
            if kernel is None:
                records.append(row.record)
                continue
            self._execute(records)
            records = []
            if isinstance(kernel, Open):
                if self._l1.get_number() <= kernel.l1_origin:
                    break
                self._ledger.begin(kernel)
            elif isinstance(kernel, Close):
                self._close(kernel, row)
            elif isinstance(kernel, Rebuild):
                self._ledger.rebuild(kernel.height)
            else:
                raise LogMoved(f"record {row.number} of the replicated log is a second genesis")
        self._execute(records)
        self._ledger.commit()

    def _execute(self, records: list[bytes]) -> None:
        """Execute entries after those of the open block; without a watchdog, since they may have been acknowledged."""
        if not records:
            return
        ledger = self._ledger
        done = 0 if ledger.block is None else len(ledger.block.records)
        entries = [ledger.read_entry(record, index=done + place) for place, record in enumerate(records)]
        self._check_forced(records, done)
        size = len(entries) if is_upgrade_record(records[0]) else _GROUP
        with relaxed_limits():
            for first in range(0, len(entries), size):
                ledger.execute(entries[first : first + size])

    def _check_forced(self, records: list[bytes], done: int) -> None:
        """Forced entries bear no signature: they must be what L1's queue holds, unless L1 has settled them."""
        block = self._ledger.block
        forced = [decode_forced(record) for record in records if is_forced_record(record)]
        if not forced or block is None or block.open.height <= self._l1.get_settled().height:
            return
        first = forced[0].index
        expected = self._l1.look(block.open.l1_origin, first).forced[: len(forced)]
        for seq, (ours, theirs) in enumerate(zip(expected, forced, strict=False), block.context.next_seq):
            if ours != theirs:
                raise Divergence("forced", height=block.open.height, seq=seq, expected=str(ours), found=str(theirs))
        if len(expected) < len(forced) or first != block.forced_count:
            found = f"{len(forced)} forced actions from {first} on"
            wanted = f"{len(expected)} from {block.forced_count} on"
            raise Divergence("forced", height=block.open.height, seq=done, expected=wanted, found=found)

    def _close(self, close: Close, row: LogRow) -> None:
        ledger = self._ledger
        block = ledger.resume()
        if block is None or block.open.height != close.height:
            raise LogMoved(f"record {row.number} closes block {close.height}, which is not open")
        if block.round != close.seal.round:
            raise Divergence("round", height=close.height, expected=block.round, found=close.seal.round)
        closing = ledger.compute_header()
        if row.header is not None:
            sealed = decode_canonical(_HEADER_DECODER, row.header, what="header", limit=_MAX_HEADER_BYTES)
            for field in Header.__struct_fields__:
                ours, theirs = getattr(closing.header, field), getattr(sealed, field)
                if ours != theirs:
                    raise Divergence(field, height=close.height, expected=ours, found=theirs)
        builder = self._l1.get_builder(block.open.l1_origin)
        found = recover_sealer(compute_block_hash(closing.header), close.seal)
        if found != builder:
            shown = "not a valid signature of this header" if found is None else found
            raise Divergence("seal", height=close.height, expected=builder, found=shown)
        ledger.finish(closing, close.seal)


def _count_whole(rows: Sequence[LogRow]) -> int:
    """How many of the first rows of a longer log to take: an upgrade's entries are executed all at once, so a block
    that may be one is left for the next step unless all of it is here.
    """
    place = len(rows) - 1
    while place > 0 and is_upgrade_record(rows[place].record):
        place -= 1
    return place if place > 0 and isinstance(decode_kernel_record(rows[place].record), Open) else len(rows)
