"""The rows in the order of the table, by the names that `--only` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks import (
    end_to_end,
    execution,
    growth,
    imports,
    l1_settling,
    memory,
    node_serving,
    opening,
    peers,
    proofs,
    replaying,
    state_root,
)
from benchmarks.context import Bench
from benchmarks.report import Row

__all__ = ["ROWS"]

ROWS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    "execution": execution.measure,
    "end-to-end": end_to_end.measure,
    "state-root": state_root.measure,
    "growth": growth.measure,
    "replay": replaying.measure,
    "opening": opening.measure,
    "memory": memory.measure,
    "proof": proofs.measure,
    "peers": peers.measure,
    "node": node_serving.measure,
    "l1": l1_settling.measure,
    "imports": imports.measure,
}
