"""The data directory: the store itself, its local settlement, and the keys made for it.

Where what lies:

    DIR/data.mdb, leaves, nodes, ...    the store
    DIR/l1                              the local settlement, unless another one is named
    DIR/deployed.json                   instead: the inbox on Ethereum, as `microrollup deploy` wrote it down
    DIR/microrollup.toml                what the operator sets
    DIR/blobs                           what was published in blobs, under their versioned hashes
    DIR/keys/builder.key, verifier.key  64 hex digits each, readable by their owner only
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.chain.block import compute_block_hash
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.place_file import find_place, keep_place, migrate_place
from microrollup.errors import StoreLocked, StoreMissing, UsageError, WrongRollup
from microrollup.keys.files import builder_key_path, make_key, read_key, verifier_key_path
from microrollup.ledger.code import check_inbox, read_manifests
from microrollup.ledger.genesis import make_genesis, read_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.place import EthereumPlace, L1Place, LocalPlace, describe_place, open_l1
from microrollup.settlement.protocol import Inbox, Settlement
from microrollup.store.environment import Environment, map_errors
from microrollup.store.tables import get_block_row, get_checkpoint
from microrollup.store.tree import FlatTree

__all__ = [
    "OpenRollup",
    "VerifierChoice",
    "check_announced_code",
    "open_readable",
    "open_rollup",
    "open_state",
    "require_settled",
]

LOCAL_CHAIN_ID: Final = 31337
"""Chain id of the local settlement, as development chains have it."""

_log = structlog.get_logger(__name__)


class VerifierChoice(msgspec.Struct, frozen=True):
    """Whose attestations a new rollup settles with; without addresses one key is made for development."""

    addresses: tuple[bytes, ...] = ()
    quorum: int | None = None
    """More than half of them by default."""


class OpenRollup(msgspec.Struct, frozen=True):
    """A data directory opened by its one writer."""

    ledger: Ledger
    l1: Inbox
    key: SigningKey
    """The builder's."""


@contextmanager
def open_rollup(
    directory: Path,
    rollup: MicroRollup,
    *,
    verifiers: VerifierChoice | None = None,
    l1: L1Place | None = None,
    builder: SigningKey | None = None,
) -> Iterator[OpenRollup]:
    """Open a data directory for writing; with `verifiers` given, make it on first use.

    `builder` is the builder's key where it is not the one in the directory.

    Raises `StoreMissing`, `StoreLocked`, `WrongRollup` and other `StoreError`s, and `UsageError` if the directory has
    other verifiers than asked for.
    """
    place = find_place(directory, l1)
    with _open_ledger(directory, rollup, verifiers, place, builder) as ledger:
        migrate_place(directory, lambda sentence: _log.warning("l1_settings_moved", reason=sentence))
        if isinstance(place, EthereumPlace) and place.archive is None:
            place = msgspec.structs.replace(place, archive=str((directory / "blobs").absolute()))
        key = builder or _read_builder_key(directory)
        with closing(open_l1(place, [key])) as settlement:
            if settlement.get_genesis() != ledger.genesis:
                raise WrongRollup(f"{describe_place(place)} is the settlement of another rollup than {directory} holds")
            check_announced_code(ledger, settlement)
            if verifiers is not None:
                _check_verifiers(ledger.genesis, verifiers)
            yield OpenRollup(ledger, settlement, key)


def _read_builder_key(directory: Path) -> SigningKey:
    path = builder_key_path(directory)
    if not path.exists():
        raise UsageError(f"{path} is missing: without the builder's key no block can be sealed")
    return read_key(path)


def _open_ledger(
    directory: Path,
    rollup: MicroRollup,
    verifiers: VerifierChoice | None,
    place: L1Place,
    builder: SigningKey | None,
) -> Ledger:
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
                    " which anybody who derives the blocks from L1 (`microrollup verify --from-l1`) can write"
                )
    except StoreMissing:
        if not isinstance(place, LocalPlace):
            raise
        key = builder or make_key(builder_key_path(directory))
        genesis = _make_genesis(directory, rollup, compute_address(key), verifiers)
        LocalSettlement.create(Path(place.directory), genesis, compute_address(key), rollup.oldest.stf_id).close()
    if isinstance(place, EthereumPlace):
        _require_builder_key(directory, genesis, builder)
        keep_place(directory, place)
    return Ledger.create(directory, rollup, genesis)


def check_announced_code(ledger: Ledger, settlement: Settlement) -> None:
    """The app must have a version that the inbox announces; the first must be the one that the inbox was created with,
    but a local one takes up what is edited before the first block.

    Raises `OtherCode`.
    """
    number, manifests = settlement.get_number(), read_manifests(ledger.environment)
    announced, first = settlement.get_stf_id(number), settlement.get_stf_id(0)
    if settlement.get_code_since(number) > ledger.header.l1_origin:  # else it is spent, or what is in force
        check_inbox(ledger.app.find_version(announced) or ledger.app, announced, manifests.get(announced))
    if ledger.checkpoint.height > 0:
        return
    if first != ledger.rollup.stf_id and ledger.block is None and isinstance(settlement, LocalSettlement):
        settlement.name_code(ledger.rollup.stf_id)
    else:
        check_inbox(ledger.rollup, first, manifests.get(first))


def require_settled(opened: OpenRollup) -> None:
    """What is settled must be here, the same, or nothing that is built here can settle. Raises `UsageError`.

    A store that began with a later snapshot does not know.
    """
    head, ledger = opened.l1.get_settled(), opened.ledger
    row = get_block_row(ledger.environment.reader, ledger.environment.tables, head.height)
    is_other = row is not None and compute_block_hash(row.header) != head.block_hash
    if is_other or head.height > ledger.checkpoint.height:
        raise UsageError(
            f"L1 has settled block {head.height}, and {ledger.environment.directory} does not hold it: an old copy,"
            " or somebody else builds for this inbox; see `microrollup docs deep-reorgs`"
        )


def _require_builder_key(directory: Path, genesis: Genesis, builder: SigningKey | None) -> None:
    """The builder for an inbox has the key already: a new one would not help."""
    path = builder_key_path(directory)
    if builder is None and not path.exists():
        raise UsageError(f"the inbox's builder is 0x{genesis.builder.hex()}: put its key into {path}")
    if (found := compute_address(builder or read_key(path))) != genesis.builder:
        where = f"the key in {path}" if builder is None else "the one that was named"
        raise UsageError(f"the inbox's builder is 0x{genesis.builder.hex()}, {where} is of 0x{found.hex()}")


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
    with Environment(directory, read_only=True) as environment, map_errors(directory):
        name = read_genesis(environment).name
        if name != rollup.name:
            raise WrongRollup(f"{directory} holds the rollup {name!r}, not {rollup.name!r}")
        environment.refresh()
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
