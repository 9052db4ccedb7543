"""`microrollup status`: how far a rollup is acknowledged, executed, verified, available and settled."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from microrollup.cli.l1 import find_place, l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.client import SyncClient
from microrollup.codec.json import hex0x
from microrollup.errors import StoreMissing, UsageError
from microrollup.node.settling import find_final_height
from microrollup.settlement.place import L1Place, open_l1
from microrollup.settlement.protocol import Settlement
from microrollup.store.environment import DATA_FILE, Environment
from microrollup.store.tables import get_checkpoint
from microrollup.verifier.http_source import is_address

__all__ = ["status_command"]

_LEVELS: Final = (
    ("C1", "executed", "latest", "in closed blocks"),
    ("C2", "verified", "verified", "a quorum of verifiers vouches for it"),
    ("C3A", "available", "available", "its data are on L1"),
    ("C3B", "settled", "settled", "as deep in L1 as the node waits for"),
)


@click.command("status", cls=Command)
@click.argument("place", metavar="[URL|DIR]", required=False)
@l1_options
@json_option
def status_command(place: str | None, l1: L1Place | None, output: Output) -> None:
    """Show how far a rollup is confirmed, and what L1 holds.

    URL is a node's address, DIR a data directory, whether its node runs or not. With only an L1 named, what L1 alone
    knows is shown: no operator is needed for it.
    """
    if place is None and l1 is None:
        raise UsageError("name a node's URL, a data directory, or an L1 (--l1, or --l1-url and --inbox)")
    document: dict[str, Any] = {"acknowledged": None, "height": {}, "l1": None}
    if place is not None and is_address(place):
        with SyncClient(place) as client:
            status = client.call("status")
        document |= {name: status[name] for name in ("intake", "reason", "queueDepth", "acknowledged", "height", "l1")}
    elif place is not None:
        document["acknowledged"], document["height"]["latest"] = _read_store(Path(place))
        l1 = find_place(Path(place), l1)
    if l1 is not None:
        with closing(open_l1(l1)) as settlement:
            head = settlement.get_settled()
            final = find_final_height(settlement, 0, head.height)
            document["height"] |= {"available": head.height, "settled": final}
            document["l1"] = _describe_l1(settlement)
    output.show(document, *_render(document))


def _read_store(directory: Path) -> tuple[int, int]:
    """Actions in closed blocks, and the newest of these. Raises `StoreMissing`."""
    if not (directory / DATA_FILE).is_file():
        raise StoreMissing(f"{directory} holds no store")
    with Environment(directory, read_only=True) as environment:
        checkpoint = get_checkpoint(environment.reader, environment.tables)
    return checkpoint.next_seq, checkpoint.height


def _describe_l1(settlement: Settlement) -> dict[str, Any]:
    head, number = settlement.get_settled(), settlement.get_number()
    verifiers = settlement.get_verifiers(number)
    return {
        "number": number,
        "inbox": hex0x(settlement.get_inbox()),
        "settledHeight": head.height,
        "settledRoot": hex0x(head.state_root),
        "settledIn": head.l1_number,
        "origin": settlement.get_origin(),
        "forcedQueue": settlement.get_forced_count(number),
        "forcedTaken": head.forced_count,
        "builder": hex0x(settlement.get_builder(number)),
        "verifiers": len(verifiers.addresses),
        "quorum": verifiers.quorum,
    }


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
    if document["l1"] is not None:
        parts += ["", make_facts(_render_l1(document["l1"]))]
    return parts


def _render_l1(l1: dict[str, Any]) -> dict[str, object]:
    facts: dict[str, object] = {"L1 block": l1["number"], "last batch": f"in L1 block {l1['settledIn']}"}
    if "inbox" in l1:
        facts |= {"inbox": l1["inbox"], "settled": f"height {l1['settledHeight']}", "state root": l1["settledRoot"]}
        facts |= {"builder": l1["builder"], "quorum": f"{l1['quorum']} of {l1['verifiers']} verifiers"}
    facts["forced actions"] = f"{l1['forcedQueue']}, {l1['forcedQueue'] - l1['forcedTaken']} of them not taken yet"
    return facts
