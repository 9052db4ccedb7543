"""What commands show: the result on standard output, as a table for people or as one JSON object; progress on standard
error, if that is a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final, TextIO

import click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from microrollup.codec.json import hex0x

__all__ = ["Command", "Output", "json_option", "make_facts", "make_table", "shorten", "show_progress"]

_PLAIN_WIDTH: Final = 200
"""Columns where there is no terminal: 32-byte hashes stay on one line."""

Advance = Callable[[int], None]


class Command(click.Command):
    """A command whose standard output holds its result and nothing else: what an app prints goes to standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with redirect_stdout(sys.stderr):
            return super().invoke(ctx)


class Output:
    """Standard output as it was when the command began."""

    def __init__(self, *, as_json: bool, stdout: TextIO) -> None:
        self.as_json = as_json
        self._stdout = stdout
        terminal = stdout.isatty()
        self.console = Console(
            file=stdout, highlight=False, markup=False, emoji=False, width=None if terminal else _PLAIN_WIDTH
        )

    def show(self, document: dict[str, Any], *renderables: RenderableType | None) -> None:
        """The result, once: `document` for programs, `renderables` for people (those that are None are left out)."""
        if self.as_json:
            self._stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
        else:
            self.tell(*renderables)
        self._stdout.flush()

    def tell(self, *renderables: RenderableType | None) -> None:
        """A part of the result while the command goes on; for people only."""
        if not self.as_json:
            for renderable in renderables:
                if renderable is not None:
                    self.console.print(renderable)


def _make_output(_: click.Context, __: click.Parameter, value: bool) -> Output:
    return Output(as_json=value, stdout=sys.stdout)


json_option = click.option(
    "--json", "output", is_flag=True, callback=_make_output, help="Print one JSON object instead of a table."
)
"""Gives a command its `Output`."""


@contextmanager
def show_progress(description: str, total: int | None = None, *, in_bytes: bool = False) -> Iterator[Advance]:
    """A progress bar, advanced by calling what is given; nothing at all where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)


def _ignore(_: int) -> None:
    return


def make_table(*headings: str, title: str | None = None) -> Table:
    """A plain table; without headings a list of names and values."""
    table = Table(title=title, title_justify="left", show_header=bool(headings), box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def make_facts(facts: dict[str, object], title: str | None = None) -> Table:
    """Names and values, one a line."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(str(value)))
    return table


def shorten(raw: bytes) -> str:
    """A hash for people: its first bytes."""
    return f"0x{raw[:6].hex()}…" if len(raw) > 8 else hex0x(raw)
