"""`microrollup run --follow`: serve what another node's blocks hold, once they are verified here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.l1_settings import L1_SETTINGS
from microrollup.deployment.serving import serve_node
from microrollup.deployment.serving_follower import open_follower
from microrollup.errors import UsageError
from microrollup.limits import MEMORY_BYTES, VERIFIER_FACTOR, limited_memory
from microrollup.node.options import NodeOptions
from microrollup.node.reading import ReadingNode
from microrollup.rpc.access import Access
from microrollup.rpc.limits import RpcLimits
from microrollup.settlement.place import L1Place

__all__ = ["check_options", "follow_option", "serve_follower"]

_EFFECTIVE: Final = frozenset(
    {
        "app", "directory", "follow", "host", "port", "rate", "hosts", "origins", "workers", "methods",
        "snapshot_every", "log_json", "output", "local", "proxies", "proxy_header", "write_token_file",
    }
)  # fmt: skip
"""Parameters of `run` that mean something to a follower, beside those of L1."""

follow_option = click.option(
    "--follow",
    metavar="URL",
    help="Build nothing: verify the blocks of the node at this address, serve reads, and pass actions on to it.",
)


def check_options(ctx: click.Context) -> None:
    """Raise `UsageError` for an option on the command line that says how to build: a follower does not."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE and not (
            name in _EFFECTIVE or (name.startswith("place_") and not _is_for_senders(name))
        ):
            raise UsageError(f"{parameter.opts[0]} would have no effect with --follow, which builds nothing")


def _is_for_senders(name: str) -> bool:
    return any(name == f"place_{setting.field}" for setting in L1_SETTINGS if setting.sends)


def serve_follower(
    app: str,
    directory: Path,
    rollup: MicroRollup,
    url: str,
    l1: L1Place | None,
    options: NodeOptions,
    host: str,
    port: int,
    access: Access,
    limits: RpcLimits,
    announce: Callable[[ReadingNode, str, object], None],
) -> ReadingNode:
    """Serve until it is stopped; the node as it was then. `announce` is told where each node is to be found."""
    while True:  # a node is made anew where the source has built blocks anew, and under another version
        with (
            limited_memory(MEMORY_BYTES * VERIFIER_FACTOR),
            open_follower(app, directory, rollup, url, l1, options) as node,
        ):
            port, again = serve_node(node, host, port, access=access, limits=limits, on_ready=partial(announce, node))
        if not again:
            return node
