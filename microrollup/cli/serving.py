"""`microrollup run`: serve a rollup: ingress, sequencer, verifiers, settlement and the API, in one command."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import click

from microrollup.cli.access import access_options
from microrollup.cli.based import list_based_settings, serve_based
from microrollup.cli.l1 import l1_options, proof_option, sending_options
from microrollup.cli.output import Output, json_option, make_facts
from microrollup.cli.parameters import (
    PATH,
    app_argument,
    block_size_option,
    data_option,
    hex_bytes,
    passphrase_option,
    workers_option,
)
from microrollup.cli.replica_options import member_options
from microrollup.cli.serving_follower import check_options, follow_option, serve_follower
from microrollup.cli.settings import Setting, SettingsCommand, describe_settings, list_settings, list_warnings, tabulate
from microrollup.codec.json import hex0x
from microrollup.crypto.bls_shares import BlsKey
from microrollup.declaration.query import load_methods
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.based import is_based
from microrollup.deployment.directory import VerifierChoice
from microrollup.deployment.member import Member, MemberOptions, serve_member
from microrollup.deployment.place_file import find_place
from microrollup.deployment.serving import choose_node_workers, keep_snapshots_of, open_served, serve_node
from microrollup.errors import UsageError
from microrollup.keys.files import builder_key_path, verifier_key_path
from microrollup.keys.passphrase import read_passphrase
from microrollup.keys.reference import KeyReference, list_key_warnings, open_key, read_reference
from microrollup.limits import MEMORY_BYTES, limited_memory
from microrollup.logs import configure_logging
from microrollup.node.batch_timing import SettleOptions
from microrollup.node.options import NodeOptions
from microrollup.node.reading import ReadingNode
from microrollup.node.writer import WriterOptions
from microrollup.primitives import MAX_BLOCK_RECORD_BYTES
from microrollup.replication.opening import ReplicaPlace
from microrollup.rpc.access import Access
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import bind
from microrollup.sequencer.opening import BuilderClock
from microrollup.sequencer.sequencer import DEFAULT_BLOCK_SIZE
from microrollup.settlement.place import EthereumPlace, L1Place
from microrollup.settlement.proofs import ProofSource

__all__ = ["run_command"]

DEFAULT_PORT: Final = 8650
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, None: 1.0}
MIN_BLOCK_SECONDS: Final = 0.01
MAX_BLOCK_SECONDS: Final = 3_600.0
MAX_SETTLE_SECONDS: Final = 43_200.0
"""Half of the day after which unsettled blocks stop intake."""

MAX_EMPTY_SECONDS: Final = 86_400.0


def read_duration(text: str) -> float:
    """Seconds of `1s`, `250ms`, `2m` or a plain number."""
    return _read_seconds(text, MIN_BLOCK_SECONDS, MAX_BLOCK_SECONDS, "10ms to 60m")


def read_period(text: str) -> float:
    """Seconds of `10m`, `2h`, or 0."""
    return _read_seconds(text, 0.0, MAX_SETTLE_SECONDS, "0 to 12h")


def _read_seconds(text: str, least: float, most: float, said: str) -> float:
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
    if not least <= seconds <= most:
        raise click.BadParameter(f"{text!r} is not a time from {said}")
    return seconds


@click.command("run", cls=SettingsCommand)
@app_argument
@data_option("Directory of the store; made on first use.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Listen on this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="PORT",
    help="Listen on this port; 0: any free one.",
)
@click.option(
    "--block-time",
    type=read_duration,
    default="1s",
    show_default=True,
    metavar="TIME",
    help="Close a block after this time: 1s, 250ms, 2m.",
)
@click.option(
    "--empty-blocks",
    type=click.FloatRange(MIN_BLOCK_SECONDS, MAX_EMPTY_SECONDS),
    metavar="SECONDS",
    help="Build a block without actions so long after the last block, so that a block hook runs [default: never].",
)
@block_size_option(DEFAULT_BLOCK_SIZE)
@click.option(
    "--builder-key",
    type=read_reference,
    metavar="FILE|URL",
    help="Seal and settle with this key: a file, or a signer, URL#ADDRESS [default: `keys/builder.key` in --data].",
)
@click.option(
    "--verifier-key",
    "keys",
    type=read_reference,
    multiple=True,
    metavar="FILE|URL",
    help="Run a verifier with this key, as --builder-key; repeatable [default: the development key, if there is one].",
)
@passphrase_option
@click.option(
    "--verifier",
    "addresses",
    type=hex_bytes(20),
    multiple=True,
    metavar="ADDRESS",
    help="Give a new rollup this verifier, which runs elsewhere; repeatable.",
)
@click.option(
    "--quorum",
    type=click.IntRange(1, 256),
    metavar="M",
    help="Let a new rollup settle what M verifiers attest [default: more than half].",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1_000_000),
    default=RpcLimits().rate,
    show_default=True,
    metavar="N",
    help="Take this many calls and actions per second from one remote address; 0: no limit.",
)
@access_options
@workers_option
@click.option(
    "--settle",
    type=click.Choice(["local", "ethereum"]),
    help="Refuse to start if the rollup settles elsewhere [default: take what options or data directory say].",
)
@click.option(
    "--settle-every",
    type=read_period,
    default="0",
    show_default=True,
    metavar="TIME",
    help="Settle when the oldest action has waited so long: 10m, 2h; 0: nothing waits. Forced actions never do.",
)
@click.option(
    "--settle-bytes",
    type=click.IntRange(1, MAX_BLOCK_RECORD_BYTES),
    metavar="N",
    help="Settle earlier once the records have N bytes, uncompressed [default: once they fill a batch].",
)
@click.option(
    "--urgent-budget",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    metavar="N",
    help="Let clients ask for a batch at once N times in 24 hours, all together.",
)
@click.option(
    "--urgent-token-file",
    type=PATH,
    metavar="FILE",
    help="Let clients that have the token in this file ask at any time.",
)
@proof_option
@sending_options
@l1_options
@click.option(
    "--upgrade",
    is_flag=True,
    help="Build the upgrades that are announced, and go on under the new code; without it intake stops there.",
)
@click.option(
    "--clock",
    type=click.Choice(["own", "l1"]),
    default="own",
    show_default=True,
    help="Take a block's timestamp from this machine's clock, or from its L1 origin: then it is that L1 block's time.",
)
@click.option(
    "--methods",
    "methods",
    multiple=True,
    metavar="NAME",
    help="Serve this set of the app's methods besides; repeatable [default: none].",
)
@click.option(
    "--snapshot-every",
    type=click.IntRange(1, 1_000_000_000),
    metavar="N",
    help="Keep snapshots every N blocks, 32 at most, from which `verify --executor` starts [default: none].",
)
@member_options
@follow_option
@click.option("--log-json", is_flag=True, help="Log everything, one JSON object per line.")
@json_option
@click.pass_context
def run_command(
    ctx: click.Context,
    app: str,
    directory: Path,
    host: str,
    port: int,
    block_time: float,
    empty_blocks: float | None,
    block_size: int,
    builder_key: KeyReference | None,
    keys: tuple[KeyReference, ...],
    passphrase_file: Path | None,
    addresses: tuple[bytes, ...],
    quorum: int | None,
    rate: float,
    access: Access,
    workers: int | None,
    settle: Literal["local", "ethereum"] | None,
    l1: L1Place | None,
    settle_every: float,
    settle_bytes: int | None,
    urgent_budget: int,
    urgent_token_file: Path | None,
    proofs: tuple[ProofSource, ...],
    upgrade: bool,
    clock: BuilderClock,
    methods: tuple[str, ...],
    snapshot_every: int | None,
    place: ReplicaPlace | None,
    follow: str | None,
    log_json: bool,
    output: Output,
) -> None:
    """Serve a rollup: take actions, build blocks, settle, answer.

    One port: JSON-RPC over HTTP and WebSocket and the explorer at `/`, and `/health`, `/metrics`, `/openrpc.json`. Only
    this machine reaches it unless --host says otherwise. Ctrl-C and SIGTERM finish what was taken and stop; the same
    command goes on from there, after a crash too.
    """
    if log_json:
        configure_logging(as_json=True)
    rollup = load_rollup(app)
    if is_based(directory, l1):
        announce = partial(_announce, output, list_based_settings(ctx), list_warnings(ctx))
        serve_based(ctx, rollup, directory, l1, access, announce, output)
        return
    if settle is not None and (settle == "ethereum") != isinstance(find_place(directory, l1), EthereumPlace):
        raise UsageError(
            "--settle ethereum needs --l1-url and --inbox, or a data directory that `microrollup deploy` made"
            if settle == "ethereum"
            else f"{directory} settles on Ethereum; `--settle local` would begin another history"
        )
    settings = list_settings(ctx)
    warnings = list_warnings(ctx)
    own = builder_key or builder_key_path(directory)
    builder = (
        open_key(own, passphrase_file).signing_key
        if builder_key is not None or (passphrase_file is not None and builder_key_path(directory).exists())
        else None
    )
    verifiers = [open_key(reference, passphrase_file) for reference in keys or _list_own_keys(directory)]
    warnings += list_key_warnings(own, [key.reference for key in verifiers], quorum or len(verifiers) // 2 + 1)
    listed = {*addresses, *[key.address for key in verifiers if keys and not isinstance(key.key, BlsKey)]}
    choice = VerifierChoice(tuple(sorted(listed)), quorum)
    timing = WriterOptions(block_time, empty_seconds=empty_blocks)
    if settle_every == 0 and (settle_bytes or urgent_budget or urgent_token_file):
        raise UsageError("--settle-bytes and --urgent-… have no effect without --settle-every")
    token = None if urgent_token_file is None else read_passphrase(urgent_token_file)
    options = NodeOptions(
        block_size,
        timing,
        choose_node_workers(workers),
        upgrade=upgrade,
        clock=clock,
        proofs=proofs,
        methods=methods,
        settling=SettleOptions(settle_every, settle_bytes, urgent_budget, token),
    )
    load_methods(rollup, methods)  # a name that is wrong is said before a data directory is made
    bind(host, port).close()  # an address that cannot be had is said before a data directory is made
    if follow is not None:
        check_options(ctx)
        announce = partial(_announce, output, settings, list_warnings(ctx))
        with keep_snapshots_of(app, directory, snapshot_every):
            limits = RpcLimits(rate=rate)
            last = serve_follower(app, directory, rollup, follow, l1, options, host, port, access, limits, announce)
        _say_stopped(last, output)
        return
    if place is not None:
        member = MemberOptions(
            app, directory, rollup, verifiers, builder, l1, options, RpcLimits(rate=rate), access,
        )  # fmt: skip
        with keep_snapshots_of(app, directory, snapshot_every):
            _serve_member(member, place, host, port, settings, output)
        return
    while True:  # a node serves one version of the app, and one that has no L1 no longer than that
        with (
            limited_memory(MEMORY_BYTES),
            open_served(app, directory, rollup, choice, verifiers, l1, options, builder) as node,
            keep_snapshots_of(app, directory, snapshot_every),
        ):
            port, upgraded = serve_node(
                node,
                host,
                port,
                access=access,
                limits=RpcLimits(rate=rate),
                on_ready=partial(_announce, output, settings, warnings, node),
            )
        if not upgraded:
            break
    _say_stopped(node, output)


def _say_stopped(node: ReadingNode, output: Output) -> None:
    document = {"stopped": True, "height": node.ledger.checkpoint.height, "seq": node.ledger.next_seq}
    output.show(document, f"stopped at height {document['height']}; the same command goes on from there")


def _serve_member(
    options: MemberOptions, place: ReplicaPlace, host: str, port: int, settings: list[Setting], output: Output
) -> None:
    """Serve as a member of a replicated log."""

    def announce(address: str, _stop: object) -> None:
        document = {"url": address, "rollup": options.rollup.name, "node": place.node}
        facts = {"JSON-RPC": f"{address} (WebSocket while it leads)", "node": place.node, "stop": "Ctrl-C"}
        output.show({**document, "settings": describe_settings(settings)}, tabulate(settings), make_facts(dict(facts)))

    with limited_memory(MEMORY_BYTES):
        member = Member(options, place)
        member.check()
        serve_member(member, host, port, options.limits, announce)
    output.show({"stopped": True, "node": place.node}, "stopped; the same command goes on from there")


def _list_own_keys(directory: Path) -> list[Path]:
    """The development verifier's, if there is one."""
    path = verifier_key_path(directory)
    return [path] if path.exists() else []


def _announce(
    output: Output, settings: list[Setting], warnings: list[str], node: ReadingNode, address: str, _stop: object
) -> None:
    """Say where the node is to be found."""
    for warning in warnings:
        output.warn(warning)
    if node.stopped is not None:
        output.warn(f"no actions are taken: {node.stopped}")
    document: dict[str, Any] = {
        "url": address,
        "rollup": node.rollup.name,
        "rollupId": hex0x(node.rollup_id),
        "builder": hex0x(node.l1.get_builder(node.l1.get_number())),
        "height": node.confirmations.latest,
        "settings": describe_settings(settings),
    }
    if output.as_json:
        output.show(document)
        return
    facts = {
        "JSON-RPC": f"{address} (WebSocket on the same port)",
        "explorer": f"{address}/",
        "rollup": f"{node.rollup.name}, id {hex0x(node.rollup_id)}",
        "height": node.confirmations.latest,
        "stop": "Ctrl-C",
    }
    output.show(document, tabulate(settings), make_facts(dict(facts)))
