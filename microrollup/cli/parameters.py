"""Arguments and options that several commands share, and what their texts mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from microrollup.codec.json import read_hex
from microrollup.errors import RefusedError
from microrollup.primitives import MAX_BLOCK_ACTIONS

__all__ = ["PATH", "app_argument", "data_option", "hex_bytes", "passphrase_option", "workers_option"]

F = TypeVar("F", bound=Callable[..., Any])


def hex_bytes(size: int | None = None) -> Callable[[str], bytes]:
    """The type of an option that takes bytes, so many if that is given, as hex digits, with or without 0x."""

    def convert(text: str) -> bytes:
        try:
            raw = read_hex(text if text[:2] == "0x" else f"0x{text}", "")
        except RefusedError:
            raw = None
        if raw is None or (size is not None and len(raw) != size):
            count = "made of" if size is None else f"{size}"
            raise click.BadParameter(f"{text!r} is not {count} bytes in hex digits")
        return raw

    return convert


PATH: Final = click.Path(path_type=Path)

app_argument = click.argument("app")


def data_option(help_text: str = "Directory of the store.") -> Callable[[F], F]:
    """`--data DIR`."""
    return click.option("--data", "directory", type=PATH, required=True, metavar="DIR", help=help_text)


passphrase_option = click.option(
    "--passphrase-file",
    type=PATH,
    metavar="FILE",
    help="Open key files that have a passphrase with the first line of this file [default: ask].",
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(0, 1024),
    metavar="N",
    help="Check signatures in N processes; 0: in this one "
    "[default: one per core, none for small files; a node leaves two cores free].",
)


def block_size_option(default: int) -> Callable[[F], F]:
    """`--block-size N`."""
    return click.option(
        "--block-size",
        type=click.IntRange(1, MAX_BLOCK_ACTIONS),
        default=default,
        show_default=True,
        metavar="N",
        help="Close a block after N actions.",
    )
