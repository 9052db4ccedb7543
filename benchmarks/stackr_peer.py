"""Rows: signed actions of a keystore on Stackr's SDK beside ours, each in one process, executed and in a stored block.

The SDK comes by npm, pinned by a lock file. Where it cannot be had our figures stand alone, with the reason.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from apps.keystore import app
from apps.keystore.transitions import Register
from benchmarks.context import Bench
from benchmarks.importing import open_sequencer
from benchmarks.report import Row
from benchmarks.signing import sign_senders
from benchmarks.workload import ACTIONS_PER_SENDER, MIX
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.sequencer.sequencer import Sequenced, Sequencer

__all__ = ["SDK", "PeerUnavailable", "install_sdk", "measure", "run_sdk"]

SDK: Final = "Stackr SDK 0.6.0"
_FOLDER: Final = Path(__file__).resolve().parent / "stackr"
_LOADER: Final = _FOLDER / "node_modules/tsx/dist/cjs/index.cjs"
"""The SDK is published as TypeScript's output for bundlers, which Node.js alone does not load."""
_INSTALL_SECONDS: Final = 240
_START_SECONDS: Final = 60
_MESSAGE_LENGTH: Final = 200
_FIRST_SENDER: Final = 5_000_000
_REGISTERS: Final = MIX.count(Register)
_ROUNDS: Final = 5


class PeerUnavailable(Exception):
    """The SDK cannot be run here; says why."""


class Executed(msgspec.Struct, frozen=True):
    """What was executed, and the seconds that took: wall time, and CPU of the process."""

    executed: int
    seconds: float
    cpu: float


def measure(bench: Bench) -> list[Row]:
    """A row for each number of accounts that are there before."""
    sizes = bench.sizes
    missing = ""
    try:
        if not sizes.stackr_seconds:
            raise PeerUnavailable("left out at this size")
        bench.say(f"installing {SDK}")
        install_sdk()
    except PeerUnavailable as error:
        missing = str(error)
    rows = []
    for accounts in sizes.stackr:
        bench.say(f"{sizes.stackr_actions:,} signed actions into {accounts:,} accounts")
        ours, peer = _run_ours(bench, accounts, sizes.stackr_actions), None
        if not missing:
            try:
                peer = run_sdk(bench.make_directory("stackr"), accounts, sizes.stackr_actions, sizes.stackr_seconds)
            except PeerUnavailable as error:
                missing = str(error)
        rows.append(_make_row(bench, accounts, ours, peer, missing))
    return rows


def install_sdk() -> None:
    """Have npm install what the lock file pins, unless it has. Raises `PeerUnavailable`."""
    npm = shutil.which("npm")
    if npm is None:
        raise PeerUnavailable("npm is not installed")
    wanted = hashlib.sha256((_FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = _FOLDER / "node_modules" / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    command = [npm, "install", "--no-save", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=_FOLDER, capture_output=True, timeout=_INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PeerUnavailable(f"`npm install` took more than {_INSTALL_SECONDS} s") from None
    if done.returncode:
        raise PeerUnavailable(f"`npm install` ended with {done.returncode}: {_find_error(done.stderr)}")
    stamp.write_text(wanted)


def run_sdk(directory: Path, accounts: int, actions: int, seconds: float) -> Executed:
    """Submit actions to the SDK and have it make blocks of them for so long at most. Raises `PeerUnavailable`."""
    directory.mkdir()
    node = shutil.which("node")
    if node is None:
        raise PeerUnavailable("Node.js is not installed")
    arguments = ["--require", str(_LOADER), str(_FOLDER / "keystore.cjs"), str(accounts), str(actions), str(seconds)]
    limit = _START_SECONDS + 4 * seconds  # a block that was begun is made, and it takes as long as submitting it did
    try:
        done = subprocess.run([node, *arguments], cwd=directory, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise PeerUnavailable(f"it did not end within {limit:.0f} s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
    if done.returncode or not lines:
        raise PeerUnavailable(f"it ended with {done.returncode}: {_find_error(done.stderr)}")
    return msgspec.json.decode(lines[-1], type=Executed)


def _find_error(text: bytes) -> str:
    """The first line that speaks of an error, as npm and Node.js write them."""
    lines = text.decode(errors="replace").splitlines()
    return next((line.strip()[:_MESSAGE_LENGTH] for line in lines if "rror" in line), "no message")


def _run_ours(bench: Bench, accounts: int, actions: int) -> Executed:
    """The same by this process alone: signatures checked, executed, in a closed block on disk."""
    senders = -(-accounts // _REGISTERS)
    each = -(-actions // ACTIONS_PER_SENDER)
    found: list[Executed] = []
    with open_sequencer(bench.make_directory("beside-stackr")) as sequencer:
        authenticator = Authenticator.of(app, sequencer.ledger.genesis.domain)
        _take(sequencer, authenticator, sign_senders((_FIRST_SENDER, senders)).lines)
        for number in range(min(_ROUNDS, bench.sizes.repetitions)):
            lines = sign_senders((_FIRST_SENDER + senders + number * each, each)).lines[:actions]
            started, used = time.perf_counter(), time.process_time()
            executed = _take(sequencer, authenticator, lines)
            found.append(Executed(executed, time.perf_counter() - started, time.process_time() - used))
    if any(one.executed != actions for one in found):
        raise AssertionError("an action did not execute")
    return sorted(found, key=lambda one: one.seconds)[len(found) // 2]


def _take(sequencer: Sequencer[int], authenticator: Authenticator, lines: Sequence[bytes]) -> int:
    """Lines to a closed block; how many executed."""
    passed = [one for one in authenticator.authenticate_lines(lines) if isinstance(one, Authenticated)]
    outcomes = [outcome for _, outcome in sequencer.submit(enumerate(passed))]
    sequencer.close_block()
    return sum(isinstance(outcome, Sequenced) and outcome.receipt.status == 0 for outcome in outcomes)


def _make_row(bench: Bench, accounts: int, ours: Executed, peer: Executed | None, missing: str) -> Row:
    """Microseconds of wall time an action, with the CPU of each side."""
    cost = 1e6 * ours.seconds / ours.executed
    cpu = {"this process": 1e6 * ours.cpu / ours.executed}
    shown = f"ours {_describe(ours)}"
    limit = None
    if peer is not None and peer.executed:
        limit = 1e6 * peer.seconds / peer.executed
        cpu["the SDK's"] = 1e6 * peer.cpu / peer.executed
        note = f"{shown}; the SDK {_describe(peer)}, its SQLite with synchronous = FULL"
    else:
        note = f"{shown}; {SDK} is not measured: {missing or 'it executed nothing in time'}"
    return Row(
        name="stackr",
        what=f"signed actions, executed and in a block, {accounts:,} accounts",
        ours=cost,
        unit="us",
        limit=limit,
        limit_name=SDK if limit is not None else f"no {SDK} here",
        score=cost if limit is None else limit / cost,
        higher_is_better=limit is not None,
        repetitions=min(_ROUNDS, bench.sizes.repetitions),
        fsync=bench.measure_fsync(),
        cpu=cpu,
        note=note,
    )


def _describe(found: Executed) -> str:
    return f"{found.executed / found.seconds:,.1f} actions/s of {found.executed:,}"
