"""Which leaves a block changes, and how: values of known keys, new keys, and the links of the list around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

import msgspec
import numpy as np

from microrollup.crypto.merkle.indexed import DUMMY_LEAF, LEAF_BYTES, encode_leaf
from microrollup.crypto.merkle.levels import Indices, Rows
from microrollup.errors import StoreCorrupt
from microrollup.store.tree_index import KeyIndex

__all__ = ["LeafChanges", "check_keys", "compute_leaf_changes", "compute_linked_leaves", "encode_gap"]

_KEY: Final = slice(2, 34)
_VALUE: Final = slice(67, 99)
_NEXT: Final = slice(34, 67)
_NO_NEXT: Final = bytes(33)
_DUMMY_START: Final = b"\x01" + bytes(33)


class LeafChanges(msgspec.Struct, frozen=True, eq=False):
    """Changed leaves, ascending by index: those that were there, then the appended ones."""

    indices: Indices
    old_leaves: Rows
    """(n, 99); zeros for appended leaves."""
    new_leaves: Rows
    inserted: tuple[tuple[bytes, int], ...]
    """New tree keys and their leaf indices, ascending by index."""


def compute_leaf_changes(leaves: Rows, leaf_count: int, changes: Mapping[bytes, bytes], index: KeyIndex) -> LeafChanges:
    """`changes` maps tree keys to value hashes in the order of their first change; `leaves` is only read.

    Raises `StoreCorrupt` if index and leaves do not fit: a leaf that is of another key, or of another gap.
    """
    known: dict[int, bytes] = {}
    fresh: dict[bytes, bytes] = {}
    found = index.find_all(changes)
    for key, value_hash in changes.items():
        leaf_index = found.get(key)
        if leaf_index is None:
            fresh[key] = value_hash
        else:
            known[leaf_index] = value_hash
    heads, following, gaps = _link_new_keys(fresh, index)
    touched = np.fromiter(chain(known, heads), np.int64, len(known) + len(heads))
    existing = np.unique(touched)
    if len(touched) != len(found) + len(gaps):
        raise StoreCorrupt("tree", "two keys lead to one leaf")
    if len(existing) and int(existing[-1]) >= leaf_count:
        raise StoreCorrupt("tree", f"a key leads to leaf {int(existing[-1])} of {leaf_count}")
    old_leaves = np.zeros((len(existing) + len(fresh), LEAF_BYTES), np.uint8)
    old_leaves[: len(existing)] = leaves.take(existing, axis=0)
    new_leaves = old_leaves.copy()
    rows = np.searchsorted(existing, touched)
    check_keys(old_leaves, rows, [key for key in changes if key in found], gaps)
    new_leaves[rows[: len(known)], _VALUE] = _to_rows(known.values(), 32)
    new_leaves[rows[len(known) :], _NEXT] = _to_rows([b"\x01" + key for key in heads.values()], 33)
    new_leaves[len(existing) :] = _to_rows(
        [b"\x01\x01" + key + following[key] + value_hash for key, value_hash in fresh.items()], LEAF_BYTES
    )
    after = leaf_count + len(fresh)
    return LeafChanges(
        indices=np.concatenate((existing, np.arange(leaf_count, after))),
        old_leaves=old_leaves,
        new_leaves=new_leaves,
        inserted=tuple(zip(fresh, range(leaf_count, after), strict=True)),
    )


def compute_linked_leaves(keys: Rows, value_hashes: Rows) -> Rows:
    """All leaves of a tree, the dummy first, from its keys in the order of their leaves: (n, 32) each, (n + 1, 99) out.

    Raises `StoreCorrupt` if a key comes twice.
    """
    leaves = np.zeros((len(keys) + 1, LEAF_BYTES), np.uint8)
    leaves[0] = np.frombuffer(encode_leaf(DUMMY_LEAF), np.uint8)
    leaves[1:, :2] = 1
    leaves[1:, _KEY] = keys
    leaves[1:, _VALUE] = value_hashes
    order = np.argsort(np.ascontiguousarray(keys).view("S32").reshape(-1))
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).all(axis=1).any():
        raise StoreCorrupt("tree", "a key comes twice")
    below = np.concatenate((np.zeros(1, np.int64), order + 1))[: len(order)]
    leaves[below, _NEXT.start] = 1
    leaves[below, _NEXT.start + 1 : _NEXT.stop] = ordered
    return leaves


def check_keys(old_leaves: Rows, rows: Indices, keys: Sequence[bytes], gaps: Sequence[bytes]) -> None:
    """Raise `StoreCorrupt` unless known keys lead to leaves that hold them, and new ones to the leaves of their gaps.

    `rows` are those of `old_leaves`, first of the known keys, then of the gaps.
    """
    known = _to_rows([b"\x01\x01" + key for key in keys], _NEXT.start)
    if (old_leaves[rows[: len(known)], : _NEXT.start] != known).any():
        raise StoreCorrupt("tree", "a key leads to the leaf of another one")
    wanted = _to_rows(gaps, _VALUE.start)
    if (old_leaves[rows[len(known) :], : _VALUE.start] != wanted).any():
        raise StoreCorrupt("tree", "a new key does not lie between the leaf below it and the next one")


def _link_new_keys(fresh: Iterable[bytes], index: KeyIndex) -> tuple[dict[int, bytes], dict[bytes, bytes], list[bytes]]:
    """Where the new keys go in the sorted list, which depends on the set of keys alone and not on their order.

    Returns the next key of every old leaf that gets one, by leaf index; next prefix and key of every new leaf; and how
    these old leaves must begin: flags, key, next prefix, next key.
    """
    gaps: list[bytes] = []
    heads: dict[int, bytes] = {}
    following: dict[bytes, bytes] = {}
    previous: bytes | None = None
    above: bytes | None = None
    for key in sorted(fresh):
        if previous is not None and (above is None or key < above):
            following[previous] = b"\x01" + key
        else:
            below, low_index, above = index.low_neighbour(key)
            if above == key:
                raise StoreCorrupt("tree", f"the key 0x{key.hex()} was not found where it is")
            heads[low_index] = key
            gaps.append(encode_gap(below, above))
        previous = key
        following[key] = _NO_NEXT if above is None else b"\x01" + above
    return heads, following, gaps


def encode_gap(below: bytes | None, above: bytes | None) -> bytes:
    """How the leaf below a gap between two tree keys begins: flags, key, next prefix, next key. None: there is none."""
    start = _DUMMY_START if below is None else b"\x01\x01" + below
    return start + (_NO_NEXT if above is None else b"\x01" + above)


def _to_rows(parts: Iterable[bytes], row_bytes: int) -> Rows:
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, row_bytes)
