"""`python tests/support/measure_relay.py [COUNT]`: how long an update takes from its signature to each chain, by phase.

A node with one verifier and a local settlement, `run`'s defaults; three anvils, two with a block every 2 s as L2s have
them, one with a block every 12 s as Ethereum has them; one relayer with its defaults. An update is signed every 3 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from apps.keystore.ucmt import RootUpdate, compute_update_message
from node_fixtures import Caller
from process_fixtures import Process
from ucmt_relay import RELAYER, RelayProcess, run_chain
from ucmt_world import User, encode_raw

BLOCK_SECONDS: Final = (2, 2, 12)
PAUSE_SECONDS: Final = 3.0
LEVELS: Final = ("C1", "C2", "C3A", "C3B")


def measure(count: int, root: Path) -> dict[str, list[float]]:
    """Seconds from signature on, by phase."""
    key = root / "relayer.key"
    key.write_text(RELAYER.secret.hex())
    phases: dict[str, list[float]] = {}
    with ExitStack() as stack:
        chains = [stack.enter_context(run_chain(3001 + number)) for number in range(len(BLOCK_SECONDS))]
        for chain, seconds in zip(chains, BLOCK_SECONDS, strict=True):
            chain.anvil.call("anvil_removeBlockTimestampInterval")
            chain.anvil.call("evm_setIntervalMining", seconds)
        node = stack.enter_context(
            closing(Process("run", "apps.keystore.ucmt", "--data", root / "node", "--port", 0, "--json", cwd=root))
        )
        url = node.read()["url"]
        caller = stack.enter_context(closing(Caller(None, int(url.rpartition(":")[2]))))  # type: ignore[arg-type]
        urls = [chain.url for chain in chains]
        relay = stack.enter_context(closing(RelayProcess(url, root / "relay", urls, key, "--json")))
        signed: dict[str, float] = {}
        for number in range(count):
            update: RootUpdate = User(f"measure {number}").rotate()
            start = time.time()
            raw = "0x" + encode_raw(update).hex()
            ack = caller.call("submitEnvelope", name="ucmt", raw=raw)
            phases.setdefault("acknowledged (C0)", []).append(time.time() - start)
            signed["0x" + compute_update_message(update).hex()] = start
            watch(caller, ack["actionHash"], start, phases, until=start + PAUSE_SECONDS)
        deadline = time.time() + 60
        while time.time() < deadline and any(each["status"] != "done" for each in relay.read()["updates"]):
            time.sleep(0.5)
        _, document = relay.stop()
    for each in document["updates"]:
        start, seconds = signed[each["message"]], BLOCK_SECONDS[each["chainId"] - 3001]
        phases.setdefault("read by the relayer", []).append(each["seen"] - start)
        phases.setdefault(f"sent, {seconds} s blocks", []).append(each["sent"] - start)
        phases.setdefault(f"usable, {seconds} s blocks", []).append(each["done"] - start)
    return phases


def watch(caller: Caller, identity: str, start: float, phases: dict[str, list[float]], until: float) -> None:
    """The levels that an update reaches until then."""
    reached: set[str] = set()
    while time.time() < until:
        level = caller.call("getConfirmation", hash=identity)["level"]
        for each in LEVELS[: LEVELS.index(level) + 1 if level in LEVELS else 0]:
            if each not in reached:
                reached.add(each)
                phases.setdefault(f"level {each}", []).append(time.time() - start)
        time.sleep(0.02)


def main(arguments: list[str]) -> None:
    """Print the phases' medians and extremes."""
    with tempfile.TemporaryDirectory() as directory:
        phases: dict[str, Any] = measure(int(arguments[0]) if arguments else 20, Path(directory))
    for name, seconds in phases.items():
        print(f"{name:28} {median(seconds):7.2f} {min(seconds):7.2f} {max(seconds):7.2f}  {len(seconds)}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
