"""A store made of a snapshot, every byte of which is somebody else's claim until the header has confirmed it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from microrollup.chain.block import (
    EMPTY_SEAL,
    compute_block_hash,
    compute_genesis_header,
    compute_rollup_id,
    recover_sealer,
)
from microrollup.chain.record import GENESIS_FORMAT, Close, Open, encode_record
from microrollup.crypto.keccak import EMPTY_HASH, keccak256_many
from microrollup.crypto.lthash import EMPTY_LANES, compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import compute_tree_keys
from microrollup.crypto.merkle.levels import MAX_LEAVES
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import CommitFailed, SnapshotError, StoreError, WrongRollup
from microrollup.ledger.code import OtherCode
from microrollup.ledger.genesis import check_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.snapshot.file import (
    OnSnapshotProgress,
    SnapshotHead,
    SnapshotReader,
    ignore_progress,
    sync_directory,
)
from microrollup.primitives import ZERO_BYTES32
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import (
    DATA_FILE,
    MAP_SIZE,
    Environment,
    Transaction,
    encode_number,
    hold_writer_lock,
)
from microrollup.store.row_check import make_packer
from microrollup.store.state_rows import StateRowReader
from microrollup.store.stored_keys import encode_leaf_index
from microrollup.store.tables import (
    LOG_START_KEY,
    SYNCED_KEY,
    BlockRow,
    LogStart,
    append_records,
    encode_row,
    make_checkpoint,
    put_checkpoint,
)
from microrollup.store.tree import LEAVES_FILE, NODES_FILE, FlatTree

__all__ = ["restore_snapshot"]

_MAX_RECORD: Final = 1 << 48
"""A log will not reach this number; a snapshot that says so would leave no room for records to come."""

_KEY_BYTES: Final = 32
_ROWS_PER_COMMIT: Final = 50_000

_Hashes = npt.NDArray[np.uint8]


def restore_snapshot(
    path: Path,
    directory: Path,
    rollup: MicroRollup,
    *,
    expected_block_hash: bytes | None = None,
    l1: L1View | None = None,
    map_size: int = MAP_SIZE,
    on_progress: OnSnapshotProgress = ignore_progress,
) -> Ledger:
    """Make a store in `directory` from a snapshot, and open it.

    The header must have `expected_block_hash`, if given, and with an L1 view be the last block of a settled batch, or
    the genesis (an expected hash will do instead). The seal must be the builder's: of L1 as of the block's origin, or
    without an L1 view the genesis's. With neither a hash nor an L1 view it is the builder's word alone that is taken.
    Nothing but an L1 view vouches for the signing domain in the genesis record: the rollup id does not hold it.

    The store is built in a directory of its own within `directory`, and moved into place when everything is checked;
    other things there, as keys or signed heights, are left alone. Raises `SnapshotError` or `DecodeError` for whatever
    is wrong with the file, `WrongRollup`, and `StoreError` if there is a store already or the disk refuses.
    """
    directory = directory.absolute()
    with SnapshotReader(path) as reader:
        _check_head(reader.head, rollup)
        _check_anchor(reader.head, expected_block_hash, l1)
        if (directory / DATA_FILE).exists():
            raise StoreError(f"{directory} holds a store already; restore into another directory")
        existed = directory.exists()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with hold_writer_lock(directory):
                _build_and_move(reader, directory, rollup, map_size, on_progress)
        except BaseException as error:
            if not existed:
                shutil.rmtree(directory, ignore_errors=True)
            if isinstance(error, OSError):
                raise CommitFailed(f"{directory} cannot be written: {error.strerror}") from error
            raise
    return Ledger.open(directory, rollup, map_size=map_size)


def _build_and_move(
    reader: SnapshotReader, directory: Path, rollup: MicroRollup, map_size: int, on_progress: OnSnapshotProgress
) -> None:
    part = directory / f".restore-{secrets.token_hex(4)}"
    part.mkdir()
    try:
        with Environment(part, create=True, map_size=map_size) as environment:
            _Restoring(reader, environment, rollup, on_progress).run()
        for name in (LEAVES_FILE, NODES_FILE, DATA_FILE):  # the data file last: with it the store is there
            (part / name).replace(directory / name)
            sync_directory(directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _find_version(head: SnapshotHead, rollup: MicroRollup) -> MicroRollup:
    """The version whose state the snapshot holds. Raises `OtherCode`."""
    header = head.header
    version = rollup.oldest if header.height == 0 else rollup.find_version(header.stf_id)
    if version is None:
        raise OtherCode(header.height, expected=header.stf_id, found=rollup.stf_id)
    return version


def _check_head(head: SnapshotHead, rollup: MicroRollup) -> None:
    """What can be said of the head by itself."""
    genesis, header = head.genesis, head.header
    check_genesis(rollup, genesis)
    version = _find_version(head, rollup)
    next_seq = header.first_seq + header.action_count
    opened = Open(header.height, header.timestamp, header.l1_origin, header.stf_id)
    checks = {
        "its format is not known": genesis.format == GENESIS_FORMAT,
        "its header is of another rollup than its genesis": header.rollup_id == compute_rollup_id(genesis),
        "its header and its opening differ": head.open == opened,
        "a block without a seal, or a genesis with one": (head.seal is None) == (header.height == 0),
        "its tree has an impossible number of leaves": 1 <= head.leaf_count <= MAX_LEAVES,
        "its state has other fields than the app's": len(head.sizes) == len(version.state_fields) + 1,
        "its last record has an impossible number": 2 * header.height + next_seq <= head.last_record < _MAX_RECORD,
    }
    if header.height == 0:
        genesis_end = (compute_genesis_header(genesis), 0, compute_rollup_id(genesis))
        checks["its header is not that of its genesis"] = genesis_end == (header, head.last_record, head.chain)
    for reason, holds in checks.items():
        if not holds:
            raise SnapshotError(f"the snapshot contradicts itself or this app: {reason}")


def _check_anchor(head: SnapshotHead, expected: bytes | None, l1: L1View | None) -> None:
    """The header must be one that somebody other than the snapshot vouches for."""
    height, block_hash = head.header.height, compute_block_hash(head.header)
    if expected is not None and block_hash != expected:
        raise SnapshotError(f"the snapshot is of the block 0x{block_hash.hex()}, not of 0x{expected.hex()}")
    builder = head.genesis.builder
    if l1 is not None:
        if l1.get_genesis() != head.genesis:
            raise WrongRollup("the snapshot is of another rollup than L1's")
        settled = _get_settled_hash(l1, height, compute_block_hash(compute_genesis_header(head.genesis)))
        if settled is None and expected is None:
            raise SnapshotError(
                f"L1 does not vouch for height {height}: it is not the last block of a settled batch. Take a snapshot"
                f" at one that is, or give the block hash that you expect"
            )
        if settled is not None and settled != block_hash:
            raise SnapshotError(f"L1 settled the block 0x{settled.hex()} at height {height}, not 0x{block_hash.hex()}")
        builder = l1.get_builder(head.header.l1_origin)
    if head.genesis.is_based:
        if head.seal not in (None, EMPTY_SEAL):
            raise SnapshotError("the snapshot is of a based rollup, and its block has a seal")
    elif head.seal is not None:
        sealer = recover_sealer(block_hash, head.seal)
        if sealer is None:
            raise SnapshotError("the snapshot's seal is not a valid signature")
        if sealer != builder:
            hint = "" if l1 is not None else "; if L1 has changed the builder, give its view"
            raise SnapshotError(f"its seal is that of 0x{sealer.hex()}, not of the builder 0x{builder.hex()}{hint}")


def _get_settled_hash(l1: L1View, height: int, genesis_hash: bytes) -> bytes | None:
    """The hash of the block of a height as L1 knows it: genesis, or the last block of a settled batch."""
    if height == 0:
        return genesis_hash
    batch = l1.get_settled_at(height)
    return compute_block_hash(batch.header) if batch is not None and batch.header.height == height else None


class _Restoring:
    """Fills an empty environment from a snapshot; what it holds at the end is right, or an error was raised."""

    def __init__(
        self,
        reader: SnapshotReader,
        environment: Environment,
        rollup: MicroRollup,
        on_progress: OnSnapshotProgress,
    ) -> None:
        self._reader = reader
        self._head = reader.head
        self._environment = environment
        self._tables = environment.tables
        self._rows = StateRowReader(_find_version(reader.head, rollup))
        self._on_progress = on_progress
        self._pack = make_packer()
        self._done = 0
        self._total = self._head.leaf_count - 1 + sum(self._head.sizes)

    def run(self) -> None:
        header = self._head.header
        keys = b"".join(self._reader.read_keys())
        value_hashes, sizes, lanes = self._restore_rows(self._restore_keys(keys))
        if sizes != self._head.sizes:
            raise SnapshotError(f"the snapshot announces fields of {self._head.sizes} entries and holds {sizes}")
        if compute_metadata_root(lanes) != header.metadata_root:
            raise SnapshotError("metadata_root: the snapshot's metadata and nonces are not those of its header")
        root = self._restore_tree(keys, value_hashes)
        if root != header.state_root:
            raise SnapshotError(
                f"state_root: rows and leaves give 0x{root.hex()}, the header says 0x{header.state_root.hex()}"
            )
        checkpoint = make_checkpoint(header, self._head.leaf_count, sizes, lanes)
        with self._environment.write() as txn:
            self._put_log(txn)
            put_checkpoint(txn, self._tables, checkpoint)
            txn.put(SYNCED_KEY, encode_number(header.height), db=self._tables["meta"])

    def _restore_keys(self, keys: bytes) -> _KeyPlaces:
        """Fill the tree table."""
        places = _KeyPlaces(keys)
        for first in range(0, len(places), _ROWS_PER_COMMIT):
            rows = [
                (key, self._pack(key, encode_leaf_index(leaf_index)))
                for key, leaf_index in places.list_keys(first, first + _ROWS_PER_COMMIT)
            ]
            with self._environment.write() as txn:
                txn.cursor(self._tables["tree"]).putmulti(rows, append=True)
            self._report(len(rows))
        return places

    def _restore_rows(self, places: _KeyPlaces) -> tuple[_Hashes, tuple[int, ...], bytes]:
        """Fill the state table; value hashes in leaf order, entries of each field, and the LtHash."""
        fields = self._rows.fields
        value_hashes = np.tile(np.frombuffer(EMPTY_HASH, np.uint8), (len(places), 1))
        sizes, lanes = [0] * len(fields), EMPTY_LANES
        waiting: list[tuple[bytes, bytes]] = []
        for rows in self._reader.read_rows():
            settled: list[tuple[int, bytes]] = []
            leaves: list[bytes] = []
            added: list[tuple[int, bytes, bytes]] = []
            for key, value in rows:
                row = self._rows.read(key, value)
                field = fields[row.place]
                sizes[row.place] += 1
                if field.settled:
                    settled.append((field.number, row.encoded_key))
                    leaves.append(row.leaf)
                else:
                    added.append((field.number, row.encoded_key, row.leaf))
            value_hashes[places.find(compute_tree_keys(settled))] = _to_rows(keccak256_many(leaves))
            lanes = update_lanes(lanes, (), added)
            waiting += [(key, self._pack(key, value)) for key, value in rows]
            if len(waiting) >= _ROWS_PER_COMMIT or sum(len(value) for _, value in rows) > 1 << 20:
                self._put_state(waiting)
        self._put_state(waiting)
        return value_hashes, tuple(sizes), lanes

    def _put_state(self, rows: list[tuple[bytes, bytes]]) -> None:
        with self._environment.write() as txn:
            txn.cursor(self._tables["state"]).putmulti(rows, append=True)
        self._report(len(rows))
        rows.clear()

    def _restore_tree(self, keys: bytes, value_hashes: _Hashes) -> bytes:
        tree = FlatTree.create(self._environment.directory)
        try:
            root = tree.fill([keys], [value_hashes.tobytes()])
            tree.sync()
        finally:
            tree.close()
        return root

    def _put_log(self, txn: Transaction) -> None:
        """Genesis, and the record that closes the height, so that the next record gets its number and its chain."""
        head, tables, header = self._head, self._tables, self._head.header
        rollup_id = header.rollup_id
        genesis_header = compute_genesis_header(head.genesis)
        opened = Open(0, genesis_header.timestamp, genesis_header.l1_origin, ZERO_BYTES32)
        append_records(txn, tables, 0, rollup_id, [encode_record(head.genesis)])
        txn.put(encode_number(0), encode_row(BlockRow(genesis_header, opened, None, 1)), db=tables["blocks"])
        if head.seal is None:
            return
        append_records(txn, tables, head.last_record, head.chain, [encode_record(Close(header.height, head.seal))])
        row = BlockRow(header, head.open, head.seal, head.last_record - header.action_count)
        txn.put(encode_number(header.height), encode_row(row), db=tables["blocks"])
        start = LogStart(header.height, head.last_record, head.chain)
        txn.put(LOG_START_KEY, encode_row(start), db=tables["meta"])

    def _report(self, count: int) -> None:
        self._done += count
        self._on_progress(self._done, self._total)


class _KeyPlaces:
    """Where the leaf of a tree key is: sorted keys in one array, which a million dict entries would exceed tenfold."""

    def __init__(self, keys: bytes) -> None:
        """`keys`: 32 bytes each, in the order of their leaves. Raises `SnapshotError` if one comes twice."""
        plain = np.frombuffer(keys, f"S{_KEY_BYTES}")
        self._order = np.argsort(plain, kind="stable")
        self._sorted = plain[self._order]
        if (self._sorted[1:] == self._sorted[:-1]).any():
            raise SnapshotError("the snapshot's tree has a key twice")

    def __len__(self) -> int:
        return len(self._sorted)

    def list_keys(self, first: int, end: int) -> list[tuple[bytes, int]]:
        """Keys by their rank, with their leaf indices."""
        raw = self._sorted[first:end].tobytes()
        indices = (self._order[first:end] + 1).tolist()
        return [(raw[_KEY_BYTES * i : _KEY_BYTES * (i + 1)], index) for i, index in enumerate(indices)]

    def find(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The places of keys among the leaves after the dummy. Raises `SnapshotError` for a key without a leaf."""
        wanted = np.frombuffer(b"".join(keys), f"S{_KEY_BYTES}")
        if len(self._sorted) == 0:
            ranks = np.zeros(len(wanted), np.int64)
            found = len(wanted) == 0
        else:
            ranks = np.searchsorted(self._sorted, wanted).clip(max=len(self._sorted) - 1)
            found = bool((self._sorted[ranks] == wanted).all())
        if not found:
            raise SnapshotError("a settled row of the snapshot has no leaf in its tree")
        places: npt.NDArray[np.int64] = self._order[ranks]
        return places


def _to_rows(hashes: Sequence[bytes]) -> _Hashes:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, _KEY_BYTES)
