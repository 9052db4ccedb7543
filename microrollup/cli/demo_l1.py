"""`microrollup demo --l1`: the same actions on a real L1, and the rollup rebuilt from it without its operator."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from microrollup.cli.demo_parts import APP, Demo
from microrollup.cli.output import Output, make_facts, make_table
from microrollup.cli.verification import follow_verifier
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.deployment.deploying import Deployed
from microrollup.deployment.l1_rollup import L1Rollup
from microrollup.testing.anvil import DEV_KEYS, Anvil, find_anvil, run_anvil
from microrollup.verifier.events import DivergenceEvent, Report

__all__ = ["run_l1_demo"]


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """What a step took."""

    step: str
    gas: int | None
    """Of L1's transactions."""
    blob_gas: int | None
    bytes: int | None
    """Published, or read back."""
    seconds: float


class L1Demo:
    """One run on one L1."""

    def __init__(self, directory: Path, anvil: Anvil, output: Output) -> None:
        self.anvil = anvil
        self.output = output
        self.stage = L1Rollup(APP, directory, anvil)
        self.parts = Demo(self.stage.operator, output)
        self.directory = directory
        self.rows: list[Row] = []
        self.user = load_private_key(bytes.fromhex(DEV_KEYS[1]))

    def deploy(self) -> Deployed:
        """The inbox, with three verifiers of whom two must attest, and a builder with ether."""
        self.parts.tell("1. Deploy", "An L1 starts; the inbox is created on it: 2 of 3 verifiers must attest.")
        with self.timed("deploy the inbox") as figures:
            # the wallets of the file signed before there was an inbox
            deployed = self.stage.deploy(load_private_key(bytes.fromhex(DEV_KEYS[0])), zero_domain=True)
            figures["gas"] = deployed.gas_used
        facts = {"L1": self.anvil.url, "inbox": deployed.place.inbox, "gas": f"{deployed.gas_used:,}"}
        self.output.tell(make_facts(dict(facts)))
        return deployed

    def verify(self, name: str) -> list[Report] | DivergenceEvent:
        """Two verifiers, each in a process and a store of its own, execute everything again and attest."""
        with self.timed(name), follow_verifier() as follow:
            reports = self.stage.verify(on_progress=follow)
        if isinstance(reports, DivergenceEvent):
            return reports
        attesting = f"{len(reports)} of {len(self.stage.verifier_keys)}"
        facts = {"verified": f"height {reports[0].verified}", "attestations": attesting}
        self.output.tell(make_facts({**facts, "state root": reports[0].state_root}))
        return reports

    def settle(self, name: str, reports: list[Report]) -> bytes:
        """One transaction per batch, the data in blobs; the state root that the inbox holds then."""
        with self.timed(name) as figures:
            settled = self.stage.settle(reports)
            figures.update({"gas": settled.gas, "blob_gas": settled.blob_gas, "bytes": settled.bytes})
        blobs = settled.blob_gas // 131_072
        facts = {
            "settled": f"height {settled.head.height} in L1 block {settled.head.l1_number}",
            "published": f"{len(settled.ranges)} batch, {settled.bytes:,} bytes in {blobs} blobs",
            "gas": f"{settled.gas:,} and {settled.blob_gas:,} of blobs",
        }
        self.output.tell(make_facts({**facts, "state root": hex0x(settled.head.state_root)}))
        return settled.head.state_root

    def force(self) -> bytes:
        """A user's Register past the operator; the operator's next block has to begin with it."""
        self.parts.tell("5. Force", "A user past the operator: L1 has the action, the next block must take it.")
        action_type = self.parts.rollup.action_types.by_name["Register"]
        action = action_type.cls(*[keccak256(text) for text in (b"code", b"config", b"salt")])
        with self.timed("force an action") as figures:
            forced, gas = self.stage.force(self.user, action)
            figures.update({"gas": gas, "bytes": len(forced.payload)})
        header = self.stage.take_forced()
        sender = forced.sender
        facts = {
            "forced": f"by {hex0x(sender)} in L1 block {forced.inclusion_block}",
            "taken": f"block {header.height}",
        }
        self.output.tell(make_facts(dict(facts)))
        return keccak256(keccak256(b"salt") + keccak256(keccak256(b"code") + keccak256(b"config")) + keccak256(sender))

    def rebuild(self) -> Report | DivergenceEvent:
        """The operator is gone, with all its data; anybody derives the rollup from L1 and its blobs."""
        self.parts.tell("7. Rebuild", "The operator's data is deleted. Anybody rebuilds all from L1 and its blobs.")
        shutil.rmtree(self.stage.operator)
        with self.timed("rebuild from L1") as figures, follow_verifier() as follow:
            outcome = self.stage.rebuild(self.directory / "anybody", on_progress=follow)
            figures["bytes"] = sum(row.bytes or 0 for row in self.rows if row.blob_gas)
        if isinstance(outcome, Report):
            facts = {"rebuilt": f"height {outcome.verified}, {outcome.actions} actions", "unchecked": "nothing"}
            self.output.tell(make_facts({**facts, "state root": outcome.state_root}))
        return outcome

    @contextmanager
    def timed(self, step: str) -> Iterator[dict[str, int]]:
        """A step of the table; what it cost goes into the given figures."""
        started = time.monotonic()
        figures: dict[str, int] = {}
        yield figures
        seconds = round(time.monotonic() - started, 2)
        self.rows.append(Row(step, figures.get("gas"), figures.get("blob_gas"), figures.get("bytes"), seconds))

    def tell_rows(self) -> RenderableType:
        """The table of gas and bytes."""
        table = make_table("step", "L1 gas", "blob gas", "bytes", "seconds")
        for row in self.rows:
            cells = ["" if value is None else f"{value:,}" for value in (row.gas, row.blob_gas, row.bytes)]
            table.add_row(row.step, *cells, f"{row.seconds:.2f}")
        return table


def run_l1_demo(directory: Path, block_size: int, output: Output) -> bool:
    """The whole story on an L1 of its own; whether all roots are equal. Raises `UsageError` if none can be started."""
    started = time.monotonic()
    with run_anvil(find_anvil(), "--hardfork", "osaka") as anvil:
        demo = L1Demo(directory, anvil, output)
        outcome = _tell_story(demo, block_size)
    if isinstance(outcome, DivergenceEvent):
        found = msgspec.to_builtins(outcome)
        output.show({"ok": False, "divergence": found}, "The verifier refuses a block:", make_facts(found))
        return False
    document, roots, equal = outcome
    seconds = time.monotonic() - started
    table = make_table("who", "state root")
    for who, root in roots.items():
        table.add_row(who, Text(root, style="green" if equal else "red"))
    verdict = "They agree" if equal else "They do NOT agree"
    rows = [msgspec.to_builtins(row) for row in demo.rows]
    document = {"ok": equal, "roots": roots, "steps": rows, **document, "seconds": round(seconds, 3)}
    output.show(document, "", table, "", demo.tell_rows(), "", Text(f"{verdict}; {seconds:.1f} s.", style="bold"))
    return equal


def _tell_story(demo: L1Demo, block_size: int) -> tuple[dict[str, Any], dict[str, str], bool] | DivergenceEvent:
    parts = demo.parts
    deployed = demo.deploy()
    with demo.timed("import 2,000 actions"):
        report = parts.import_actions(block_size, "2")
    parts.tell("3. Verify", "Two other processes execute every action again and sign for this inbox and these blobs.")
    first = demo.verify("verify, twice")
    if isinstance(first, DivergenceEvent):
        return first
    parts.tell("4. Settle", "The inbox takes the batch: the root on L1, the data in blobs.")
    settled_root = demo.settle("settle in blobs", first)
    forced_key = demo.force()
    parts.tell("6. Settle", "The block with the forced action is verified and settled like any other.")
    second = demo.verify("verify the forced block")
    if isinstance(second, DivergenceEvent):
        return second
    last_root = demo.settle("settle it", second)
    rebuilt = demo.rebuild()
    if isinstance(rebuilt, DivergenceEvent):
        return rebuilt
    inbox_root = demo.stage.read_inbox_root()
    proofs = parts.prove(inbox_root, "8", demo.directory / "anybody" / "store", forced_key)
    roots = {
        "expected of the file": parts.expected.state_root,
        "sequencer": hex0x(report.state_root),
        "inbox, first batch": hex0x(settled_root),
        "inbox, with the forced action": hex0x(last_root),
        "rebuilt from L1": rebuilt.state_root,
        "inbox contract": hex0x(inbox_root),
    }
    values = list(roots.values())
    equal = len(set(values[:3])) == len(set(values[3:])) == 1
    return {"inbox": deployed.place.inbox, **proofs}, roots, equal
