"""Builtin and standard functions as metered code calls them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from microrollup.guard.operators import Operators
from microrollup.guard.steps import Meter
from microrollup.guard.texts import Texts
from microrollup.guard.walking import SCALARS, SEQUENCES, TEXTS, Walker

__all__ = ["Functions"]

_MODULAR_BITS: Final = 512
_KEYS: Final = frozenset({int, bool, str, bytes})
_MISSING: Final = object()
_Call = Callable[..., Any]


class Functions:
    """The functions of one meter. `call` runs any value of the app that can be called."""

    def __init__(self, meter: Meter, walker: Walker, operators: Operators, call: _Call) -> None:
        self._meter = meter
        self._walker = walker
        self._names = operators.make_names()
        self._call = call
        self.texts = Texts(meter)

    def make_table(self) -> dict[Any, _Call]:
        """The plain function -> its metered form."""
        texts = self.texts
        table: dict[Any, _Call] = {
            abs: self._abs, all: self._all, any: self._any, bool: bool, bytes: self._bytes, chr: texts.to_chr,
            dict: self._dict, divmod: self._divmod, enumerate: self._enumerate, filter: self._filter, hex: texts.to_hex,
            bin: texts.to_bin, oct: texts.to_oct, int: texts.to_int, isinstance: isinstance, issubclass: issubclass,
            len: len, list: self._list, map: self._map, max: self._max, min: self._min, next: self._next,
            ord: texts.to_ord, pow: self._pow, range: range, repr: texts.to_repr, reversed: self._reversed,
            sorted: self.sorted, str: texts.to_str, sum: self._sum, tuple: self._tuple, type: type, zip: self._zip,
            functools.reduce: self._reduce, math.gcd: self._gcd, math.isqrt: self._isqrt,
        }  # fmt: skip
        return table

    def _abs(self, value: int) -> int:
        self._meter.charge(1 + value.bit_length() // 64)
        return abs(value)

    def _all(self, values: Any) -> bool:
        return all(self._walker.each(values))

    def _any(self, values: Any) -> bool:
        return any(self._walker.each(values))

    def _bytes(self, value: Any = b"") -> bytes:
        kind = type(value)
        if kind is int:
            self._meter.check_bytes(value)
            self._meter.charge(1 + max(value, 0) // 64)
            return bytes(value)
        if kind is bytes:
            return bytes(value)
        if kind is str:
            raise TypeError("write text.encode()")
        return bytes(self._walker.take(value))

    def _dict(self, *values: Any, **more: Any) -> dict[Any, Any]:
        if len(values) > 1:
            raise TypeError("dict takes one argument")
        made: dict[Any, Any] = {}
        if values and type(values[0]) is dict:
            self._meter.charge(1 + len(values[0]))
            made.update(values[0])
        elif values:
            for key, value in self._walker.each(values[0]):
                self._walker.charge_hash(key)
                made[key] = value
                self._meter.check_entries(len(made))
        made.update(more)
        return made

    def _list(self, values: Any = ()) -> list[Any]:
        return self._walker.take(values)

    def _tuple(self, values: Any = ()) -> tuple[Any, ...]:
        return values if type(values) is tuple else tuple(self._walker.take(values))

    def _divmod(self, one: int, other: int) -> tuple[int, int]:
        return self._names["$floordiv"](one, other), self._names["$mod"](one, other)

    def _pow(self, base: int, exponent: int, modulus: int | None = None) -> Any:
        if modulus is None:
            return self._names["$pow"](base, exponent)
        bits = [value.bit_length() for value in (base, exponent, modulus)]
        if max(bits) > _MODULAR_BITS:
            self._meter.stop("size")
        words = max(bits) // 64 + 1
        self._meter.charge(1 + (bits[1] + 64) * words * words // 8)
        return pow(base, exponent, modulus)

    def _gcd(self, *values: int) -> int:
        for value in values:
            self._meter.charge(1 + (value.bit_length() // 64 + 1) ** 2)
        return math.gcd(*values)

    def _isqrt(self, value: int) -> int:
        self._meter.charge(1 + (value.bit_length() // 64 + 1) ** 2)
        return math.isqrt(value)

    def _enumerate(self, values: Any, start: int = 0) -> enumerate[Any]:
        return enumerate(self._raw(values), start)

    def _zip(self, *values: Any, strict: bool = False) -> zip[Any]:
        return zip(*[self._raw(each) for each in values], strict=strict)

    def _raw(self, values: Any) -> Any:
        """What is iterated at the pace of a loop that is metered itself."""
        return values if type(values) in SEQUENCES else self._walker.each(values)

    def _reversed(self, values: Any) -> Any:
        if type(values) not in SEQUENCES:
            raise TypeError(f"{type(values).__name__} is not reversed in a state transition function")
        return reversed(values)

    def _map(self, function: Any, *values: Any) -> Iterator[Any]:
        iterators = [self._walker.each(each) for each in values]
        return (self._call(function, *arguments) for arguments in zip(*iterators, strict=False))

    def _filter(self, function: Any, values: Any) -> Iterator[Any]:
        return (
            value for value in self._walker.each(values) if (value if function is None else self._call(function, value))
        )

    def _next(self, iterator: Any, default: Any = _MISSING) -> Any:
        self._meter.charge()
        for value in self._walker.each(iterator):
            return value
        if default is _MISSING:
            raise ValueError("there is no next entry")
        return default

    def _reduce(self, function: Any, values: Any, *initial: Any) -> Any:
        return functools.reduce(
            lambda one, other: self._call(function, one, other), self._walker.each(values), *initial
        )

    def _sum(self, values: Any, start: Any = 0) -> Any:
        add, total = self._names["$add"], start
        for value in self._walker.each(values):
            total = add(total, value)
        return total

    def _max(self, *values: Any, **named: Any) -> Any:
        return self._choose("$gt", values, named)

    def _min(self, *values: Any, **named: Any) -> Any:
        return self._choose("$lt", values, named)

    def _choose(self, name: str, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
        key, default = named.pop("key", None), named.pop("default", _MISSING)
        if named:
            raise TypeError("min and max take `key` and `default`")
        better, best, best_key = self._names[name], _MISSING, None
        if not values:
            raise TypeError("min and max take values, or one iterable")
        for value in self._walker.each(values[0] if len(values) == 1 else values):
            value_key = value if key is None else self._call(key, value)
            if best is _MISSING or better(value_key, best_key):
                best, best_key = value, value_key
        if best is not _MISSING:
            return best
        if default is _MISSING:
            raise ValueError("there is nothing to choose from")
        return default

    def sorted(self, values: Any, *, key: Any = None, reverse: bool = False) -> list[Any]:
        """`sorted(values)`: by keys that are int, str, bytes or tuples of them."""
        taken = self._walker.take(values)
        keys = taken if key is None else [self._call(key, value) for value in taken]
        size = sum([self._measure(each) for each in keys])
        self._meter.charge(1 + size * max(1, len(taken).bit_length()) // 8)
        order = sorted(range(len(taken)), key=keys.__getitem__, reverse=reverse)
        return [taken[position] for position in order]

    def _measure(self, key: Any, depth: int = 0) -> int:
        """How much a comparison reads of a sort key, in eighths of a step."""
        kind = type(key)
        if kind in TEXTS:
            return 8 + len(key) // 8
        if kind in _KEYS or kind in SCALARS:
            return 8
        if kind is tuple and depth < 4:
            self._meter.charge()
            return 8 + sum([self._measure(each, depth + 1) for each in key])
        raise TypeError("sort by int, str, bytes or tuples of them")
