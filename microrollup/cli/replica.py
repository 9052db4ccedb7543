"""`microrollup replica`: a log of records that several nodes share, so that one goes on where another stopped."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import click

from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Group, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.cli.replica_options import check_node_name, replica_options
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.replicating import adopt_log, describe_replica, hand_over, seed_log
from microrollup.replication.opening import ReplicaPlace
from microrollup.settlement.place import L1Place

__all__ = ["replica_command"]


@click.group("replica", cls=Group)
def replica_command() -> None:
    """Keep a log that several nodes share, and change who leads.

    `seed` fills it from a data directory, `adopt` makes a directory that follows it, `run --replica` runs a node of
    it, `handover` changes the leader, `show` says how it is, `forget` drops a node.
    """


@replica_command.command("seed", cls=Command)
@app_argument
@data_option("Directory whose records fill the log; its node is stopped.")
@replica_options(required=True)
@json_option
def seed_replica(app: str, directory: Path, replica: str, single_copy: bool, output: Output) -> None:
    """Fill an empty replicated log with the records of a data directory."""
    with closing(ReplicaPlace(replica, "", None, single_copy).open()) as log:
        end = seed_log(directory, load_rollup(app), log)
    document = {"records": end.number, "chain": hex0x(end.chain)}
    output.show(document, make_facts(dict(document)))


@replica_command.command("adopt", cls=Command)
@app_argument
@data_option("Directory that is to follow the log: a new one, a copy of another node's, or a restored snapshot.")
@click.option("--node-name", metavar="NAME", help="Its node's name in the log [default: the machine's].")
@replica_options(required=True)
@l1_options
@json_option
def adopt_replica(
    app: str,
    directory: Path,
    node_name: str | None,
    replica: str,
    single_copy: bool,
    l1: L1Place | None,
    output: Output,
) -> None:
    """Make a data directory that follows a replicated log, or check that one can."""
    place = ReplicaPlace(replica, check_node_name(node_name or socket.gethostname()), None, single_copy)
    with closing(place.open()) as log:
        number, end = adopt_log(directory, load_rollup(app), log, place.node, l1)
    document = {"node": place.node, "records": number, "lag": end.number - number}
    output.show(document, make_facts(dict(document)))


@replica_command.command("handover", cls=Command)
@click.option("--to", "successor", required=True, metavar="NAME", help="The node that is to lead.")
@replica_options(required=True)
@json_option
def handover_replica(successor: str, replica: str, single_copy: bool, output: Output) -> None:
    """Let another node lead: the present leader drains and gives its lease back.

    Requests wait meanwhile; none is lost.
    """
    with closing(ReplicaPlace(replica, "", None, single_copy).open()) as log:
        leader = hand_over(log, successor)
    document = {"leader": leader.node, "url": leader.url, "epoch": leader.epoch}
    output.show(document, make_facts(dict(document)))


@replica_command.command("show", cls=Command)
@replica_options(required=True)
@json_option
def show_replica(replica: str, single_copy: bool, output: Output) -> None:
    """Show who leads, who follows, and how far each is."""
    with closing(ReplicaPlace(replica, "", None, single_copy).open()) as log:
        state = describe_replica(log)
    age = state.leader.lease_seconds
    document = {
        "rollupId": hex0x(state.rollup_id),
        "records": state.end.number,
        "chain": hex0x(state.end.chain),
        "leader": state.leader.node,
        "url": state.leader.url,
        "epoch": state.leader.epoch,
        "leaseSeconds": None if age == float("inf") else round(age, 3),
        "nodes": [
            {
                "node": row.node,
                "url": row.url,
                "lag": state.end.number - row.taken,
                "seen": round(row.seen_seconds, 1),
            }
            for row in state.nodes
        ],
    }
    facts = {name: value for name, value in document.items() if name != "nodes"}
    nodes = make_table("node", "url", "records to take", "seen before")
    for row in state.nodes:
        nodes.add_row(row.node, row.url, str(state.end.number - row.taken), f"{row.seen_seconds:.1f} s")
    output.show(document, make_facts(facts), nodes)


@replica_command.command("forget", cls=Command)
@click.argument("name")
@replica_options(required=True)
@json_option
def forget_replica(name: str, replica: str, single_copy: bool, output: Output) -> int:
    """Keep no more records for a node that will not come back.

    Exit code 1: no node of that name is registered.
    """
    with closing(ReplicaPlace(replica, "", None, single_copy).open()) as log:
        known = log.forget(name)
    output.show({"node": name, "known": known}, f"{name} is {'forgotten' if known else 'not registered'}")
    return 0 if known else 1
