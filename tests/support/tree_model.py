"""The indexed Merkle tree as plainly as it can be said: a list of leaves, and everything rebuilt for each question.

It shares no code with `microrollup` but the Keccak library.
"""

from __future__ import annotations

from itertools import pairwise

from eth_hash.auto import keccak as keccak256

UNUSED = keccak256(bytes(99))


class TreeModel:
    """Keys with value hashes in the order of their first insertion."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def change(self, changes: dict[bytes, bytes]) -> None:
        """Set value hashes; new keys are appended in the dict's order."""
        self.values.update(changes)

    def copy(self) -> TreeModel:
        """The tree as it is now."""
        other = TreeModel()
        other.values = dict(self.values)
        return other

    def leaf_bytes(self) -> list[bytes]:
        """The 99 bytes of each leaf in use."""
        ordered = sorted(self.values)
        above = dict(pairwise(ordered))

        def link(key: bytes | None) -> bytes:
            return b"\0" * 33 if key is None else b"\1" + key

        leaves = [b"\1" + b"\0" * 33 + link(ordered[0] if ordered else None) + keccak256(b"")]
        leaves += [b"\1\1" + key + link(above.get(key)) + value for key, value in self.values.items()]
        return leaves

    def levels(self) -> list[list[bytes]]:
        """All hashes, leaves first, padded to the capacity."""
        hashes = [keccak256(leaf) for leaf in self.leaf_bytes()]
        capacity = 1
        while capacity < len(hashes):
            capacity *= 2
        hashes += [UNUSED] * (capacity - len(hashes))
        levels = [hashes]
        while len(hashes) > 1:
            hashes = [keccak256(hashes[i] + hashes[i + 1]) for i in range(0, len(hashes), 2)]
            levels.append(hashes)
        return levels

    def root(self) -> bytes:
        """The state root."""
        return self.levels()[-1][0]

    def siblings(self, leaf_index: int) -> tuple[bytes, ...]:
        """The way from a leaf to the root, bottom-up."""
        return tuple(level[(leaf_index >> depth) ^ 1] for depth, level in enumerate(self.levels()[:-1]))
