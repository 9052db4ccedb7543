"""`microrollup demo`: the whole way of 2,000 wallet-signed actions, from a file to a settled root and two proofs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from microrollup.chain.export import write_blocks
from microrollup.cli.demo_parts import APP, Demo
from microrollup.cli.files import open_directory
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import PATH, block_size_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.verification import watch_verifier
from microrollup.codec.json import hex0x
from microrollup.deployment.directory import open_rollup
from microrollup.deployment.place_file import find_place
from microrollup.deployment.settling import parse_attestations, settle_batches
from microrollup.deployment.verifying import make_request
from microrollup.keys.files import verifier_key_path
from microrollup.verifier.events import DivergenceEvent, Report
from microrollup.verifier.source import StoreSource

__all__ = ["demo_command"]

BLOCK_SIZE: Final = 100


@click.command("demo", cls=Command)
@click.option("--data", "directory", type=PATH, metavar="DIR", help="Keep everything there [default: temporary].")
@block_size_option(BLOCK_SIZE)
@click.option(
    "--l1", "on_l1", is_flag=True, help="Settle on an Ethereum L1 of its own (anvil), and rebuild everything from it."
)
@json_option
def demo_command(directory: Path | None, block_size: int, on_l1: bool, output: Output) -> int:
    """Watch 2,000 wallet-signed actions become settled, proven state.

    They are imported, verified by another process, settled, and proven; the state root must be the same in sequencer,
    verifier, settlement, and in the file that another program computed. With --l1 an L1 starts, the inbox is deployed,
    the data goes into blobs, a user forces an action past the operator; then the operator's data is deleted and all is
    rebuilt from L1. Exit code 1: the roots differ.
    """
    if on_l1:
        from microrollup.cli.demo_l1 import run_l1_demo  # noqa: PLC0415  # nobody else pays for it

        with open_directory(directory, "demo") as own:
            return 0 if run_l1_demo(own, block_size, output) else EXIT_FAILED
    started = time.monotonic()
    with open_directory(directory, "demo") as own:
        demo = Demo(own, output)
        report = demo.import_actions(block_size)
        outcome = _verify(demo)
        if isinstance(outcome, DivergenceEvent):
            found = msgspec.to_builtins(outcome)
            output.show({"ok": False, "divergence": found}, "The verifier refuses a block:", make_facts(found))
            return EXIT_FAILED
        settled_root = _settle(demo, outcome)
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


def _verify(demo: Demo) -> Report | DivergenceEvent:
    """The verifier's part, in a process and a store of its own, from a file of blocks."""
    demo.tell("2. Verify", "Another process reads a file of blocks, executes every action again, and signs.")
    blocks = demo.directory / "blocks.microrollup"
    with StoreSource(demo.directory) as source:
        write_blocks(blocks, source.genesis, source.read_blocks(), source.read_manifests())
    request = make_request(
        APP,
        blocks,
        demo.directory / "verifier",
        l1=find_place(demo.directory, None),
        key=verifier_key_path(demo.directory),
    )
    outcome = watch_verifier(request, as_json=demo.output.as_json)
    if isinstance(outcome, Report):
        verified = f"{outcome.verified} blocks, {outcome.actions} actions"
        facts = {"verified": verified, "attestations": len(outcome.attestations), "state root": outcome.state_root}
        demo.output.tell(make_facts(dict(facts)))
    return outcome


def _settle(demo: Demo, report: Report) -> bytes:
    """The settlement's part: the attested batches; the state root that it holds then."""
    demo.tell("3. Settle", "The settlement, here a directory that keeps the inbox's rules, takes what is attested.")
    attestations = parse_attestations(msgspec.json.encode(report.attestations))
    with open_rollup(demo.directory, demo.rollup) as opened:
        ranges = settle_batches(opened, attestations)
        head = opened.l1.get_settled()
    batches = f"{len(ranges)} new batches, {sum(settled.bytes for settled in ranges):,} bytes"
    facts = {"settled": f"height {head.height}, {batches}", "L1 block": head.l1_number}
    demo.output.tell(make_facts({**facts, "state root": hex0x(head.state_root)}))
    return head.state_root


def _render_end(roots: dict[str, str], equal: bool, seconds: float, directory: Path | None) -> list[RenderableType]:
    table = make_table("who", "state root")
    for who, root in roots.items():
        table.add_row(who, Text(root, style="green" if equal else "red"))
    verdict = "All four agree" if equal else "They do NOT agree"
    rendered: list[RenderableType] = [table, "", Text(f"{verdict}; {seconds:.1f} s.", style="bold")]
    if directory is not None:
        rendered.append(f"Everything is in {directory}: try `microrollup log {APP} --data {directory}`.")
    return rendered
