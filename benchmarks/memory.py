"""Row 7: anonymous memory of the process that imports a million accounts, and then lets the log grow."""

from __future__ import annotations

from typing import Final

from benchmarks.child_build import Phase
from benchmarks.context import Bench
from benchmarks.report import Row, make_size_row
from benchmarks.stores import LARGE_BLOCK

__all__ = ["BARS", "measure"]

BARS: Final = (500.0, 200.0)


def measure(bench: Bench) -> list[Row]:
    """Peaks while registering, and while updating what is registered."""
    built = bench.built
    accounts = f"{built.accounts:,} accounts"
    growing = f"{accounts}, log of {built.updating.actions:,} actions"
    return [
        _make_row(f"importing {accounts}", built.registering, built.registering.actions, built.base_mb),
        _make_row(growing, built.updating, built.updates, built.base_mb),
    ]


def _make_row(what: str, phase: Phase, actions: int, base_mb: float) -> Row:
    rate = f"{1e6 * phase.seconds / max(1, actions):.0f} us an action, unsigned, durable"
    note = f"peak RssAnon of the importing process, {base_mb:.0f} MB of it imports; blocks of {LARGE_BLOCK:,}; {rate}"
    return make_size_row("memory", what, phase.peak_mb, "MB", bars=BARS, note=note)
