"""`microrollup announce-code`: an app's next version, announced to the inbox of a data directory."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, app_argument, data_option
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.announcing import announce_code
from microrollup.keys.files import read_key
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS

__all__ = ["announce_code_command"]


@click.command("announce-code", cls=Command)
@app_argument
@data_option()
@click.option(
    "--delay-blocks",
    type=click.IntRange(0, 1 << 32),
    metavar="N",
    show_default=f"{CHANGE_DELAY_BLOCKS}",
    help="With the local settlement: let it be in force after N blocks of 12 seconds; 0: from now on, for development.",
)
@click.option("--key", type=PATH, metavar="KEYFILE", help="On Ethereum: call the inbox from its owner's key.")
@click.option("--force", is_flag=True, help="Announce it although the upgrade would fail now.")
@json_option
def announce_code_command(
    app: str, directory: Path, delay_blocks: int | None, key: Path | None, *, force: bool, output: Output
) -> None:
    """Announce an app's next version to the inbox.

    APP is the version to come, which names the one in force as its `previous`. Its migration is run on trial, on the
    state as it is now. A node that was started with `run --upgrade` builds the upgrade when it is in force, on Ethereum
    21,600 blocks (three days) later.
    """
    announced = announce_code(
        directory, load_rollup(app), delay_blocks, key=None if key is None else read_key(key), force=force
    )
    facts = {
        "code": announced.stf_id,
        "version": announced.version,
        "in force": f"from L1 block {announced.effective} on",
        "on trial": f"{announced.outcome} {announced.reason}".strip() + f", {announced.rows} rows change",
    }
    output.show(msgspec.to_builtins(announced), make_facts(dict(facts)))
