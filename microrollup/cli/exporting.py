"""`microrollup export`: all closed blocks of a store in one file, or the signed actions of its log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from microrollup.block import Block, compute_rollup_id
from microrollup.cli.directory import open_readable
from microrollup.cli.output import Command, Output, json_option, make_facts, show_progress
from microrollup.cli.parameters import PATH, app_argument, data_option
from microrollup.codec.json import hex0x
from microrollup.entry import decode_kernel_record, is_forced_record
from microrollup.errors import UsageError
from microrollup.export import write_blocks
from microrollup.genesis import read_genesis
from microrollup.rollup import MicroRollup, load_rollup
from microrollup.store.environment import Environment
from microrollup.store.tables import get_block_row, get_log_start, iterate_log
from microrollup.verifier.source import StoreSource

__all__ = ["export_command"]


@click.command("export", cls=Command)
@app_argument
@data_option()
@click.option("--out", type=PATH, required=True, metavar="FILE", help="File to write; replaced once it is whole.")
@click.option("--actions", is_flag=True, help="Write the signed actions of the log instead, as `import` takes them.")
@click.option("--after", type=click.IntRange(0), metavar="H", help="With --actions: only those of later blocks.")
@json_option
def export_command(app: str, directory: Path, out: Path, actions: bool, after: int | None, output: Output) -> None:
    """Write all blocks to one file that anybody can verify.

    The file holds the genesis record, and every closed block with its signed actions and seal. It may be made while an
    import goes on. With --actions it holds every acknowledged action, also of the block that is still open, in the
    order of the log: JSON Lines, which another store of the same rollup can import.
    """
    if after is not None and not actions:
        raise UsageError("--after belongs to --actions")
    rollup = load_rollup(app)
    with open_readable(directory, rollup) as environment:
        if actions:
            count = _write_actions(environment, rollup, out, after)
            shown = {"file": out, "actions": count, "bytes": out.stat().st_size}
            output.show({**shown, "file": str(out)}, make_facts(dict(shown)))
            return
    with StoreSource(directory) as source, show_progress("exporting", source.read_tip()) as advance:

        def read() -> Iterator[Block]:
            for block in source.read_blocks():
                yield block
                advance(1)

        count = write_blocks(out, source.genesis, read())
    document = {"blocks": count, "bytes": out.stat().st_size, "rollupId": hex0x(compute_rollup_id(source.genesis))}
    facts = {"file": out, "blocks": count, "bytes": document["bytes"], "rollup id": document["rollupId"]}
    output.show({"file": str(out), **document}, make_facts(facts))


def _write_actions(environment: Environment, rollup: MicroRollup, out: Path, after: int | None) -> int:
    """Write the signed actions of the log behind a block; `out` is replaced once the file is whole."""
    part, count = out.with_name(f"{out.name}.part"), 0
    try:
        with part.open("wb") as file:
            for record in _read_actions(environment, after):
                file.write(msgspec.json.encode(rollup.action_types.to_json(rollup.action_types.decode_record(record))))
                file.write(b"\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return count


def _read_actions(environment: Environment, after: int | None) -> Iterator[bytes]:
    """The records of signed actions behind a block, by default all that the log holds.

    Raises `NotRetained` if a store that was restored from a snapshot does not go back so far, `UsageError` for a block
    that does not exist.
    """
    tables = environment.tables
    with environment.snapshot() as txn:
        first, skipped = 0, 0
        restored = get_log_start(txn, tables)
        if restored is not None and after in (None, restored.height):
            first = restored.number
        elif after:
            row = get_block_row(txn, tables, after)
            if row is None:
                raise UsageError(f"there is no block {after} yet")
            first, skipped = row.first_record, row.header.action_count
        for _, record in iterate_log(txn, tables, compute_rollup_id(read_genesis(environment)), first):
            if decode_kernel_record(record) is not None:
                continue
            if skipped:
                skipped -= 1
            elif not is_forced_record(record):
                yield record
