"""The log executed again into a fresh store, and both compared to the byte."""

from __future__ import annotations

from pathlib import Path

import msgspec

from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.progress import OnProgress, ignore_progress
from microrollup.deployment.segmenting import SegmentedReport, SegmentRequest, verify_in_segments
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import Difference, compare_stores, replay_log
from microrollup.store.environment import hold_writer_lock
from microrollup.verifier.events import DivergenceEvent

__all__ = ["Replayed", "replay_directory", "replay_in_segments"]


class Replayed(msgspec.Struct, frozen=True):
    """What the log gives, and where the store holds something else."""

    height: int
    state_root: bytes
    records: int
    """Of the log."""
    differences: list[Difference]
    segmented: SegmentedReport | None = None
    """How it went, where it was done in segments."""


def replay_directory(
    app: str, directory: Path, into: Path, workers: int = 0, on_progress: OnProgress = ignore_progress
) -> Replayed:
    """Rebuild a store from the log alone in the new directory `into`, and compare both.

    Every signature is checked, by `workers` processes if there are any, and every action executed again. `on_progress`
    is told the records replayed so far, and all. Raises `StoreError`s, `StoreLocked` while a writer is active.
    """
    rollup = load_rollup(app)
    with Ledger.open(directory, rollup) as source:
        records = source.environment.count("log")
        with (
            AuthenticationPool(app, source.genesis.domain, workers) as pool,
            replay_log(
                source.environment, rollup, into, pool, lambda number: on_progress(number + 1, records)
            ) as replayed,
        ):
            differences = compare_stores(source.environment, replayed.environment)
            return Replayed(replayed.checkpoint.height, replayed.header.state_root, records, differences)


def replay_in_segments(request: SegmentRequest, on_progress: OnProgress = ignore_progress) -> Replayed:
    """The same by many workers, each of which replays parts of the log; `request` names the directory as its source.

    `on_progress` is told the blocks replayed so far, and all. Raises what `verify_in_segments` raises, and
    `StoreLocked` while a writer is active.
    """
    if not isinstance(request.source, Path):
        raise TypeError("a log is replayed from its directory")
    with Ledger.open(request.source, load_rollup(request.app)) as source:  # writes out what a crash left to be redone
        records = source.environment.count("log")
    with hold_writer_lock(request.source):
        report = verify_in_segments(msgspec.structs.replace(request, replay=True, once=True), on_progress)
    if isinstance(report.outcome, DivergenceEvent):
        raise TypeError("a replay compares stores and judges no block")
    state_root = bytes.fromhex(report.outcome.state_root[2:])
    return Replayed(report.outcome.verified, state_root, records, list(report.differences), report)
