"""The command: three chains, one directory, the story, and its tables."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.text import Text

from microrollup.cli.output import Command, Output, json_option
from microrollup.cli.parameters import PATH
from microrollup.cli.run import EXIT_FAILED, run_command
from microrollup.codec.json import hex0x
from microrollup.errors import UsageError
from microrollup.testing.anvil import CHAIN_ID, find_anvil, run_anvil

from .acts import Story
from .bundling import Bundler, run_bundler
from .costs import PRICES, compute_costs, make_costs_table, read_prices
from .entry_point import load_entry_point
from .figures import compute_figures, make_figures_table
from .layer2 import Layer2
from .telling import Telling

__all__ = ["main", "open_directory", "story_command"]

_NAME: Final = f"python -m {__package__}"
_SECONDS_AGO: Final = 10 * 86_400
"""The chains begin in the past, and so does what happens after three days."""
_BLOCK_SECONDS: Final = 12


@click.command("story", cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--keep", "directory", type=PATH, metavar="DIR", help="Keep stores and keys there [default: temporary].")
@click.option(
    "--entry-point",
    type=PATH,
    metavar="FILE",
    help="EntryPoint.json of npm's @account-abstraction/contracts@0.8.0 [default: npm is asked for it].",
)
@click.option(
    "--bundler",
    metavar="COMMAND",
    help="A bundler for L2 A, started with RPC URL, entry point and a file with the chain's time; it says `listening on"
    " URL`. Operations go through it there, and a sponsor pays for them; on L2 B they are handed to the entry point.",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="NAME=AMOUNT",
    help=f"Add what each step costs. {'; '.join(f'{name}: {what}' for name, what in PRICES.items())}.",
)
@json_option
def story_command(
    directory: Path | None, entry_point: Path | None, bundler: str | None, prices: tuple[str, ...], output: Output
) -> int:
    """Watch one keystore serve smart accounts on two L2s, and outlive its operator.

    Starts one L1 and two L2s (anvil). Alice and Bob register; the root settles on L1 and is mirrored to the L2s;
    accounts are made and act by user operations; one rotation reaches both L2s; an account that was never registered
    acts; then the operator disappears, and a rotation forced through L1 reaches both L2s. Exit code 1: something came
    out otherwise than it should.
    """
    started = time.monotonic()
    known = read_prices(prices)
    code = load_entry_point(entry_point)
    with ExitStack() as stack:
        own = stack.enter_context(open_directory(directory, "keystore-story-"))
        command, begin = find_anvil(), int(time.time()) // _BLOCK_SECONDS * _BLOCK_SECONDS - _SECONDS_AGO
        first, second, third = [
            stack.enter_context(run_anvil(command, "--hardfork", "osaka", timestamp=begin, chain_id=CHAIN_ID + number))
            for number in range(3)
        ]
        telling = Telling(output, lambda: first.get_head()[1])
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def start(layer: Layer2) -> Bundler | None:
            return None if bundler is None else stack.enter_context(run_bundler(shlex.split(bundler), layer, folder))

        story = Story(own, (first, second, third), telling, code, start)
        story.tell()
        roots = {
            "inbox on L1": hex0x(story.operator.stage.read_inbox_root()),
            "store of the successor": hex0x(story.operator.prove(story.alice.key).header.state_root),
            "L2 A": hex0x(story.first.read_root()),
            "L2 B": hex0x(story.second.read_root()),
        }
        figures = compute_figures(story)
    telling.expect("one root everywhere", "", "1", str(len(set(roots.values()))))
    costs = compute_costs(telling.rows, known) if prices else []
    seconds = round(time.monotonic() - started, 1)
    document = {
        "ok": telling.ok,
        "outcomes": [msgspec.to_builtins(outcome) for outcome in telling.outcomes],
        "steps": [msgspec.to_builtins(row) for row in telling.rows],
        "phases": telling.sum_phases(),
        "figures": [msgspec.to_builtins(figure) for figure in figures],
        "costs": [msgspec.to_builtins(cost) for cost in costs],
        "roots": roots,
        "seconds": seconds,
    }
    verdict = "All came out as it should" if telling.ok else "NOT all came out as it should"
    output.show(
        document,
        *("", telling.make_steps_table(), "", telling.make_phases_table(), "", make_figures_table(figures), ""),
        *((make_costs_table(costs), "") if costs else ()),
        Text(f"{verdict}: {len(telling.outcomes)} outcomes, {seconds} s.", style="bold"),
    )
    return 0 if telling.ok else EXIT_FAILED


@contextmanager
def open_directory(directory: Path | None, prefix: str) -> Iterator[Path]:
    """A new directory, or a temporary one. Raises `UsageError` if something is in it."""
    if directory is None:
        with tempfile.TemporaryDirectory(prefix=prefix) as temporary:
            yield Path(temporary)
        return
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty; give --keep a new directory")
    directory.mkdir(parents=True, exist_ok=True)
    yield directory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the story with a command line (the process's own by default); the exit code. Raises nothing."""
    return run_command(story_command, _NAME, list(sys.argv[1:] if arguments is None else arguments))
