"""Row 7: anonymous memory of the process that imports a million accounts, and then lets the log grow."""

from __future__ import annotations

from typing import Final

from benchmarks.child_build import Phase
from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import LARGE_BLOCK

__all__ = ["TARGET", "measure"]

TARGET: Final = 200.0

_BUDGET_ACTIONS: Final = 10_000_000
"""What the budget names; a quarter of an hour, so the run does fewer unless `--updates` asks for them."""


def measure(bench: Bench) -> list[Row]:
    """Peaks while registering, and while updating what is registered."""
    built = bench.built
    accounts = f"{built.accounts:,} accounts"
    growing = f"{accounts}, log of {built.updating.actions:,} actions"
    short = "" if built.updating.actions >= _BUDGET_ACTIONS else f"; the budget's {_BUDGET_ACTIONS:,}: see --updates"
    return [
        _make_row(f"importing {accounts}", built.registering, built.registering.actions, built.base_mb),
        _make_row(growing, built.updating, built.updates, built.base_mb, short),
    ]


def _make_row(what: str, phase: Phase, actions: int, base_mb: float, more: str = "") -> Row:
    rate = f"{1e6 * phase.seconds / max(1, actions):.0f} us per action, unsigned, durable"
    note = f"peak RssAnon of the importer, {base_mb:.0f} MB of it imports; blocks of {LARGE_BLOCK:,}; {rate}{more}"
    cpu = {"the importer, per action": 1e6 * phase.cpu_seconds / max(1, actions)}
    return make_size_row("memory", what, phase.peak_mb, "MB", target=TARGET, cpu=cpu, note=note)
