"""`microrollup run`: serve a rollup: ingress, sequencer, verifiers, settlement and the API, in one command."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import click

from microrollup.cli.directory import VerifierChoice, open_node, read_key, verifier_key_path
from microrollup.cli.l1 import find_place, l1_options
from microrollup.cli.output import Command, Output, json_option, make_facts
from microrollup.cli.parameters import PATH, app_argument, data_option, hex_bytes, workers_option
from microrollup.cli.verification import make_request
from microrollup.codec.json import hex0x
from microrollup.crypto import compute_address
from microrollup.errors import StoreMissing, UsageError
from microrollup.limits import MEMORY_BYTES, limited_memory
from microrollup.logs import configure_logging
from microrollup.node.divergence_note import mend_divergence
from microrollup.node.runtime import Node, NodeOptions, VerifierSpec
from microrollup.node.writer import WriterOptions
from microrollup.primitives import MAX_BLOCK_ACTIONS
from microrollup.rollup import MicroRollup, load_rollup
from microrollup.rpc.app import make_app
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind
from microrollup.sequencer import DEFAULT_BLOCK_SIZE
from microrollup.settlement.place import EthereumPlace, L1Place
from microrollup.store.environment import Environment

__all__ = ["run_command"]

DEFAULT_PORT: Final = 8650
_VERIFIERS_DIRECTORY: Final = "verifiers"
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
BUSY_PROCESSES: Final = 2
"""The node and its verifier keep two cores busy; beyond them, signatures are checked in processes of their own."""
SPARE_FILES: Final = 512
"""Files beside the connections: the store's, pipes, and what others open."""
MIN_BLOCK_SECONDS: Final = 0.01
MAX_BLOCK_SECONDS: Final = 3_600.0


def read_duration(text: str) -> float:
    """Seconds of `1s`, `250ms`, `2m` or a plain number."""
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not MIN_BLOCK_SECONDS <= seconds <= MAX_BLOCK_SECONDS:
        raise click.BadParameter(f"{text!r} is no time from 10ms to 60m")
    return seconds


@click.command("run", cls=Command)
@app_argument
@data_option("Directory of the store; made on first use.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True, metavar="PORT", help="0: any."
)
@click.option("--block-time", type=read_duration, default="1s", show_default=True, metavar="TIME", help="As 1s, 250ms.")
@click.option(
    "--block-size",
    type=click.IntRange(1, MAX_BLOCK_ACTIONS),
    default=DEFAULT_BLOCK_SIZE,
    show_default=True,
    metavar="N",
    help="Actions a block.",
)
@click.option(
    "--verifier-key",
    "keys",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Run a verifier with this key, several times for several [default: the development key, if there is one].",
)
@click.option(
    "--verifier",
    "addresses",
    type=hex_bytes(20),
    multiple=True,
    metavar="ADDRESS",
    help="A verifier of a new rollup that runs elsewhere.",
)
@click.option("--quorum", type=click.IntRange(1, 256), metavar="M", help="Of a new rollup: verifiers who must attest.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1_000_000),
    default=RpcLimits().rate,
    show_default=True,
    metavar="N",
    help="Calls and actions a second that one remote address may ask for; 0: no limit.",
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A name by which clients call this server.")
@workers_option
@click.option(
    "--settle",
    type=click.Choice(["local", "ethereum"]),
    help="Where the rollup settles [default: where the options or the data directory say].",
)
@l1_options
@click.option("--log-json", is_flag=True, help="Log as JSON lines.")
@json_option
def run_command(
    app: str,
    directory: Path,
    host: str,
    port: int,
    block_time: float,
    block_size: int,
    keys: tuple[Path, ...],
    addresses: tuple[bytes, ...],
    quorum: int | None,
    rate: float,
    hosts: tuple[str, ...],
    workers: int | None,
    settle: Literal["local", "ethereum"] | None,
    l1: L1Place | None,
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
    if settle is not None and (settle == "ethereum") != isinstance(find_place(directory, l1), EthereumPlace):
        raise UsageError(
            "--settle ethereum needs --l1-url and --inbox, or a data directory that `microrollup deploy` made"
            if settle == "ethereum"
            else f"{directory} settles on Ethereum; `--settle local` would begin another history"
        )
    listed = {*addresses, *[compute_address(read_key(path)) for path in keys]}
    choice = VerifierChoice(tuple(sorted(listed)), quorum)
    chosen = max(0, len(os.sched_getaffinity(0)) - BUSY_PROCESSES) if workers is None else workers
    options = NodeOptions(block_size, WriterOptions(block_seconds=block_time), chosen)
    with limited_memory(MEMORY_BYTES), _open(app, directory, rollup, choice, keys, l1, options) as node:
        _serve(node, host, port, frozenset(name.lower() for name in hosts), RpcLimits(rate=rate), output)


@contextmanager
def _open(
    app: str,
    directory: Path,
    rollup: MicroRollup,
    choice: VerifierChoice,
    keys: Sequence[Path],
    l1: L1Place | None,
    options: NodeOptions,
) -> Iterator[Node]:
    """The node over a directory, not started yet; blocks that a verifier found wrong are taken back first."""
    try:
        divergent = mend_divergence(directory, rollup)
    except StoreMissing:
        divergent = None
    known = VerifierChoice((), choice.quorum) if _has_store(directory) else choice
    with open_node(directory, rollup, verifiers=known, l1=l1) as opened:
        chosen = list(keys)
        if not chosen and verifier_key_path(directory).exists():
            chosen = [verifier_key_path(directory)]
        place = find_place(directory, l1)
        specs = []
        for path in chosen:
            address = compute_address(read_key(path))
            own = directory / _VERIFIERS_DIRECTORY / address.hex()
            request = make_request(app, directory, own, l1=place, key=path, workers=0, follow=True)
            specs.append(VerifierSpec(address, request))
        verifiers = opened.l1.get_verifiers(opened.l1.get_number()).addresses
        strangers = [spec for spec in specs if spec.address not in verifiers]
        if strangers:
            raise UsageError(f"{hex0x(strangers[0].address)} is not among the rollup's verifiers")
        yield Node(app, opened.ledger, opened.l1, opened.key, verifiers=specs, options=options, divergent=divergent)


def _has_store(directory: Path) -> bool:
    """Whether the rollup exists already: then its first verifiers are chosen."""
    try:
        with Environment(directory, read_only=True):
            return True
    except StoreMissing:
        return False


def _serve(node: Node, host: str, port: int, hosts: frozenset[str], limits: RpcLimits, output: Output) -> None:
    """Start the node and its server; returns when both have stopped."""
    _allow_files(limits.connections + SPARE_FILES)
    listener = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    try:
        node.start()
        server = Server(
            make_app(node, limits, hosts=hosts, address=address),
            listener,
            limits,
            on_ready=lambda: _announce(node, address, output),
            on_stop=node.stop,
        )
        server.serve_forever()
    finally:
        listener.close()
        node.stop()
    document = {"stopped": True, "height": node.ledger.checkpoint.height, "seq": node.ledger.next_seq}
    output.show(document, f"stopped at height {document['height']}; the same command goes on from there")


def _allow_files(count: int) -> None:
    """Let this process have so many files and connections open, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _announce(node: Node, address: str, output: Output) -> None:
    """Say where the node is to be found."""
    document: dict[str, Any] = {
        "url": address,
        "rollup": node.rollup.name,
        "rollupId": hex0x(node.rollup_id),
        "builder": hex0x(node.operator),
        "height": node.confirmations.latest,
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
    output.show(document, make_facts(dict(facts)))
