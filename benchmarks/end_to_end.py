"""Row 2: JSON lines to durable, sealed blocks on all cores, beside recovery alone on the same cores, by turns.

In the large store both paths are measured, in an empty one the path that is installed. CPU is that of the writer's
process and of those that authenticate; figures are means, since now and then a round writes out what others have left.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.bulk import build_bulk_store
from benchmarks.context import Bench
from benchmarks.importing import Importer, Spent, Way, open_importer, open_ways
from benchmarks.measure import Comparison, Fsync
from benchmarks.recovery import IN_C, WRAPPER, BareRecovery
from benchmarks.report import Row, make_ratio_row, make_size_row
from benchmarks.signing import SignedWork, find_owners, sign_work
from benchmarks.stores import LARGE_BLOCK

__all__ = ["measure"]

_NAME: Final = "end-to-end"


class Targets(msgspec.Struct, frozen=True):
    """What a path is held against."""

    wrapper: float | None = None
    in_c: float | None = None
    cpu: float | None = None
    """Microseconds per action, all processes."""


_EMPTY: Final = Targets(wrapper=0.35)
_LARGE: Final = {"in Python": Targets(in_c=0.28, cpu=110.0), "native": Targets(in_c=0.34, cpu=90.0)}


class _Limits(msgspec.Struct, frozen=True):
    """Seconds a signature, of the same actions on the same cores."""

    wrapper: float
    in_c: float
    cpu_in_c: float


class _Round(msgspec.Struct, frozen=True):
    """What one share of the lines took."""

    ours: list[Spent]
    """By importer."""
    limits: _Limits


def measure(bench: Bench) -> list[Row]:
    """All lines in as many shares as repetitions, each share until its last block is sealed and durable."""
    with BareRecovery(bench.workers) as bare, open_ways(bench) as ways:
        return [*_measure_large(bench, bare, ways), *_measure_empty(bench, bare, ways)]


def _measure_large(bench: Bench, bare: BareRecovery, ways: Mapping[str, Way]) -> list[Row]:
    """Both paths, each with its copy of a large store; updates are of accounts that are spread over it."""
    accounts, count = bench.sizes.accounts, bench.sizes.signed * bench.sizes.signed_rounds
    bench.say(f"signing {count:,} actions on {accounts:,} accounts")
    signed = sign_work(count, bench.workers, accounts=accounts)
    first, *others = [bench.make_directory("end-to-end") for _ in ways]
    first.mkdir()
    build_bulk_store(first / "store", accounts, bench.say, find_owners(count, accounts))
    for other in others:
        shutil.copytree(first, other)
    where = f"{accounts:,} accounts in the store"
    return _measure_stores(bench, bare, ways, [first, *others], signed, where, _LARGE)


def _measure_empty(bench: Bench, bare: BareRecovery, ways: Mapping[str, Way]) -> list[Row]:
    """The installed path into an empty store."""
    name, way = [*ways.items()][-1]
    return _measure_stores(
        bench, bare, {name: way}, [bench.make_directory("end-to-end")], bench.signed, "empty store", {name: _EMPTY}
    )


def _measure_stores(
    bench: Bench,
    bare: BareRecovery,
    ways: Mapping[str, Way],
    directories: Sequence[Path],
    signed: SignedWork,
    where: str,
    targets: Mapping[str, Targets],
) -> list[Row]:
    bench.say(f"importing {len(signed.lines):,} signed lines, {where}, {' and '.join(ways)}")
    with ExitStack() as stack:
        importers = [
            stack.enter_context(open_importer(directory, way))
            for directory, way in zip(directories, ways.values(), strict=True)
        ]
        fsync = bench.measure_fsync()
        rounds = [_run_round(bench, number, importers, bare, signed) for number in range(bench.sizes.signed_rounds)]
    rows: list[Row] = []
    for place, name in enumerate(ways):
        ours = [each.ours[place] for each in rounds]
        limits = [each.limits for each in rounds]
        rows += _make_rows(f"signed, durable, {where}, {name}", ours, limits, targets[name], fsync)
    return rows


def _run_round(
    bench: Bench, number: int, importers: Sequence[Importer], bare: BareRecovery, signed: SignedWork
) -> _Round:
    """One share of the lines through everything; the one that begins changes."""
    part = slice(number * bench.sizes.signed, (number + 1) * bench.sizes.signed)
    lines, is_last = signed.lines[part], number == bench.sizes.signed_rounds - 1

    def run_bare() -> _Limits:
        digests, signatures = signed.digests[part], signed.signatures[part]
        wrapper, before = bare.measure(digests, signatures), bare.read_cpu()
        in_c = bare.measure_in_c(digests, signatures)
        return _Limits(wrapper, in_c, (bare.read_cpu() - before) / len(lines))

    if number % 2:
        limits = run_bare()
        spent = [importer.measure(lines, is_last=is_last) for importer in reversed(importers)]
        return _Round(spent[::-1], limits)
    spent = [importer.measure(lines, is_last=is_last) for importer in importers]
    return _Round(spent, run_bare())


def _make_rows(what: str, ours: list[Spent], limits: list[_Limits], targets: Targets, fsync: Fsync) -> list[Row]:
    """Wall time beside each limit, and CPU."""
    wall = [each.wall for each in ours]
    in_c = _compare_means(wall, [each.in_c for each in limits])
    wrapper = _compare_means(wall, [each.wrapper for each in limits])
    writer, workers, cpu = (
        1e6 * statistics.fmean(part)
        for part in zip(*[(each.writer, each.workers, each.cpu) for each in ours], strict=True)
    )
    alone = 1e6 * statistics.fmean(each.cpu_in_c for each in limits)
    by_process = {"writer": writer, "workers": workers, "C alone": alone}
    note = f"{1 / in_c.ours:,.0f} actions/s, blocks of up to {LARGE_BLOCK:,}"
    return [
        make_ratio_row(
            _NAME,
            f"{what}, beside C",
            in_c,
            limit_name=IN_C,
            target=targets.in_c,
            fsync=fsync,
            cpu=by_process,
            note=note,
        ),
        make_ratio_row(
            _NAME,
            f"{what}, beside the wrapper",
            wrapper,
            limit_name=WRAPPER,
            target=targets.wrapper,
            fsync=fsync,
            cpu=by_process,
        ),
        make_size_row(
            _NAME,
            f"{what}, CPU of all processes",
            cpu,
            "us",
            target=targets.cpu,
            repetitions=len(ours),
            fsync=fsync,
            cpu=by_process,
        ),
    ]


def _compare_means(ours: list[float], limit: list[float]) -> Comparison:
    ratios = [bare / own for own, bare in zip(ours, limit, strict=True)]
    return Comparison(statistics.fmean(ours), statistics.fmean(limit), min(ratios), max(ratios), len(ours))
