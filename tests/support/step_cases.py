"""Functions whose metered steps stand in the conformance vectors: each shows what one kind of operation costs.

Every function takes a number and a map of numbers, `n * n` at each of 0 … 9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from microrollup import Map, Uint64, require

Case = Callable[[int, Map[Uint64, Uint64]], object]


def returns(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return n


def add(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return n + 1


def add_words(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return (1 << 64 * n) + 1


def multiply_words(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return ((1 << 64 * n) + 1) * 3


def divide(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return 1000 // n, 1000 % n


def power(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return 7**n


def power_modulo(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return pow(3, n, 1000)


def compare(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return 0 < n <= 10


def while_loop(n: int, numbers: Map[Uint64, Uint64]) -> object:
    while n:
        n -= 1
    return n


def for_loop(n: int, numbers: Map[Uint64, Uint64]) -> object:
    total = 0
    for i in range(n):
        total += i
    return total


def comprehension(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return [i * i for i in range(n) if i % 2]


def generator(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(i for i in range(n))


def _half(n: int) -> int:
    return n // 2


def call(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return _half(_half(n))


def _descend(n: int) -> int:
    return 0 if n == 0 else 1 + _descend(n - 1)


def recursion(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return _descend(n)


def lambda_key(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sorted(range(n), key=lambda i: -i)


def sort(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sorted([n - i for i in range(n)])


def slice_bytes(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return len((b"x" * n)[1:])


def join(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return ",".join([str(i) for i in range(n)])


def split(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return len(("a," * n).split(","))


def find(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return (b"a" * n).find(b"b")


def text(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return f"{n:>8} {n!r}"


def digits(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return int(str(10**n))


def from_bytes(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return int.from_bytes(n.to_bytes(8, "big"), "big")


def contains(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return -1 in list(range(n))


def dictionary(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum({i: i + 1 for i in range(n)}.values())


def equal(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return [(i, i) for i in range(n)] == [(i, i) for i in range(n)]


def handler(n: int, numbers: Map[Uint64, Uint64]) -> object:
    try:
        return 1 // (n - n)
    except ZeroDivisionError:
        return n


def requires(n: int, numbers: Map[Uint64, Uint64]) -> object:
    require(n > 0, "not positive")
    return n


def map_get(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return numbers.get(n, 0)


def map_set(n: int, numbers: Map[Uint64, Uint64]) -> object:
    for i in range(n):
        numbers = numbers.set(i, i)
    return len(numbers)


def map_old_version(n: int, numbers: Map[Uint64, Uint64]) -> object:
    first = numbers
    for i in range(n):
        numbers = numbers.set(i, i + 1)
    return first.get(1, 0), numbers.get(1, 0)


def map_walk(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return sum(numbers.values(stop=n))


def map_first(n: int, numbers: Map[Uint64, Uint64]) -> object:
    return numbers.first(start=n)


CASES: Final[list[tuple[Case, int]]] = [
    (returns, 1), (add, 1), (add_words, 1), (add_words, 8), (multiply_words, 8), (divide, 7), (power, 50),
    (power, 10**6),
    (power_modulo, 10**6), (compare, 5), (while_loop, 10), (while_loop, 10**7), (for_loop, 10), (comprehension, 10),
    (generator, 10), (call, 9), (recursion, 9), (recursion, 1_000), (lambda_key, 10), (sort, 10), (slice_bytes, 1_000),
    (slice_bytes, 1 << 21), (join, 20), (split, 100), (find, 1_000), (text, 42), (digits, 100), (from_bytes, 77),
    (contains, 100), (dictionary, 10), (equal, 10), (handler, 3), (requires, 3), (map_get, 3), (map_set, 10),
    (map_old_version, 10), (map_walk, 5), (map_first, 7),
]  # fmt: skip
