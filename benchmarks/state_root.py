"""Row 3: a block's state root over a million accounts, kept durably, against as many bare Keccak-256 calls."""

from __future__ import annotations

import random
import time
from typing import Final

from benchmarks.context import Bench
from benchmarks.counting import count_keccaks
from benchmarks.measure import Stopwatch, compare
from benchmarks.report import Row, make_ratio_row
from benchmarks.stores import MADE_UP_SEAL, execute_block, make_entries
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.ledger.ledger import Ledger
from microrollup.store.stored_keys import StoredKeys
from microrollup.store.tree_delta import TreeDelta, encode_delta

__all__ = ["TARGET", "LIMIT", "measure"]

TARGET: Final = 0.4
LIMIT: Final = "bare keccaks"

_ROUNDS: Final = 3
"""Repetitions for each of the run's: a block takes milliseconds."""

_SCRATCH: Final = b"\xff" * 8
"""A key of the undo table that no height has."""


class TreeRun:
    """Changes value hashes of known accounts in a ledger's tree, and takes all of it back in the end."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        ledger.flushing.flush()  # the keys are looked for in the table alone
        self._keys = StoredKeys(ledger.environment)
        self._root = ledger.tree.root()
        self._originals: dict[bytes, bytes] = {}

    def commit(self, changes: dict[bytes, bytes]) -> TreeDelta:
        """What keeping the tree costs a block: the delta, one durable transaction, the files."""
        environment, tree = self._ledger.environment, self._ledger.tree
        delta = tree.compute_delta(changes, self._keys)
        with environment.write() as txn:
            txn.put(_SCRATCH, encode_delta(delta), db=environment.tables["undo_tree"])
        tree.apply(delta)
        return delta

    def remember(self, delta: TreeDelta) -> None:
        """Keep what the leaves held before their first change."""
        for row in delta.old_leaves:
            leaf = row.tobytes()
            self._originals.setdefault(leaf[2:34], leaf[67:])

    def take_back(self) -> None:
        """Make the tree what it was."""
        self.commit(self._originals)
        environment = self._ledger.environment
        with environment.write() as txn:
            txn.delete(_SCRATCH, db=environment.tables["undo_tree"])
        if self._ledger.tree.root() != self._root:
            raise AssertionError("the tree is not what it was")


def measure(bench: Bench) -> list[Row]:
    """The tree alone, then the whole checkpoint: rows, receipts, index and undo with it."""
    with bench.store.open() as ledger:
        bench.say(f"blocks of {bench.sizes.tree_updates:,} updates in {bench.store.population.accounts:,} accounts")
        return [_measure_tree(bench, ledger), _measure_checkpoint(bench, ledger)]


def _measure_tree(bench: Bench, ledger: Ledger) -> Row:
    population, updates = bench.store.population, bench.sizes.tree_updates
    repetitions = _ROUNDS * bench.sizes.repetitions
    chosen = random.Random(1)
    samples = [chosen.sample(range(population.accounts), updates) for _ in range(repetitions + 1)]
    blocks = [[compute_tree_key(0, population.get_key(account)) for account in sample] for sample in samples]
    tree, watch = TreeRun(ledger), Stopwatch()

    def make_changes(number: int) -> dict[bytes, bytes]:
        return {key: keccak256(key + b"%d" % number) for key in blocks[number]}

    def run_tree(number: int) -> float:
        changes = make_changes(number)
        with watch:
            delta = tree.commit(changes)
        tree.remember(delta)
        return watch.lap

    changes = make_changes(repetitions)
    with count_keccaks() as count:
        tree.remember(tree.commit(changes))
    fsync = bench.measure_fsync()
    found = compare(run_tree, lambda _: _time_keccaks(count.sizes), repetitions)
    tree.take_back()
    return make_ratio_row(
        "state-root",
        f"tree of a block of {updates:,} updates, durable",
        found,
        limit_name=LIMIT,
        target=TARGET,
        fsync=fsync,
        scale=1e3,
        unit="ms",
        accounts=f"{population.accounts:,}",
        cpu={"this process": watch.cpu},
        note=f"{len(count.sizes):,} keccaks; delta, LMDB commit with sync, files",
    )


def _measure_checkpoint(bench: Bench, ledger: Ledger) -> Row:
    population, updates = bench.store.population, bench.sizes.tree_updates
    repetitions = bench.sizes.repetitions
    blocks = [make_entries(population.make_updates(updates)) for _ in range(repetitions + 1)]
    order, watch = iter(blocks), Stopwatch()

    def run_checkpoint(_: int) -> float:
        execute_block(ledger, next(order))
        with watch:
            ledger.finish(ledger.compute_header(), MADE_UP_SEAL)
        return watch.lap

    with count_keccaks() as count:
        run_checkpoint(0)
    fsync = bench.measure_fsync()
    found = compare(run_checkpoint, lambda _: _time_keccaks(count.sizes), repetitions)
    return make_ratio_row(
        "state-root",
        f"whole checkpoint of {updates:,} updates",
        found,
        limit_name=LIMIT,
        fsync=fsync,
        scale=1e3,
        unit="ms",
        accounts=f"{population.accounts:,}",
        cpu={"this process": watch.cpu},
        note=f"{len(count.sizes):,} keccaks; tree, set hash, rows, receipts, index and undo with one sync",
    )


def _time_keccaks(sizes: list[int]) -> float:
    """Seconds of bare calls with preimages of these lengths."""
    preimages = [number.to_bytes(4, "big") * (size // 4 + 1) for number, size in enumerate(sizes)]
    preimages = [preimage[:size] for preimage, size in zip(preimages, sizes, strict=True)]
    started = time.perf_counter()
    for preimage in preimages:
        keccak256(preimage)
    return time.perf_counter() - started
