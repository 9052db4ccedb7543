"""`microrollup state`: the entries of a map field, page by page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from microrollup.cli.fields import choose_field
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.cli.proving import parse_key
from microrollup.codec.document import to_document
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.paging import list_entries
from microrollup.deployment.proving import find_version_at
from microrollup.ledger.paging import MAX_PAGE_ENTRIES, make_entries_answer, read_page_request

__all__ = ["state_command"]

DEFAULT_LIMIT: Final = 100


@click.command("state", cls=Command)
@app_argument
@click.argument("field")
@data_option()
@click.option("--prefix", metavar="PREFIX", help="Only keys that begin with this.")
@click.option("--after", metavar="KEY", help="Go on after this key: `next` of the page before.")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_PAGE_ENTRIES),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="Show at most N entries.",
)
@click.option("--reverse", is_flag=True, help="Walk from the last key to the first.")
@click.option("--height", type=click.IntRange(0), metavar="H", help="The state after block H [default: the newest].")
@json_option
def state_command(
    app: str,
    field: str,
    directory: Path,
    prefix: str | None,
    after: str | None,
    limit: int,
    reverse: bool,
    height: int | None,
    output: Output,
) -> None:
    """List the entries of a map field, page by page.

    Entries come in the order of encoded keys. KEY and FIELD are written as in `microrollup prove`. PREFIX is a JSON
    array of whole leading components of a composite key, or the beginning of a key that is text or bytes. To go on,
    give the page's `next` as --after, and its height as --height.
    """
    rollup = load_rollup(app)
    chosen = choose_field(find_version_at(directory, rollup, height), field)
    request = read_page_request(
        chosen, parse_key(chosen, prefix, "PREFIX"), parse_key(chosen, after, "KEY"), limit, reverse=reverse
    )
    answer = make_entries_answer(chosen, list_entries(directory, rollup, request, height))
    table = make_table("key", "value")
    for entry in answer.entries:
        table.add_row(*[part if isinstance(part, str) else json.dumps(part) for part in (entry.key, entry.value)])
    facts: dict[str, object] = {"field": answer.field, "height": answer.height, "entries": len(answer.entries)}
    if answer.next is not None:
        facts["next"] = answer.next if isinstance(answer.next, str) else json.dumps(answer.next)
    output.show(to_document(answer), make_facts(facts), "", table)
