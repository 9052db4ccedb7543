"""A rollup served from its data directory: ingress, sequencer, verifiers, settlement and the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from socket import socket
from typing import Final

from microrollup.chain.answers.confirmations import Divergent
from microrollup.chain.record import Genesis
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import SigningKey
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import OpenRollup, VerifierChoice, open_rollup
from microrollup.deployment.place_file import find_place
from microrollup.deployment.segmenting import SNAPSHOTS_DIRECTORY
from microrollup.deployment.verifying import make_request
from microrollup.errors import L1Behind, MicrorollupError, StoreMissing, UsageError
from microrollup.keys.files import verifier_key_path
from microrollup.keys.reference import SIGNED_SUFFIX, NamedKey, open_key
from microrollup.ledger.ledger import Ledger
from microrollup.node.away import AwayNode
from microrollup.node.divergence_note import mend_divergence
from microrollup.node.known_l1 import KnownL1
from microrollup.node.options import NodeOptions
from microrollup.node.reading import ReadingNode
from microrollup.node.runtime import Node, VerifierSpec
from microrollup.primitives import ZERO_ADDRESS
from microrollup.replication.opening import ReplicaPlace
from microrollup.rpc.access import Access
from microrollup.rpc.app import make_app
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind
from microrollup.segments.keeper import SnapshotKeeper
from microrollup.settlement.attesters import list_attesters
from microrollup.settlement.ethereum.errors import L1Throttled, L1Unreachable
from microrollup.settlement.place import EthereumPlace, L1Place, open_l1
from microrollup.store.environment import Environment
from microrollup.system import count_cores, raise_limit

__all__ = [
    "choose_node_workers",
    "describe_address",
    "has_store",
    "keep_snapshots_of",
    "make_node",
    "open_served",
    "serve_node",
]

_VERIFIERS_DIRECTORY: Final = "verifiers"
BUSY_PROCESSES: Final = 2
"""The node and its verifier keep two cores busy; beyond them, signatures are checked in processes of their own."""
SPARE_FILES: Final = 512
"""Files beside the connections: the store's, pipes, and what others open."""


@contextmanager
def open_served(
    app: str,
    directory: Path,
    rollup: MicroRollup,
    choice: VerifierChoice,
    keys: Sequence[NamedKey],
    l1: L1Place | None,
    options: NodeOptions,
    builder: SigningKey | None = None,
) -> Iterator[ReadingNode]:
    """The node over a data directory, not started yet; blocks that a verifier found wrong are taken back first.

    While L1 does not answer, it is one that serves reads alone, and is spent as soon as L1 is there.

    The directory is made on first use, with the verifiers of `choice`. `keys` are those of the verifiers that run
    here, by default the development key if there is one; `builder` is the builder's if it is not in the directory.
    Raises what `open_rollup` raises, and `UsageError` for a key
    that is not a verifier's.
    """
    try:
        divergent = mend_divergence(directory, rollup)
    except StoreMissing:
        divergent = None
    exists = has_store(directory)
    known = VerifierChoice((), choice.quorum) if exists else choice
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(open_rollup(directory, rollup, verifiers=known, l1=l1, builder=builder))
        except (L1Unreachable, L1Throttled) as error:
            if not exists:
                raise
            yield stack.enter_context(open_away(app, directory, rollup, find_place(directory, l1), options, str(error)))
            return
        if exists:
            _check_first_verifiers(opened.ledger.genesis, choice, keys)
        yield make_node(app, directory, opened, keys, l1, options, divergent=divergent)


@contextmanager
def open_away(
    app: str, directory: Path, rollup: MicroRollup, place: L1Place, options: NodeOptions, reason: str
) -> Iterator[AwayNode]:
    """A node that serves a data directory's reads while L1 does not answer, for the `reason` given; not started yet."""
    with Ledger.open(directory, rollup) as ledger:
        own = ledger.header

        def look() -> str | None:
            try:
                with closing(open_l1(place)) as settlement:
                    number = settlement.get_number()
            except (L1Unreachable, L1Throttled) as error:
                return str(error)
            except MicrorollupError:
                return None  # it answers; what is wrong with it ends the next start
            return None if own.l1_origin < number else str(L1Behind(own.height, own.l1_origin, number))

        inbox = bytes.fromhex(place.inbox[2:]) if isinstance(place, EthereumPlace) else ZERO_ADDRESS
        yield AwayNode(app, ledger, KnownL1(ledger, inbox), options, look, reason)


def make_node(
    app: str,
    directory: Path,
    opened: OpenRollup,
    keys: Sequence[NamedKey],
    l1: L1Place | None,
    options: NodeOptions,
    *,
    divergent: Divergent | None,
    may_settle: Callable[[], bool] = lambda: True,
    replica: ReplicaPlace | None = None,
) -> Node:
    """The node over an opened data directory, not started yet; `keys` and what is raised as of `open_served`.

    `replica` is a log in which its verifiers note what they sign.
    """
    own_path, attesters = verifier_key_path(directory), list_attesters(opened.l1)
    named = list(keys) or ([open_key(own_path)] if own_path.exists() else [])
    # The development key's set may have been replaced, which nobody who names no key has to know.
    chosen = [key for key in named if key.reference != own_path or key.address in attesters]
    place = find_place(directory, l1)
    specs = []
    for key in chosen:
        own = directory / _VERIFIERS_DIRECTORY / key.address.hex()
        signed = None if key.signed_path else directory / "keys" / f"{key.address.hex()}{SIGNED_SUFFIX}"
        request = make_request(
            app, directory, own, l1=place, key=key, signed=signed, workers=0, follow=True, replica=replica
        )
        specs.append(VerifierSpec(key.address, request))
    strangers = [spec for spec in specs if spec.address not in attesters]
    if strangers:
        raise UsageError(
            f"{hex0x(strangers[0].address)} is not among the rollup's verifiers, which `microrollup announced` lists:"
            " leave its --verifier-key out"
        )
    return Node(
        app, opened.ledger, opened.l1, opened.key, verifiers=specs, options=options, divergent=divergent,
        may_settle=may_settle,
    )  # fmt: skip


def _check_first_verifiers(genesis: Genesis, choice: VerifierChoice, keys: Sequence[NamedKey]) -> None:
    """Verifiers are named to a new rollup. Raises `UsageError` for one that an existing rollup did not begin with."""
    named = set(choice.addresses) - {key.address for key in keys}
    for address in sorted(named - set(genesis.verifiers)):
        raise UsageError(
            f"--verifier {hex0x(address)} would have no effect: the rollup exists already, and its inbox names who may"
            " attest; leave it out"
        )


def keep_snapshots_of(app: str, directory: Path, every: int | None) -> AbstractContextManager[object]:
    """Keep snapshots of a data directory's blocks in its `snapshots`, one every so many, meanwhile; None: keep none."""
    if every is None:
        return nullcontext()
    return SnapshotKeeper(app, directory, directory / SNAPSHOTS_DIRECTORY, every)


def has_store(directory: Path) -> bool:
    """Whether the rollup exists already: then its first verifiers are chosen."""
    try:
        with Environment(directory, read_only=True):
            return True
    except StoreMissing:
        return False


def choose_node_workers(workers: int | None) -> int:
    """Processes that check signatures beside a node: what was asked for, or one per core that is not busy already."""
    return max(0, count_cores() - BUSY_PROCESSES) if workers is None else workers


def _tell_nobody(_url: str, _stop: Callable[[], None]) -> None:
    return


def describe_address(listener: socket, host: str) -> tuple[int, str]:
    """Port and URL of a socket that listens on a host."""
    port = int(listener.getsockname()[1])
    return port, f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve_node(
    node: ReadingNode,
    host: str,
    port: int,
    *,
    access: Access | None = None,
    limits: RpcLimits | None = None,
    on_ready: Callable[[str, Callable[[], None]], None] = _tell_nobody,
) -> tuple[int, bool]:
    """Start the node and its server on an address (port 0: any); returns when both have stopped: the port, and whether
    they have because the node is spent, as after an upgrade, so that it is to be made anew.

    `access` says who may use it. `on_ready` is told its URL and given a function that stops it soon, from any thread.
    Raises `OSError` if the address cannot be had.
    """
    chosen = limits or RpcLimits()
    raise_limit("RLIMIT_NOFILE", chosen.connections + SPARE_FILES)
    listener = bind(host, port)
    server_port, address = describe_address(listener, host)
    try:
        node.start()
        server = Server(
            make_app(node, chosen, access=access, address=address),
            listener,
            chosen,
            on_ready=lambda: on_ready(address, server.stop),
            on_stop=node.stop,
        )
        node.on_upgrade = server.stop
        if node.is_spent:
            server.stop()
        server.serve_forever()
        return server_port, node.is_spent and not server.was_signalled
    finally:
        listener.close()
        node.stop()
