"""`microrollup replay`: the log executed again into a fresh store, and both compared to the byte."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from microrollup.cli.files import open_directory
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_steps
from microrollup.cli.parameters import PATH, app_argument, data_option, workers_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.segmenting import Segmented, describe_segments, list_segments, segment_options
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.replaying import replay_directory, replay_in_segments
from microrollup.deployment.workers import choose_workers
from microrollup.errors import UsageError

__all__ = ["replay_command"]


@click.command("replay", cls=Command)
@app_argument
@data_option()
@click.option("--into", type=PATH, metavar="NEWDIR", help="Keep the rebuilt store there [default: a temporary one].")
@workers_option
@segment_options
@json_option
def replay_command(
    app: str, directory: Path, into: Path | None, workers: int | None, segmented: Segmented | None, output: Output
) -> int:
    """Rebuild everything from the log and compare it to the byte.

    Only the log is read: every signature is checked and every action executed again. Exit code 1: what the store holds
    is not what its log gives.

    With --executor the log is replayed in segments, as `verify` does it; no store is kept.
    """
    load_rollup(app)
    if segmented is not None and into is not None:
        raise UsageError("--executor rebuilds the store in pieces, which are not kept: leave out --into")
    what = "replaying records" if segmented is None else "replaying blocks"
    with open_directory(into, "replay") as parent, show_steps(what, as_json=output.as_json) as follow:
        if segmented is not None:
            request = segmented.make_request(app, directory, parent, None, None, workers, once=True)
            replayed = replay_in_segments(request, follow)
        else:
            into = into or parent / "store"
            replayed = replay_directory(app, directory, into, choose_workers(workers, directory), follow)
    differences = replayed.differences
    document = {
        "equal": not differences,
        "height": replayed.height,
        "stateRoot": hex0x(replayed.state_root),
        "records": replayed.records,
        "differences": [msgspec.to_builtins(difference) for difference in differences],
    } | describe_segments(replayed.segmented)
    facts: dict[str, object] = {
        "equal": "to the byte" if not differences else "NO",
        "height": replayed.height,
        "state root": hex0x(replayed.state_root),
        "records": replayed.records,
    } | list_segments(replayed.segmented)
    table = make_table("table", "key", "difference")
    for difference in differences:
        table.add_row(difference.table, difference.key, difference.reason)
    output.show(document, make_facts(facts), table if differences else None)
    return EXIT_FAILED if differences else 0
