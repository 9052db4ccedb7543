"""Where BLS keys are cheaper than addresses: `python -m benchmarks.quorums` draws what forge has measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["draw", "find_crossing"]

_ROOT: Final = Path(__file__).parents[1]
_SNAPSHOT: Final = _ROOT / "tests" / "foundry" / "inbox" / "snapshots" / "quorums.json"
_PICTURE: Final = _ROOT / "microrollup" / "docs" / "assets" / "quorums.svg"
_COUNTS: Final = (3, 12, 24, 48, 96, 192)
_BYTE_GAS: Final = 16
_KINDS: Final = {
    "ECDSA": ("ECDSA, a third absent", "#b0413e"),
    "BLS, nobody absent": ("BLS, nobody absent", "#2a7f4f"),
    "BLS, a third absent": ("BLS, a third absent", "#1f5f99"),
}


def _read(kind: str, *, calldata: bool) -> list[float]:
    """Gas for each count of verifiers; with the calldata at 16 gas per byte."""
    kept = json.loads(_SNAPSHOT.read_text())
    name, _, rest = kind.partition(", ")
    keys = [f"{name} {count}{f', {rest}' if rest else ''}" for count in _COUNTS]
    return [float(kept[key]) + (_BYTE_GAS * float(kept[f"{key}, calldata"]) if calldata else 0.0) for key in keys]


def find_crossing(kind: str, *, calldata: bool) -> float:
    """From how many verifiers on a kind of BLS is cheaper, between measured points on straight lines."""
    ecdsa, bls = _read("ECDSA", calldata=calldata), _read(kind, calldata=calldata)
    for at in range(1, len(_COUNTS)):
        before, after = ecdsa[at - 1] - bls[at - 1], ecdsa[at] - bls[at]
        if before < 0 <= after:
            share = -before / (after - before)
            return _COUNTS[at - 1] + share * (_COUNTS[at] - _COUNTS[at - 1])
    raise ValueError(kind)


def draw(path: Path) -> None:
    """Write the picture."""
    mpl.rcParams["svg.hashsalt"] = "quorums"
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    for kind, (label, colour) in _KINDS.items():
        axes.plot(_COUNTS, _read(kind, calldata=False), marker="o", color=colour, label=label)
        axes.plot(_COUNTS, _read(kind, calldata=True), linestyle=":", color=colour)
    axes.axhline(260_000, color="black", linestyle="--", linewidth=0.8)
    axes.set_xlabel("verifiers; two thirds are the quorum")
    axes.set_ylabel("gas of a batch with one blob")
    axes.set_xlim(0, 120)
    axes.set_ylim(0, 600_000)
    axes.legend(title="dotted: with calldata, 16 gas per byte", fontsize=8, title_fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(_PICTURE)
    for kind in list(_KINDS)[1:]:
        found = [f"{find_crossing(kind, calldata=calldata):.0f}" for calldata in (False, True)]
        print(f"{kind}: cheaper from {found[0]} verifiers on, with calldata from {found[1]}")
