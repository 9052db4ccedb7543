"""Row 11: a node over loopback, client and server on the same cores: acknowledged actions, proofs, lag, subscribers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.context import Bench
from benchmarks.node_echo import measure_echo
from benchmarks.node_load import (
    LEVELS,
    Levels,
    Load,
    hold_subscribers,
    make_lines,
    submit_batches,
    submit_over_socket,
    submit_singly,
    watch_levels,
)
from benchmarks.node_process import RunningNode, make_call, run_node
from benchmarks.report import Row, make_size_row
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256

__all__ = ["BATCH", "WINDOW", "measure"]

BATCH: Final = 250
"""Actions of one `submitActions`: a chunk of the authentication pool."""

CONNECTIONS: Final = 4
WINDOW: Final = 64
LONE: Final = 200
_PROOFS_A_CALL: Final = 50
_SENDERS_APART: Final = 100_000
"""Numbers of senders between two uses, so that no two loads sign for the same one."""


class _Usage:
    """CPU of the node's processes and of this one, which is the clients, over some work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def watch(self, node: RunningNode) -> Iterator[None]:
        """Add what the block takes."""
        before = node.read_cpu() | {"clients": time.process_time()}
        yield
        after = node.read_cpu() | {"clients": time.process_time()}
        for process, seconds in after.items():
            self.seconds[process] = self.seconds.get(process, 0.0) + seconds - before.get(process, 0.0)

    def share(self, units: int) -> dict[str, float]:
        """Microseconds of one of so many units, by process."""
        return {process: 1e6 * seconds / units for process, seconds in self.seconds.items()}


def measure(bench: Bench) -> list[Row]:
    """All rows over one node with a verifier process, its blocks closed every 250 ms."""
    count = bench.sizes.signed
    bench.say(f"serving {count:,} actions in batches and {count // 2:,} singly over loopback")
    with run_node(bench.make_directory("node"), "--block-time", "250ms") as node:
        return [
            *_measure_acks(bench, node, count),
            *measure_echo(bench, node),
            _measure_proofs(bench, node),
            _measure_subscribers(node, count),
        ]


def _share(count: int, shares: int, use: int) -> list[list[bytes]]:
    each = max(1, count // shares)
    return [make_lines(each, _SENDERS_APART * use + number * 10_000) for number in range(shares)]


def _measure_acks(bench: Bench, node: RunningNode, count: int) -> list[Row]:
    shares, singles = _share(count, 2, 1), _share(count // 4, CONNECTIONS, 2)
    piped, (alone,) = make_lines(max(1, count // 4), 3 * _SENDERS_APART), _share(min(LONE, count), 1, 4)
    rows: list[Row] = []

    def add(what: str, load: Load, before: dict[str, float], levels: Levels, used: _Usage) -> None:
        note = f"{load.describe()}; {_describe_groups(before, node.read_metrics())}; {_describe_levels(load, levels)}"
        rows.append(
            make_size_row(
                "node",
                what,
                1e6 * load.seconds / load.actions,
                "us",
                fsync=bench.measure_fsync(),
                accounts=f"0 to {node.count_accounts():,}",
                cpu=used.share(load.actions),
                note=note,
            )
        )

    lags: list[float] = []
    actions, whole = 0, _Usage()
    loads: list[tuple[str, Callable[[], Load]]] = [
        (f"an action, acknowledged = durable: HTTP, batches of {BATCH}", lambda: submit_batches(node, shares, BATCH)),
        (f"the same singly: HTTP, {CONNECTIONS} clients", lambda: submit_singly(node, singles)),
        (f"the same singly: WebSocket, {WINDOW} on their way", lambda: submit_over_socket(node, piped, WINDOW)),
        ("the same singly: HTTP, one client alone", lambda: submit_singly(node, [alone])),
    ]
    for what, run in loads:
        before = node.read_metrics()
        used = _Usage()
        with whole.watch(node), used.watch(node), watch_levels(node) as levels:
            load = run()
        add(what, load, before, levels, used)
        actions += load.actions
        lags += levels.find_lags("C2")
    lags.sort()
    rows.append(
        make_size_row(
            "node",
            "lag of the verifier: a block closed to verified (C2)",
            1e3 * _find(lags, 0.5),
            "ms",
            fsync=bench.measure_fsync(),
            accounts=f"0 to {node.count_accounts():,}",
            cpu=whole.share(actions),
            note=(
                f"CPU per action of all loads; p90/p99 {1e3 * _find(lags, 0.9):.3g}/{1e3 * _find(lags, 0.99):.3g} ms"
                f" of {len(lags)} blocks"
            ),
        )
    )
    return rows


def _describe_groups(before: dict[str, float], after: dict[str, float]) -> str:
    """The node's own mean time of a group, of its durable commit, and the actions of one, between two looks."""

    def find_mean(name: str) -> float:
        total, count = (
            after[f"microrollup_{name}_{part}"] - before.get(f"microrollup_{name}_{part}", 0.0)
            for part in ("sum", "count")
        )
        return total / count if count else 0.0

    group, commit, size = (find_mean(name) for name in ("group_seconds", "commit_seconds", "group_actions"))
    return f"group {1e3 * group:.3g} ms of {size:.3g} actions, commit {1e3 * commit:.3g} ms"


def _describe_levels(load: Load, levels: Levels) -> str:
    parts = []
    for level in LEVELS:
        seconds = levels.find_latencies(load, level)
        if seconds:
            parts.append(f"{level} {'/'.join(f'{_find(seconds, share):.2g}' for share in (0.5, 0.9, 0.99))}")
    return f"told after (s) {', '.join(parts)}"


def _find(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _measure_proofs(bench: Bench, node: RunningNode) -> Row:
    """Proofs of accounts' absence and presence, by calls in batches over one connection."""
    rounds = max(1, bench.sizes.proofs // _PROOFS_A_CALL)
    keys = [
        compute_address(load_private_key(keccak256(b"proof %d" % n))).rjust(32, b"\0") for n in range(_PROOFS_A_CALL)
    ]
    field: list[Any] = ["accounts"]
    with node.connect() as client:
        fields = client.call("config")["fields"]
        field = [next(each["name"] for each in fields if each["settled"] and each["kind"] == "map")]
        body = b"[" + b",".join(make_call("getProof", [*field, f"0x{key.hex()}"]) for key in keys) + b"]"
        used, started = _Usage(), time.perf_counter()
        with used.watch(node):
            for _ in range(rounds):
                if client.post(body).count(b'"result"') != len(keys):
                    raise RuntimeError("a proof was refused")
        seconds = time.perf_counter() - started
    each = seconds / (rounds * len(keys))
    what = f"a proof over HTTP, {_PROOFS_A_CALL} calls per batch"
    return make_size_row(
        "node",
        what,
        1e6 * each,
        "us",
        accounts=f"0 to {node.count_accounts():,}",
        cpu=used.share(rounds * len(keys)),
        note=f"{1 / each:,.0f} proofs/s, one connection",
    )


def _measure_subscribers(node: RunningNode, count: int) -> Row:
    """Memory of subscribers that have nothing to do."""
    subscribers = min(1_000, count)
    before = node.read_memory()
    with hold_subscribers(node, subscribers) as sockets:
        more = (node.read_memory() - before) / 1e6
    note = f"{1e3 * more / len(sockets):.3g} kB each; the server's limits are in rollup_config"
    return make_size_row("node", f"memory of {subscribers:,} idle subscribers", more, "MB", note=note)
