"""`microrollup replay`: the log executed again into a fresh store, and both compared to the byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from microrollup.authentication_pool import AuthenticationPool
from microrollup.cli.output import Command, Output, json_option, make_facts, make_table, show_progress
from microrollup.cli.parameters import PATH, app_argument, choose_workers, data_option, workers_option
from microrollup.cli.run import EXIT_FAILED
from microrollup.codec.json import hex0x
from microrollup.ledger import Ledger
from microrollup.replay import compare_stores, replay_log
from microrollup.rollup import load_rollup

__all__ = ["replay_command"]


@click.command("replay", cls=Command)
@app_argument
@data_option()
@click.option("--into", type=PATH, metavar="NEWDIR", help="Keep the rebuilt store there [default: a temporary one].")
@workers_option
@json_option
def replay_command(app: str, directory: Path, into: Path | None, workers: int | None, output: Output) -> int:
    """Rebuild everything from the log and compare it to the byte.

    Only the log is read: every signature is checked and every action executed again. Exit code 1: what the store holds
    is not what its log gives.
    """
    rollup = load_rollup(app)
    with Ledger.open(directory, rollup) as source, _open_directory(into) as target:
        records = source.environment.count("log")
        with (
            AuthenticationPool(app, source.genesis.domain, choose_workers(workers, directory)) as pool,
            show_progress("replaying", records) as advance,
            replay_log(source.environment, rollup, target, pool, lambda _: advance(1)) as replayed,
        ):
            differences = compare_stores(source.environment, replayed.environment)
            height, state_root = replayed.checkpoint.height, replayed.header.state_root
    document = {
        "equal": not differences,
        "height": height,
        "stateRoot": hex0x(state_root),
        "records": records,
        "differences": [msgspec.to_builtins(difference) for difference in differences],
    }
    facts: dict[str, object] = {
        "equal": "to the byte" if not differences else "NO",
        "height": height,
        "state root": hex0x(state_root),
        "records": records,
    }
    table = make_table("table", "key", "difference")
    for difference in differences:
        table.add_row(difference.table, difference.key, difference.reason)
    output.show(document, make_facts(facts), table if differences else None)
    return EXIT_FAILED if differences else 0


@contextmanager
def _open_directory(into: Path | None) -> Iterator[Path]:
    if into is not None:
        yield into
        return
    with tempfile.TemporaryDirectory(prefix="microrollup-replay-") as temporary:
        yield Path(temporary) / "store"
