"""The options that name an L1: a directory of the local settlement, or an Ethereum node and an inbox on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click
import msgspec

from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.codec.json import hex0x
from microrollup.errors import StoreFormat, UsageError
from microrollup.settlement.place import DEFAULT_DEPTH, EthereumPlace, L1Place, LocalPlace

__all__ = ["ethereum_options", "find_place", "keep_place", "l1_options", "local_place", "make_ethereum_place"]

F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = "l1.json"
"""In a data directory: where its rollup settles, unless that is the local settlement beside it."""


def ethereum_options(url_name: str = "--l1-url") -> Callable[[F], F]:
    """The options that name an inbox on Ethereum; the command gets one argument for each."""
    options = [
        click.option(url_name, "url", metavar="URL", help="JSON-RPC of an L1 node."),
        click.option("--inbox", type=hex_bytes(20), metavar="ADDRESS", help="The rollup's inbox on that L1."),
        click.option(
            "--da",
            type=click.Choice(["blobs", "calldata"]),
            default="blobs",
            show_default=True,
            help="Where batches are published.",
        ),
        click.option(
            "--l1-depth",
            "depth",
            type=click.IntRange(0, 10_000),
            default=DEFAULT_DEPTH,
            show_default=True,
            metavar="N",
            help="L1 blocks to stay behind its head: reorgs within them change nothing.",
        ),
        click.option(
            "--blobs",
            multiple=True,
            metavar="URL|DIR",
            help="Where blobs are found: a beacon API or an archive, several times for several.",
        ),
    ]

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def l1_options(function: F) -> F:
    """`--l1 DIR`, or `--l1-url URL --inbox ADDRESS` and what belongs to it; the command gets `l1`, a place or None."""

    @click.option("--l1", "local", type=PATH, metavar="DIR", help="Local settlement [default: the data directory's].")
    @ethereum_options()
    @wraps(function)
    def wrapped(
        *arguments: Any,
        local: Path | None,
        url: str | None,
        inbox: bytes | None,
        da: Literal["blobs", "calldata"],
        depth: int,
        blobs: tuple[str, ...],
        **others: Any,
    ) -> Any:
        place: L1Place | None = None if local is None else local_place(local)
        if url is not None or inbox is not None:
            if local is not None:
                raise UsageError("--l1 names a local settlement, --l1-url and --inbox one on Ethereum: give one")
            place = make_ethereum_place(url, inbox, da, depth, blobs)
        return function(*arguments, l1=place, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `l1`


def make_ethereum_place(
    url: str | None, inbox: bytes | None, da: Literal["blobs", "calldata"], depth: int, blobs: tuple[str, ...]
) -> EthereumPlace:
    """The place that the options name. Raises `UsageError` if one of the two that it takes is missing."""
    if url is None or inbox is None:
        raise UsageError("an inbox on Ethereum is named by both --inbox ADDRESS and the URL of an L1 node")
    sources = tuple(source if "://" in source else str(Path(source).absolute()) for source in blobs)
    return EthereumPlace(url, hex0x(inbox), da, depth, sources)


def local_place(directory: Path) -> LocalPlace:
    """The local settlement in a directory."""
    return LocalPlace(str(directory.absolute()))


def find_place(directory: Path, given: L1Place | None) -> L1Place:
    """What was named, or what the data directory says, or the local settlement in it. Raises `StoreFormat`."""
    if given is not None:
        return given
    try:
        raw = (directory / _FILE).read_bytes()
    except FileNotFoundError:
        return local_place(directory / "l1")
    try:
        return msgspec.json.decode(raw, type=EthereumPlace)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreFormat(f"{directory / _FILE} does not say where the rollup settles: {error}") from None


def keep_place(directory: Path, place: EthereumPlace) -> None:
    """Let a data directory say where its rollup settles; the commands need no options from then on."""
    directory.mkdir(parents=True, exist_ok=True)
    aside = directory / f"{_FILE}.part"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # a URL may hold a key
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(place)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(directory / _FILE)
