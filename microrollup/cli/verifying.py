"""`microrollup verify`: somebody else's blocks, re-executed in a process and a store of their own."""

from __future__ import annotations

from pathlib import Path

import click

from microrollup.cli.files import open_directory
from microrollup.cli.following import show_followed
from microrollup.cli.l1 import Reach, choose_place, ethereum_options
from microrollup.cli.output import Command, Output, json_option
from microrollup.cli.parameters import PATH, app_argument, hex_bytes, passphrase_option, workers_option
from microrollup.cli.replica_options import heights_options
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.segmenting import Segmented, segment_options, show_segmented
from microrollup.cli.verification import describe_report, render_report, show_divergence, watch_verifier
from microrollup.deployment.place_file import resolve_place
from microrollup.deployment.verifying import make_request
from microrollup.errors import UsageError
from microrollup.keys.reference import KeyReference, open_key, read_reference
from microrollup.replication.opening import ReplicaPlace
from microrollup.verifier.events import DivergenceEvent
from microrollup.verifier.http_source import is_address

__all__ = ["verify_command"]


@click.command("verify", cls=Command)
@app_argument
@click.option("--from", "source", metavar="FILE|DIR|URL", help="Exported blocks, a store, or a node's address.")
@click.option("--from-l1", metavar="URL|DIR", help="Derive what L1 settled, or a based rollup, without any operator.")
@click.option("--data", "directory", type=PATH, metavar="DIR", help="The verifier's own store [default: temporary].")
@click.option("--l1", "local", type=PATH, metavar="DIR", help="Local settlement: checks time, builder, forced actions.")
@ethereum_options
@click.option(
    "--key",
    type=read_reference,
    metavar="FILE|URL",
    help="Attest with this verifier's key, a file or a signer, URL#ADDRESS; needs a view of L1.",
)
@passphrase_option
@click.option("--rollup-id", type=hex_bytes(32), metavar="ID", help="Verify this rollup or none.")
@click.option("--follow", is_flag=True, help="Go on with new blocks until stopped; attestations go back to a node.")
@click.option(
    "--once", is_flag=True, help="Execute each action once, not twice: faster, blind to apps that keep state."
)
@click.option(
    "--serve",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="With --follow: serve the attestations of a based rollup at this port of 127.0.0.1.",
)
@workers_option
@segment_options
@heights_options
@json_option
def verify_command(
    app: str,
    source: str | None,
    from_l1: str | None,
    directory: Path | None,
    local: Path | None,
    reach: Reach,
    key: KeyReference | None,
    passphrase_file: Path | None,
    rollup_id: bytes | None,
    follow: bool,
    once: bool,
    serve: int | None,
    workers: int | None,
    segmented: Segmented | None,
    heights: ReplicaPlace | None,
    output: Output,
) -> int:
    """Re-execute others' blocks, or what L1 settled; compare every commitment.

    Every signature is checked again and every action executed twice, in a process of its own that trusts nobody.
    Exit code 1: a block is not what re-execution gives; the first field that differs is named. A block that is bound
    to one of L1's newest --l1-depth blocks is not judged yet, which the report says. With --follow each report is a
    line of its own; a node or store that cannot be reached is tried again. The verifier's store is `store` in
    --data: `microrollup prove` serves proofs from it while no operator does.

    With --executor the history is cut into segments that start from snapshots, and each worker verifies segments:
    history takes as many processes or machines as there are. Nothing is attested and no store is kept.
    """
    if (source is None) == (from_l1 is None):
        raise UsageError("give either --from FILE|DIR|URL or --from-l1 URL|DIR")
    if len([place for place in (from_l1, local, reach.given.get("l1-url")) if place is not None]) > 1:
        raise UsageError("--from-l1, --l1 and --l1-url each name an L1: give one of them")
    if from_l1 is not None:
        if "://" in from_l1:
            reach = reach.put(l1_url=(from_l1,))
        else:
            local = Path(from_l1)
    if local is not None and reach.inbox is not None:
        raise UsageError("--inbox belongs to the URL of an L1 node; a local settlement has none")
    l1 = choose_place(local, reach, directory)
    if l1 is None and directory is not None:
        l1 = resolve_place(directory, {}).place
    if key is not None and l1 is None:
        raise UsageError("--key needs --l1 or --l1-url: without a view of L1 a verifier never signs")
    if serve is not None and (not follow or key is None):
        raise UsageError("--serve serves the attestations of --key while --follow goes on")
    if segmented is not None and (follow or key is not None):
        raise UsageError("--executor verifies a history once: --follow and --key go without it")
    if isinstance(key, str) and directory is None:
        raise UsageError("--key URL needs --data DIR, where what the key has signed is written down")
    if heights is not None and key is None:
        raise UsageError("--replica would have no effect without --key: nothing is signed")
    named = None if key is None else open_key(key, passphrase_file)
    with open_directory(directory, "verify") as own:
        if segmented is not None:
            place = None if source is None else source if is_address(source) else Path(source)
            return show_segmented(segmented.make_request(app, place, own, l1, rollup_id, workers, once=once), output)
        place = source if source is None or is_address(source) else Path(source)
        request = make_request(
            app, place, own, l1=l1, key=named, rollup_id=rollup_id, workers=workers, follow=follow, once=once,
            replica=heights,
        )  # fmt: skip
        if follow:
            return show_followed(request, output, serve)
        outcome = watch_verifier(request, as_json=output.as_json)
    if isinstance(outcome, DivergenceEvent):
        show_divergence(outcome, output)
        return EXIT_FAILED
    document = describe_report(outcome)
    output.show(document, render_report(outcome))
    return 0
