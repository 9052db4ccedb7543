"""The picture of a run: each row's share of its target, and the cost per action as accounts grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks.report import Report, Row

__all__ = ["write_png"]

_COLOURS: Final = {"met": "#2a7f4f", "below": "#b0413e"}

_LABEL_BOX: Final = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.7}


def write_png(path: Path, report: Report) -> None:
    """Draw the rows that have targets, and the growth curves if there are any."""
    aimed = [row for row in report.rows if row.verdict]
    curves = [row for row in report.rows if row.points]
    figure = Figure(figsize=(15, 1.8 + 0.42 * max(6, len(aimed))), layout="constrained")
    panels = figure.subplots(1, 2 if curves else 1, width_ratios=(3, 2) if curves else (1,), squeeze=False)[0]
    _draw_targets(panels[0], aimed)
    if curves:
        _draw_growth(panels[1], curves)
    machine = report.machine
    figure.suptitle(f"{machine.cores} cores, {machine.cpu}, {machine.python}", fontsize=10)
    figure.savefig(path, dpi=110)


def _compute_share(row: Row, score: float) -> float:
    """1 is the target, more is better, whichever way the score runs."""
    if row.target is None:
        raise ValueError(row.name)
    return score / row.target if row.higher_is_better else row.target / score


def _draw_targets(axes: Any, rows: list[Row]) -> None:
    places = range(len(rows))
    axes.barh(places, [_compute_share(row, row.score) for row in rows], color=[_COLOURS[row.verdict] for row in rows])
    for place, row in enumerate(rows):
        shown = f" {row.score:.2f}" if row.higher_is_better else f" {row.score:.3g} {row.unit}"
        axes.text(_compute_share(row, row.score), place, shown, va="center", fontsize=8, bbox=_LABEL_BOX)
    axes.axvline(1, color="black", linestyle="--", linewidth=1)
    axes.set_yticks(places, [f"{row.name}: {row.what}" for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.18)
    axes.set_xlabel("share of the target (dashed); right is better")


def _draw_growth(axes: Any, rows: list[Row]) -> None:
    for row in rows:
        axes.plot(*zip(*row.points, strict=True), marker="o", label=row.what)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("accounts in the store")
    axes.set_ylabel("us per action, unsigned, durable")
    axes.legend(fontsize=8)
