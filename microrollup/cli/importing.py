"""`microrollup import`: JSON Lines of signed actions become durable, executed and sealed blocks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import click
import msgspec
from rich.console import RenderableType

from microrollup.authentication import Authenticated
from microrollup.authentication_pool import CHUNK_SIZE, AuthenticationPool, split_chunks
from microrollup.cli.directory import Node, VerifierChoice, open_node, require_settled
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import PATH, app_argument, choose_workers, data_option, hex_bytes, workers_option
from microrollup.codec.json import hex0x
from microrollup.errors import RefusedError
from microrollup.limits import MEMORY_BYTES, limited_memory
from microrollup.primitives import MAX_ACTION_BYTES, MAX_BLOCK_ACTIONS
from microrollup.receipt import EXECUTED, FAULTED, REJECTED
from microrollup.rollup import load_rollup
from microrollup.sequencer import DEFAULT_BLOCK_SIZE, Outcome, Sequencer
from microrollup.settlement.place import L1Place

__all__ = ["ImportReport", "Refusal", "import_command", "import_lines", "read_lines"]

GROUP_CHUNKS: Final = 4
"""Chunks that are committed together: one sync for 1,000 actions."""

_SHOWN_REFUSALS: Final = 20
_EXPLAINED_REFUSALS: Final = 1_000
_STDIN: Final = "-"

Acknowledge = Callable[[list[tuple[int, int]]], None]
"""Is told (line, seq) of what has just become durable."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A line that was not logged."""

    line: int
    """Counted from zero."""
    error: str
    """The code of the `RefusedError`."""
    detail: str
    """Why, in words; empty behind the first `_EXPLAINED_REFUSALS`, so that a million of them fit into memory."""


class ImportReport(msgspec.Struct, frozen=True):
    """What became of all lines, and where the rollup stands then."""

    lines: int
    counts: dict[int, int]
    """Receipt status -> lines."""
    refusals: list[Refusal]
    """In the order of the lines."""
    height: int
    state_root: bytes

    def to_json(self) -> dict[str, object]:
        """The document that programs read."""
        return {
            "lines": self.lines,
            "executed": self.counts[EXECUTED],
            "rejected": self.counts[REJECTED],
            "faulted": self.counts[FAULTED],
            "refused": len(self.refusals),
            "refusals": [{"line": refusal.line, "error": refusal.error} for refusal in self.refusals],
            "height": self.height,
            "stateRoot": hex0x(self.state_root),
        }


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, which end at 0x0A only; the last one needs no end.

    Of a line longer than an action may be only the beginning is held: `MAX_ACTION_BYTES` + 1 bytes, enough for it to
    be refused as too large.
    """
    while line := file.readline(MAX_ACTION_BYTES + 1):
        whole = line.endswith(b"\n")
        yield line[:-1] if whole else line
        while not whole and len(line) > MAX_ACTION_BYTES and (rest := file.readline(MAX_ACTION_BYTES)):
            whole = rest.endswith(b"\n")


class _Tally:
    """Collects outcomes by line."""

    def __init__(self, acknowledge: Acknowledge) -> None:
        self.counts = {EXECUTED: 0, REJECTED: 0, FAULTED: 0}
        self.refusals: list[Refusal] = []
        self._acknowledge = acknowledge

    def refuse(self, line: int, error: RefusedError) -> None:
        detail = error.detail if len(self.refusals) < _EXPLAINED_REFUSALS else ""
        self.refusals.append(Refusal(line, error.code, detail))

    def take(self, outcomes: list[tuple[int, Outcome]]) -> None:
        acknowledged = []
        for line, outcome in outcomes:
            if isinstance(outcome, RefusedError):
                self.refuse(line, outcome)
            else:
                self.counts[outcome.receipt.status] += 1
                acknowledged.append((line, outcome.receipt.seq))
        self._acknowledge(acknowledged)


def _tell_nobody(_: list[tuple[int, int]]) -> None:
    return


def _ignore(_: int) -> None:
    return


def import_lines(
    node: Node,
    pool: AuthenticationPool,
    lines: Iterator[bytes],
    *,
    block_size: int = DEFAULT_BLOCK_SIZE,
    acknowledge: Acknowledge = _tell_nobody,
    on_lines: Callable[[int], None] = _ignore,
) -> ImportReport:
    """Authenticate lines in the pool, execute and commit them in groups, and close the last block.

    A bad line is refused by itself. What `acknowledge` is told is durable. Raises `CommitFailed` and `IntakeStopped`
    when nothing more can be taken.
    """
    tally = _Tally(acknowledge)
    count = 0
    with closing(Sequencer[int](node.ledger, node.key, node.l1, block_size=block_size)) as sequencer:
        sequencer.check_builder()
        chunks = pool.authenticate_lines(split_chunks(lines, CHUNK_SIZE))
        while group := list(islice(chunks, GROUP_CHUNKS)):
            first = count
            passed: list[tuple[int, Authenticated]] = []
            for chunk in group:
                for line, outcome in enumerate(chunk, count):
                    if isinstance(outcome, RefusedError):
                        tally.refuse(line, outcome)
                    else:
                        passed.append((line, outcome))
                count += len(chunk)
            tally.take(sequencer.submit(passed))
            on_lines(count - first)
        tally.take(sequencer.give_up_waiting())
        sequencer.close_block()
    tally.refusals.sort(key=lambda refusal: refusal.line)
    ledger = node.ledger
    return ImportReport(count, tally.counts, tally.refusals, ledger.checkpoint.height, ledger.header.state_root)


@click.command("import", cls=Command)
@app_argument
@click.argument("file")
@data_option("Directory of the store; made on first use.")
@click.option(
    "--block-size",
    type=click.IntRange(1, MAX_BLOCK_ACTIONS),
    default=DEFAULT_BLOCK_SIZE,
    show_default=True,
    metavar="N",
    help="Actions a block.",
)
@workers_option
@l1_options
@click.option(
    "--verifier",
    "verifiers",
    type=hex_bytes(20),
    multiple=True,
    metavar="ADDRESS",
    help="A verifier of the new rollup, several times for several [default: a key made for development].",
)
@click.option(
    "--quorum",
    type=click.IntRange(1, 256),
    metavar="M",
    help="Verifiers who must attest [default: more than half of them].",
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
) -> None:
    """Execute signed actions from JSON Lines and make them durable.

    FILE holds one signed action a line; `-` is standard input. A bad line is refused and stops nothing. What was
    acknowledged survives any crash; importing the same file again goes on where it ended.
    """
    rollup = load_rollup(app)
    path = None if file == _STDIN else Path(file)
    with (
        limited_memory(MEMORY_BYTES),
        _open_input(path) as source,
        open_node(directory, rollup, verifiers=VerifierChoice(verifiers, quorum), l1=l1) as node,
        AuthenticationPool(app, node.ledger.genesis.domain, choose_workers(workers, path)) as pool,
        _open_acks(acks) as acknowledge,
        _follow(source, path) as on_lines,
    ):
        require_settled(node)
        report = import_lines(
            node, pool, read_lines(source), block_size=block_size, acknowledge=acknowledge, on_lines=on_lines
        )
    output.show(report.to_json(), *render_report(report))


@contextmanager
def _open_input(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


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
        yield _tell_nobody
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
