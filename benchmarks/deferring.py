"""Rows: state rows and tree keys written out late, those of many blocks together, beside those of every block at once.

Updates only, so a store keeps its size. The page cache is dropped before each turn, because Linux counts a page cache
folio whole for each page of it that is written.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import LARGE_BLOCK, Store, build_block, build_store
from microrollup.ledger.flush import FlushLimits

__all__ = ["TARGET", "measure"]

TARGET: Final = 9.0
"""KB written per action, in the large store."""

_BLOCKS: Final = 10
"""Of a turn: at a million accounts the rows of eight blocks of 3,200 updates fill a layer."""
_MOST_TURNS: Final = 2
_LIMIT: Final = "written out at every block"
_NOTE: Final = f"turns of {_BLOCKS} blocks; what is left at the end of each is written out and counts"
_LATE: Final = FlushLimits()
_AT_ONCE: Final = FlushLimits(rows=1)
"""A block's rows are a full layer; they are written at once then, so that the base is the tip."""


class _Turn(msgspec.Struct, frozen=True):
    """What an action took, the clean end of its turn included."""

    cpu: float
    """Microseconds."""
    given: float
    """KB that the process gave to the system: LMDB's pages."""
    written: float
    """KB that the system counts as written, the pages of the flat files among them."""


def measure(bench: Bench) -> list[Row]:
    """Three sizes of store in full; late and at once take turns in each."""
    rows = []
    for accounts in bench.sizes.growth[::2]:
        directory = bench.make_directory(f"deferred-{accounts}")
        rows += _measure_store(bench, Store(directory, build_store(directory, accounts)))
    large = _measure_store(bench, bench.store)
    return [*rows, *large, _hold_against_target(large[-1], bench.store.population.accounts)]


def _hold_against_target(written: Row, accounts: int) -> Row:
    """The row of what is written, once more as a figure of its own."""
    return make_size_row(
        "deferred",
        "written per action, large store",
        written.ours,
        written.unit,
        target=TARGET,
        repetitions=written.repetitions,
        fsync=written.fsync,
        accounts=f"{accounts:,}",
        cpu=written.cpu,
        note=written.note,
    )


def _measure_store(bench: Bench, store: Store) -> list[Row]:
    accounts, size = store.population.accounts, min(LARGE_BLOCK, max(bench.sizes.block_sizes))
    bench.say(f"{_BLOCKS} blocks of {size:,} updates in {accounts:,} accounts, rows written out late and at once")
    fsync = bench.measure_fsync()
    turns: dict[FlushLimits, list[_Turn]] = {_LATE: [], _AT_ONCE: []}
    for number in range(min(_MOST_TURNS, bench.sizes.repetitions)):
        for limits in [_AT_ONCE, _LATE][:: 1 - 2 * (number % 2)]:
            turns[limits].append(_run(store, size, limits))
    late, at_once = (_take_medians(found) for found in turns.values())
    given = (
        f"page cache dropped before; of it LMDB's pages {late.given:.1f} and {at_once.given:.1f}, the rest the mapped"
        " files of the tree"
    )
    what = f"{accounts:,} accounts, blocks of {size:,} updates"

    def make_row(name: str, unit: str, ours: float, limit: float, note: str) -> Row:
        return Row(
            name="deferred",
            what=f"{name}, {what}",
            ours=ours,
            unit=unit,
            limit=limit,
            limit_name=_LIMIT,
            score=limit / ours,
            higher_is_better=True,
            repetitions=len(turns[_LATE]),
            fsync=fsync,
            cpu={"the writer": late.cpu, "at once": at_once.cpu},
            note=note,
        )

    return [
        make_row("CPU per action", "us", late.cpu, at_once.cpu, _NOTE),
        make_row("written per action", "KB", late.written, at_once.written, f"{given}; {_NOTE}"),
    ]


def _take_medians(turns: list[_Turn]) -> _Turn:
    return _Turn(*(statistics.median(figures) for figures in zip(*map(msgspec.structs.astuple, turns), strict=True)))


def _run(store: Store, size: int, limits: FlushLimits) -> _Turn:
    """One turn, from a cold page cache."""
    _drop_cache(store.directory)
    blocks = [store.population.make_updates(size) for _ in range(_BLOCKS)]
    with store.open() as ledger:
        ledger.flushing.limits = limits
        given, written = _read_io()
        started = time.process_time()
        for actions in blocks:
            build_block(ledger, actions)
            if limits is _AT_ONCE:
                ledger.flushing.flush()
        ledger.flushing.flush()
        ledger.sync_tree()
        seconds = time.process_time() - started
        given_after, written_after = _read_io()
    count = size * _BLOCKS
    by_calls = given_after - given
    counted = written_after - written or by_calls  # a file system in memory counts nothing
    return _Turn(1e6 * seconds / count, by_calls / 1e3 / count, counted / 1e3 / count)


def _drop_cache(directory: Path) -> None:
    """Have the system forget the pages of a closed store's files."""
    for path in directory.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read_io() -> tuple[int, int]:
    """Bytes that this process has given to the system, and that the system counts as written by it."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"]), int(fields["write_bytes"])
