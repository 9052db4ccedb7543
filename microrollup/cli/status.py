"""`microrollup status`: how far a rollup is acknowledged, executed, verified, available and settled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from microrollup.cli.l1 import Reach, choose_place, ethereum_options, local_option
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.codec.json import hex0x
from microrollup.deployment.status import read_directory_status, read_l1_status, read_node_status
from microrollup.errors import UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.verifier.http_source import is_address

__all__ = ["status_command"]

_LEVELS: Final = (
    ("C1", "executed", "latest", "in closed blocks"),
    ("C2", "verified", "verified", "a quorum of verifiers vouches for it"),
    ("C3A", "available", "available", "its data is on L1"),
    ("C3B", "settled", "settled", "as deep in L1 as the node waits for"),
)


@click.command("status", cls=Command)
@click.argument("place", metavar="[URL|DIR]", required=False)
@local_option
@ethereum_options
@json_option
def status_command(place: str | None, local: Path | None, reach: Reach, output: Output) -> None:
    """Show how far a rollup is confirmed, and what L1 holds.

    URL is a node's address, DIR a data directory, whether its node runs or not. With only an L1 named, what L1 alone
    knows is shown: no operator is needed for it.
    """
    directory = None if place is None or is_address(place) else Path(place)
    l1 = choose_place(local, reach, directory)
    if place is None and l1 is None:
        raise UsageError("name a node's URL, a data directory, or an L1 (--l1, or --l1-url and --inbox)")
    document: dict[str, Any] = {"acknowledged": None, "height": {}, "l1": None}
    if place is not None and is_address(place):
        document |= read_node_status(place)
    elif place is not None:
        document |= read_directory_status(Path(place), l1)
        l1 = None
    if l1 is not None:
        own = read_l1_status(l1)
        document["height"] |= own["height"]
        document["l1"] = own["l1"]
    output.show(document, *_render(document))


def _render(document: dict[str, Any]) -> list[Any]:
    table = make_table("level", "", "up to", "what it means")
    if document["acknowledged"] is not None:
        table.add_row("C0", "acknowledged", f"{document['acknowledged']} actions", "durable in the log")
    for level, noun, name, meaning in _LEVELS:
        if name in document["height"]:
            table.add_row(level, noun, f"block {document['height'][name]}", meaning)
    parts: list[Any] = [table]
    if "intake" in document:
        intake = document["intake"] + (f": {document['reason']}" if document["reason"] else "")
        parts += ["", make_facts({"intake": intake, "queue": f"{document['queueDepth']} actions"})]
    if document.get("indexes"):
        parts += ["", _render_indexes(document["indexes"], document["height"]["latest"])]
    if "native" in document:
        parts += ["", make_facts({"hashes and senders": document["native"]})]
    if document["l1"] is not None:
        parts += ["", make_facts(_render_l1(document["l1"]))]
    return parts


def _render_indexes(indexes: list[dict[str, Any]], latest: int) -> Any:
    table = make_table("index", "up to", "rows", "")
    for index in indexes:
        reached = "nothing yet" if index["reached"] is None else f"block {index['reached']}"
        standing = "complete" if index["reached"] == latest else f"being built, up to block {latest}"
        table.add_row(index["name"], reached, str(index["rows"]), index["failure"] or standing)
    return table


def _render_l1(l1: dict[str, Any]) -> dict[str, object]:
    settled = l1.get("settledHeight")
    batch = "none yet" if settled == 0 else f"in L1 block {l1['settledIn']}"
    facts: dict[str, object] = {"L1 block": l1["number"], "last batch": batch}
    if "inbox" in l1:
        facts |= {"inbox": l1["inbox"], "settled": f"height {l1['settledHeight']}", "state root": l1["settledRoot"]}
        builder = "nobody: the rollup is based" if l1["builder"] == hex0x(ZERO_ADDRESS) else l1["builder"]
        facts |= {"builder": builder, "quorum": f"{l1['quorum']} of {l1['verifiers']} verifiers"}
    missing, where = l1["forcedQueue"] - l1["forcedTaken"], "taken" if settled is None else "in a settled block"
    facts["forced actions"] = f"{l1['forcedQueue']}, {missing} of them not {where} yet"
    return facts
