"""What commands show: the result on standard output, as a table for people or as one JSON object; progress on standard
error, if that is a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, BinaryIO, Final, TextIO

import click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from microrollup.codec.json import hex0x
from microrollup.errors import UsageError
from microrollup.logs import configure_logging

__all__ = [
    "Command",
    "Group",
    "Output",
    "json_option",
    "make_facts",
    "make_table",
    "shorten",
    "show_progress",
    "show_steps",
]

_PLAIN_WIDTH: Final = 200
"""Columns where there is no terminal: 32-byte hashes stay on one line."""

_SENTENCE: Final = 1_000
"""Longer than any."""

_SAY_SECONDS: Final = 10.0
"""Between two lines of progress where there is no terminal."""

Advance = Callable[[int], None]
Follow = Callable[[int, int], None]
"""Is told how much is done, and of how much; 0 if nobody knows."""


def _be_verbose(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        configure_logging(verbose=True)


_VERBOSE: Final = click.Option(
    ["--verbose"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_be_verbose,
    help="Log everything to standard error, with tracebacks.",
)


class Command(click.Command):
    """A command whose standard output holds its result and nothing else: what an app prints goes to standard error.

    `--verbose` may stand after its name as well as before it.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own, then `--verbose` and `--help`."""
        own = super().get_params(ctx)
        at = len(self.params)
        return own if self.ignore_unknown_options else [*own[:at], _VERBOSE, *own[at:]]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with redirect_stdout(sys.stderr):
            return super().invoke(ctx)


class Group(click.Group):
    """A group of commands whose list has the whole first sentence of each, over several lines where it needs them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_SENTENCE)) for name, each in commands if each])


class Output:
    """Standard output as it was when the command began."""

    def __init__(self, *, as_json: bool, stdout: TextIO) -> None:
        self.as_json = as_json
        self._stdout = stdout
        self._is_terminal = stdout.isatty()
        width = None if self._is_terminal else _PLAIN_WIDTH
        self.console = Console(file=stdout, highlight=False, markup=False, emoji=False, width=width)

    def show(self, document: dict[str, Any], *renderables: RenderableType | None) -> None:
        """The result, once: `document` for programs, `renderables` for people (those that are None are left out)."""
        if self.as_json:
            self._stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
        else:
            self.tell(*renderables)
        self._stdout.flush()

    def warn(self, sentence: str) -> None:
        """Say on standard error what the result does not say, for programs and people."""
        sys.stderr.write(f"warning: {sentence}\n")

    def get_stream(self) -> BinaryIO:
        """Standard output, for a result that is bytes. Raises `UsageError` with --json, which would follow them."""
        if self.as_json:
            raise UsageError("standard output holds one thing: what is exported, or the object of --json")
        return self._stdout.buffer

    def tell(self, *renderables: RenderableType | None) -> None:
        """A part of the result while the command goes on; for people only."""
        if self.as_json:
            return
        shown = [renderable for renderable in renderables if renderable is not None]
        if self._is_terminal:
            for renderable in shown:
                self.console.print(renderable)
            return
        with self.console.capture() as captured:
            for renderable in shown:
                self.console.print(renderable)
        self._stdout.write("".join([f"{line.rstrip()}\n" for line in captured.get().splitlines()]))


def _make_output(_: click.Context, __: click.Parameter, value: bool) -> Output:
    return Output(as_json=value, stdout=sys.stdout)


json_option = click.option(
    "--json", "output", is_flag=True, callback=_make_output, help="Print one JSON object instead of a table."
)
"""Gives a command its `Output`."""


@contextmanager
def show_progress(description: str, total: int | None = None, *, in_bytes: bool = False) -> Iterator[Advance]:
    """A progress bar, advanced by calling what is given; nothing at all where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    with _make_bar(DownloadColumn() if in_bytes else MofNCompleteColumn()) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def show_steps(description: str, *, as_json: bool = False) -> Iterator[Follow]:
    """A progress bar for work that tells how much is done so far, and of how much.

    Where standard error is not a terminal it is a line every ten seconds; `as_json` makes that an object.
    """
    if not sys.stderr.isatty():
        yield _say_steps(description, as_json=as_json)
        return
    with _make_bar(MofNCompleteColumn()) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=max(done, total) if total else None)


def _make_bar(count: ProgressColumn) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)


def _say_steps(description: str, *, as_json: bool) -> Follow:
    said = time.monotonic()

    def follow(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said < _SAY_SECONDS:
            return
        said, known = time.monotonic(), max(done, total) if total else None
        if as_json:
            sys.stderr.write(json.dumps({"progress": description, "done": done, "total": known}) + "\n")
        else:
            sys.stderr.write(f"{description}: {done}{'' if known is None else f' of {known}'}\n")
        sys.stderr.flush()

    return follow


def _ignore(_: int) -> None:
    return


def make_table(*headings: str, title: str | None = None) -> Table:
    """A plain table; without headings a list of names and values."""
    table = Table(title=title, title_justify="left", show_header=bool(headings), box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def make_facts(facts: dict[str, object], title: str | None = None) -> Table:
    """Names and values, one per line."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(str(value)))
    return table


def shorten(raw: bytes) -> str:
    """A hash for people: its first bytes."""
    return f"0x{raw[:6].hex()}…" if len(raw) > 8 else hex0x(raw)
