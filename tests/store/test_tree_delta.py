"""microrollup.store.tree_delta: the bytes of a delta, and bytes that are none."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import DeltaView, TreeDelta, encode_delta
from microrollup.store.tree_index import MemoryKeyIndex

HEADER_BYTES = 88


def key_of(number: int) -> bytes:
    return keccak256(b"key%d" % number)


@pytest.fixture(scope="module")
def delta(tmp_path_factory: pytest.TempPathFactory) -> TreeDelta:
    """Five keys, then a block that changes two of them and adds three more."""
    tree, index = FlatTree.create(tmp_path_factory.mktemp("tree")), MemoryKeyIndex()
    first = tree.compute_delta({key_of(number): bytes(32) for number in range(5)}, index)
    tree.apply(first)
    index.add(first.inserted)
    return tree.compute_delta({key_of(number): b"\1" * 32 for number in range(3, 8)}, index)


def test_view_reads_what_was_encoded(delta: TreeDelta) -> None:
    """Every member but the new hashes comes back, without copying."""
    raw = encode_delta(delta)
    view = DeltaView(memoryview(raw))
    view.check()
    assert (6, 9) == (view.leaf_count_before, view.leaf_count)
    assert (delta.root_before, delta.root) == (view.root_before, view.root)
    for name in ("leaf_indices", "old_leaves", "new_leaves", "node_ids", "old_hashes"):
        assert np.array_equal(getattr(delta, name), getattr(view, name)), name
        assert not getattr(view, name).flags.owndata
    assert np.array_equal(delta.node_positions, view.compute_node_positions())
    assert list(delta.inserted) == view.get_inserted()


def test_new_keys_are_checked(delta: TreeDelta) -> None:
    """A flipped bit of a new key is told where the keys are taken from it; deltas from before the check are read."""
    good = encode_delta(delta)
    first = len(good) - 32 * len(delta.node_ids) - 99 * 3 + 2
    for place in (first, first + 31, first + 99, 20):
        raw = good[:place] + bytes((good[place] ^ 4,)) + good[place + 1 :]
        with pytest.raises(DecodeError, match="new keys"):
            DeltaView(raw).get_inserted()
    old = struct.pack("<I", 1) + good[4:20] + bytes(4) + good[24:]
    assert list(delta.inserted) == DeltaView(old).get_inserted()


def test_length_is_exact(delta: TreeDelta) -> None:
    """Every shorter or longer byte string is refused."""
    raw = encode_delta(delta)
    for size in (0, 1, HEADER_BYTES - 1, HEADER_BYTES, len(raw) - 1):
        with pytest.raises(DecodeError):
            DeltaView(raw[:size])
    with pytest.raises(DecodeError):
        DeltaView(raw + b"\0")


@pytest.mark.parametrize(
    ("place", "number"),
    [(0, 3), (0, 1), (1, 0), (1, 10), (2, 5), (2, 2**31 + 1), (3, 2), (3, 10), (3, 2**32 - 1), (4, 2**32 - 1)],
)
def test_impossible_headers_are_refused(delta: TreeDelta, place: int, number: int) -> None:
    """Another format, counts that shrink, exceed the limit or disagree with the length."""
    raw = bytearray(encode_delta(delta))
    struct.pack_into("<I", raw, 4 * place, number)
    with pytest.raises(DecodeError):
        DeltaView(bytes(raw))


def test_check_refuses_disordered_indices(delta: TreeDelta) -> None:
    """Indices that do not ascend, reach beyond the tree or leave out a new leaf would write where they must not."""
    good = encode_delta(delta)
    leaves, nodes = len(delta.leaf_indices), len(delta.node_ids)
    first_node, last_node = HEADER_BYTES + 4 * leaves, HEADER_BYTES + 4 * (leaves + nodes - 1)
    for offset, number in (
        (HEADER_BYTES, int(delta.leaf_indices[1])),
        (HEADER_BYTES + 4 * (leaves - 1), 9),
        (HEADER_BYTES + 4 * (leaves - 3), 5),
        (first_node, 0),
        (first_node, 2),
        (last_node, 32),
        (last_node, 1),
    ):
        raw = bytearray(good)
        struct.pack_into("<I", raw, offset, number)
        with pytest.raises(DecodeError):
            DeltaView(bytes(raw)).check()


def test_nodes_without_leaves_are_refused() -> None:
    """Nodes cannot change where no leaf does."""
    raw = struct.pack("<IIIIII32s32s", 1, 4, 4, 0, 1, 0, bytes(32), bytes(32)) + struct.pack("<I", 1) + bytes(32)
    with pytest.raises(DecodeError):
        DeltaView(raw).check()


def test_lookup_of_what_did_not_change(delta: TreeDelta) -> None:
    """A leaf or node that the block left alone is not found in its delta; one that it changed is."""
    view = DeltaView(encode_delta(delta))
    untouched = next(place for place in range(6) if place not in delta.leaf_indices)
    assert view.get_old_leaf(untouched) is None
    assert view.get_old_leaf(9) is None
    assert view.get_old_leaf(int(delta.leaf_indices[0])) == delta.old_leaves[0].tobytes()
    assert view.get_old_hashes({0: untouched}) == {}
    assert view.get_old_hashes({}) == {}
    assert view.get_old_hashes({3: 0, 0: untouched}) == {3: delta.root_before}


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_hostile_bytes_raise_decode_errors_only(raw: bytes) -> None:
    """Any bytes give a DecodeError or a view of exactly their length."""
    with suppress(DecodeError):
        DeltaView(raw).check()


def test_hostile_changes_of_a_good_delta(delta: TreeDelta) -> None:
    """Every byte of header and indices may be changed: a DecodeError, or a delta that still fits the tree."""
    good = encode_delta(delta)
    end = HEADER_BYTES + 4 * (len(delta.leaf_indices) + len(delta.node_ids))
    for offset in range(end):
        raw = bytearray(good)
        raw[offset] ^= 0xFF
        try:
            view = DeltaView(bytes(raw))
            view.check()
        except DecodeError:
            continue
        assert int(view.leaf_indices.max()) < view.leaf_count
        assert int(view.compute_node_positions().max()) < 32


def test_empty_directory_is_not_needed(delta: TreeDelta, tmp_path: Path) -> None:
    """A view needs the bytes alone: what it says holds after they were written and read back."""
    path = tmp_path / "delta"
    path.write_bytes(encode_delta(delta))
    assert delta.root == DeltaView(path.read_bytes()).root
