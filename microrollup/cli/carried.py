"""`microrollup carried`: what became of signed actions that somebody carried to L1."""

from __future__ import annotations

from typing import Any

import click

from microrollup.cli.files import open_input
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import app_argument
from microrollup.cli.relaying import describe_fates, judge, list_others
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.carried import find_fates
from microrollup.deployment.importing import read_lines
from microrollup.deployment.relaying import count_fates
from microrollup.errors import UsageError
from microrollup.settlement.place import L1Place

__all__ = ["carried_command"]


@click.command("carried", cls=Command)
@app_argument
@click.argument("file", metavar="FILE")
@click.option("--node", required=True, metavar="URL", help="Ask this node of the rollup for bitmaps and receipts.")
@click.option(
    "--first-index",
    type=click.IntRange(0, (1 << 63) - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Look at the queue from this place on.",
)
@l1_options
@json_option
def carried_command(app: str, file: str, node: str, first_index: int, l1: L1Place | None, output: Output) -> int:
    """Tell what became of signed actions that somebody carried to L1.

    FILE holds one signed action per line, as they were handed to a relayer. They are looked for in the carriers of the
    inbox's queue, of any sender; no key is needed. Executed, rejected, faulted: its receipt says so. Skipped: the
    carrier's bitmap says that it was not taken, as where its nonce was not the next. Waiting: in the queue, and in no
    block yet. One that came alone, by `force --signed` or `submit`, counts as well. Exit code 1: an action was not
    taken.
    """
    if l1 is None:
        raise UsageError("name the inbox: --l1-url and --inbox, or --l1")
    with open_input(file) as lines:
        fates, refused = find_fates(load_rollup(app), l1, read_lines(lines), node, first_index)
    document: dict[str, Any] = {
        "refused": [{"line": each.line, "error": each.code, "detail": each.detail} for each in refused],
        "outcomes": count_fates(fates),
        "fates": describe_fates(fates),
    }
    facts = {"actions": len(fates), "refused": len(refused)} | document["outcomes"]
    output.show(document, make_facts(facts), *list_others(document))
    return judge(fates, refused)
