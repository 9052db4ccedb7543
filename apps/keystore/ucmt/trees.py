"""Merkle trees of sorted pairs, as OpenZeppelin's `SimpleMerkleTree` (npm, 1.0) gives them with its default options.

Leaves are sorted; the tree is an array with the root at 0, the children of i at 2i + 1 and 2i + 2, and the leaves at
its end, the smallest last. A parent is keccak256 of its children in ascending order. Contracts take a proof of any
other shape too; the shape is fixed here so that equal nodes give equal roots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

__all__ = ["MAX_LEAVES", "PairTree", "fold_proof", "grow_tree"]

MAX_LEAVES: Final = 1 << 20
"""The most leaves of a tree that is grown here."""

_HASH_BYTES: Final = 32


class PairTree(msgspec.Struct, frozen=True):
    """A grown tree."""

    leaves: tuple[bytes, ...]
    """As they were given."""
    hashes: tuple[bytes, ...]
    """The array, `2n - 1` hashes of 32 bytes."""
    positions: tuple[int, ...]
    """Where in the array each leaf is, in the order of `leaves`."""

    @property
    def root(self) -> bytes:
        """32 bytes. Of one leaf, the leaf itself."""
        return self.hashes[0]

    def prove(self, index: int) -> tuple[bytes, ...]:
        """The siblings from a leaf, by its place in `leaves`, up to the root. Raises `UsageError` if there is none."""
        if not 0 <= index < len(self.leaves):
            raise UsageError(f"there is no leaf {index}: the tree has {len(self.leaves)}")
        siblings = []
        position = self.positions[index]
        while position:
            siblings.append(self.hashes[position + 1 if position % 2 else position - 1])
            position = (position - 1) // 2
        return tuple(siblings)

    def dump(self) -> dict[str, Any]:
        """The JSON object that `SimpleMerkleTree.load` takes (format `simple-v1`)."""
        values = [
            {"value": hex0x(leaf), "treeIndex": position}
            for leaf, position in zip(self.leaves, self.positions, strict=True)
        ]
        return {"format": "simple-v1", "tree": [hex0x(each) for each in self.hashes], "values": values}


def grow_tree(leaves: Sequence[bytes]) -> PairTree:
    """The tree of 1 to `MAX_LEAVES` hashes of 32 bytes, in any order. Raises `UsageError`."""
    if not 1 <= len(leaves) <= MAX_LEAVES:
        raise UsageError(f"a tree has 1 to {MAX_LEAVES} leaves, not {len(leaves)}")
    if {_HASH_BYTES} != {len(leaf) for leaf in leaves}:
        raise UsageError(f"a leaf has {_HASH_BYTES} bytes")
    size = 2 * len(leaves) - 1
    hashes, positions = [b""] * size, [0] * len(leaves)
    for place, index in enumerate(sorted(range(len(leaves)), key=leaves.__getitem__)):
        positions[index] = size - 1 - place
        hashes[size - 1 - place] = leaves[index]
    for position in reversed(range(size - len(leaves))):
        hashes[position] = _join(hashes[2 * position + 1], hashes[2 * position + 2])
    return PairTree(tuple(leaves), tuple(hashes), tuple(positions))


def fold_proof(leaf: bytes, siblings: Iterable[bytes]) -> bytes:
    """The root that a leaf and its siblings give, as the contracts compute it."""
    node = leaf
    for sibling in siblings:
        node = _join(node, sibling)
    return node


def _join(one: bytes, other: bytes) -> bytes:
    return keccak256(one + other if one < other else other + one)
