"""An app whose one action runs a native escape: something that takes the interpreter very long in a single step.

Each of `ESCAPES` takes a number and a `Map`, and would run for seconds to for ever in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import reduce

from microrollup import Action, Bytes, Context, Map, MicroRollup, State, Uint64, replace


class Shelf(State, frozen=True):
    """Numbers by number, and a total."""

    numbers: Map[Uint64, Uint64] = Map()
    total: Uint64 = 0
    text: Bytes = b""


class Escape(Action, frozen=True):
    """Run one of `ESCAPES`."""

    which: Uint64
    size: Uint64


class Put(Action, frozen=True):
    """Honest work: a number for each of `count` keys."""

    count: Uint64


def endless(n: int, numbers: Map[Uint64, Uint64]) -> object:
    while True:
        n += 1


def endless_pass(n: int, numbers: Map[Uint64, Uint64]) -> object:
    while n:
        pass
    return 0


def endless_for(n: int, numbers: Map[Uint64, Uint64]) -> object:
    for _ in range(n):
        pass
    return 0


def endless_comprehension(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return [0 for _ in range(n)]


def endless_generator(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(i for i in range(n))


def nested_comprehension(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(1 for i in range(n) for j in range(n))


def power(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return 7**n


def power_builtin(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return pow(7, n)


def power_assigned(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = 7
    x **= n
    return x


def power_modular(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return pow(3, (1 << 8000) - 1, (1 << 8001) - 1)


def power_modular_often(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(pow(3 + i, (1 << 500) - 1, (1 << 501) - 1) for i in range(n))


def shift(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return 1 << n


def factorial(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return reduce(lambda one, other: one * other, range(1, n))


def squares(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = 3
    for _ in range(n):
        x = x * x
    return x


def products(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, total = (1 << 4000) - 1, 0
    for _ in range(n):
        total = x * x
    return total


def quotients(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, y, total = (1 << 8000) - 1, (1 << 4000) - 3, 0
    for _ in range(n):
        total = x // y + x % y
    return total


def divisions(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, y, total = (1 << 8000) - 1, (1 << 4000) - 3, 0
    for _ in range(n):
        total += divmod(x, y)[0] & 1
    return total


def common_divisors(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, y, total = (1 << 8000) - 1, (1 << 7900) - 3, 0
    for _ in range(n):
        total += math.gcd(x, y)
    return total


def roots(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, total = (1 << 8000) - 1, 0
    for _ in range(n):
        total = math.isqrt(x)
    return total


def repeated_text(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return "x" * n


def repeated_bytes(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return n * b"x"


def repeated_list(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return [0] * n


def repeated_tuple(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return (0,) * n


def repeated_in_place(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = [0]
    x *= n
    return x


def doubled_text(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = "x"
    for _ in range(n):
        x += x
    return x


def doubled_list(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = [0]
    for _ in range(n):
        x += x
    return x


def doubled_by_extending(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = [0]
    for _ in range(n):
        x.extend(x)
    return x


def doubled_by_star(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x = [0]
    for _ in range(n):
        x = [*x, *x]
    return x


def zeros(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return bytes(n)


def zero_often(n: int, numbers: Map[Uint64, Uint64]) -> object:
    total = 0
    for _ in range(n):
        total += len(bytes(1 << 20))
    return total


def sum_of_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(range(n))


def greatest_of_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return max(range(n))


def any_of_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return any(range(1)) or all(range(1, n))


def list_of_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return list(range(n))


def tuple_of_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return tuple(range(n))


def sorted_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sorted(range(n))


def star_of_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return max(*range(n))


def starred_target(n: int, numbers: Map[Uint64, Uint64]) -> object:
    first, *_ = range(n)
    return first


def text_in_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return "x" in range(n)  # type: ignore[comparison-overlap]


def text_not_in_range(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return "x" not in range(n)  # type: ignore[comparison-overlap]


def in_map_object(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return -1 in map(abs, range(n))


def in_zip(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return (0, -1) in zip(range(n), range(n), strict=True)


def filtered(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return list(filter(lambda i: i < 0, range(n)))


def next_of_filtered(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return next(i for i in range(n) if i < 0)


def text_search(n: int, numbers: Map[Uint64, Uint64]) -> object:
    hay, needle, total = "a" * 30_000, "a" * 90 + "b", 0
    for _ in range(n):
        total += needle in hay
    return total


def count_search(n: int, numbers: Map[Uint64, Uint64]) -> object:
    hay, needle, total = b"a" * 30_000, b"a" * 90 + b"b", 0
    for _ in range(n):
        total += hay.count(needle)
    return total


def replaced(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return ("a" * 10_000).replace("a", "b" * 10_000)


def joined(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return ("b" * 10_000).join(["a"] * 10_000)


def padded(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return "1".zfill(n)


def justified(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return b"1".rjust(n)


def integer_bytes(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return (1).to_bytes(n, "big")


def bytes_integer(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return int.from_bytes(b"x" * 100_000, "big")


def digits(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, total = (1 << 8000) - 1, 0
    for _ in range(n):
        total += len(f"{x}")
    return total


def numbers_of_digits(n: int, numbers: Map[Uint64, Uint64]) -> object:
    x, total = "9" * 2400, 0
    for _ in range(n):
        total += int(x) & 1
    return total


def nested_equality(n: int, numbers: Map[Uint64, Uint64]) -> object:
    one: tuple[object, ...] = (0, 0)
    other: tuple[object, ...] = (0, 0)
    for _ in range(40):
        one, other = (one, one), (other, other)
    return one == other


def nested_order(n: int, numbers: Map[Uint64, Uint64]) -> object:
    one: tuple[object, ...] = (0, 0)
    other: tuple[object, ...] = (0, 1)
    for _ in range(40):
        one, other = (one, one), (one, other)
    return one < other


def deep_equality(n: int, numbers: Map[Uint64, Uint64]) -> object:
    one: tuple[object, ...] = ()
    other: tuple[object, ...] = ()
    for _ in range(100_000):
        one, other = (one,), (other,)
    return one == other


def nested_hash(n: int, numbers: Map[Uint64, Uint64]) -> object:
    one: tuple[object, ...] = (0, 0)
    for _ in range(40):
        one = (one, one)
    return {one: 1}


def list_search(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values, total = [0] * 100_000, 0
    for _ in range(n):
        total += 1 in values
    return total


def list_index(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values, total = [0] * 100_000, 0
    for _ in range(n):
        total += values.count(1)
    return total


def list_shift(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values = [0] * 100_000
    for _ in range(n):
        values.insert(0, values.pop())
    return values


def slices(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values, total = b"x" * (1 << 20), 0
    for _ in range(n):
        total += len(values[1:])
    return total


def recursion(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return recursion(n + 1, numbers)


def mutual_recursion(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return _mutual(n, numbers)


def _mutual(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return mutual_recursion(n, numbers)


def tree_recursion(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return _branch(60)


def _branch(depth: int) -> int:
    return 1 if depth == 0 else _branch(depth - 1) + _branch(depth - 1)


def generator_recursion(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return list(_deepen(n))


def _deepen(n: int) -> Iterator[int]:
    yield from _deepen(n + 1)


def lambda_recursion(n: int, numbers: Map[Uint64, Uint64]) -> object:
    again: Callable[..., object] = lambda f: f(f)  # noqa: E731
    return again(again)


def stacked_generators(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values: Iterable[int] = (1, 2, 3)
    for _ in range(min(n, 10_000)):
        values = (value for value in values)
    return sum(values)


def stacked_maps(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values: Iterable[int] = (1, 2, 3)
    for _ in range(min(n, 10_000)):
        values = map(abs, values)
    return sum(values)


def stacked_zips(n: int, numbers: Map[Uint64, Uint64]) -> object:
    values: Iterable[object] = (1, 2, 3)
    for _ in range(min(n, 10_000)):
        values = zip(values, strict=False)
    return len(list(values))


def swallowed(n: int, numbers: Map[Uint64, Uint64]) -> object:
    while True:
        try:
            recursion(n, numbers)
        except ValueError:
            n += 1
        finally:
            n += 1


def map_reads(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(numbers.get(i, 1) for i in range(n))


def map_turns(n: int, numbers: Map[Uint64, Uint64]) -> object:
    newest = numbers
    for i in range(1_000):
        newest = newest.set(i, 1)
    total = 0
    for _ in range(n):
        total += numbers.get(0, 0) + newest.get(0, 0)
    return total


def map_walks(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(len(list(numbers.items())) for _ in range(n))


def map_skips(n: int, numbers: Map[Uint64, Uint64]) -> object:
    for key in range(10_000):
        numbers = numbers.set(key, 1).delete(key)
    return sum(len(list(numbers.items())) for _ in range(n))


ESCAPES = (
    endless, endless_pass, endless_for, endless_comprehension, endless_generator, nested_comprehension, power,
    power_builtin, power_assigned, power_modular, power_modular_often, shift, factorial, squares, products, quotients,
    divisions, common_divisors, roots, repeated_text, repeated_bytes, repeated_list, repeated_tuple, repeated_in_place,
    doubled_text, doubled_list, doubled_by_extending, doubled_by_star, zeros, zero_often, sum_of_range,
    greatest_of_range, any_of_range, list_of_range, tuple_of_range, sorted_range, star_of_range, starred_target,
    text_in_range, text_not_in_range, in_map_object, in_zip, filtered, next_of_filtered, text_search, count_search,
    replaced, joined, padded, justified, integer_bytes, bytes_integer, digits, numbers_of_digits, nested_equality,
    nested_order, deep_equality, nested_hash, list_search, list_index, list_shift, slices, recursion, mutual_recursion,
    tree_recursion, generator_recursion, lambda_recursion, stacked_generators, stacked_maps, stacked_zips, swallowed,
    map_reads, map_turns, map_walks, map_skips,
)  # fmt: skip


def classes(n: int, numbers: Map[Uint64, Uint64]) -> object:
    ask = int.mro
    return ask()


def notes(n: int, numbers: Map[Uint64, Uint64]) -> object:
    note = ValueError("a").add_note
    return note("b")


def traces(n: int, numbers: Map[Uint64, Uint64]) -> object:
    trace: Callable[..., object] = ValueError("a").with_traceback
    return list(map(trace, (None,)))


def great_error(n: int, numbers: Map[Uint64, Uint64]) -> object:
    raise ValueError(("x" * 1_000_000,) * 1_000)


FAULTS = (classes, notes, traces, great_error)
"""Methods that the metered form does not know; an error that takes a gigabyte to write out."""


def escape(state: Shelf, action: Escape, ctx: Context) -> Shelf:
    """Run it; what it returns does not matter."""
    run = (ESCAPES + FAULTS)[action.which]
    return state if run(action.size, state.numbers) is None else replace(state, total=state.total + 1)


def put(state: Shelf, action: Put, ctx: Context) -> Shelf:
    """A loop over maps, text and numbers, as an honest app has."""
    numbers = state.numbers
    for i in range(action.count):
        before = numbers.get(i, 0)
        if before % 2 == 0 or i in (1, 3):
            numbers = numbers.set(i, before * 3 + len(f"{i:>4}"))
        else:
            numbers = numbers.set(i, before // 2 + 1)
    parts = sorted([key.to_bytes(8, "big") for key in range(min(action.count, 8))], reverse=True)
    return replace(state, numbers=numbers, total=state.total + action.count, text=b"".join(parts))


app = MicroRollup(name="escapes", version="1", genesis=Shelf(), stfs=[escape, put])
