"""Rows: a history verified in segments by as many processes as cores, beside one process that verifies all of it.

Wall time of whole commands, each in processes of its own, and the CPU time of those.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path
from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.end_to_end import APP, import_lines, open_sequencer
from benchmarks.report import Row
from benchmarks.signing import sign_work
from benchmarks.subprocesses import run_python
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.maintenance.snapshot import write_snapshot
from microrollup.segments.shelf import SnapshotShelf

__all__ = ["measure"]

_SEGMENTS: Final = 10
_BLOCKS_PER_SEGMENT: Final = 6
_KEPT_TARGET, _FIRST_PASS_TARGET = 1.7, 1.3


def measure(bench: Bench) -> list[Row]:
    """The same blocks verified four ways, one after the other, from the same store."""
    count = bench.sizes.segmented
    store, root = _build(bench, count)
    least = str(max(1, count // (2 * _SEGMENTS)))
    workers = str(bench.workers)
    executor = ("--executor", f"processes:{workers}", "--segment-actions", least)
    bench.say(f"verifying {count:,} actions in one process, in a pool, and in segments")
    alone = _verify(root, store, "--workers", "0")
    pool = _verify(root, store, "--workers", workers)
    kept = _verify(root, store, *executor, "--snapshots", str(store / "snapshots"))
    (store / "snapshots").rename(store / "put-away")
    first_pass = _verify(root, store, *executor)

    def row(what: str, found: tuple[float, float], target: float | None) -> Row:
        note = f"CPU {1e6 * found[1] / count:.0f} µs per action against {1e6 * alone[1] / count:.0f}"
        return Row(
            name="segments",
            what=what,
            ours=1e6 * found[0] / count,
            unit="us",
            limit=1e6 * alone[0] / count,
            limit_name="verify --workers 0",
            score=alone[0] / found[0],
            target=target,
            higher_is_better=True,
            note=f"wall time, {count:,} actions, {workers} cores; {note}",
        )

    return [
        row("a history in segments, from kept snapshots", kept, _KEPT_TARGET),
        row("the same after a first pass", first_pass, _FIRST_PASS_TARGET),
        row("the same by a pool that checks signatures", pool, None),
    ]


def _build(bench: Bench, count: int) -> tuple[Path, str]:
    """A store of `count` signed actions with the snapshots of a node that kept some; its last state root."""
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
        return directory / "store", sequencer.ledger.header.state_root.hex()


def _verify(root: str, store: Path, *options: str) -> tuple[float, float]:
    """Wall and CPU seconds of `microrollup verify`, all its processes counted."""
    before, started = _count_cpu(), time.perf_counter()
    raw = run_python("-m", "microrollup", "verify", APP, "--from", str(store), *options, "--json")
    seconds = time.perf_counter() - started
    if json.loads(raw)["stateRoot"] != f"0x{root}":
        raise AssertionError("the verified history ends in another state root")
    return seconds, _count_cpu() - before


def _count_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
