"""A node that goes on through kills, reorgs of its L1 and a full disk: `python -m benchmarks.soak`.

Signed actions arrive at a modest rate; whatever gets no answer is sent again, as clients do. At the end nothing that
was acknowledged may be missing or different, and the root that L1 settled has to be the one that a replay of the log
gives. The full disk is a real one, a small tmpfs in a mount namespace of this process, which takes root; without it
that fault is left out, and the report says so.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import structlog

from apps.keystore import app
from benchmarks.measure import describe_machine
from benchmarks.signing import sign_work
from benchmarks.soak_parts import APP, FULL_BYTES, Load, Miner, Sample, Sampler, SoakNode, Wrong, wait_until
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import load_private_key
from microrollup.deployment.deploying import deploy_rollup, fund_builder
from microrollup.deployment.replaying import replay_directory
from microrollup.settlement.place import EthereumPlace, open_l1
from microrollup.system import count_cores
from microrollup.testing.anvil import DEV_KEYS, Anvil, find_anvil, run_anvil

__all__ = ["Soak", "main", "soak"]

DEPTH: Final = 3
"""L1 blocks that the node stays behind; reorgs replace at most so many."""

_CLONE_NEWNS: Final = 0x00020000
_MNT_DETACH: Final = 2
_FUNDS: Final = 100 * 10**18
_NOWHERE: Final = "0x" + "00" * 20
_OPTIONS: Final = ("--block-time", "500ms", "--clock", "l1", "--settle-every", "5s")


class Fault(msgspec.Struct, frozen=True, rename="camel"):
    """What was done, when, and how long nothing was acknowledged afterwards."""

    kind: str
    outcome: str
    at: float
    seconds: float


class Soak(msgspec.Struct, frozen=True, rename="camel"):
    """What a run gave."""

    machine: dict[str, Any]
    seconds: float
    faults: list[Fault]
    left_out: list[str]
    acknowledged: int
    sent_again: int
    height: int
    state_root: str
    files_bytes: int
    samples: list[Sample]


def soak(seconds: float, faults: int, rate: float, seed: int, say: Callable[[str], None]) -> Soak:
    """Run it. Raises `Wrong` with what does not hold."""
    work = sign_work(int(seconds * rate) + 1, count_cores())
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        is_small = stack.enter_context(small_disk(root / "disk"))
        anvil = stack.enter_context(
            run_anvil(find_anvil(), "--hardfork", "osaka", "--no-mining", "--slots-in-an-epoch", "1")
        )
        miner = stack.enter_context(closing(Miner(anvil)))
        place = deploy(root / "disk" / "data", anvil)
        node = stack.enter_context(closing(SoakNode(root / "disk" / "data", root, _OPTIONS)))
        load = stack.enter_context(closing(Load(node, work.lines, rate)))
        sampler = stack.enter_context(closing(Sampler(node, load)))
        chance = random.Random(seed)
        kinds: dict[str, Callable[[], str]] = {
            "kill": node.kill,
            "reorg": lambda: miner.reorg(chance.randint(1, DEPTH)),
        }
        if is_small:
            kinds["full disk"] = lambda: fill_disk(root / "disk", node, load)
        done = run_faults(kinds, seconds, faults, load, say)
        say(f"{len(load.acknowledged):,} actions are acknowledged; waiting until all are settled")
        wait_until(lambda: is_settled(node, load), "everything is settled")
        load.check_answers()
        sampler.close()
        miner.close()
        node.stop()
        files = sum(path.stat().st_blocks * 512 for path in node.directory.rglob("*") if path.is_file())
        height, state_root = check_end(node.directory, place, root)
    return Soak(
        msgspec.to_builtins(describe_machine()), seconds, done, [] if is_small else ["full disk"],
        len(load.acknowledged), load.sent_again, height, hex0x(state_root), files, sampler.samples,
    )  # fmt: skip


@contextmanager
def small_disk(directory: Path) -> Iterator[bool]:
    """A directory on a small tmpfs that only this process and its children see; whether it could be had."""
    directory.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    mount = shutil.which("mount")
    is_small = False
    if mount is not None and libc.unshare(_CLONE_NEWNS) == 0:
        private = subprocess.run([mount, "--make-rprivate", "/"], check=False, stderr=subprocess.DEVNULL)
        made = [mount, "-t", "tmpfs", "-o", f"size={FULL_BYTES}", "tmpfs", str(directory)]
        is_small = (
            private.returncode == 0 and subprocess.run(made, check=False, stderr=subprocess.DEVNULL).returncode == 0
        )
    try:
        yield is_small
    finally:
        if is_small:
            libc.umount2(os.fsencode(directory), _MNT_DETACH)


def deploy(directory: Path, anvil: Anvil) -> EthereumPlace:
    """The keystore on a fresh L1, with one verifier beside its node."""
    payer = load_private_key(bytes.fromhex(DEV_KEYS[0]))
    place = EthereumPlace(anvil.url, _NOWHERE, depth=DEPTH)
    deployed = deploy_rollup(app, directory, place, payer, zero_domain=True)
    fund_builder(deployed, payer, _FUNDS)
    return deployed.place


def run_faults(
    kinds: dict[str, Callable[[], str]], seconds: float, count: int, load: Load, say: Callable[[str], None]
) -> list[Fault]:
    """Each kind in turn, evenly over the time."""
    started = time.monotonic()
    begun: list[tuple[str, str, float]] = []
    for number in range(count):
        load.work_until(started + seconds * (number + 0.5) / count)
        kind = list(kinds)[number % len(kinds)]
        at = time.monotonic()
        outcome = kinds[kind]()
        begun.append((kind, outcome, at))
        say(f"{at - started:7.1f} s  {kind}: {outcome}")
        load.wait_for_more(f"an acknowledgement after a {kind}")
    load.work_until(started + seconds)
    load.finish()
    ends = [*[at for _, _, at in begun[1:]], time.monotonic()]
    return [
        Fault(kind, outcome, round(at - started, 1), round(load.measure_silence(at, end), 2))
        for (kind, outcome, at), end in zip(begun, ends, strict=True)
    ]


def fill_disk(disk: Path, node: SoakNode, load: Load) -> str:
    """Leave no byte free until the node has refused or ended, then make room; what it did about it."""
    ballast = disk / "ballast"
    refused = load.refused
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))
            file.flush()
    wait_until(lambda: load.refused > refused or not node.is_running(), "a full disk is noticed")
    starts = node.starts
    ballast.unlink()
    wait_until(node.ends_or_serves, "the node goes on or ends")
    return "started again" if node.starts > starts else "went on"


def is_settled(node: SoakNode, load: Load) -> bool:
    """Whether L1 holds everything that was acknowledged, and nothing is open."""
    heights = node.read_heights()
    return heights is not None and heights["settled"] == heights["latest"] >= load.highest


def check_end(directory: Path, place: EthereumPlace, root: Path) -> tuple[int, bytes]:
    """Height and state root, which are the same on L1, in the store and in a replay. Raises `Wrong`."""
    with closing(open_l1(place)) as l1:
        head = l1.get_settled()
    replayed = replay_directory(APP, directory, root / "replayed", count_cores())
    if replayed.differences:
        raise Wrong(f"the store differs from a replay of its log: {replayed.differences[0]}")
    if (head.height, head.state_root) != (replayed.height, replayed.state_root):
        on_l1, in_log = (head.height, head.state_root.hex()), (replayed.height, replayed.state_root.hex())
        raise Wrong(f"L1 settled {on_l1}; a replay of the log gives {in_log}")
    return head.height, head.state_root


def summarize(found: Soak) -> dict[str, Any]:
    """The figures in a few lines."""
    by_kind: dict[str, list[float]] = {}
    for fault in found.faults:
        by_kind.setdefault(fault.kind, []).append(fault.seconds)
    lives = [sample for sample in found.samples if sample.node_mb]
    third = max(1, len(lives) // 3)
    return {
        "machine": found.machine,
        "seconds": found.seconds,
        "acknowledged": found.acknowledged,
        "sentAgain": found.sent_again,
        "height": found.height,
        "stateRoot": found.state_root,
        "leftOut": found.left_out,
        "silence": {kind: {"times": len(each), "median and most": _describe(each)} for kind, each in by_kind.items()},
        "memoryMb": {
            "node, first third": round(statistics.median([each.node_mb for each in lives[:third]]), 1),
            "node, last third": round(statistics.median([each.node_mb for each in lives[-third:]]), 1),
            "node, most": max(each.node_mb for each in lives),
            "verifier, most": max(each.verifier_mb for each in lives),
        },
        "filesBytes": found.files_bytes,
        "filesMbMost": max(each.files_mb for each in lives),
        "filesPerAction": found.files_bytes // max(1, found.acknowledged),
        "lag": {
            "verified, blocks, median and most": _describe([each.latest - each.verified for each in lives]),
            "settled, seconds, median and most": _describe([each.unsettled_seconds for each in lives]),
        },
    }  # fmt: skip


def _describe(values: list[Any]) -> list[Any]:
    return [round(statistics.median(values), 1), round(max(values), 1)]


@click.command()
@click.option("--seconds", type=click.FloatRange(5), default=600, show_default=True, help="So long actions arrive.")
@click.option("--faults", type=click.IntRange(1), default=24, show_default=True, help="So many in that time.")
@click.option("--rate", type=click.FloatRange(1), default=20, show_default=True, help="Actions per second.")
@click.option("--seed", default=1, show_default=True, help="For the depths of reorgs.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write all samples here, as JSON.")
def main(seconds: float, faults: int, rate: float, seed: int, out: Path | None) -> None:
    """Run a node through faults and hold what it leaves against a replay; one JSON object with the figures."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    found = soak(seconds, faults, rate, seed, lambda text: click.echo(text, err=True))
    if out is not None:
        out.write_bytes(msgspec.json.encode(found))
    click.echo(json.dumps(summarize(found), indent=2))


if __name__ == "__main__":
    main()
