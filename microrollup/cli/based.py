"""`microrollup run` of a based rollup: derive from L1 and serve; nothing is taken, sealed or settled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import click

from microrollup.cli.output import Output
from microrollup.cli.settings import Setting, list_settings
from microrollup.declaration.query import load_methods
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.based import open_based
from microrollup.deployment.l1_settings import L1_SETTINGS
from microrollup.deployment.serving import serve_node
from microrollup.errors import UsageError
from microrollup.limits import MEMORY_BYTES, limited_memory
from microrollup.node.reading import ReadingNode
from microrollup.rpc.access import Access
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import bind
from microrollup.settlement.place import L1Place

__all__ = ["list_based_settings", "serve_based"]

_BUILDERS: Final = frozenset({
    "advertise", "block-size", "block-time", "builder-key", "clock", "empty-blocks", "node-name", "passphrase-file",
    "quorum", "replica", "settle", "settle-bytes", "settle-every", "single-copy", "snapshot-every", "upgrade",
    "urgent-budget", "urgent-token-file", "verifier", "verifier-key", "workers",
})  # fmt: skip
"""Settings that a node of a based rollup does not have."""

_UNUSED: Final = _BUILDERS | {"blobs", "da", "follow", "proof", *[each.name for each in L1_SETTINGS if each.sends]}
"""Those that it has no use for; with a value of its own each is told, or refused."""


def list_based_settings(ctx: click.Context) -> list[Setting]:
    """What is set, and the defaults of what a node of a based rollup goes by. Raises what `list_settings` raises."""
    return [each for each in list_settings(ctx) if each.source != "default" or each.name not in _UNUSED]


def serve_based(
    ctx: click.Context,
    rollup: MicroRollup,
    directory: Path,
    l1: L1Place | None,
    access: Access,
    announce: Callable[[ReadingNode, str, object], None],
    output: Output,
) -> None:
    """Serve what follows from L1 until a signal, and begin anew where L1 takes back what blocks were built on.

    Raises `UsageError` for settings that only a builder's node has, and what `open_based` raises.
    """
    settings, given = list_settings(ctx), ctx.params
    _refuse_builders(settings)
    host, port, methods = given["host"], given["port"], given["methods"]
    load_methods(rollup, methods)  # a name that is wrong is said before a data directory is made
    bind(host, port).close()
    while True:
        with limited_memory(MEMORY_BYTES), open_based(given["app"], directory, rollup, l1, methods) as node:
            port, outdated = serve_node(
                node,
                host,
                port,
                access=access,
                limits=RpcLimits(rate=given["rate"]),
                on_ready=partial(announce, node),
            )
        if not outdated:
            break
    document = {"stopped": True, "height": node.ledger.checkpoint.height, "seq": node.ledger.next_seq}
    output.show(document, f"stopped at height {document['height']}; the same command goes on from there")


def _refuse_builders(settings: list[Setting]) -> None:
    found = [each for each in settings if each.name in _BUILDERS and each.source != "default"]
    if found:
        named = ", ".join([f"{each.name} ({each.source})" for each in found])
        raise UsageError(
            f"the rollup is based: its node takes, seals and settles nothing, so these have no effect: {named}"
        )
