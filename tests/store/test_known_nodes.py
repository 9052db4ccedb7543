"""Nodes that a tree's owner knows: the ones of the file, and the same deltas whether they are known or read."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from microrollup.crypto.merkle import known_nodes
from microrollup.crypto.merkle.indexed import compute_depth
from microrollup.crypto.merkle.levels import UNUSED_HASHES, compute_node_position
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import encode_delta
from microrollup.store.tree_index import MemoryKeyIndex


def check_known(tree: FlatTree) -> int:
    """Compare every known node with the file's; returns how many pairs there are."""
    known, depth = tree.known, compute_depth(tree.leaf_count)
    parents = np.array([parent for parent in range(1, 1 << depth) if known.find(np.array([parent]))[0]], np.int64)
    for parent, pair in zip(parents.tolist(), known.take(parents), strict=True):
        level = depth - parent.bit_length()
        for side in (0, 1):
            index = 2 * parent + side - (1 << depth - level)
            stored = tree.node_rows[compute_node_position(level, index)] if index << level < tree.leaf_count else None
            expected = UNUSED_HASHES[level] if stored is None else stored.tobytes()
            assert expected == pair[32 * side : 32 * side + 32].tobytes()
    return len(parents)


@pytest.mark.parametrize("levels", [known_nodes.MAX_KNOWN_LEVELS, 4])
@pytest.mark.parametrize("seed", range(6))
def test_known_nodes_are_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int, seed: int) -> None:
    """Whatever grows or is dropped: nodes in memory are the file's, and a tree that knows none gives the same."""
    monkeypatch.setattr(known_nodes, "MAX_KNOWN_LEVELS", levels)
    rng, tree, index = random.Random(seed), FlatTree.create(tmp_path), MemoryKeyIndex()
    keys: list[bytes] = []
    for _ in range(25):
        fresh = [rng.randbytes(32) for _ in range(rng.choice((0, 1, 2, 20)))]
        changed = fresh + rng.sample(keys, min(len(keys), rng.choice((0, 1, 5))))
        changes = {key: rng.randbytes(32) for key in changed}
        delta = tree.compute_delta(changes, index)
        other = FlatTree(tmp_path, tree.leaf_count, private=True)
        assert encode_delta(other.compute_delta(changes, index)) == encode_delta(delta)
        other.close()
        if rng.randrange(5):
            tree.apply(delta)
            index.add(delta.inserted)
            keys += fresh
        check_known(tree)
    assert min(1 << levels, tree.leaf_count) // 3 < check_known(tree)
    tree.rehash()
    assert 0 == check_known(tree)
    tree.close()


def test_what_is_known_is_not_read(tmp_path: Path) -> None:
    """A node that was checked may be damaged in the file afterwards: the delta is that of the undamaged one."""
    rng, tree, index = random.Random(1), FlatTree.create(tmp_path), MemoryKeyIndex()
    keys = [rng.randbytes(32) for _ in range(50)]
    delta = tree.compute_delta(dict.fromkeys(keys, bytes(32)), index)
    tree.apply(delta)
    index.add(delta.inserted)
    expected = encode_delta(tree.compute_delta({keys[7]: b"\1" * 32}, index))
    root = compute_node_position(compute_depth(tree.leaf_count), 0)
    for row in range(2 * tree.leaf_count - 1):
        if row != root:
            tree.node_rows[row, rng.randrange(32)] ^= 1 << rng.randrange(8)
    assert expected == encode_delta(tree.compute_delta({keys[7]: b"\1" * 32}, index))
    tree.close()
