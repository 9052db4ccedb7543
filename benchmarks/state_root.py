"""Row 3: a block's state root over a million accounts, kept durably, against as many bare Keccak-256 calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from apps.keystore import app
from benchmarks.context import Bench
from benchmarks.counting import count_keccaks
from benchmarks.measure import compare
from benchmarks.report import Row, make_ratio_row
from benchmarks.stores import make_entries
from microrollup.crypto import keccak256
from microrollup.ledger import Ledger
from microrollup.merkle.indexed import compute_tree_key
from microrollup.record import Open, Seal
from microrollup.store.rows import StoredKeys
from microrollup.store.tree_delta import TreeDelta, encode_delta

__all__ = ["BARS", "LIMIT", "measure"]

BARS: Final = (0.4, 0.55)
LIMIT: Final = "bare keccaks"
_SCRATCH: Final = b"\xff" * 8
"""A key of the undo table that no height has."""


class TreeRun:
    """Changes value hashes of known accounts in the store's tree, and takes all of it back in the end."""

    def __init__(self, ledger: Ledger, changes: list[list[bytes]]) -> None:
        self._ledger = ledger
        self._keys = StoredKeys(ledger.environment)
        self._changes = changes
        self._before = ledger.tree.root()
        self._first: dict[bytes, bytes] = {}

    def run(self, number: int) -> TreeDelta:
        """Delta, one durable transaction, the files: what keeping the tree costs a block."""
        changes = {key: keccak256(b"%d" % number + key) for key in self._changes[number]}
        return self._commit(changes)

    def _commit(self, changes: dict[bytes, bytes]) -> TreeDelta:
        environment, tree = self._ledger.environment, self._ledger.tree
        delta = tree.compute_delta(changes, self._keys)
        with environment.write() as txn:
            txn.put(_SCRATCH, encode_delta(delta), db=environment.tables["undo_tree"])
        tree.apply(delta)
        return delta

    def note(self, delta: TreeDelta) -> None:
        """Remember what the leaves held before."""
        for old in delta.old_leaves.tolist():
            self._first.setdefault(bytes(old[2:34]), bytes(old[67:99]))

    def take_back(self) -> None:
        """Make the tree what it was."""
        self._commit(self._first)
        environment = self._ledger.environment
        with environment.write() as txn:
            txn.delete(_SCRATCH, db=environment.tables["undo_tree"])
        if self._ledger.tree.root() != self._before:
            raise AssertionError("the tree is not what it was")


def _time_keccaks(sizes: list[int]) -> float:
    preimages = [bytes([number & 0xFF]) * size for number, size in enumerate(sizes)]
    started = time.perf_counter()
    for preimage in preimages:
        keccak256(preimage)
    return time.perf_counter() - started


def measure(bench: Bench) -> list[Row]:
    """The tree alone, and the whole checkpoint."""
    with bench.store.open() as ledger:
        bench.say(f"updating {bench.sizes.tree_updates:,} of {bench.store.population.accounts:,} accounts")
        return [_measure_tree(bench, ledger), _measure_checkpoint(bench, ledger)]


def _measure_tree(bench: Bench, ledger: Ledger) -> Row:
    sizes, population = bench.sizes, bench.store.population
    repetitions = 3 * sizes.repetitions
    stride = max(1, population.accounts // (sizes.tree_updates * (repetitions + 1)))
    numbers = range(0, population.accounts, stride)
    keys = [compute_tree_key(0, population.get_key(account)) for account in numbers]
    runs = repetitions + 1
    tree = TreeRun(ledger, [keys[first::runs][: sizes.tree_updates] for first in range(runs)])
    with count_keccaks() as count:
        _prepare(tree, repetitions)
    count.sizes = count.sizes[len(tree._changes[repetitions]) :]

    def run_tree(number: int) -> float:
        return _time(lambda: tree.run(number), tree)

    fsync = bench.measure_fsync()
    found = compare(run_tree, lambda _: _time_keccaks(count.sizes), repetitions)
    tree.take_back()
    note = f"{sizes.tree_updates:,} updates in {population.accounts:,} accounts, {len(count.sizes):,} keccaks; delta, LMDB commit with sync, files"
    return make_ratio_row(
        "state-root", "tree of a block, durable", found, limit_name=LIMIT, bars=BARS, fsync=fsync, scale=1e3, unit="ms", note=note
    )
