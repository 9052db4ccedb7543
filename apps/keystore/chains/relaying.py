"""`python -m apps.keystore relay`."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from msgspec.structs import replace
from rich.table import Table

from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.cli.parameters import PATH
from microrollup.cli.run import EXIT_FAILED
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.errors import UsageError
from microrollup.keys.files import read_key

from .command import book_option, chain_header_option, read_name
from .keeper import KeeperPolicy
from .keeping import Keeper, KeeperOptions, describe_keeper, serve_metrics
from .pushing import MAX_PUSHES
from .serving_options import make_chain_options, serve_until_signal, serving_options
from .store import ChainStore

__all__ = ["relay_command"]

_MAX_FILE_BYTES: Final = 16 << 20
_DEFAULTS: Final = KeeperPolicy(0)
_SECONDS: Final = click.IntRange(0, 7 * 86_400)


@click.command("relay", cls=Command)
@serving_options(poll=12.0, looks="a chain")
@chain_header_option
@click.option("--l1", "l1_url", metavar="URL", help="L1's node, for chains that take storage proofs (OP-stack).")
@click.option("--data", type=PATH, required=True, metavar="DIR", help="Directory of what the keeper knows.")
@book_option
@click.option(
    "--account", "names", multiple=True, type=read_name, metavar="ACCOUNT-OR-KEY",
    help="Keep its copy fresh on every chain where it is deployed; again for more.",
)  # fmt: skip
@click.option("--accounts", "file", type=click.File("rb"), metavar="FILE", help="More of them, one a line.")
@click.option(
    "--root-every", type=_SECONDS, default=_DEFAULTS.root_seconds, metavar="SECONDS",
    help="At most one root in so long [default: 300].",
)  # fmt: skip
@click.option(
    "--push-every", type=_SECONDS, default=_DEFAULTS.push_seconds, metavar="SECONDS",
    help="At most one push of an account in so long [default: 900].",
)  # fmt: skip
@click.option(
    "--refresh", type=_SECONDS, default=_DEFAULTS.refresh_seconds, metavar="SECONDS",
    help="Show and push an unchanged root again after so long [default: 3 days].",
)  # fmt: skip
@click.option(
    "--batch", type=click.IntRange(1, MAX_PUSHES), default=_DEFAULTS.batch, metavar="N",
    help="Accounts in a transaction [default: 50].",
)  # fmt: skip
@click.option(
    "--metrics", "port", type=click.IntRange(1, 65535), metavar="PORT",
    help="Serve metrics for Prometheus on this port of the loopback.",
)  # fmt: skip
@json_option
def relay_command(
    urls: tuple[str, ...],
    headers: tuple[str, ...],
    l1_url: str | None,
    key_path: Path,
    data: Path,
    directory: Path,
    names: tuple[bytes, ...],
    file: BinaryIO | None,
    budget: int,
    max_fee: float,
    root_every: int,
    push_every: int,
    refresh: int,
    batch: int,
    poll: float,
    bump: float,
    port: int | None,
    once: bool,
    output: Output,
) -> int:
    """Bring the keystore's newest root to chains, and push it to accounts, until a signal ends it.

    Roots come from L1: by a storage proof where a chain knows L1's blocks, by reading the inbox on L1 itself. Exit code
    1: a chain could not be served, or has accounts that are due.
    """
    key = read_key(key_path)
    template = make_chain_options(max_fee, bump, headers)
    everyone = (*names, *(() if file is None else _read_names(file)))
    policy = KeeperPolicy(budget, everyone, root_every, push_every, refresh, batch)
    options = KeeperOptions(
        tuple([replace(template, url=url) for url in urls]),
        None if l1_url is None else replace(template, url=l1_url),
        directory,
        policy,
        poll,
        once,
    )
    with ChainStore(data) as store:
        rows = asyncio.run(_run(store, options, key, port))
    output.show({"chains": rows}, _render(rows))
    return 0 if all(row["up"] and not row["accounts_due"] for row in rows) else EXIT_FAILED


async def _run(store: ChainStore, options: KeeperOptions, key: PrivateKey, port: int | None) -> list[dict[str, Any]]:
    keeper = Keeper(store, options, key)
    with ExitStack() as stack:
        if port is not None:
            stack.enter_context(serve_metrics(keeper, port))
        await serve_until_signal(keeper)
    rows = [
        {"chainId": each.note.chain_id, "place": each.note.place, "error": each.note.error, "rootsBy": each.counts.path}
        | describe_keeper(each)
        for each in keeper.chains
    ]
    return [
        *rows,
        *[{"chainId": None, "place": place, "error": error, "up": 0} for place, error in keeper.unreached.items()],
    ]


def _read_names(file: BinaryIO) -> list[bytes]:
    raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"a file of accounts has at most {_MAX_FILE_BYTES} bytes")
    return [read_name(line.strip()) for line in raw.decode("latin-1").splitlines() if line.strip()]


def _render(rows: list[dict[str, Any]]) -> Table:
    table = make_table(
        "chain", "roots by", "root height", "shown, s", "roots", "pushes", "due", "held", "wei", "reorgs", "error"
    )
    members = (
        "chainId", "rootsBy", "root_height", "root_shown_age_seconds", "roots", "pushes", "accounts_due",
        "accounts_held", "spent_wei", "reorgs", "error",
    )  # fmt: skip
    for row in rows:
        shown = {name: row.get(name, "-") for name in members}
        if not row.get("root_height"):  # none was ever shown
            shown |= {"root_height": "-", "root_shown_age_seconds": "-"}
        if shown["rootsBy"] == "none":
            shown["rootsBy"] = "a bridge"
        table.add_row(*map(str, shown.values()))
    return table
