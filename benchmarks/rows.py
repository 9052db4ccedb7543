"""The rows in the order of the table, by the names that `--only` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks import (
    balances,
    checking,
    deferring,
    end_to_end,
    execution,
    exporting,
    growth,
    imports,
    installing,
    keystore_plus,
    l1_settling,
    memory,
    metering,
    native,
    node_serving,
    opening,
    paging,
    peers,
    proofs,
    replaying,
    segmented,
    stackr_peer,
    state_root,
    verifying,
)
from benchmarks.context import Bench
from benchmarks.report import Row

__all__ = ["ROWS"]

ROWS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    "execution": execution.measure,
    "metering": metering.measure,
    "keystore-plus": keystore_plus.measure,
    "balances": balances.measure,
    "end-to-end": end_to_end.measure,
    "state-root": state_root.measure,
    "growth": growth.measure,
    "deferred": deferring.measure,
    "native": native.measure,
    "checks": checking.measure,
    "replay": replaying.measure,
    "verifying": verifying.measure,
    "export": exporting.measure,
    "segments": segmented.measure,
    "opening": opening.measure,
    "memory": memory.measure,
    "proof": proofs.measure,
    "pages": paging.measure,
    "peers": peers.measure,
    "stackr": stackr_peer.measure,
    "node": node_serving.measure,
    "l1": l1_settling.measure,
    "imports": imports.measure,
    "install": installing.measure,
}
