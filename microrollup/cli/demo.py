"""`microrollup demo`: the whole way of 2,000 wallet-signed actions, from a file to a settled root and two proofs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from microrollup.authentication_pool import AuthenticationPool
from microrollup.cli.directory import VerifierChoice, open_node, open_state, verifier_key_path
from microrollup.cli.importing import ImportReport, import_lines, read_lines, render_report
from microrollup.cli.l1 import find_place
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import PATH, choose_workers
from microrollup.cli.proving import render_proof
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.settling import parse_attestations, settle_batches
from microrollup.cli.verification import make_request, watch_verifier
from microrollup.codec.json import hex0x
from microrollup.export import write_blocks
from microrollup.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.primitives import MAX_BLOCK_ACTIONS
from microrollup.proof_json import proof_to_json
from microrollup.reading import get_field, prove_state
from microrollup.rollup import load_rollup
from microrollup.verifier.events import DivergenceEvent, Report
from microrollup.verifier.source import StoreSource

__all__ = ["demo_command"]

APP: Final = "apps.keystore"
BLOCK_SIZE: Final = 100
_LINES_FILE: Final = "wallet-actions.jsonl"
_EXPECTED_FILE: Final = "wallet-actions.expected.json"


class Expected(msgspec.Struct, frozen=True, rename="camel"):
    """What another program, which shares no code with this one, computed for the same file."""

    lines: int
    state_root: str
    sample_accounts: list[Account]
    sample_absent_keys: list[Account]


class Account(msgspec.Struct, frozen=True):
    """A key that is there, or is not."""

    key: str


class Demo:
    """One run: the directory it works in, and where it tells what it does."""

    def __init__(self, directory: Path, output: Output) -> None:
        self.directory = directory
        self.output = output
        self.rollup = load_rollup(APP)
        data = resources.files(APP) / "data"
        self.lines_file = data / _LINES_FILE
        self.expected = msgspec.json.decode((data / _EXPECTED_FILE).read_bytes(), type=Expected)

    def import_actions(self, block_size: int) -> ImportReport:
        """The sequencer's part: authenticate, execute, log, acknowledge, seal."""
        self.tell("1. Import", "Actions that two wallet libraries signed are authenticated, executed and logged.")
        with (
            resources.as_file(self.lines_file) as path,
            path.open("rb") as file,
            open_node(self.directory, self.rollup, verifiers=VerifierChoice()) as node,
            AuthenticationPool(APP, node.ledger.genesis.domain, choose_workers(None, path)) as pool,
            show_progress("importing", self.expected.lines) as advance,
        ):
            report = import_lines(node, pool, read_lines(file), block_size=block_size, on_lines=advance)
        self.output.tell(render_report(report)[0])
        return report

    def verify(self) -> Report | DivergenceEvent:
        """The verifier's part, in a process and a store of its own, from a file of blocks."""
        self.tell("2. Verify", "Another process reads a file of blocks, executes every action again, and signs.")
        blocks = self.directory / "blocks.microrollup"
        with StoreSource(self.directory) as source:
            write_blocks(blocks, source.genesis, source.read_blocks())
        request = make_request(
            APP,
            blocks,
            self.directory / "verifier",
            l1=find_place(self.directory, None),
            key=verifier_key_path(self.directory),
        )
        outcome = watch_verifier(request)
        if isinstance(outcome, Report):
            verified = f"{outcome.verified} blocks, {outcome.actions} actions"
            facts = {"verified": verified, "attestations": len(outcome.attestations), "state root": outcome.state_root}
            self.output.tell(make_facts(dict(facts)))
        return outcome

    def settle(self, report: Report) -> bytes:
        """The settlement's part: the attested batches; the state root that it holds then."""
        self.tell("3. Settle", "The settlement, here a directory that keeps the inbox's rules, takes what is attested.")
        attestations = parse_attestations(msgspec.json.encode(report.attestations))
        with open_node(self.directory, self.rollup) as node:
            ranges = settle_batches(node, attestations)
            head = node.l1.get_settled()
        batches = f"{len(ranges)} new batches, {sum(settled.bytes for settled in ranges):,} bytes"
        facts = {"settled": f"height {head.height}, {batches}", "L1 block": head.l1_number}
        self.output.tell(make_facts({**facts, "state root": hex0x(head.state_root)}))
        return head.state_root

    def prove(self, settled_root: bytes) -> dict[str, Any]:
        """A wallet's part: one account that is there, one that is not, both checked against the settled root alone."""
        self.tell("4. Prove", "Against the settled root, anybody checks that an account is there, or that it is not.")
        field = get_field(self.rollup, None)
        samples = (self.expected.sample_accounts[0], self.expected.sample_absent_keys[2])
        with open_state(self.directory, self.rollup) as (environment, tree):
            present, absent = (
                prove_state(environment, tree, field, bytes.fromhex(sample.key[2:])) for sample in samples
            )
        verify_inclusion(settled_root, present.tree_key, present.value, present.proof)
        verify_exclusion(settled_root, absent.tree_key, absent.proof)
        document: dict[str, Any] = {}
        for name, proof in (("inclusion", present), ("exclusion", absent)):
            title = Text(f"{name} of account {hex0x(proof.key)}", style="bold")
            self.output.tell(title, *render_proof(field, proof), "")
            document[name] = proof_to_json(field, proof)
        return document

    def tell(self, step: str, what: str) -> None:
        """A step begins."""
        self.output.tell("", Text.assemble((step, "bold cyan"), f"  {what}"), "")


@click.command("demo", cls=Command)
@click.option("--data", "directory", type=PATH, metavar="DIR", help="Keep everything there [default: temporary].")
@click.option(
    "--block-size",
    type=click.IntRange(1, MAX_BLOCK_ACTIONS),
    default=BLOCK_SIZE,
    show_default=True,
    metavar="N",
    help="Actions a block.",
)
@json_option
def demo_command(directory: Path | None, block_size: int, output: Output) -> int:
    """Watch 2,000 wallet-signed actions become settled, proven state.

    They are imported, verified by another process, settled, and proven; the state root must be the same in sequencer,
    verifier, settlement, and in the file that another program computed. Exit code 1: it is not.
    """
    started = time.monotonic()
    with _open_directory(directory) as own:
        demo = Demo(own, output)
        report = demo.import_actions(block_size)
        outcome = demo.verify()
        if isinstance(outcome, DivergenceEvent):
            found = msgspec.to_builtins(outcome)
            output.show({"ok": False, "divergence": found}, "The verifier refuses a block:", make_facts(found))
            return EXIT_FAILED
        settled_root = demo.settle(outcome)
        roots = {
            "sequencer": hex0x(report.state_root),
            "verifier": outcome.state_root,
            "settlement": hex0x(settled_root),
            "expected": demo.expected.state_root,
        }
        equal = len(set(roots.values())) == 1
        proofs = demo.prove(settled_root) if equal else {}
    seconds = time.monotonic() - started
    document = {"ok": equal, **report.to_json(), "roots": roots, **proofs, "seconds": round(seconds, 3)}
    output.show(document, *_render_end(roots, equal, seconds, directory))
    return 0 if equal else EXIT_FAILED


def _render_end(roots: dict[str, str], equal: bool, seconds: float, directory: Path | None) -> list[RenderableType]:
    table = make_table("who", "state root")
    for who, root in roots.items():
        table.add_row(who, Text(root, style="green" if equal else "red"))
    verdict = "All four agree" if equal else "They do NOT agree"
    rendered: list[RenderableType] = [table, "", Text(f"{verdict}; {seconds:.1f} s.", style="bold")]
    if directory is not None:
        rendered.append(f"Everything is in {directory}: try `microrollup log {APP} --data {directory}`.")
    return rendered


@contextmanager
def _open_directory(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="microrollup-demo-") as temporary:
        yield Path(temporary)
