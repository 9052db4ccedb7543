"""The options by which commands name a replicated log."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from microrollup.errors import UsageError
from microrollup.replication.opening import LogUrl, ReplicaPlace
from microrollup.replication.protocol import MAX_NODE_NAME

__all__ = ["check_node_name", "heights_options", "member_options", "replica_options"]

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


def replica_options(required: bool) -> Callable[[F], F]:
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

    @replica_options(required=False)
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
        place = ReplicaPlace(replica, check_node_name(node_name or socket.gethostname()), advertise, single_copy)
        return function(*arguments, place=place, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `place`


def heights_options(function: F) -> F:
    """The options that name a log for a key's signed heights; the command gets `heights`, None without `--replica`."""

    @replica_options(required=False)
    @wraps(function)
    def wrapped(*arguments: Any, replica: str | None, single_copy: bool, **others: Any) -> Any:
        heights = None if replica is None else ReplicaPlace(replica, "", None, single_copy)
        return function(*arguments, heights=heights, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `heights`


def check_node_name(name: str) -> str:
    """The name itself. Raises `UsageError` unless it can be a node's."""
    if not 0 < len(name) <= MAX_NODE_NAME or not name.isprintable() or " " in name:
        raise UsageError(f"a node's name has 1 to {MAX_NODE_NAME} printable characters without blanks, not {name!r}")
    return name
