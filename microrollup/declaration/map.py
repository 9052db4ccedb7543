"""`Map`: an immutable mapping for state fields, whose versions share one table.

The newest version owns the table (a dict of the entries that are known in memory, before a store that is read lazily).
Setting a key hands the table to the new version and leaves in the old one only what differs: the key and its old value.
Reading an old version turns the chain of differences round first, so every version keeps its value for ever while the
common case, the newest version, costs one dict look-up. (Baker, "Shallow binding makes functional arrays fast", 1991.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, cast, overload

from microrollup.declaration.map_range import find_bounds, iterate_range
from microrollup.declaration.map_table import ABSENT, STALE, UNKNOWN, Absent, MapSource, StoreFault, Table
from microrollup.declaration.map_transform import TransformedSource

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
    "forget_loaded",
    "get_loaded",
    "is_descended",
    "rebind_map",
    "set_all",
    "settle_map",
    "walk_map",
]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
W = TypeVar("W")

MANY: Final[Any] = object()
"""The `_key` of a version whose `_old` is a dict: the old values of many keys."""

CACHED_ENTRIES: Final = 50_000
"""Entries that a table keeps in memory from one block to the next, unchanged ones included."""


class NotDescended(Exception):
    """A state transition function returned a map that was not made from the same field of its pre-state."""

    def __init__(self) -> None:
        super().__init__(
            "a returned map was not made from the same field of the pre-state; change that field by `set` and `delete`"
        )


class Map(Generic[K, V]):
    """An immutable mapping with cheap versions: `set` and `delete` return a new map, the old one stays as it was.

    Keys are `Address`, `Bytes32`, `Bytes`, `str` or unsigned integers, or tuples of up to 8 of them, at most 256 bytes
    encoded. Iteration is in the order of encoded keys. In a state that is kept in a store, entries are read when they
    are first asked for.
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
        key_class = table.key_class
        if key_class is not None and type(key) is not key_class:
            table.check_class(key)
        value = table.entries.get(key, table.missing)
        return table.fetch(key) if value is UNKNOWN else value

    # `get`, `set` and `in` hold the code of `_peek` themselves: every action runs through them (benchmark: execution).

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: object = None) -> object:
        """The value of `key`, or `default` if there is none."""
        if self._next is not None:
            _reroot(self)
        table = self._table
        key_class = table.key_class
        if key_class is not None and type(key) is not key_class:
            table.check_class(key)
        value = table.entries.get(key, table.missing)
        if value is UNKNOWN:
            value = table.fetch(key)
        return default if value is ABSENT else value

    def set(self, key: K, value: V) -> Map[K, V]:
        """A map that has `value` at `key` and is otherwise this one."""
        if self._next is not None:
            _reroot(self)
        table = self._table
        key_class = table.key_class
        if key_class is not None and type(key) is not key_class:
            table.check_class(key)
        entries = table.entries
        old = entries.get(key, table.missing)
        if old is UNKNOWN:
            old = table.fetch(key)
        if old is ABSENT:
            table.size += 1
        new_map: Map[K, V] = Map.__new__(Map)
        new_map._table = table
        new_map._next = None
        serial = table.serial = new_map._serial = table.serial + 1
        self._key = key
        self._old = old
        self._next = new_map
        entries[key] = value
        table.changed.setdefault(key, serial)
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
        key_class = table.key_class
        if key_class is not None and type(key) is not key_class:
            table.check_class(key)
        value = table.entries.get(key, table.missing)
        if value is UNKNOWN:
            value = table.fetch(key)
        return value is not ABSENT

    def __len__(self) -> int:
        if self._next is not None:
            _reroot(self)
        return self._table.size

    def __iter__(self) -> Iterator[K]:
        return self.keys()

    def items(
        self, *, start: object = None, stop: object = None, prefix: object = None, reverse: bool = False
    ) -> Iterator[tuple[K, V]]:
        """Keys and values in the order of encoded keys, as they are at the call, whatever is made of the map meanwhile.

        From `start` on, to before `stop`: keys, or leading components of composite keys. `prefix`: only keys that begin
        with these components, of which the last may be the beginning of a text or bytes; for keys that are text or
        bytes, that beginning itself. `reverse` walks from the last to the first.
        """
        return walk_map(self, start, stop, prefix, reverse=reverse)

    def keys(
        self, *, start: object = None, stop: object = None, prefix: object = None, reverse: bool = False
    ) -> Iterator[K]:
        """The keys of `items`."""
        return (key for key, _ in self.items(start=start, stop=stop, prefix=prefix, reverse=reverse))

    def values(
        self, *, start: object = None, stop: object = None, prefix: object = None, reverse: bool = False
    ) -> Iterator[V]:
        """The values of `items`."""
        return (value for _, value in self.items(start=start, stop=stop, prefix=prefix, reverse=reverse))

    def first(self, *, start: object = None, stop: object = None, prefix: object = None) -> tuple[K, V] | None:
        """The first of `items`; None if there is none."""
        return next(self.items(start=start, stop=stop, prefix=prefix), None)

    def last(self, *, start: object = None, stop: object = None, prefix: object = None) -> tuple[K, V] | None:
        """The last of `items`; None if there is none."""
        return next(self.items(start=start, stop=stop, prefix=prefix, reverse=True), None)

    def __or__(self, other: Mapping[K, V] | Map[K, V]) -> Map[K, V]:
        """A map that has the entries of `other`, and its own at all other keys."""
        if not isinstance(other, (Map, Mapping)):
            return NotImplemented
        new_map = self
        for key, value in other.items():
            new_map = new_map.set(key, value)
        return new_map

    def transform(self, function: Callable[[K, V], W]) -> Map[K, W]:
        """A map of the same keys whose values are `function(key, value)`, for migrations.

        Nothing is computed before it is read, and a walk keeps nothing, so a map of any size may be transformed. The
        function is pure: it may be called once, more often, or never per entry. A state transition function that
        returns the map has faulted: it was not made from the field by `set` and `delete`.
        """
        return bind_map(TransformedSource(self, function, _reroot), len(self))

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
        if key is MANY:
            earlier = cast("dict[K, V | Absent]", before)
            afters = {each: entries[each] for each in earlier}
            owner._old = cast("Any", afters)
            entries.update(earlier)
            table.size += [*afters.values()].count(ABSENT) - [*earlier.values()].count(ABSENT)
        else:
            owner._old = after = entries[key]
            entries[key] = before
            table.size += (before is not ABSENT) - (after is not ABSENT)
        owner._key, owner._next = key, older
        older._next = None


def walk_map(
    version: Map[K, V],
    start: object,
    stop: object,
    prefix: object,
    *,
    reverse: bool,
    on_skip: Callable[[], None] = lambda: None,
) -> Iterator[tuple[K, V]]:
    """`Map.items`, which calls `on_skip` for each deleted key that it passes."""
    if version._next is not None:
        _reroot(version)
    if version._table.entries is STALE:
        STALE.get()  # says why
    bounds = find_bounds(version._table, start, stop, prefix)
    return iterate_range(version, _reroot, *bounds, reverse=reverse, on_skip=on_skip)


def settle_map(version: Map[K, V]) -> None:
    """Make a version the owner of its table, and what newer ones have changed no longer count: they were not taken."""
    if version._next is not None:
        _reroot(version)
    version._table.forget_after(version._serial)


def bind_map(source: MapSource[K, V], size: int) -> Map[K, V]:
    """A map over stored entries, of which there are `size`."""
    bound: Map[K, V] = Map.__new__(Map)
    bound._table = Table({}, size, source)
    bound._next = None
    bound._serial = 0
    return bound


def rebind_map(version: Map[K, V], source: MapSource[K, V], *, keep: bool = True) -> Map[K, V]:
    """The same map once its entries are stored: a fresh line of versions. Older ones must not be read any more.

    With `keep` it begins with the entries that are in memory, unless there are more than `CACHED_ENTRIES`.
    """
    if version._next is not None:
        _reroot(version)
    old_table = version._table
    fresh = bind_map(source, old_table.size)
    if keep and len(old_table.entries) <= CACHED_ENTRIES:
        fresh._table.entries = old_table.entries
    old_table.entries = STALE
    return fresh


def forget_loaded(version: Map[K, V], changed: Iterable[K]) -> None:
    """Let go of the entries in memory that the store can give again: all but those of the changed keys."""
    if version._next is not None:
        _reroot(version)
    table = version._table
    table.entries = {key: table.entries[key] for key in changed if key in table.entries}


def collect_changes(pre: Map[K, V], post: Map[K, V]) -> list[tuple[K, V | Absent, V | Absent]]:
    """What `post` changed against `pre`: (key, old value, new value) for each key that got another object.

    Objects may be equal and yet of other classes (True and 1): the caller checks before it compares. Raises
    `NotDescended` unless `post` was made from `pre` by `set` and `delete`.
    """
    following = pre._next
    key = pre._key if following is post else MANY
    if key is not MANY and post._next is None and post._serial > pre._serial:  # one set or delete, the common case
        old, new = pre._old, post._table.entries[key]
        return [] if new is old else [(key, old, new)]
    if post._next is not None:
        _reroot(post)
    entries = post._table.entries
    if pre._table is not post._table:
        raise NotDescended
    first, node = pre._serial, pre
    following = node._next
    olds: dict[K, V | Absent] = {}
    while following is not None:
        if following._serial < first:
            raise NotDescended
        if node._key is MANY:
            for key, old in cast("dict[K, V | Absent]", node._old).items():
                olds.setdefault(key, old)
        else:
            olds.setdefault(node._key, node._old)
        node = following
        following = node._next
    if node is not post:
        raise NotDescended
    return [(key, old, entries[key]) for key, old in olds.items() if entries[key] is not old]


def is_descended(pre: Map[K, V], post: Map[K, W]) -> bool:
    """Whether both are versions of one map: made by `set` and `delete` and nothing else."""
    return pre._table is cast("Map[K, V]", post)._table


def set_all(version: Map[K, V], items: Mapping[K, V]) -> tuple[Map[K, V], dict[K, V | Absent]]:
    """`set` for many keys of the very key class, as one version; and their old values."""
    if not items:
        return version, {}
    if version._next is not None:
        _reroot(version)
    table = version._table
    entries, missing = table.entries, table.missing
    olds: dict[K, V | Absent] = {key: entries.get(key, missing) for key in items}
    for key, old in olds.items():
        if old is UNKNOWN:
            olds[key] = table.fetch(key)
    table.size += [*olds.values()].count(ABSENT)
    newer: Map[K, V] = Map.__new__(Map)
    newer._table = table
    newer._next = None
    serial = table.serial = newer._serial = table.serial + 1
    version._key = MANY
    version._old = cast("Any", olds)
    version._next = newer
    entries.update(items)
    note_changed = table.changed.setdefault
    for key in items:
        note_changed(key, serial)
    return newer, olds


def get_loaded(version: Map[K, V]) -> list[tuple[K, V | Absent]]:
    """The entries that the map has in memory, for audits."""
    if version._next is not None:
        _reroot(version)
    return list(version._table.entries.items())
