"""Operators as metered code calls them: checked, bounded, and charged before the work."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from microrollup.guard.steps import MAX_INT_BITS, MAX_VALUE_BYTES, Meter
from microrollup.guard.walking import SEQUENCES, Walker

__all__ = ["BINARY_NAMES", "COMPARE_NAMES", "Operators"]

BINARY_NAMES: Final[dict[type[ast.operator], str]] = {
    ast.Add: "$add", ast.Sub: "$sub", ast.Mult: "$mul", ast.FloorDiv: "$floordiv", ast.Mod: "$mod", ast.Pow: "$pow",
    ast.LShift: "$lshift", ast.RShift: "$rshift", ast.BitAnd: "$and", ast.BitOr: "$or", ast.BitXor: "$xor",
    ast.Div: "$div", ast.MatMult: "$matmul",
}  # fmt: skip
"""Names that no source can spell; with `i` after the dollar sign for the augmented assignment."""

COMPARE_NAMES: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "$lt", ast.LtE: "$le", ast.Gt: "$gt", ast.GtE: "$ge", ast.Eq: "$eq", ast.NotEq: "$ne",
    ast.In: "$in", ast.NotIn: "$lacks", ast.Is: "$is", ast.IsNot: "$isnot",
}  # fmt: skip

_PLAIN: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "$add": operator.add, "$sub": operator.sub, "$mul": operator.mul, "$floordiv": operator.floordiv,
    "$mod": operator.mod, "$pow": operator.pow, "$lshift": operator.lshift, "$rshift": operator.rshift,
    "$and": operator.and_, "$or": operator.or_, "$xor": operator.xor,
    "$lt": operator.lt, "$le": operator.le, "$gt": operator.gt, "$ge": operator.ge, "$eq": operator.eq,
    "$ne": operator.ne,
}  # fmt: skip

_SMALL: Final = 1 << 64
_INTS: Final = frozenset({int, bool})
_JOINED: Final = frozenset({str, bytes, list, tuple})
_QUICK: Final = ("$add", "$sub", "$mul", "$lt", "$le", "$gt", "$ge", "$eq", "$ne")
_SEARCHED: Final = 128
"""A search for a text reads each place of the other at most so many times."""


class Operators:
    """The operators of one meter, by the names under which metered code finds them."""

    def __init__(self, meter: Meter, walker: Walker) -> None:
        self._meter = meter
        self._walker = walker
        self.kinds: dict[tuple[type, str], Callable[[Any, Any], Any]] = {}
        """(class of the left operand, name) -> operators of classes that the guard does not know itself."""

    def make_names(self) -> dict[str, Any]:
        """Name -> function."""
        names: dict[str, Any] = {}
        for name in BINARY_NAMES.values():
            function = self._make_quick(name) if name in _QUICK else self._make_binary(name)
            names[name] = function
            names[f"$i{name[1:]}"] = self._make_in_place(name, function)
        for name in ("$lt", "$le", "$gt", "$ge", "$eq", "$ne"):
            names[name] = self._make_quick(name)
        names |= {"$in": self.contains, "$lacks": self._lacks, "$item": self.get_item, "$set": self.set_item}
        names |= {"$del": self.delete_item, "$chain": self._chain, "$slice": slice}
        return names

    def _make_quick(self, name: str) -> Callable[[Any, Any], Any]:
        """An operator whose common case, two integers of at most 64 bits, costs one step and no further call."""
        meter, plain = self._meter, _PLAIN[name]
        slow = self._make_binary(name) if name in ("$add", "$sub", "$mul") else self._make_compare(name)

        def quick(one: Any, other: Any) -> Any:
            if type(one) is int and type(other) is int and -_SMALL < one < _SMALL and -_SMALL < other < _SMALL:
                meter.left -= 1
                if meter.left < 0:
                    meter.stop("steps")
                return plain(one, other)
            return slow(one, other)

        def quick_add(one: Any, other: Any) -> Any:
            if type(one) is bytes and type(other) is bytes:
                size = len(one) + len(other)
                if size <= MAX_VALUE_BYTES:
                    meter.left -= 1 + size // 64
                    if meter.left < 0:
                        meter.stop("steps")
                    return one + other
            return quick(one, other)

        return quick_add if name == "$add" else quick

    def _make_compare(self, name: str) -> Callable[[Any, Any], Any]:
        charge, charge_compare, plain = self._meter.charge, self._walker.charge_compare, _PLAIN[name]

        def compare(one: Any, other: Any) -> Any:
            charge()
            charge_compare(one, other)
            return plain(one, other)

        return compare

    def _make_binary(self, name: str) -> Callable[[Any, Any], Any]:
        def binary(one: Any, other: Any) -> Any:
            kind, other_kind = type(one), type(other)
            if kind in _INTS and other_kind in _INTS:
                self._charge_integers(name, one, other)
            elif name == "$add" and kind is other_kind and kind in _JOINED:
                self._charge_joined(kind, len(one) + len(other))
            elif name == "$mul" and kind in _JOINED and other_kind in _INTS:
                self._charge_joined(kind, len(one) * max(other, 0))
            elif name == "$mul" and other_kind in _JOINED and kind in _INTS:
                self._charge_joined(other_kind, len(other) * max(one, 0))
            elif name == "$or" and kind is dict and other_kind is dict:
                self._charge_joined(kind, len(one) + len(other))
            elif (kind, name) in self.kinds:
                return self.kinds[kind, name](one, other)
            else:
                self._meter.charge()
                raise TypeError(f"{name[1:]} of {kind.__name__} and {other_kind.__name__} is not a guarded operator")
            return _PLAIN[name](one, other)

        return binary

    def _make_in_place(self, name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """The augmented assignment: lists and dicts grow in place, as in plain code."""

        def assign(one: Any, other: Any) -> Any:
            if type(one) is list and name == "$add":
                more = self._walker.take(other)
                self._meter.check_entries(len(one) + len(more))
                one.extend(more)
                return one
            if type(one) is list and name == "$mul" and type(other) in _INTS:
                self._charge_joined(list, len(one) * max(other, 0))
                one *= other
                return one
            if type(one) is dict and name == "$or" and type(other) is dict:
                self._charge_joined(dict, len(one) + len(other))
                one.update(other)
                return one
            return function(one, other)

        return assign

    def _charge_joined(self, kind: type, size: int) -> None:
        self._meter.charge(1 + size // (64 if kind in (str, bytes) else 8))
        if kind in (str, bytes):
            self._meter.check_bytes(size)
        else:
            self._meter.check_entries(size)

    def _charge_integers(self, name: str, one: int, other: int) -> None:
        """By 64-bit words: their number, or their product where the work grows with it. Checks the result's size."""
        meter, bits, other_bits = self._meter, one.bit_length(), other.bit_length()
        words, other_words = bits // 64 + 1, other_bits // 64 + 1
        if name == "$mul":
            meter.check_bits(bits + other_bits)
            meter.charge(words * other_words)
        elif name in ("$floordiv", "$mod"):
            meter.charge(words * other_words)
        elif name == "$pow":
            if other < 0:
                raise ValueError("a negative power is not an integer")
            result = bits * other if bits > 1 else 1
            meter.check_bits(result)
            meter.charge(1 + (result // 64) ** 2)
        elif name == "$lshift":
            if other > 0 and one:
                meter.check_bits(bits + min(other, MAX_INT_BITS + 1))
            meter.charge(words + min(max(other, 0), MAX_INT_BITS) // 64)
        elif name in ("$div", "$matmul"):
            raise TypeError("/ makes a float; write //")
        else:
            meter.charge(max(words, other_words))

    def _chain(self, compare: Callable[[Any, Any], Any], first: Any, *rest: Any) -> Any:
        """`a < b < c` whose operands are evaluated once: rest = (function of b, its comparison, function of c, ...)."""
        left, outcome = first, True
        operations = (compare, *rest[1::2])
        for position, operation in enumerate(operations):
            right = rest[2 * position]()
            outcome = operation(left, right)
            if not outcome:
                return outcome
            left = right
        return outcome

    def contains(self, value: Any, container: Any) -> bool:
        """`value in container`."""
        meter, walker, kind = self._meter, self._walker, type(container)
        meter.charge()
        known = self.kinds.get((kind, "$in"))
        if known is not None:
            return bool(known(container, value))
        if kind is str or kind is bytes:
            size = len(value) if type(value) is kind else 1
            meter.charge(len(container) * max(1, min(size, _SEARCHED)) // 64)
        elif kind in (dict, set, frozenset) or kind is type({}.keys()):
            walker.charge_hash(value)
        elif kind is range and type(value) not in _INTS:
            meter.charge(len(container))
        elif kind is range:
            pass
        elif kind in SEQUENCES:
            walker.charge_search(value, container)
        else:
            return self._find(value, container)
        return value in container

    def _find(self, value: Any, iterator: Any) -> bool:
        for entry in self._walker.each(iterator):
            self._walker.charge_compare(value, entry)
            if entry is value or entry == value:
                return True
        return False

    def _lacks(self, value: Any, container: Any) -> bool:
        return not self.contains(value, container)

    def get_item(self, container: Any, key: Any) -> Any:
        """`container[key]`, an index, a slice or a key."""
        meter, kind = self._meter, type(container)
        meter.charge()
        if kind is dict:
            self._walker.charge_hash(key)
        elif kind in SEQUENCES:
            if type(key) is slice:
                length = len(range(*key.indices(len(container))))
                meter.charge(length // (64 if kind in (str, bytes) else 8))
        elif (kind, "$item") in self.kinds:
            return self.kinds[kind, "$item"](container, key)
        else:
            raise TypeError(f"{kind.__name__} has no entries that a state transition function may ask for")
        return container[key]

    def set_item(self, container: Any, key: Any, value: Any) -> None:
        """`container[key] = value` of a list or dict that the function has made."""
        self._meter.charge()
        if type(container) is dict:
            self._walker.charge_hash(key)
            self._meter.check_entries(len(container))
        elif type(container) is not list or type(key) not in _INTS:
            raise TypeError("only an index of a list and a key of a dict are assigned to")
        container[key] = value

    def delete_item(self, container: Any, key: Any) -> None:
        """`del container[key]`."""
        self._meter.charge(1 + (len(container) // 64 if type(container) is list else 0))
        if type(container) is dict:
            self._walker.charge_hash(key)
        elif type(container) is not list:
            raise TypeError("only an entry of a list or a dict is deleted")
        del container[key]
