"""Running keepers: one for each chain, until they are told to stop; and what they measure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from microrollup.crypto.ecdsa import PrivateKey
from microrollup.settlement.ethereum.options import EthereumOptions

from .errors import AnotherChain
from .keeper import ChainKeeper, KeeperPolicy
from .l1_roots import L1Prover
from .node import ChainNode
from .serving import serve_chain
from .status import find_book
from .store import ChainStore

__all__ = ["Keeper", "KeeperOptions", "describe_keeper", "serve_metrics"]

_MAX_ERROR: Final = 300

_log = structlog.get_logger(__name__)


class KeeperOptions(msgspec.Struct, frozen=True):
    """How a keeper works."""

    chains: tuple[EthereumOptions, ...]
    l1: EthereumOptions | None
    """For storage proofs; None if no chain takes them."""
    books: Path
    """The directory of the address books."""
    policy: KeeperPolicy
    poll_seconds: float = 12.0
    once: bool = False
    """End when nothing is left that could be sent."""
    patience: int = 5
    """Failed rounds in a row, after which `once` does not wait for a chain."""


class Keeper:
    """Keepers of chains over one store. `run` is called once."""

    def __init__(self, store: ChainStore, options: KeeperOptions, key: PrivateKey) -> None:
        self._store = store
        self._options = options
        self._key = key
        self._stop = asyncio.Event()
        self.chains: Final[list[ChainKeeper]] = []
        """Those that were reached."""
        self.unreached: Final[dict[str, str]] = {}
        """Place -> why nothing is known of the chain there."""

    def stop(self) -> None:
        """End soon; from the event loop's thread. A transaction that waits for its block is left to the next start."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`, or with `once` until all is done."""
        l1 = None if self._options.l1 is None else L1Prover(self._options.l1)
        serving: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._serve(options, l1)) for options in self._options.chains
        ]
        stopping: asyncio.Task[Any] = asyncio.create_task(self._stop.wait())
        try:
            pending: set[asyncio.Task[Any]] = {*serving, stopping}
            while stopping in pending and len(pending) > 1:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (*serving, stopping):
                task.cancel()
            await asyncio.gather(*serving, stopping, return_exceptions=True)
            if l1 is not None:
                await l1.close()

    async def _serve(self, options: EthereumOptions, l1: L1Prover | None) -> None:
        node = ChainNode(options, self._key)

        def note_failure(worker: ChainKeeper | None, error: Exception, is_new: bool) -> None:
            text = str(error)[:_MAX_ERROR]
            if is_new:
                _log.warning("keeper_chain_waits", chain=node.chain_id, place=node.place, reason=text)
            if worker is None:
                self.unreached[node.place] = text
            else:
                worker.counts.is_up = False
                if text != worker.note.error:
                    worker.change_note(error=text)

        await serve_chain(
            node,
            lambda: self._connect(node, l1),
            note_failure,
            poll_seconds=self._options.poll_seconds,
            once=self._options.once,
            patience=self._options.patience,
        )

    async def _connect(self, node: ChainNode, l1: L1Prover | None) -> ChainKeeper:
        chain_id = await node.read_chain_id()
        if chain_id >= 1 << 64:
            raise AnotherChain(node.place, chain_id, "an id above 64 bits")
        if chain_id in [each.note.chain_id for each in self.chains]:
            raise AnotherChain(node.place, chain_id, "which another URL is of")
        node.chain_id = chain_id
        keeper = ChainKeeper(node, find_book(self._options.books, chain_id), self._options.policy, l1, self._store)
        self.chains.append(keeper)
        self.unreached.pop(node.place, None)
        return keeper


class _ChainsCollector(Collector):
    """What keepers count, read when it is asked for."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterator[Metric]:
        gauges = {
            "up": "Whether the last round came to its end.",
            "root_height": "Of the newest root's block.",
            "root_shown_age_seconds": "Since L1 was last shown to hold the newest root.",
            "accounts_deployed": "Of the accounts that are kept fresh.",
            "accounts_due": "Accounts to be renewed when the last round looked.",
            "accounts_held": "Of them, those whose push reverts now.",
            "budget_left_wei": "What is left of the budget.",
        }
        counters = {
            "roots": "Roots brought since the start.",
            "pushes": "Accounts renewed since the start.",
            "spent_wei": "Wei that all transactions have cost.",
            "reorgs": "Reorganisations noticed.",
        }
        text = "Chains of which nothing is known yet."
        yield GaugeMetricFamily("keystore_keeper_unreached", text, value=len(self._keeper.unreached))
        rows = [(str(each.note.chain_id), describe_keeper(each)) for each in tuple(self._keeper.chains)]
        for name, text in gauges.items():
            gauge = GaugeMetricFamily(f"keystore_keeper_{name}", text, labels=["chain"])
            for chain, row in rows:
                gauge.add_metric([chain], float(row[name]))
            yield gauge
        for name, text in counters.items():
            counter = CounterMetricFamily(f"keystore_keeper_{name}", text, labels=["chain"])
            for chain, row in rows:
                counter.add_metric([chain], float(row[name]))
            yield counter


def describe_keeper(keeper: ChainKeeper) -> dict[str, Any]:
    """A chain's numbers by their names in the metrics."""
    counts, note = keeper.counts, keeper.note
    return {
        "up": int(counts.is_up and not note.error),
        "root_height": counts.height,
        "root_shown_age_seconds": counts.shown_age,
        "accounts_deployed": counts.deployed,
        "accounts_due": counts.due,
        "accounts_held": counts.held,
        "budget_left_wei": max(0, keeper.budget - note.spent),
        "roots": counts.roots,
        "pushes": counts.pushes,
        "spent_wei": note.spent,
        "reorgs": note.reorgs,
    }


def serve_metrics(keeper: Keeper, port: int, address: str = "127.0.0.1") -> Any:
    """Serve the numbers for Prometheus on a port, 0 for a free one; a context manager that gives the port."""
    registry = CollectorRegistry()
    registry.register(_ChainsCollector(keeper))
    server, thread = start_http_server(port, address, registry)
    return closing(_MetricsServer(server, thread))


class _MetricsServer:
    def __init__(self, server: Any, thread: Any) -> None:
        self._server, self._thread = server, thread
        self.port: int = server.server_port

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
