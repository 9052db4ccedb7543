"""Rows: a peer on the same machine in the same run, the `eventsourcing` library. Both are durable, neither signed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Final

import msgspec

from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.transitions import Register, Update
from benchmarks.context import Bench
from benchmarks.eventsourcing_peer import PeerKeystore
from benchmarks.measure import Comparison, Fsync, Stopwatch, compare
from benchmarks.report import Row, make_ratio_row
from benchmarks.stores import LARGE_BLOCK, MADE_UP_SEAL, begin_block, create_ledger, make_entries
from benchmarks.workload import Population
from microrollup.declaration.map import Map
from microrollup.execution.authentication import Authenticated
from microrollup.execution.block_context import BlockContext
from microrollup.execution.entry import decode_kernel_record, make_signed_entry
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, Entry, apply_actions
from microrollup.ledger.ledger import Ledger
from microrollup.store.tables import iterate_log

__all__ = ["measure"]

_BATCH: Final = 100
_PEER: Final = "eventsourcing, in it too"


def measure(bench: Bench) -> list[Row]:
    """Stored one by one, stored in batches of 100, replayed."""
    fsync = bench.measure_fsync()
    rows = []
    for size, what in ((1, "one by one, durable each"), (_BATCH, f"batches of {_BATCH}, durable each")):
        bench.say(f"a peer: {what}")
        rows.append(_measure_storing(bench, size, what, fsync))
    bench.say("a peer: replay")
    return [*rows, *_measure_replays(bench)]


def _make_row(
    what: str, found: Comparison, fsync: Fsync | None, cpu: dict[str, float], note: str, accounts: str = ""
) -> Row:
    peer = f"eventsourcing {metadata.version('eventsourcing')}"
    rates = f"{1 / found.ours:,.0f} actions/s, the peer {1 / found.limit:,.0f} events/s; {note}"
    return make_ratio_row("peers", what, found, limit_name=peer, fsync=fsync, accounts=accounts, cpu=cpu, note=rates)


def _measure_storing(bench: Bench, size: int, what: str, fsync: Fsync) -> Row:
    count, repetitions = bench.sizes.peer_events, bench.sizes.repetitions
    population = Population()
    shares = [population.make_registers(count), *[population.make_mix(count) for _ in range(repetitions)]]
    peer, ours, theirs = PeerKeystore(bench.make_directory("peer")), Stopwatch(count), Stopwatch(count)
    with create_ledger(bench.make_directory("beside-peer")) as ledger:
        _store(ledger, shares[0], size, Stopwatch())
        _store_peer(peer, shares[0], size, Stopwatch())
        found = compare(
            lambda number: _store(ledger, shares[number + 1], size, ours),
            lambda number: _store_peer(peer, shares[number + 1], size, theirs),
            repetitions,
        )
    durable = "its SQLite with synchronous = FULL" if peer.is_durable() else "its SQLite NOT synced at each commit"
    peer.close()
    note = f"{durable}; ours with state root, receipts and blocks of up to {LARGE_BLOCK:,}"
    cpu = {"this process": ours.cpu, _PEER: theirs.cpu}
    return _make_row(f"{what}, {count:,} accounts at first", found, fsync, cpu, note)


def _store(ledger: Ledger, actions: list[Authenticated], size: int, watch: Stopwatch) -> float:
    """Records to closed blocks, committed by groups of `size`; the watch's lap."""
    with watch:
        for block in range(0, len(actions), LARGE_BLOCK):
            begin_block(ledger)
            for first in range(block, min(block + LARGE_BLOCK, len(actions)), size):
                ledger.execute(make_entries(actions[first : first + size]))
                ledger.commit()
            ledger.finish(ledger.compute_header(), MADE_UP_SEAL)
    return watch.lap


def _store_peer(peer: PeerKeystore, actions: list[Authenticated], size: int, watch: Stopwatch) -> float:
    """The same actions, decoded beforehand, as events; accounts stay in memory."""
    steps = [_read_step(action) for action in actions]
    with watch:
        for first in range(0, len(steps), size):
            peer.save([peer.apply(*step) for step in steps[first : first + size]])
    return watch.lap


def _read_step(action: Authenticated) -> tuple[bytes, Register | Update, bytes]:
    """Account key, action, sender: all that the peer needs."""
    body = make_signed_entry(app, action).action
    if isinstance(body, Register):
        key = compute_account_key(body.salt, body.code_hash + body.config_hash, action.sender)
        return key, body, action.sender
    if not isinstance(body, Update):
        raise TypeError(type(body))
    return body.key, body, action.sender


def _measure_replays(bench: Bench) -> list[Row]:
    """The peer's accounts made of their events, and its fastest way to read what it has stored, beside one of ours."""
    count = bench.sizes.peer_events
    population = Population()
    actions = [*population.make_registers(count), *population.make_mix(count)]
    peer = PeerKeystore(bench.make_directory("peer"))
    _store_peer(peer, actions, _BATCH, Stopwatch())
    directory = bench.make_directory("beside-peer")
    with create_ledger(directory) as ledger:
        _store(ledger, actions, _BATCH, Stopwatch())

        def run_ours(read: Callable[[Ledger, list[Authenticated]], object]) -> float:
            started = time.process_time()
            read(ledger, actions)
            return (time.process_time() - started) / len(actions)

        def run_peer(read: Callable[[], int]) -> float:
            started = time.process_time()
            events = read()
            if events != len(actions):
                raise AssertionError(f"the peer read {events} of {len(actions)} events")
            return (time.process_time() - started) / events

        repetitions = bench.sizes.repetitions
        made = compare(lambda _: run_ours(_replay), lambda _: run_peer(peer.replay), repetitions)
        decoded = compare(lambda _: run_ours(_replay), lambda _: run_peer(peer.decode), repetitions)
        entries = statistics.median(run_ours(_read_entries) for _ in range(repetitions))
    peer.close()
    stored = f"{population.accounts:,} accounts of {len(actions):,} actions"
    ours = "ours reads the chained log and runs the STFs again, senders known"
    return [
        _make_row(
            f"replay of {stored}",
            made,
            None,
            made.name_cpu("this process", _PEER),
            f"CPU time, state in memory; {ours}",
        ),
        _make_row(
            "the same beside the peer's fastest: its log decoded, no aggregate made",
            decoded,
            None,
            decoded.name_cpu("this process", _PEER),
            "CPU time; the peer wins where stored events are believed: it decodes them, checks no signature, executes"
            f" nothing and has no root; {ours}; our log decoded without executing, {1 / entries:,.0f} actions/s",
            f"{population.accounts:,}",
        ),
    ]


def _read_entries(ledger: Ledger, actions: list[Authenticated]) -> list[Entry]:
    """The log's records, their chain checked, decoded; senders are those of `actions`."""
    environment = ledger.environment
    with environment.snapshot() as txn:
        records = [
            record
            for _, record in iterate_log(txn, environment.tables, ledger.rollup_id, first=1)
            if decode_kernel_record(record) is None
        ]
    return [
        make_signed_entry(app, msgspec.structs.replace(action, record=record))
        for action, record in zip(actions, records, strict=True)
    ]


def _replay(ledger: Ledger, actions: list[Authenticated]) -> None:
    """The log's entries, executed over an empty state."""
    state = ChainState(app.genesis, Map(), 0)
    context = BlockContext(1, 0, 0, Journal(len(app.state_fields)))
    state, receipts = apply_actions(app, state, _read_entries(ledger, actions), context)
    if len(receipts) != len(actions) or any(receipt.status for receipt in receipts):
        raise AssertionError("an action did not execute")
