"""Large stores without their history, `DIRECTORY ACCOUNTS`: a made-up population as a snapshot, which is restored.

Ten million registrations take half an hour of CPU, this takes a part of it. Pages of LMDB are full then, where they are
two thirds full after single blocks: a later block splits more of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from apps.keystore import app
from apps.keystore.accounts import Account
from benchmarks.stores import BUILDER, create_genesis
from benchmarks.workload import ACTIONS_PER_SENDER, Population, make_register, make_sender
from microrollup.chain.block import Header, compute_genesis_header, seal_header
from microrollup.chain.record import Open
from microrollup.crypto.keccak import keccak256_many
from microrollup.crypto.lthash import EMPTY_LANES, compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import compute_tree_keys
from microrollup.declaration.state import NONCES
from microrollup.maintenance.snapshot.file import SnapshotHead, SnapshotWriter
from microrollup.maintenance.snapshot.restore import restore_snapshot
from microrollup.store.tree import FlatTree

__all__ = ["build_bulk_store"]

_FIELD: Final = app.state_type.fields[0]
_STEP: Final = 20_000
_STEPS_SAID: Final = 10
_Rows = npt.NDArray[np.uint8]


def build_bulk_store(
    directory: Path, accounts: int, say: Callable[[str], None], owners: Mapping[int, bytes] | None = None
) -> Population:
    """A store as it is after that many registrations, in whole senders, at height 1; and who owns the accounts.

    `owners` are addresses (20 bytes) to which some of them, by their number, were handed over since.
    """
    population = Population(accounts)
    with TemporaryDirectory(prefix="bulk-", dir=directory.parent) as scratch:
        path = Path(scratch) / "snapshot"
        _write_snapshot(path, population, owners or {}, say)
        say("restoring")
        restore_snapshot(path, directory, app).close()
    return population


def _write_snapshot(
    path: Path, population: Population, owners: Mapping[int, bytes], say: Callable[[str], None]
) -> None:
    count = population.accounts
    keys, tree_keys, leaves = (np.empty((count, 32), np.uint8) for _ in range(3))
    rows = np.empty((count, len(_FIELD.encode_row(_make_account(0, owners)))), np.uint8)
    for first in range(0, count, _STEP):
        if first % (_STEPS_SAID * _STEP) == 0:
            say(f"account {first:,}")
        part = slice(first, min(first + _STEP, count))
        numbers = range(part.start, part.stop)
        encoded = [population.get_key(number) for number in numbers]
        values = [_make_account(number, owners) for number in numbers]
        keys[part] = _stack(encoded)
        rows[part] = _stack([_FIELD.encode_row(value) for value in values])
        tree_keys[part] = _stack(compute_tree_keys([(_FIELD.number, key) for key in encoded]))
        leaves[part] = _stack(keccak256_many([_FIELD.encode_leaf(value) for value in values]))
    say("hashing the tree")
    tree = FlatTree.create(path.parent)
    root = tree.fill([tree_keys.tobytes()], [leaves.tobytes()])
    tree.close()
    senders = sorted(make_sender(number) for number in range(count // ACTIONS_PER_SENDER))
    nonce = ACTIONS_PER_SENDER.to_bytes(8, "big")
    lanes = update_lanes(EMPTY_LANES, (), ((NONCES.number, sender, nonce) for sender in senders))
    head = _make_head(count, root, lanes)
    say("writing the snapshot")
    order = np.argsort(keys.view("S32").reshape(-1), kind="stable")
    with SnapshotWriter(path, head) as writer:
        writer.write_keys(memoryview(tree_keys.tobytes()))
        for place in order.tolist():
            writer.write_row(_FIELD.row_prefix + keys[place].tobytes(), rows[place].tobytes())
        for sender in senders:
            writer.write_row(NONCES.row_prefix + sender, nonce)
        writer.finish()


def _make_account(number: int, owners: Mapping[int, bytes]) -> Account:
    action, owner = make_register(number), owners.get(number)
    return Account(action.code_hash + action.config_hash, owner or make_sender(number // ACTIONS_PER_SENDER))


def _make_head(count: int, root: bytes, lanes: bytes) -> SnapshotHead:
    """Of a made-up block 1 that registered all of them, sealed by the builder."""
    genesis = create_genesis()
    start = compute_genesis_header(genesis)
    opened = Open(1, start.timestamp, start.l1_origin, app.stf_id)
    header: Header = msgspec.structs.replace(
        start,
        height=1,
        stf_id=app.stf_id,
        action_count=count,
        state_root=root,
        metadata_root=compute_metadata_root(lanes),
    )
    seal = seal_header(BUILDER, header, 0)
    return SnapshotHead(
        genesis, header, opened, seal, count + 1, (count, count // ACTIONS_PER_SENDER), count + 2, bytes(32)
    )


def _stack(parts: list[bytes]) -> _Rows:
    return np.frombuffer(b"".join(parts), np.uint8).reshape(len(parts), -1)


if __name__ == "__main__":
    begun = time.perf_counter()

    def _say(what: str) -> None:
        sys.stderr.write(f"{time.perf_counter() - begun:7.0f} s, CPU {time.process_time():.0f} s: {what}\n")

    build_bulk_store(Path(sys.argv[1]), int(sys.argv[2]), _say)
    _say("done")
