"""The options that name an L1: a directory of the local settlement, or an Ethereum node and an inbox on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.codec.json import hex0x
from microrollup.deployment.place_file import local_place
from microrollup.errors import UsageError
from microrollup.settlement.ethereum.headers import read_header
from microrollup.settlement.ethereum.options import DA_TAGS, MAX_DEPTH, DaTag, check_depth
from microrollup.settlement.place import DEFAULT_DEPTH, EthereumPlace, L1Place

__all__ = ["Reach", "ethereum_options", "l1_options", "make_ethereum_place"]

F = TypeVar("F", bound=Callable[..., Any])


class _Depth(click.IntRange):
    """A range that says why it does not begin at 0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) == "0":
            check_depth(0)
        return super().convert(value, param, ctx)


class Reach(msgspec.Struct, frozen=True):
    """What the options say of an inbox on Ethereum."""

    url: str | None
    inbox: bytes | None
    da: DaTag
    depth: int
    blobs: tuple[str, ...]
    headers: tuple[str, ...]


def ethereum_options(function: F) -> F:
    """The options that name an inbox on Ethereum; the command gets `reach`."""

    @click.option("--l1-url", "l1_url", metavar="URL", help="JSON-RPC of an L1 node.")
    @click.option("--inbox", type=hex_bytes(20), metavar="ADDRESS", help="The rollup's inbox on that L1.")
    @click.option(
        "--da",
        type=click.Choice(DA_TAGS),
        default=DA_TAGS[0],
        show_default=True,
        help="Where batches are published.",
    )
    @click.option(
        "--l1-depth",
        "depth",
        type=_Depth(1, MAX_DEPTH),
        default=DEFAULT_DEPTH,
        show_default=True,
        metavar="N",
        help="L1 blocks to stay behind its head: reorgs within them change nothing. Verifiers judge no block that is"
        " bound to a newer one.",
    )
    @click.option(
        "--blobs",
        multiple=True,
        metavar="URL|DIR",
        help="Where blobs are found: a beacon API or an archive, several times for several.",
    )
    @click.option(
        "--l1-header",
        "headers",
        type=read_header,
        multiple=True,
        metavar="HEADER",
        help="HTTP header for the L1 node, as `Authorization: Bearer KEY`, several times for several.",
    )
    @wraps(function)
    def wrapped(
        *arguments: Any,
        l1_url: str | None,
        inbox: bytes | None,
        da: DaTag,
        depth: int,
        blobs: tuple[str, ...],
        headers: tuple[str, ...],
        **others: Any,
    ) -> Any:
        return function(*arguments, reach=Reach(l1_url, inbox, da, depth, blobs, headers), **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `reach`


def l1_options(function: F) -> F:
    """`--l1 DIR`, or `--l1-url URL --inbox ADDRESS` and what belongs to it; the command gets `l1`, a place or None."""

    @click.option("--l1", "local", type=PATH, metavar="DIR", help="Local settlement [default: the data directory's].")
    @ethereum_options
    @wraps(function)
    def wrapped(*arguments: Any, local: Path | None, reach: Reach, **others: Any) -> Any:
        place: L1Place | None = None if local is None else local_place(local)
        if reach.url is not None or reach.inbox is not None:
            if local is not None:
                raise UsageError("--l1 names a local settlement, --l1-url and --inbox one on Ethereum: give one")
            place = make_ethereum_place(reach)
        return function(*arguments, l1=place, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `l1`


def make_ethereum_place(reach: Reach) -> EthereumPlace:
    """The place that the options name. Raises `UsageError` if one of the two that it takes is missing."""
    if reach.url is None or reach.inbox is None:
        raise UsageError("an inbox on Ethereum is named by both --inbox ADDRESS and the URL of an L1 node")
    sources = tuple(source if "://" in source else str(Path(source).absolute()) for source in reach.blobs)
    return EthereumPlace(reach.url, hex0x(reach.inbox), reach.da, reach.depth, sources, reach.headers)
