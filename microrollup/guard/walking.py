"""What comparing, hashing and iterating cost, charged before or while it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import GeneratorType
from typing import Any, Final

import msgspec

from microrollup.guard.steps import MAX_NESTING, Meter

__all__ = ["SEQUENCES", "Walker"]

SCALARS: Final = frozenset({int, bool, type(None)})
TEXTS: Final = frozenset({str, bytes})
SEQUENCES: Final = frozenset(
    {list, tuple, str, bytes, range, dict, type({}.keys()), type({}.items()), type({}.values())}
)
"""Builtin classes whose entries are at hand, in an order of their own, and which know their length."""

_LAZY: Final = frozenset(
    {enumerate, zip, reversed, type(reversed([])), type(iter(())), type(iter([])), type(reversed({}))}
)


class Walker:
    """Walks values for a meter. `kinds` holds what the guard does not know itself, by class: see `Kinds`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.iterators: dict[type, Callable[[Any], Iterator[Any]]] = {}
        """Class -> its metered iteration."""
        self.comparisons: dict[type, Callable[[Any, Any, int], None]] = {}
        """Class -> charges the comparison of two of its values at a depth."""

    def each(self, values: Any) -> Iterator[Any]:
        """The entries of anything that may be iterated, one step each. Raises `TypeError` for sets and the like."""
        kind = type(values)
        if kind in SEQUENCES:
            return self._count(values)
        if kind is GeneratorType or kind in _LAZY:
            return self._count(self._deepen(values))
        iterate = self.iterators.get(kind)
        if iterate is not None:
            return iterate(values)
        if isinstance(values, type) or kind in (set, frozenset):
            raise TypeError(f"iterating {kind.__name__} is not the same on every machine")
        raise TypeError(f"{kind.__name__} cannot be iterated in a state transition function")

    def _count(self, values: Iterable[Any]) -> Iterator[Any]:
        meter = self._meter
        for value in values:
            meter.left -= 1
            if meter.left < 0:
                meter.stop("steps")
            yield value

    def _deepen(self, values: Iterable[Any]) -> Iterator[Any]:
        """What goes on only when it is asked is one level deeper while it does: such may be stacked on one another."""
        meter, iterator = self._meter, iter(values)
        while True:
            meter.descend()
            try:
                value = next(iterator)
            except StopIteration:
                return
            finally:
                meter.leave()
            yield value

    def take(self, values: Any) -> list[Any]:
        """All entries as a list of bounded length."""
        meter = self._meter
        if type(values) in SEQUENCES:
            meter.charge(1 + len(values) // 8)
            meter.check_entries(len(values))
            return list(values)
        taken: list[Any] = []
        for value in self.each(values):
            taken.append(value)
            meter.check_entries(len(taken))
        return taken

    def charge_compare(self, one: Any, other: Any, depth: int = 0) -> None:
        """What `==`, `<` and their like may read of two values. Raises `LimitReached` beyond `MAX_NESTING` levels."""
        meter, kind = self._meter, type(one)
        if kind is not type(other) or kind in SCALARS:
            return
        if kind in TEXTS:
            meter.charge(min(len(one), len(other)) // 64)
            return
        if depth >= MAX_NESTING:
            meter.stop("depth")
        if kind is tuple or kind is list:
            meter.charge(2 + min(len(one), len(other)) // 4)
            for left, right in zip(one, other, strict=False):
                if type(left) not in SCALARS:
                    self.charge_compare(left, right, depth + 1)
        elif kind is dict:
            meter.charge(1 + len(one))
            for key, value in one.items():
                self.charge_hash(key, depth + 1)
                if key in other:
                    self.charge_compare(value, other[key], depth + 1)
        elif kind in self.comparisons:
            self.comparisons[kind](one, other, depth)
        elif isinstance(one, msgspec.Struct):
            meter.charge(1)
            for name in one.__struct_fields__:
                self.charge_compare(getattr(one, name), getattr(other, name), depth + 1)

    def charge_search(self, value: Any, entries: Any) -> None:
        """What looking for a value among the entries of a list, tuple or view reads."""
        if type(value) in SCALARS:
            self._meter.charge(len(entries) // 8)
            return
        self._meter.charge(len(entries))
        for entry in entries:
            self.charge_compare(value, entry)

    def charge_hash(self, key: Any, depth: int = 0) -> None:
        """What the hash of a key reads. Raises `LimitReached` beyond `MAX_NESTING` levels."""
        meter, kind = self._meter, type(key)
        if kind in SCALARS:
            return
        if kind in TEXTS:
            meter.charge(len(key) // 64)
            return
        if depth >= MAX_NESTING:
            meter.stop("depth")
        meter.charge(1)
        if kind is tuple:
            for value in key:
                self.charge_hash(value, depth + 1)
        elif isinstance(key, msgspec.Struct):
            for name in key.__struct_fields__:
                self.charge_hash(getattr(key, name), depth + 1)
        elif not isinstance(key, type):
            raise TypeError(f"{kind.__name__} is not hashed in a state transition function")
