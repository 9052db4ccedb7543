"""Height 0: the genesis record of a rollup, its roots, and the store that holds nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from microrollup.chain.block import compute_genesis_header, compute_rollup_id
from microrollup.chain.record import GENESIS_FORMAT, DomainConfig, Genesis, Open, decode_genesis, encode_record
from microrollup.crypto.lthash import EMPTY_LANES, compute_metadata_root
from microrollup.declaration.map import Map
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import StoreCorrupt, StoreFormat, UsageError, WrongRollup
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState
from microrollup.ledger.closing import StateChanges, compute_changes, put_changes, record_genesis
from microrollup.primitives import ZERO_ADDRESS, ZERO_BYTES32
from microrollup.store.environment import Environment, encode_number, map_errors
from microrollup.store.tables import (
    SYNCED_KEY,
    BlockRow,
    append_records,
    encode_row,
    get_record,
    make_checkpoint,
    put_checkpoint,
    read_records,
)
from microrollup.store.tree import FlatTree
from microrollup.store.tree_index import MemoryKeyIndex

__all__ = ["check_genesis", "make_genesis", "read_genesis", "write_genesis"]


def make_genesis(
    rollup: MicroRollup,
    *,
    builder: bytes,
    verifiers: tuple[bytes, ...],
    quorum: int,
    l1_start: int,
    genesis_time: int,
    l1_chain_id: int,
    verifying_contract: bytes = ZERO_ADDRESS,
    salt: bytes = ZERO_BYTES32,
) -> Genesis:
    """The genesis record of a new rollup. `verifiers` are 20-byte addresses; more than half of them must be the quorum.
    `verifying_contract` is the L1 inbox of the actions' EIP-712 domain, zero with the local settlement.

    Raises `UsageError` for a verifier set that could attest two histories.
    """
    if not 0 < quorum <= len(set(verifiers)) or 2 * quorum <= len(set(verifiers)):
        raise UsageError(f"a quorum of {quorum} of {len(set(verifiers))} verifiers is not more than half of them")
    changes = _compute_genesis_changes(rollup)
    return Genesis(
        format=GENESIS_FORMAT,
        name=rollup.name,
        l1_chain_id=l1_chain_id,
        genesis_time=genesis_time,
        state_root=changes.delta.root,
        metadata_root=compute_metadata_root(changes.lanes),
        builder=builder,
        verifiers=tuple(sorted(set(verifiers))),
        quorum=quorum,
        l1_start=l1_start,
        salt=salt,
        domain=rollup.oldest.make_domain(l1_chain_id, verifying_contract),
    )


def check_genesis(rollup: MicroRollup, genesis: Genesis) -> None:
    """Raises `WrongRollup` unless the record is this app's, and wallets sign for this app on this L1; `StoreFormat`.

    The rollup id does not commit to the signing domain, so what the app and the rollup id determine of it is compared.
    The inbox in it is known from L1 alone.
    """
    if genesis.format != GENESIS_FORMAT:
        raise StoreFormat(f"the genesis record has format {genesis.format}, this microrollup knows {GENESIS_FORMAT}")
    if genesis.name != rollup.name:
        raise WrongRollup(
            f"the genesis record is of the rollup {genesis.name!r}, not of {rollup.name!r}; "
            "run the app that it names, or start a new rollup in another directory"
        )
    expected = rollup.oldest.make_domain(genesis.l1_chain_id, genesis.domain.verifying_contract)
    if genesis.domain != expected:
        there, here = _show_domain(genesis.domain), _show_domain(expected)
        raise WrongRollup(
            f"the signing domain of this rollup has {there}, the app's {here}; "
            "run the app with that name and version, or start a new rollup in another directory"
        )


def _show_domain(domain: DomainConfig) -> str:
    return f"name {domain.name!r}, version {domain.version!r}, chain {domain.chain_id}"


def _compute_genesis_changes(rollup: MicroRollup) -> StateChanges:
    with TemporaryDirectory() as directory:
        tree = FlatTree.create(Path(directory))
        try:
            return _enter_genesis(rollup, tree)
        finally:
            tree.close()


def _enter_genesis(rollup: MicroRollup, tree: FlatTree) -> StateChanges:
    """The genesis state, the oldest version's, as changes to nothing; it counts as one action."""
    rollup = rollup.oldest
    journal = Journal(len(rollup.state_fields))
    record_genesis(rollup, journal)
    state = ChainState(rollup.genesis, Map(), 0)
    return compute_changes(rollup, journal, state, EMPTY_LANES, tree, MemoryKeyIndex())


def write_genesis(directory: Path, environment: Environment, rollup: MicroRollup, genesis: Genesis) -> None:
    """Fill an empty store with height 0. Raises `WrongRollup` if the app's first state is not the one committed to."""
    check_genesis(rollup, genesis)
    tree = FlatTree.create(directory)
    try:
        changes = _enter_genesis(rollup, tree)
        header = compute_genesis_header(genesis)
        if (changes.delta.root, compute_metadata_root(changes.lanes)) != (header.state_root, header.metadata_root):
            raise WrongRollup(
                f"the first state of {rollup.name} here is not the one that the genesis record commits to"
            )
        rollup_id = compute_rollup_id(genesis)
        checkpoint = make_checkpoint(header, changes.delta.leaf_count, changes.sizes, changes.lanes)
        tree.apply(changes.delta)
        tree.sync()
        tables = environment.tables
        opened = Open(0, genesis.genesis_time, genesis.l1_start, ZERO_BYTES32)
        with environment.write() as txn:
            append_records(txn, tables, 0, rollup_id, [encode_record(genesis)])
            txn.put(encode_number(0), encode_row(BlockRow(header, opened, None, 1)), db=tables["blocks"])
            put_changes(txn, tables, changes)
            put_checkpoint(txn, tables, checkpoint)
            txn.put(SYNCED_KEY, encode_number(0), db=tables["meta"])
    finally:
        tree.close()


def read_genesis(environment: Environment) -> Genesis:
    """The genesis record of a store. Raises `StoreCorrupt`, `DecodeError`."""
    with map_errors(environment.directory):
        record = get_record(environment.reader, environment.tables, 0)
        if record is None:
            raise StoreCorrupt("log/0", "there is no genesis record")
        genesis = decode_genesis(record)
        read_records(environment.reader, environment.tables, compute_rollup_id(genesis), 0, 1)
    return genesis
