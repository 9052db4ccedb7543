"""microrollup.store.tree_index: finding keys and gaps."""

from __future__ import annotations

from microrollup.store.tree_index import MemoryKeyIndex


def test_gaps_and_keys() -> None:
    """Known keys are found; an absent one learns its neighbours, the dummy below the first, none above the last."""
    index = MemoryKeyIndex()
    assert index.low_neighbour(b"m") == (None, 0, None)
    index.add([(b"k", 1), (b"c", 2)])
    index.add([(b"x", 3)])
    assert len(index) == 3
    assert {b"k": 1, b"c": 2, b"x": 3} == index.find_all([b"k", b"c", b"x", b"m"])
    assert index.low_neighbour(b"a") == (None, 0, b"c")
    assert index.low_neighbour(b"d") == (b"c", 2, b"k")
    assert index.low_neighbour(b"z") == (b"x", 3, None)
