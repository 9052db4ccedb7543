"""`microrollup verify`: somebody else's blocks, re-executed in a process and a store of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click

from microrollup.cli.following import follow_blocks
from microrollup.cli.l1 import ethereum_options, local_place, make_ethereum_place
from microrollup.cli.output import Command, Output, json_option
from microrollup.cli.parameters import PATH, app_argument, hex_bytes, workers_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.verification import (
    describe_report,
    make_request,
    render_report,
    show_divergence,
    watch_verifier,
)
from microrollup.errors import UsageError
from microrollup.settlement.place import L1Place
from microrollup.verifier.events import DivergenceEvent
from microrollup.verifier.http_source import is_address

__all__ = ["verify_command"]


@click.command("verify", cls=Command)
@app_argument
@click.option("--from", "source", metavar="FILE|DIR|URL", help="Exported blocks, a store, or a node's address.")
@click.option(
    "--from-l1", metavar="URL|DIR", help="Derive what L1 settled, without any operator; an URL needs --inbox."
)
@click.option("--data", "directory", type=PATH, metavar="DIR", help="The verifier's own store [default: temporary].")
@click.option("--l1", "local", type=PATH, metavar="DIR", help="Local settlement: checks time, builder, forced actions.")
@ethereum_options()
@click.option("--key", type=PATH, metavar="KEYFILE", help="Attest with this verifier's key; needs a view of L1.")
@click.option("--rollup-id", type=hex_bytes(32), metavar="ID", help="Verify this rollup or none.")
@click.option("--follow", is_flag=True, help="Go on with new blocks until stopped; attestations go back to a node.")
@workers_option
@json_option
def verify_command(
    app: str,
    source: str | None,
    from_l1: str | None,
    directory: Path | None,
    local: Path | None,
    url: str | None,
    inbox: bytes | None,
    da: Literal["blobs", "calldata"],
    depth: int,
    blobs: tuple[str, ...],
    key: Path | None,
    rollup_id: bytes | None,
    follow: bool,
    workers: int | None,
    output: Output,
) -> int:
    """Re-execute others' blocks, or what L1 settled; compare every commitment.

    Every signature is checked again and every action executed again, in a process of its own that trusts nobody.
    Exit code 1: a block is not what re-execution gives; the first field that differs is named. With --follow each
    report is a line of its own; a node or store that cannot be reached is tried again. The verifier's store is
    `store` in --data: `microrollup prove` serves proofs from it while no operator does.
    """
    if (source is None) == (from_l1 is None):
        raise UsageError("give either --from FILE|DIR|URL or --from-l1 URL|DIR")
    if len([place for place in (from_l1, local, url) if place is not None]) > 1:
        raise UsageError("--from-l1, --l1 and --l1-url each name an L1: give one of them")
    if from_l1 is not None:
        url, local = (from_l1, None) if "://" in from_l1 else (None, Path(from_l1))
    l1: L1Place | None = None if local is None else local_place(local)
    if local is not None and inbox is not None:
        raise UsageError("--inbox belongs to the URL of an L1 node; a local settlement has none")
    if url is not None or inbox is not None:
        l1 = make_ethereum_place(url, inbox, da, depth, blobs)
    if key is not None and l1 is None:
        raise UsageError("--key needs --l1 or --l1-url: without a view of L1 a verifier never signs")
    if key is not None and from_l1 is not None:
        raise UsageError("--key attests what is not settled yet; --from-l1 derives what is: give --from")
    with _open_directory(directory) as own:
        place = source if source is None or is_address(source) else Path(source)
        request = make_request(app, place, own, l1=l1, key=key, rollup_id=rollup_id, workers=workers, follow=follow)
        if follow:
            return follow_blocks(request, output)
        outcome = watch_verifier(request)
    if isinstance(outcome, DivergenceEvent):
        show_divergence(outcome, output)
        return EXIT_FAILED
    document = describe_report(outcome)
    output.show(document, render_report(outcome))
    return 0


@contextmanager
def _open_directory(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="microrollup-verify-") as temporary:
        yield Path(temporary)
