"""The data directory: the store itself, its local settlement, and the keys made for it.

Where what lies:

    DIR/data.mdb, leaves, nodes, ...    the store
    DIR/l1                              the local settlement, unless another one is named
    DIR/l1.json                         instead: the inbox on Ethereum, as `microrollup deploy` wrote it down
    DIR/blobs                           what was published in blobs, under their versioned hashes
    DIR/keys/builder.key, verifier.key  64 hex digits each, readable by their owner only
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from microrollup.cli.l1 import find_place, keep_place
from microrollup.codec.json import read_hex
from microrollup.crypto import PrivateKey, compute_address, load_private_key
from microrollup.errors import RefusedError, StoreLocked, StoreMissing, UsageError, WrongRollup
from microrollup.genesis import make_genesis, read_genesis
from microrollup.ledger import Ledger
from microrollup.record import Genesis
from microrollup.rollup import MicroRollup
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.place import EthereumPlace, L1Place, LocalPlace, describe_place, open_l1
from microrollup.settlement.protocol import Inbox
from microrollup.store.environment import Environment
from microrollup.store.tables import get_checkpoint
from microrollup.store.tree import FlatTree

__all__ = [
    "Node",
    "VerifierChoice",
    "builder_key_path",
    "make_key",
    "open_node",
    "open_readable",
    "open_state",
    "read_key",
    "verifier_key_path",
]

LOCAL_CHAIN_ID: Final = 31337
"""Chain id of the local settlement, as development chains have it."""

_MAX_KEY_FILE_BYTES: Final = 256


class VerifierChoice(msgspec.Struct, frozen=True):
    """Whose attestations a new rollup settles with; without addresses one key is made for development."""

    addresses: tuple[bytes, ...] = ()
    quorum: int | None = None
    """More than half of them by default."""


class Node(msgspec.Struct, frozen=True):
    """A data directory opened by its one writer."""

    ledger: Ledger
    l1: Inbox
    key: PrivateKey
    """The builder's."""


def builder_key_path(directory: Path) -> Path:
    """Where the builder's key lies."""
    return directory / "keys" / "builder.key"


def verifier_key_path(directory: Path) -> Path:
    """Where the development verifier's key lies."""
    return directory / "keys" / "verifier.key"


def read_key(path: Path) -> PrivateKey:
    """The private key in a file: 32 bytes as hex digits. Raises `UsageError`, `OSError`."""
    with path.open("rb") as file:
        text = file.read(_MAX_KEY_FILE_BYTES).decode("latin-1").strip()
    try:
        raw = read_hex(text if text[:2] == "0x" else f"0x{text}", "key")
        if len(raw) == 32:
            return load_private_key(raw)
    except (RefusedError, ValueError):
        pass
    raise UsageError(f"{path} holds no private key: 64 hex digits of a number that the curve has")


def make_key(path: Path) -> PrivateKey:
    """The key in a file, made now if there is none; the file is whole or absent, whatever happens."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(_make_secret() + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    return read_key(path)


def _make_secret() -> str:
    """64 hex digits of a key that the curve has."""
    while True:
        secret = secrets.token_bytes(32)
        try:
            load_private_key(secret)
        except ValueError:
            continue
        return secret.hex()


@contextmanager
def open_node(
    directory: Path, rollup: MicroRollup, *, verifiers: VerifierChoice | None = None, l1: L1Place | None = None
) -> Iterator[Node]:
    """Open a data directory for writing; with `verifiers` given, make it on first use.

    Raises `StoreMissing`, `StoreLocked`, `WrongRollup` and other `StoreError`s, and `UsageError` if the directory has
    other verifiers than asked for.
    """
    place = find_place(directory, l1)
    if isinstance(place, EthereumPlace) and place.archive is None:
        place = msgspec.structs.replace(place, archive=str((directory / "blobs").absolute()))
    with _open_ledger(directory, rollup, verifiers, place) as ledger:
        key_path = builder_key_path(directory)
        if not key_path.exists():
            raise UsageError(f"{key_path} is missing: without the builder's key no block can be sealed")
        key = read_key(key_path)
        with closing(open_l1(place, [key])) as settlement:
            if settlement.get_genesis() != ledger.genesis:
                raise WrongRollup(f"{describe_place(place)} is the settlement of another rollup than {directory} holds")
            if verifiers is not None:
                _check_verifiers(ledger.genesis, verifiers)
            yield Node(ledger, settlement, key)


def _open_ledger(directory: Path, rollup: MicroRollup, verifiers: VerifierChoice | None, place: L1Place) -> Ledger:
    try:
        return Ledger.open(directory, rollup)
    except StoreMissing:
        if verifiers is None:
            raise
    try:
        with closing(open_l1(place)) as settlement:
            genesis = settlement.get_genesis()
            if settlement.get_settled().height > 0:
                raise UsageError(
                    f"{describe_place(place)} has settled blocks that {directory} does not hold: restore a snapshot,"
                    " which whoever derives the blocks from L1 (`microrollup verify --from-l1`) can write"
                )
    except StoreMissing:
        if not isinstance(place, LocalPlace):
            raise
        key = make_key(builder_key_path(directory))
        genesis = _make_genesis(directory, rollup, compute_address(key), verifiers)
        LocalSettlement.create(Path(place.directory), genesis, compute_address(key)).close()
    if isinstance(place, EthereumPlace):
        _require_builder_key(directory, genesis)
        keep_place(directory, place)
    return Ledger.create(directory, rollup, genesis)


def _require_builder_key(directory: Path, genesis: Genesis) -> None:
    """Whoever builds for an inbox has the key already: a new one would be no use."""
    path = builder_key_path(directory)
    if not path.exists():
        raise UsageError(f"the inbox's builder is 0x{genesis.builder.hex()}: put its key into {path}")
    if (found := compute_address(read_key(path))) != genesis.builder:
        raise UsageError(f"the inbox's builder is 0x{genesis.builder.hex()}, the key in {path} is of 0x{found.hex()}")


def _make_genesis(directory: Path, rollup: MicroRollup, builder: bytes, verifiers: VerifierChoice) -> Genesis:
    """A genesis on the newest past block of the local L1."""
    addresses = verifiers.addresses or (compute_address(make_key(verifier_key_path(directory))),)
    number = int(time.time()) // SECONDS_PER_BLOCK - 1
    return make_genesis(
        rollup,
        builder=builder,
        verifiers=addresses,
        quorum=verifiers.quorum or len(set(addresses)) // 2 + 1,
        l1_start=number,
        genesis_time=number * SECONDS_PER_BLOCK,
        l1_chain_id=LOCAL_CHAIN_ID,
    )


def _check_verifiers(genesis: Genesis, asked: VerifierChoice) -> None:
    """A rollup's first verifiers are part of its identity: they cannot be chosen again."""
    others = bool(asked.addresses) and tuple(sorted(set(asked.addresses))) != genesis.verifiers
    if others or asked.quorum not in (None, genesis.quorum):
        raise UsageError(
            f"the rollup exists already, with {len(genesis.verifiers)} verifiers and a quorum of {genesis.quorum};"
            " leave --verifier and --quorum out, or give --data a new directory"
        )


@contextmanager
def open_readable(directory: Path, rollup: MicroRollup) -> Iterator[Environment]:
    """A store for reading while its writer may go on. Raises `StoreMissing`, `WrongRollup`, other `StoreError`s."""
    with Environment(directory, read_only=True) as environment:
        name = read_genesis(environment).name
        if name != rollup.name:
            raise WrongRollup(f"{directory} holds the rollup {name!r}, not {rollup.name!r}")
        yield environment


@contextmanager
def open_state(directory: Path, rollup: MicroRollup) -> Iterator[tuple[Environment, FlatTree]]:
    """A store with its tree, for proofs: repaired from the log if need be, or as its present writer keeps it."""
    try:
        ledger = Ledger.open(directory, rollup)
    except StoreLocked:
        with open_readable(directory, rollup) as environment:
            leaf_count = get_checkpoint(environment.reader, environment.tables).leaf_count
            with closing(FlatTree(directory, leaf_count)) as tree:
                yield environment, tree
        return
    with ledger:
        yield ledger.environment, ledger.tree
