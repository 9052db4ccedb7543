"""Rows: a history verified in segments by as many processes as cores, beside one process that verifies all of it.

Wall time of whole commands, each in processes of its own, and the CPU time of those; the commands run by turns, and the
medians of ratios within a turn count. The last row is a simulation: what the measured costs of the segments would take
on more machines than there are.
"""

from __future__ import annotations

import heapq
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.importing import APP, import_lines, open_sequencer
from benchmarks.report import Row
from benchmarks.signing import sign_work
from benchmarks.subprocesses import read_children_cpu, run_python
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.segments.shelf import SnapshotShelf

__all__ = ["measure", "simulate"]

_SEGMENTS: Final = 10
_BLOCKS_PER_SEGMENT: Final = 6
_KEPT_TARGET, _FILE_TARGET = 1.7, 1.3
_MOST_ROUNDS: Final = 2
_MACHINES: Final = (1, 2, 4, 8, 16)
_PIECES_PER_MACHINE: Final = 4
_LIMIT: Final = "verify --workers 0"


class _Run(msgspec.Struct, frozen=True):
    """How a command went."""

    wall: float
    cpu: float
    """Seconds of all its processes."""
    segments: tuple[float, ...]
    """CPU seconds of each."""

    def name_cpu(self, count: int) -> dict[str, float]:
        """Microseconds per action, by process as far as the command tells."""
        segments = sum(self.segments)
        parts = {"workers": segments, "the rest": self.cpu - segments} if segments else {"all processes": self.cpu}
        return {process: 1e6 * seconds / count for process, seconds in parts.items()}


def measure(bench: Bench) -> list[Row]:
    """The same blocks verified five ways, by turns."""
    count = bench.sizes.segmented
    store, root, accounts = _build(bench, count)
    kept = store.parent / "kept"
    (store / "snapshots").rename(kept)
    file = store.parent / "blocks"
    run_python("-m", "microrollup", "export", APP, "--data", str(store), "--out", str(file))
    alike = ("--executor", f"processes:{bench.workers}")
    executor = (*alike, "--segment-actions", str(max(1, count // (2 * _SEGMENTS))))
    ways: dict[str, tuple[str, ...]] = {
        "alone": (str(store), "--workers", "0"),
        "pool": (str(store), "--workers", str(bench.workers)),
        "kept": (str(file), *executor, "--snapshots", str(kept)),
        "states": (str(store), *executor),
        "file": (str(file), *alike),
    }
    runs: dict[str, list[_Run]] = {way: [] for way in ways}
    for turn in range(min(_MOST_ROUNDS, bench.sizes.repetitions)):
        for way, options in ways.items():
            bench.say(f"verifying {count:,} actions, turn {turn + 1}: {way}")
            runs[way].append(_verify(root, *options))

    def row(what: str, way: str, target: float | None) -> Row:
        alone, own = runs["alone"], runs[way]
        cpu = {**own[-1].name_cpu(count), _LIMIT: 1e6 * statistics.median(run.cpu for run in alone) / count}
        return Row(
            name="segments",
            what=what,
            ours=1e6 * statistics.median(run.wall for run in own) / count,
            unit="us",
            limit=1e6 * statistics.median(run.wall for run in alone) / count,
            limit_name=_LIMIT,
            score=statistics.median(one.wall / other.wall for one, other in zip(alone, own, strict=True)),
            target=target,
            higher_is_better=True,
            repetitions=len(own),
            accounts=f"0 to {accounts:,}",
            cpu=cpu,
            note=f"wall time, {count:,} actions, {bench.workers} cores; CPU of the last turn",
        )

    return [
        row("a history in segments, from kept snapshots", "kept", _KEPT_TARGET),
        row("the same from the states that the store still has", "states", None),
        row("the same of a file, without snapshots", "file", _FILE_TARGET),
        row("the same by a pool that checks signatures", "pool", None),
        _simulate_row(bench, runs["kept"][-1], kept, runs["alone"][-1], f"0 to {accounts:,}"),
    ]


def _simulate_row(bench: Bench, run: _Run, kept: Path, alone: _Run, accounts: str) -> Row:
    """The costs of a run on more machines. One history of this size has too few segments for 16; as many are repeated
    as give each machine four.
    """
    restoring = _measure_restoring(bench, kept)
    own = [*run.segments[1:]] or [1.0]  # the first one begins with an empty state, which no other does
    pieces = [own[number % len(own)] for number in range(_PIECES_PER_MACHINE * _MACHINES[-1])]
    spans = [simulate(pieces, restoring, machines) for machines in _MACHINES]
    shown = ", ".join(f"{machines}: {spans[0] / span:.1f}" for machines, span in zip(_MACHINES, spans, strict=True))
    return Row(
        name="segments",
        what=f"SIMULATED from those costs: {_MACHINES[-1]} machines beside one",
        ours=spans[-1],
        unit="s",
        limit=spans[0],
        limit_name="one machine, simulated",
        score=spans[0] / spans[-1],
        higher_is_better=True,
        cpu={"all segments": 1e6 * sum(pieces), "restoring, each": 1e6 * restoring},
        accounts=accounts,
        note=f"{len(pieces)} segments of {statistics.mean(own):.2f} s CPU, {restoring:.2f} s to restore; gain {shown}."
        f" Not measured: network, a scheduler, shared disks. The whole alone took {alone.cpu:.1f} s",
    )


def simulate(pieces: Sequence[float], restoring: float, machines: int) -> float:
    """Seconds until the last of `pieces`, given out in order, each to the machine that is free first.

    A machine restores a snapshot unless it has done the piece before.
    """
    free = [(0.0, machine, -2) for machine in range(machines)]
    for number, seconds in enumerate(pieces):
        at, machine, last = heapq.heappop(free)
        heapq.heappush(free, (at + seconds + (restoring if last != number - 1 else 0.0), machine, number))
    return max(at for at, _, _ in free)


def _measure_restoring(bench: Bench, kept: Path) -> float:
    """CPU seconds to restore the newest snapshot, the most costly one."""
    directory = bench.make_directory("restored")
    started = time.process_time()
    restore_snapshot(SnapshotShelf(kept).list_files()[-1][1], directory, app).close()
    return time.process_time() - started


def _build(bench: Bench, count: int) -> tuple[Path, str, int]:
    """A store of `count` signed actions with the snapshots of a node that kept some; its last state root, accounts."""
    directory = bench.make_directory("segmented")
    bench.say(f"signing and importing {count:,} actions")
    lines = sign_work(count, bench.workers).lines
    size = max(1, count // (_SEGMENTS * _BLOCKS_PER_SEGMENT))
    with (
        open_sequencer(directory, size) as sequencer,
        AuthenticationPool(APP, sequencer.ledger.genesis.domain, bench.workers) as pool,
    ):
        shelf = SnapshotShelf(directory / "store" / "snapshots")
        shelf.directory.mkdir()
        step = size * _BLOCKS_PER_SEGMENT
        for first in range(0, count, step):
            import_lines(sequencer, pool, lines[first : first + step])
            path = shelf.directory / "writing"
            shelf.place(write_snapshot(sequencer.ledger.environment, app, path), path)
        ledger = sequencer.ledger
        return directory / "store", ledger.header.state_root.hex(), ledger.checkpoint.sizes[0]


def _verify(root: str, source: str, *options: str) -> _Run:
    """`microrollup verify`, all its processes counted."""
    before, started = read_children_cpu(), time.perf_counter()
    report = json.loads(run_python("-m", "microrollup", "verify", APP, "--from", source, *options, "--json"))
    seconds = time.perf_counter() - started
    if report["stateRoot"] != f"0x{root}":
        raise AssertionError("the verified history ends in another state root")
    return _Run(seconds, read_children_cpu() - before, tuple(report.get("segmentCpuSeconds", ())))
