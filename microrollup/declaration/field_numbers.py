"""The numbers of state fields: given once, and kept by name from one version of an app to the next.

A settled field's number is its silo in the tree, so a proof made under one version holds its meaning under the next.
New fields take the next free number; that of a field which is gone is never given again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Self

from microrollup.errors import DeclarationError

if TYPE_CHECKING:
    from microrollup.declaration.state import StateField

__all__ = ["FieldNumbers"]

MAX_NUMBER: Final = 0x7FFE
"""Row prefixes have 15 bits for the number, and the last one of metadata belongs to the kernel's nonces."""


class FieldNumbers:
    """Gives out the numbers of one version's fields: kept ones, and the next that are free."""

    def __init__(self, kept: Mapping[str, StateField] | None = None, free: tuple[int, int] = (0, 0)) -> None:
        """`kept`: name in this version -> the field in the version before; `free`: the least numbers that no version
        has given yet, of settled fields and of metadata.
        """
        self._kept = kept or {}
        self._next = {True: free[0], False: free[1]}

    @property
    def free(self) -> tuple[int, int]:
        """The least numbers that are still free, of settled fields and of metadata."""
        return self._next[True], self._next[False]

    def give(self, where: str, name: str, *, settled: bool) -> int:
        """The number of a field. Raises `DeclarationError` for one that was settled and is metadata now, or was
        metadata and is settled now.
        """
        before = self._kept.get(name)
        if before is not None:
            if before.settled != settled:
                was, now = ("settled", "metadata") if before.settled else ("metadata", "settled")
                raise DeclarationError(where, f"was {was} in the version before and cannot become {now}: rename it")
            return before.number
        number = self._next[settled]
        if number > MAX_NUMBER:
            raise DeclarationError(where, f"an app's versions have at most {MAX_NUMBER + 1} fields of a kind together")
        self._next[settled] += 1
        return number

    @classmethod
    def follow(cls, fields: Mapping[str, StateField], renamed: Mapping[str, str], free: tuple[int, int]) -> Self:
        """The numbers of the version after one that has `fields`; `renamed` is old name -> new name."""
        return cls({renamed.get(name, name): field for name, field in fields.items()}, free)
