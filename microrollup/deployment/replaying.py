"""The log executed again into a fresh store, and both compared to the byte."""

from __future__ import annotations

from pathlib import Path

import msgspec

from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.progress import OnProgress, ignore_progress
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import Difference, compare_stores, replay_log

__all__ = ["Replayed", "replay_directory"]


class Replayed(msgspec.Struct, frozen=True):
    """What the log gives, and where the store holds something else."""

    height: int
    state_root: bytes
    records: int
    """Of the log."""
    differences: list[Difference]


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
