"""`Map`: an immutable mapping for state fields, whose versions share one table.

The newest version owns the table (a dict of the entries that are known in memory, before a store that is read lazily).
Setting a key hands the table to the new version and leaves in the old one only what differs: the key and its old value.
Reading an old version turns the chain of differences round first, so every version keeps its value for ever while the
common case, the newest version, costs one dict look-up. (Baker, "Shallow binding makes functional arrays fast", 1991.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, cast, final

__all__ = [
    "ABSENT",
    "Absent",
    "Map",
    "MapSource",
    "NotDescended",
    "StoreFault",
    "Table",
    "bind_map",
    "collect_changes",
    "get_loaded",
    "rebind_map",
    "set_all",
]

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
D = TypeVar("D")

CACHED_ENTRIES: Final = 50_000
"""Entries that a table keeps in memory from one block to the next, unchanged ones included."""


@final
class Absent:
    """The value of a key that is not there; also keeps the store from being asked twice."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class StoreFault(BaseException):
    """The store failed while an STF was reading. Not an `Exception`: a disk fault must never become an outcome."""


class NotDescended(Exception):
    """A state transition function returned a map that was not made from the same field of its pre-state."""

    def __init__(self) -> None:
        super().__init__("a returned map was not made from the same field of the pre-state")


class _StaleEntries(dict[Any, Any]):
    """Stands for the table of a map from an earlier block, whose entries the store has moved on from."""

    def get(self, *_: object) -> NoReturn:
        raise RuntimeError("this version of the map is from an earlier block; keep keys, not maps")

    __getitem__ = get


_STALE: Final = _StaleEntries()
_UNKNOWN: Final = Absent()


class MapSource(Protocol[K, V_co]):
    """Where a table finds entries that it does not hold."""

    def load(self, key: K) -> V_co | Absent:
        """The stored value of a key, or `ABSENT`. Raises `ValueOutOfBounds` if the key is not of the key type."""
        ...

    @property
    def key_class(self) -> type:
        """The very class of all keys."""
        ...

    def iterate(self) -> Iterator[tuple[K, V_co]]:
        """All stored entries in the order of their encoded keys."""
        ...

    def sort_key(self, key: K) -> bytes:
        """The encoded key, by which maps are ordered."""
        ...


@final
class Table(Generic[K, V]):
    """What all versions of one map share: the entries known in memory, their source, and how many there are."""

    __slots__ = ("entries", "key_class", "serial", "size", "source")

    def __init__(self, entries: dict[K, V | Absent], size: int, source: MapSource[K, V] | None) -> None:
        self.entries = entries
        self.size = size
        self.source = source
        self.serial = 0
        self.key_class = None if source is None else source.key_class
        """None: of whatever class. A dict takes True for 1, so what is in memory would decide what such a key finds."""

    def fetch(self, key: K) -> V | Absent:
        """Load an entry that `entries` lacks, and keep it."""
        if self.source is None:
            return ABSENT
        value = self.source.load(key)
        self.entries[key] = value
        return value

    def check_class(self, key: K) -> None:
        """Raises `TypeError` for a key of another class than the source's keys."""
        if self.key_class is not None and type(key) is not self.key_class:
            raise TypeError(f"a key of this map is exactly {self.key_class.__name__}, not {type(key).__name__}")


class Map(Generic[K, V]):
    """An immutable mapping with cheap versions: `set` and `delete` return a new map, the old one stays as it was.

    Keys are `Address`, `Bytes32`, `Bytes`, `str` or unsigned integers, at most 256 bytes encoded. Iteration is in the
    order of encoded keys. In a state that is kept in a store, entries are read when they are first asked for.
    """

    __slots__ = ("_key", "_next", "_old", "_serial", "_table")

    _table: Table[K, V]
    _next: Map[K, V] | None
    _key: K
    _old: V | Absent
    _serial: int

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        known: dict[K, V | Absent] = dict(entries) if entries else {}
        self._table = Table(known, len(known), None)
        self._next = None
        self._serial = 0

    def _peek(self, key: K) -> V | Absent:
        if self._next is not None:
            _reroot(self)
        table = self._table
        if type(key) is not table.key_class:
            table.check_class(key)
        value = table.entries.get(key, _UNKNOWN)
        return table.fetch(key) if value is _UNKNOWN else value

    # `get`, `set` and `in` hold the code of `_peek` themselves: every action runs through them (benchmark: execution).

    def get(self, key: K, default: D = None) -> V | D:  # type: ignore[assignment]
        """The value of `key`, or `default` if there is none."""
        if self._next is not None:
            _reroot(self)
        table = self._table
        if type(key) is not table.key_class:
            table.check_class(key)
        value = table.entries.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            value = table.fetch(key)
        return default if value is ABSENT else value  # type: ignore[return-value]

    def set(self, key: K, value: V) -> Map[K, V]:
        """A map that has `value` at `key` and is otherwise this one."""
        if self._next is not None:
            _reroot(self)
        table = self._table
        if type(key) is not table.key_class:
            table.check_class(key)
        entries = table.entries
        old = entries.get(key, _UNKNOWN)
        if old is _UNKNOWN:
            old = table.fetch(key)
        if old is ABSENT:
            table.size += 1
        new_map: Map[K, V] = Map.__new__(Map)
        new_map._table = table
        new_map._next = None
        table.serial = new_map._serial = table.serial + 1
        self._key = key
        self._old = old
        self._next = new_map
        entries[key] = value
        return new_map

    def delete(self, key: K) -> Map[K, V]:
        """A map without `key`; this very map if it has no such key."""
        old = self._peek(key)
        if old is ABSENT:
            return self
        new_map = self.set(key, cast("V", ABSENT))
        self._table.size -= 1
        return new_map

    def __getitem__(self, key: K) -> V:
        value = self._peek(key)
        if value is ABSENT:
            raise KeyError(key)
        return cast("V", value)

    def __contains__(self, key: K) -> bool:
        if self._next is not None:
            _reroot(self)
        table = self._table
        if type(key) is not table.key_class:
            table.check_class(key)
        value = table.entries.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            value = table.fetch(key)
        return value is not ABSENT

    def __len__(self) -> int:
        if self._next is not None:
            _reroot(self)
        return self._table.size

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self.items())

    def items(self) -> Iterator[tuple[K, V]]:
        """Keys and values in the order of encoded keys, as they are when the iteration begins."""
        if self._next is not None:
            _reroot(self)
        table = self._table
        if table.entries is _STALE:
            _STALE.get()  # says why
        entries = dict(table.entries)
        if table.source is None:
            present = [(key, cast("V", value)) for key, value in entries.items() if value is not ABSENT]
            yield from sorted(present, key=lambda item: _default_sort_key(item[0]))
        else:
            yield from _merge(entries, table.source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Map):
            return NotImplemented
        return self is other or (len(self) == len(other) and list(self.items()) == list(other.items()))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Map of {len(self)} entries>"


def _reroot(version: Map[K, V]) -> None:
    """Make `version` the one that owns the table: turn the differences between it and the present owner round."""
    table = version._table
    entries = table.entries
    path: list[Map[K, V]] = []
    node = version
    while node._next is not None:
        path.append(node)
        node = node._next
    for older in reversed(path):
        owner = cast("Map[K, V]", older._next)
        key, before = older._key, older._old
        after = entries[key]
        owner._key, owner._old, owner._next = key, after, older
        entries[key] = before
        table.size += (before is not ABSENT) - (after is not ABSENT)
        older._next = None


def _default_sort_key(key: object) -> bytes:
    if isinstance(key, int):
        return key.to_bytes(32, "big")
    return key.encode() if isinstance(key, str) else cast("bytes", key)


def _merge(entries: dict[K, V | Absent], source: MapSource[K, V]) -> Iterator[tuple[K, V]]:
    """Entries in memory over entries of the source, both in the order of encoded keys."""
    ordered = sorted(((source.sort_key(key), key) for key in entries), key=lambda pair: pair[0])
    position = 0
    for key, value in source.iterate():
        encoded = source.sort_key(key)
        while position < len(ordered) and ordered[position][0] < encoded:
            yield from _present(ordered[position][1], entries)
            position += 1
        if position < len(ordered) and ordered[position][0] == encoded:
            yield from _present(ordered[position][1], entries)
            position += 1
        else:
            yield key, value
    for _, key in ordered[position:]:
        yield from _present(key, entries)


def _present(key: K, entries: dict[K, V | Absent]) -> Iterator[tuple[K, V]]:
    value = entries[key]
    if value is not ABSENT:
        yield key, cast("V", value)


def bind_map(source: MapSource[K, V], size: int) -> Map[K, V]:
    """A map over stored entries, of which there are `size`."""
    bound: Map[K, V] = Map.__new__(Map)
    bound._table = Table({}, size, source)
    bound._next = None
    bound._serial = 0
    return bound


def rebind_map(version: Map[K, V], source: MapSource[K, V]) -> Map[K, V]:
    """The same map once its entries are stored: a fresh line of versions. Older ones must not be read any more."""
    if version._next is not None:
        _reroot(version)
    old_table = version._table
    fresh = bind_map(source, old_table.size)
    if len(old_table.entries) <= CACHED_ENTRIES:
        fresh._table.entries = old_table.entries
    old_table.entries = _STALE
    return fresh


def collect_changes(pre: Map[K, V], post: Map[K, V]) -> list[tuple[K, V | Absent, V | Absent]]:
    """What `post` changed against `pre`: (key, old value, new value) for each key that got another object.

    Objects may be equal and yet of other classes (True and 1): the caller checks before it compares. Raises
    `NotDescended` unless `post` was made from `pre` by `set` and `delete`.
    """
    if post._next is not None:
        _reroot(post)
    entries = post._table.entries
    if pre._table is not post._table:
        raise NotDescended
    first, node = pre._serial, pre
    following = node._next
    if following is post and post._serial > first:  # one set or delete, the common case
        key, old = pre._key, pre._old
        new = entries[key]
        return [] if new is old else [(key, old, new)]
    olds: dict[K, V | Absent] = {}
    while following is not None:
        if following._serial < first:
            raise NotDescended
        olds.setdefault(node._key, node._old)
        node = following
        following = node._next
    if node is not post:
        raise NotDescended
    return [(key, old, entries[key]) for key, old in olds.items() if entries[key] is not old]


def set_all(version: Map[K, V], items: Mapping[K, V]) -> tuple[Map[K, V], list[tuple[K, V | Absent]]]:
    """`set` for many keys of the very key class: the last version, and (key, old value) for each."""
    if version._next is not None:
        _reroot(version)
    table = version._table
    entries, serial = table.entries, table.serial
    olds: list[tuple[K, V | Absent]] = []
    for key, value in items.items():
        old = entries.get(key, _UNKNOWN)
        if old is _UNKNOWN:
            old = table.fetch(key)
        if old is ABSENT:
            table.size += 1
        olds.append((key, old))
        newer: Map[K, V] = Map.__new__(Map)
        newer._table = table
        newer._next = None
        serial += 1
        newer._serial = serial
        version._key = key
        version._old = old
        version._next = newer
        entries[key] = value
        version = newer
    table.serial = serial
    return version, olds


def get_loaded(version: Map[K, V]) -> list[tuple[K, V | Absent]]:
    """The entries that the map has in memory, for audits."""
    if version._next is not None:
        _reroot(version)
    return list(version._table.entries.items())
