"""`microrollup blobs`: an archive of blobs, and bringing a node's blobs there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import msgspec

from microrollup.cli.output import Command, Group, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, data_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.deployment.blob_archive import push_blobs, serve_archive
from microrollup.keys.passphrase import read_passphrase
from microrollup.rpc.server import bind

__all__ = ["blobs_command"]

_PERIOD: Final = re.compile(r"(\d{1,5})([dhms])")
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
DEFAULT_PORT: Final = 8651


def read_age(text: str) -> float:
    """Seconds of `30d`, `12h`."""
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not an age such as 30d")
    return int(found[1]) * _UNITS[found[2]]


@click.group("blobs", cls=Group)
def blobs_command() -> None:
    """Keep the blobs of batches: serve an archive, bring a node's there.

    L1's nodes drop blobs after some 18 days.

    `blobs serve DIR` serves a directory of them, `blobs push --data DIR --to URL|DIR` brings a node's own there and may
    remove them here once the archive has given them back.
    """


@blobs_command.command("serve", cls=Command)
@click.argument("directory", type=PATH)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Listen on this address.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True, metavar="PORT", help="And port."
)
@click.option(
    "--token-file", type=PATH, metavar="FILE", help="Take blobs from who has this token [default: from nobody]."
)
@json_option
def serve_blobs(directory: Path, host: str, port: int, token_file: Path | None, output: Output) -> None:
    """Serve a directory of blobs until a signal, for `--blobs URL` of others."""
    token = None if token_file is None else read_passphrase(token_file)
    listener = bind(host, port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    def tell(_: Callable[[], None]) -> None:
        output.show({"url": address}, make_facts({"archive": address, "stop": "Ctrl-C"}))

    serve_archive(directory, listener, token, tell)


@blobs_command.command("push", cls=Command)
@data_option("Data directory whose `blobs` are brought.")
@click.option("--to", "archive", required=True, metavar="URL|DIR", help="The archive.")
@click.option("--token-file", type=PATH, metavar="FILE", help="The archive's token.")
@click.option(
    "--prune-after", type=read_age, metavar="AGE", help="Remove here what is older, 30d, once the archive gave it back."
)
@json_option
def bring_blobs(
    directory: Path, archive: str, token_file: Path | None, prune_after: float | None, output: Output
) -> int:
    """Bring blobs to an archive, and remove old ones here that it has given back.

    Meant to be called by a timer. Exit code 1: the archive does not have all of them.
    """
    token = None if token_file is None else read_passphrase(token_file)
    report = push_blobs(directory / "blobs", archive, token, prune_seconds=prune_after)
    for reason in report.kept:
        output.warn(reason)
    output.show(
        msgspec.to_builtins(report),
        make_facts({"pushed": report.pushed, "already there": report.present, "removed here": report.pruned}),
    )
    return EXIT_FAILED if report.kept else 0
