"""A process that forks commands: everything that a node on Ethereum imports, and the set-up of KZG, is loaded once.

A node that is killed and started again many times would spend its test's time on imports. What is forked runs the
command line as it is; the process that forks has no store open and no threads. In JSON lines:

    {"arguments": [...], "stdout": path, "stderr": path} -> the process's id; with "crash": [point, count] it is to end
        as `crash_points.install` says
    {"pid": 123, "wait": 5.0} -> its exit code (or minus the signal's number), null if it still runs
    {"end": [123, 124]} -> null, once each of them has ended, by SIGKILL if need be
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import apps.keystore
from microrollup.cli import main
from microrollup.cli import serving as _serving
from microrollup.settlement.ethereum import settlement as _settlement
from microrollup.settlement.ethereum.kzg import compute_blob_proofs, make_sidecar


def load() -> None:
    """What takes time: imports, and the set-up for a blob's proofs."""
    assert apps.keystore.app.name == "keystore"
    assert _serving.run_command.name == "run"
    assert _settlement.EthereumSettlement.__name__
    from eth_account import Account

    assert Account is not None
    compute_blob_proofs(make_sidecar([bytes(131_072)]))


def fork(request: dict[str, Any]) -> int:
    """Run the command line in a child."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        for number, name in ((1, "stdout"), (2, "stderr")):
            with open(request[name], "ab") as file:  # noqa: PTH123
                os.dup2(file.fileno(), number)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 0)
        if "crash" in request:
            import crash_points

            crash_points.install(*request["crash"])
        code = main(request["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def wait(pid: int, seconds: float) -> int | None:
    """The exit code of a child, once it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)


def end(pids: set[int]) -> None:
    """Nobody is left behind, nor waits to be reaped."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def serve() -> None:
    """One request after the other until standard input ends; then nobody is left behind."""
    load()
    children = set()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        request = json.loads(line)
        answer = None
        if "wait" in request:
            answer = wait(request["pid"], request["wait"])
            children -= set() if answer is None else {request["pid"]}
        elif "end" in request:
            left = children & set(request["end"])
            end(left)
            children -= left
        else:
            answer = fork(request)
            children.add(answer)
        print(json.dumps(answer), flush=True)  # noqa: T201
    end(children)


if __name__ == "__main__":
    sys.setrecursionlimit(1000)
    serve()
