"""`microrollup relay`: many signed actions to L1, for users who have no ether there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from microrollup.cli.files import open_input
from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import PATH, app_argument
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.importing import read_lines
from microrollup.deployment.relaying import (
    Plan,
    RefusedLine,
    RelayedFate,
    count_fates,
    find_sent,
    make_plan,
    read_fates,
    read_plan,
    send_carriers,
    write_plan,
)
from microrollup.errors import UsageError
from microrollup.keys.files import read_key
from microrollup.settlement.place import L1Place

__all__ = ["describe_fates", "judge", "list_others", "relay_command"]

_SHOWN: Final = 20
_TAKEN: Final = frozenset({"executed", "rejected", "faulted", "waiting"})


@click.command("relay", cls=Command)
@app_argument
@click.argument("file", metavar="[FILE]", required=False)
@click.option(
    "--plan", "plan_file", type=PATH, required=True, metavar="PLAN", help="Keep what is carried in this file."
)
@click.option(
    "--key", type=PATH, required=True, metavar="KEYFILE", help="Call the inbox from this key; it pays the gas."
)
@click.option("--node", metavar="URL", help="Ask this node what became of each action.")
@l1_options
@json_option
def relay_command(
    app: str, file: str | None, plan_file: Path, key: Path, node: str | None, l1: L1Place | None, output: Output
) -> int:
    """Carry many signed actions to L1, and tell what became of each.

    FILE holds one signed action per line, as for `submit`; they go through the inbox in few entries of its queue.

    What is carried is written to PLAN first. Without FILE, an earlier plan goes on where it was: L1 says what was sent
    already. With --node, each action is told what became of it: executed, rejected, faulted, skipped, or waiting.
    Exit code 1: an action was not taken, as of a line that is refused.
    """
    if l1 is None:
        raise UsageError("name the inbox: --l1-url and --inbox, or --l1")
    if (file is None) != plan_file.exists():
        wanted = "leave FILE out to go on with it" if file else "give the FILE of the actions"
        raise UsageError(f"{plan_file} {'exists' if file else 'does not exist'}: {wanted}")
    rollup, secret = load_rollup(app), read_key(key)
    if file is not None:
        with open_input(file) as lines:
            write_plan(plan_file, make_plan(rollup, l1, read_lines(lines), secret))
    plan = read_plan(plan_file)
    with show_progress("Relaying") as advance:
        send_carriers(rollup, l1, plan, secret, advance)
    fates = [] if node is None else read_fates(node, plan, find_sent(rollup, l1, plan, secret))
    document = _describe(plan, fates)
    output.show(document, *_render(document))
    return judge(fates, plan.refused)


def _describe(plan: Plan, fates: list[RelayedFate]) -> dict[str, Any]:
    return {
        "carriers": len(plan.carriers),
        "actions": sum(len(carrier.actions) for carrier in plan.carriers),
        "refused": [{"line": each.line, "error": each.code, "detail": each.detail} for each in plan.refused],
        "outcomes": count_fates(fates),
        "fates": describe_fates(fates),
    }


def judge(fates: Sequence[RelayedFate], refused: Sequence[RefusedLine]) -> int:
    """The exit code: of actions that were not taken, as far as it is known."""
    return EXIT_FAILED if refused or any(fate.outcome not in _TAKEN for fate in fates) else 0


def describe_fates(fates: list[RelayedFate]) -> list[dict[str, Any]]:
    """What became of each action, as JSON has it."""
    return [
        {
            "line": fate.action.line,
            "actionHash": hex0x(fate.action.action_hash),
            "sender": hex0x(fate.action.sender),
            "nonce": fate.action.nonce,
            "outcome": fate.outcome,
            "reason": fate.reason,
            "index": fate.index,
        }
        for fate in fates
    ]


def _render(document: dict[str, Any]) -> list[Any]:
    facts = {"carriers": document["carriers"], "actions": document["actions"], "refused": len(document["refused"])}
    return [make_facts(facts | document["outcomes"]), *list_others(document)]


def list_others(document: dict[str, Any]) -> list[Any]:
    """A table of what was not executed, if there is any."""
    parts: list[Any] = []
    others = [fate for fate in document["fates"] if fate["outcome"] != "executed"]
    if others:
        table = make_table("line", "outcome", "sender", "nonce", "reason")
        for fate in others[:_SHOWN]:
            table.add_row(str(fate["line"]), fate["outcome"], fate["sender"], str(fate["nonce"]), fate["reason"])
        parts += ["", table]
        if len(others) > _SHOWN:
            parts.append(f"and {len(others) - _SHOWN} more: see --json")
    return parts
