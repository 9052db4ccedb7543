"""microrollup.crypto.merkle.levels: where nodes stand, and what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.levels import (
    compute_node_position,
    compute_node_rows,
    compute_positions,
    compute_row_hashes,
)


def test_positions_number_the_tree_in_order() -> None:
    """Leaves stand on even rows, each node between its two subtrees, and no row is taken twice."""
    depth = 5
    rows = {compute_node_position(level, index) for level in range(depth + 1) for index in range(1 << (depth - level))}
    assert set(range(2 ** (depth + 1) - 1)) == rows
    assert [0, 2, 4] == [compute_node_position(0, index) for index in range(3)]
    assert compute_node_position(1, 0) == 1
    assert compute_node_position(depth, 0) == 31


def test_growing_only_appends() -> None:
    """A node keeps its row when the tree doubles: the row depends on level and index alone, the id on the depth too."""
    for depth in (3, 4, 31):
        ids = np.array([(1 << (depth - 2)) + 1, 1 << depth], np.uint32)
        assert [compute_node_position(2, 1), 0] == compute_positions(ids, depth).tolist()


@pytest.mark.parametrize("depth", [0, 1, 6])
def test_ids_give_positions(depth: int) -> None:
    """An id names one node: root 1, leaves from 2^depth on."""
    expected = [
        compute_node_position(level, index) for level in range(depth, -1, -1) for index in range(1 << (depth - level))
    ]
    ids = np.arange(1, 2 << depth, dtype=np.uint32)
    assert expected == compute_positions(ids, depth).tolist()


def test_deepest_tree_has_its_ids() -> None:
    """The last leaf of the deepest tree has the largest 32-bit id, and a row."""
    last = np.array([2**32 - 1], np.uint32)
    assert [2 * (2**31 - 1)] == compute_positions(last, 31).tolist()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 3), (3, 6), (4, 7), (5, 12), (8, 15), (9, 24)])
def test_rows_of_a_tree(count: int, rows: int) -> None:
    """A half-used node may stand behind the last leaf, and has its row."""
    assert rows == compute_node_rows(count)


def test_row_hashes() -> None:
    """Each row is hashed for itself, whatever its length."""
    for size in (1, 64, 99):
        block = np.arange(3 * size, dtype=np.uint8).reshape(3, size)
        assert [keccak256(row.tobytes()) for row in block] == [row.tobytes() for row in compute_row_hashes(block)]
