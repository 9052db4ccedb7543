"""Arguments and options that several commands share, and what their texts mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from microrollup.codec.json import read_hex
from microrollup.errors import RefusedError
from microrollup.store.environment import DATA_FILE

__all__ = ["PATH", "app_argument", "choose_workers", "data_option", "hex_bytes", "workers_option"]

F = TypeVar("F", bound=Callable[..., Any])

SMALL_INPUT_BYTES: Final = 1_000_000
"""Up to here a file is authenticated sooner (2,000 actions in 0.1 s) than worker processes start."""


def hex_bytes(size: int) -> Callable[[str], bytes]:
    """The type of an option that takes so many bytes as hex digits, with or without 0x."""

    def convert(text: str) -> bytes:
        try:
            raw = read_hex(text if text[:2] == "0x" else f"0x{text}", "")
        except RefusedError:
            raw = b""
        if len(raw) != size:
            raise click.BadParameter(f"{text!r} is not {size} bytes in hex digits")
        return raw

    return convert


PATH: Final = click.Path(path_type=Path)

app_argument = click.argument("app")


def data_option(help_text: str = "Directory of the store.") -> Callable[[F], F]:
    """`--data DIR`."""
    return click.option("--data", "directory", type=PATH, required=True, metavar="DIR", help=help_text)


workers_option = click.option(
    "--workers",
    type=click.IntRange(0, 1024),
    metavar="N",
    help="Processes that check signatures; 0 for none [default: one a core, none for small files].",
)


def choose_workers(workers: int | None, path: Path | None) -> int:
    """How many worker processes to start: what was asked for, none for a small file or store, or one a usable core."""
    if workers is not None:
        return workers
    file = None if path is None else path / DATA_FILE if path.is_dir() else path
    if file is not None and file.is_file() and file.stat().st_size <= SMALL_INPUT_BYTES:
        return 0
    return len(os.sched_getaffinity(0))
