"""`microrollup replica`: a log of records that several nodes share, so that one goes on where another stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from microrollup.cli.l1 import l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.replicating import adopt_log, describe_replica, hand_over, seed_log
from microrollup.errors import UsageError
from microrollup.replication.opening import LogUrl, ReplicaPlace
from microrollup.replication.protocol import MAX_NODE_NAME
from microrollup.settlement.place import L1Place

__all__ = ["heights_options", "member_options", "replica_command"]

F = TypeVar("F", bound=Callable[..., Any])

_MAX_URL_BYTES: Final = 4_096


class ReplicaUrl(click.ParamType[LogUrl]):
    """A URL, or `@FILE` that holds it: it may contain a password."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = str(value)
        if not text.startswith("@"):
            return LogUrl(text)
        try:
            with Path(text[1:]).open(encoding="utf-8") as file:
                return LogUrl(file.read(_MAX_URL_BYTES).strip())
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"{text[1:]} cannot be read: {error}", param, ctx)


def _replica_options(required: bool) -> Callable[[F], F]:
    """`--replica URL`, `--single-copy`; the command gets `replica` and `single_copy`."""

    def add(function: F) -> F:
        function = click.option(
            "--single-copy", is_flag=True, help="Take a database without a synchronous standby: one disk holds the log."
        )(function)
        return click.option(
            "--replica",
            type=ReplicaUrl(),
            required=required,
            metavar="URL",
            help="The replicated log: postgresql://…, or @FILE that holds it.",
        )(function)

    return add


def member_options(function: F) -> F:
    """The options by which a node joins a replicated log; the command gets `place`, None without `--replica`."""

    @_replica_options(required=False)
    @click.option("--node-name", metavar="NAME", help="This node's name in the log [default: the machine's].")
    @click.option(
        "--advertise", metavar="URL", help="Where the other nodes reach this one [default: where it listens]."
    )
    @wraps(function)
    def wrapped(
        *arguments: Any,
        replica: str | None,
        single_copy: bool,
        node_name: str | None,
        advertise: str | None,
        **others: Any,
    ) -> Any:
        if replica is None:
            if single_copy or node_name is not None or advertise is not None:
                raise UsageError("--single-copy, --node-name and --advertise would have no effect without --replica")
            return function(*arguments, place=None, **others)
        place = ReplicaPlace(replica, _check_name(node_name or socket.gethostname()), advertise, single_copy)
        return function(*arguments, place=place, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `place`


def heights_options(function: F) -> F:
    """The options that name a log for a key's signed heights; the command gets `heights`, None without `--replica`."""

    @_replica_options(required=False)
    @wraps(function)
    def wrapped(*arguments: Any, replica: str | None, single_copy: bool, **others: Any) -> Any:
        heights = None if replica is None else ReplicaPlace(replica, "", None, single_copy)
        return function(*arguments, heights=heights, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `heights`


def _check_name(name: str) -> str:
    if not 0 < len(name) <= MAX_NODE_NAME or not name.isprintable() or " " in name:
        raise UsageError(f"a node's name has 1 to {MAX_NODE_NAME} printable characters without blanks, not {name!r}")
    return name


@click.group("replica")
def replica_command() -> None:
    """Keep a log that several nodes share, and change who leads.

    `seed` fills it from a data directory, `adopt` makes a directory that follows it, `run --replica` runs a node of
    it, `handover` changes the leader, `show` says how it is, `forget` drops a node.
    """


@replica_command.command("seed", cls=Command)
@app_argument
@data_option("Directory whose records fill the log; its node is stopped.")
@_replica_options(required=True)
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
@_replica_options(required=True)
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
    place = ReplicaPlace(replica, _check_name(node_name or socket.gethostname()), None, single_copy)
    with closing(place.open()) as log:
        number, end = adopt_log(directory, load_rollup(app), log, place.node, l1)
    document = {"node": place.node, "records": number, "lag": end.number - number}
    output.show(document, make_facts(dict(document)))


@replica_command.command("handover", cls=Command)
@click.option("--to", "successor", required=True, metavar="NAME", help="The node that is to lead.")
@_replica_options(required=True)
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
@_replica_options(required=True)
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
@_replica_options(required=True)
@json_option
def forget_replica(name: str, replica: str, single_copy: bool, output: Output) -> int:
    """Keep no more records for a node that will not come back.

    Exit code 1: no node of that name is registered.
    """
    with closing(ReplicaPlace(replica, "", None, single_copy).open()) as log:
        known = log.forget(name)
    output.show({"node": name, "known": known}, f"{name} is {'forgotten' if known else 'not registered'}")
    return 0 if known else 1
