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
    heights: dict[str, int] = {}
    document: dict[str, Any] = {}
    if place is not None and is_address(place):
        with SyncClient(place) as client:
            status = client.call("rollup_status")
        heights = dict(status["height"])
        document |= {"intake": status["intake"], "reason": status["reason"], "queueDepth": status["queueDepth"]}
    elif place is not None:
        document["actions"], heights["latest"] = _read_store(Path(place))
        l1 = find_place(Path(place), l1)
    if l1 is not None:
        with closing(open_l1(l1)) as settlement:
            head = settlement.get_settled()
            heights |= {"available": head.height, "settled": find_final_height(settlement, 0, head.height)}
            document["l1"] = _describe_l1(settlement)
    document["height"] = heights
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
        "l1Origin": head.l1_origin,
        "forcedQueue": settlement.get_forced_count(number),
        "forcedTaken": head.forced_count,
        "builder": hex0x(settlement.get_builder(number)),
        "verifiers": len(verifiers.addresses),
        "quorum": verifiers.quorum,
    }


def _render(document: dict[str, Any]) -> list[Any]:
    table = make_table("level", "", "height", "what it means")
    for level, noun, name, meaning in _LEVELS:
        if name in document["height"]:
            table.add_row(level, noun, str(document["height"][name]), meaning)
    parts: list[Any] = [table]
    if "intake" in document:
        intake = document["intake"] + (f": {document['reason']}" if document["reason"] else "")
        parts += ["", make_facts({"intake": intake, "queue": f"{document['queueDepth']} actions"})]
    if "actions" in document:
        parts += ["", make_facts({"actions in closed blocks": document["actions"]})]
    if "l1" in document:
        l1 = document["l1"]
        waiting = l1["forcedQueue"] - l1["forcedTaken"]
        facts: dict[str, object] = {
            "L1 block": l1["number"],
            "inbox": l1["inbox"],
            "settled": f"height {l1['settledHeight']} in L1 block {l1['settledIn']}",
            "state root": l1["settledRoot"],
            "forced actions": f"{l1['forcedQueue']}, {waiting} of them not settled yet",
            "builder": l1["builder"],
            "quorum": f"{l1['quorum']} of {l1['verifiers']} verifiers",
        }
        parts += ["", make_facts(facts)]
    return parts
