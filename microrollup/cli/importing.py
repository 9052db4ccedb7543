"""`microrollup import`: JSON Lines of signed actions become durable, executed and sealed blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click
from rich.console import RenderableType

from microrollup.chain.receipt import EXECUTED, FAULTED, REJECTED
from microrollup.cli.files import find_file, open_input
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import PATH, app_argument, block_size_option, data_option, hex_bytes, workers_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.deployment.directory import VerifierChoice
from microrollup.deployment.importing import Acknowledge, ImportReport, import_actions, read_lines
from microrollup.deployment.workers import choose_workers
from microrollup.sequencer.sequencer import DEFAULT_BLOCK_SIZE
from microrollup.settlement.place import L1Place

__all__ = ["import_command"]

_SHOWN_REFUSALS: Final = 20


@click.command("import", cls=Command)
@app_argument
@click.argument("file")
@data_option("Directory of the store; made on first use.")
@block_size_option(DEFAULT_BLOCK_SIZE)
@workers_option
@l1_options
@click.option(
    "--verifier",
    "verifiers",
    type=hex_bytes(20),
    multiple=True,
    metavar="ADDRESS",
    help="Give a new rollup this verifier; repeatable [default: a key made for development].",
)
@click.option(
    "--quorum",
    type=click.IntRange(1, 256),
    metavar="M",
    help="Let a new rollup settle what M verifiers attest [default: more than half].",
)
@click.option("--acks", type=PATH, metavar="FILE", help="Append `LINE SEQ` for each action once it is durable.")
@json_option
def import_command(
    app: str,
    file: str,
    directory: Path,
    block_size: int,
    workers: int | None,
    l1: L1Place | None,
    verifiers: tuple[bytes, ...],
    quorum: int | None,
    acks: Path | None,
    output: Output,
) -> int:
    """Execute signed actions from JSON Lines and make them durable.

    FILE holds one signed action per line; `-` is standard input. A bad line is refused and stops nothing. What was
    acknowledged survives any crash; importing the same file again goes on where it ended. A warning follows if most
    senders are unknown: lines without `sender` may have been signed for another domain. Exit code 1: a line was
    refused, and not because its action is in the log already.
    """
    path = find_file(file)
    with open_input(file) as source, _open_acks(acks) as acknowledge, _follow(source, path) as on_lines:
        report = import_actions(
            app,
            directory,
            read_lines(source),
            verifiers=VerifierChoice(verifiers, quorum),
            l1=l1,
            block_size=block_size,
            workers=choose_workers(workers, path),
            acknowledge=acknowledge,
            on_lines=on_lines,
        )
    output.show(report.to_json(), *render_report(report))
    if report.warning is not None:
        output.warn(report.warning)
    return EXIT_FAILED if report.failed else 0


@contextmanager
def _follow(source: BinaryIO, path: Path | None) -> Iterator[Callable[[int], None]]:
    """A progress bar: how much of a file is read, or how many lines of what has no end yet."""
    if path is None or not path.is_file():
        with show_progress("importing") as advance:
            yield advance
        return
    with show_progress("importing", path.stat().st_size, in_bytes=True) as advance:
        seen = 0

        def follow(_: int) -> None:
            nonlocal seen
            position = source.tell()
            advance(position - seen)
            seen = position

        yield follow


@contextmanager
def _open_acks(path: Path | None) -> Iterator[Acknowledge]:
    if path is None:
        yield lambda _: None
        return
    with path.open("a", encoding="ascii") as file:

        def acknowledge(durable: list[tuple[int, int]]) -> None:
            file.write("".join([f"{line} {seq}\n" for line, seq in durable]))
            file.flush()

        yield acknowledge


def render_report(report: ImportReport) -> list[RenderableType]:
    """The report for people; the first refusals only."""
    facts: dict[str, object] = {
        "lines": report.lines,
        "executed": report.counts[EXECUTED],
        "rejected": report.counts[REJECTED],
        "faulted": report.counts[FAULTED],
        "refused": len(report.refusals),
        "height": report.height,
        "state root": hex0x(report.state_root),
    }
    rendered: list[RenderableType] = [make_facts(facts)]
    if report.refusals:
        table = make_table("line", "refused", "why")
        for refusal in report.refusals[:_SHOWN_REFUSALS]:
            table.add_row(str(refusal.line), refusal.error, refusal.detail)
        rendered += ["", table]
        if len(report.refusals) > _SHOWN_REFUSALS:
            rendered.append(f"and {len(report.refusals) - _SHOWN_REFUSALS} more; --json lists them all")
    return rendered
