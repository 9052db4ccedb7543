"""`Map` against plain dicts: every version keeps its value for ever, whatever is made or read in whichever order."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from microrollup.declaration.map import (
    ABSENT,
    CACHED_ENTRIES,
    Map,
    NotDescended,
    StoreFault,
    bind_map,
    collect_changes,
    get_loaded,
    rebind_map,
    set_all,
)

KEYS = st.integers(0, 7)
VALUES = st.integers(0, 3)


class DictSource:
    """A store of integers in a dict, counting loads."""

    key_class = int

    def __init__(self, rows: dict[int, int]) -> None:
        self.rows = rows
        self.loads = 0
        self.fails = False

    def load(self, key: int) -> Any:
        self.loads += 1
        if self.fails:
            raise StoreFault("disk")
        if not 0 <= key < 100:
            raise ValueError(key)
        return self.rows.get(key, ABSENT)

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[int, int]]:
        if self.fails:
            raise StoreFault("disk")
        for key, value in sorted(self.rows.items(), reverse=reverse):
            if start <= self.sort_key(key) and (stop is None or self.sort_key(key) < stop):
                yield key, value

    def sort_key(self, key: int) -> bytes:
        return key.to_bytes(32, "big")

    def sort_prefix(self, prefix: object) -> bytes:
        raise ValueError(prefix)


def make_pair(rows: dict[int, int], *, stored: bool) -> tuple[Map[int, int], dict[int, int]]:
    return (bind_map(DictSource(dict(rows)), len(rows)) if stored else Map(rows)), dict(rows)


class Versions(RuleBasedStateMachine):
    """Makes versions from any earlier version and reads any of them; each has a dict of its own as a model."""

    versions: Bundle[tuple[Map[int, int], dict[int, int], int]] = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.known: list[tuple[Map[int, int], dict[int, int]]] = []

    @rule(target=versions, rows=st.dictionaries(KEYS, VALUES, max_size=6), stored=st.booleans())
    def begin(self, rows: dict[int, int], stored: bool) -> Any:
        return self.add(*make_pair(rows, stored=stored))

    def add(self, version: Map[int, int], model: dict[int, int]) -> tuple[Map[int, int], dict[int, int], int]:
        self.known.append((version, model))
        return version, model, len(self.known)

    @rule(target=versions, base=versions, key=KEYS, value=VALUES)
    def set(self, base: Any, key: int, value: int) -> Any:
        version, model, _ = base
        return self.add(version.set(key, value), model | {key: value})

    @rule(target=versions, base=versions, key=KEYS)
    def delete(self, base: Any, key: int) -> Any:
        version, model, _ = base
        return self.add(version.delete(key), {k: v for k, v in model.items() if k != key})

    @rule(base=versions, key=KEYS)
    def read(self, base: Any, key: int) -> None:
        version, model, _ = base
        assert model.get(key) == version.get(key)
        assert model.get(key, "default") == version.get(key, "default")
        assert (key in model) is (key in version)
        if key in model:
            assert model[key] == version[key]
        else:
            with pytest.raises(KeyError):
                version[key]

    @rule(base=versions)
    def walk(self, base: Any) -> None:
        version, model, _ = base
        assert sorted(model.items()) == list(version.items())
        assert sorted(model) == list(version)
        assert len(model) == len(version)

    @rule(base=versions, other=versions, start=KEYS | st.none(), stop=KEYS | st.none(), reverse=st.booleans())
    def walk_while_others_change(
        self, base: Any, other: Any, start: int | None, stop: int | None, reverse: bool
    ) -> None:
        version, model, _ = base
        within = [
            (key, value)
            for key, value in sorted(model.items(), reverse=reverse)
            if (start is None or key >= start) and (stop is None or key < stop)
        ]
        walk = version.items(start=start, stop=stop, reverse=reverse)
        walked = []
        for number, item in enumerate(walk):
            walked.append(item)
            other[0].set(number, number)
            version.set(7 - number, 9).delete(number)
        assert within == walked
        first, last = version.first(start=start, stop=stop), version.last(start=start, stop=stop)
        ends = (within[-1:], within[:1]) if reverse else (within[:1], within[-1:])
        assert ends == ([first] if first else [], [last] if last else [])
        assert [key for key, _ in within] == list(version.keys(start=start, stop=stop, reverse=reverse))
        assert [value for _, value in within] == list(version.values(start=start, stop=stop, reverse=reverse))

    @rule(target=versions, base=versions, other=versions)
    def merge(self, base: Any, other: Any) -> Any:
        return self.add(base[0] | other[0], base[1] | other[1])

    @rule(one=versions, other=versions)
    def compare(self, one: Any, other: Any) -> None:
        assert (one[1] == other[1]) is (one[0] == other[0])

    @rule(base=versions, steps=st.lists(st.tuples(KEYS, VALUES | st.none()), max_size=5), noise=versions)
    def collect(self, base: Any, steps: list[tuple[int, int | None]], noise: Any) -> None:
        version, model, _ = base
        post, after = version, dict(model)
        for key, value in steps:
            post = post.delete(key) if value is None else post.set(key, value)
            after.pop(key, None) if value is None else after.__setitem__(key, value)
        noise[0].get(0)
        changes = {key: (before, now) for key, before, now in collect_changes(version, post) if before != now}
        expected = {
            key: (model.get(key, ABSENT), after.get(key, ABSENT))
            for key in model | after
            if model.get(key, ABSENT) != after.get(key, ABSENT)
        }
        assert expected == changes

    @rule(target=versions, base=versions, items=st.dictionaries(KEYS, VALUES, max_size=5), noise=versions)
    def update(self, base: Any, items: dict[int, int], noise: Any) -> Any:
        version, model, _ = base
        post, olds = set_all(version, items)
        noise[0].get(0)
        assert {key: model.get(key, ABSENT) for key in items} == olds
        changed = {key: value for key, value in items.items() if model.get(key) != value}
        post_changes = [(key, model.get(key, ABSENT), value) for key, value in changed.items()]
        assert post_changes == [each for each in collect_changes(version, post) if each[1] != each[2]]
        return self.add(post, {**model, **items})

    @invariant()
    def nothing_has_changed(self) -> None:
        for version, model in self.known[-4:]:
            assert len(model) == len(version)
            for key in range(8):
                assert model.get(key) == version.get(key)


Versions.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestVersions = Versions.TestCase


@given(st.lists(st.binary(max_size=3)), st.lists(st.text(max_size=3)), st.lists(st.integers(0, 2**70)))
@settings(max_examples=50)
def test_order(raw: list[bytes], texts: list[str], numbers: list[int]) -> None:
    """Iteration is in the order of encoded keys: bytes, UTF-8, and 32 bytes big-endian."""
    for keys, encode in (
        (raw, bytes),
        (texts, str.encode),
        (numbers, lambda number: number.to_bytes(32, "big")),
    ):
        version: Map[Any, int] = Map()
        for key in keys:
            version = version.set(key, 1)
        assert sorted(set(keys), key=encode) == list(version)  # type: ignore[arg-type]


# --- what descends from what -----------------------------------------------------------------------------------------


def test_not_descended() -> None:
    """A version is a descendant if and only if `set` and `delete` lead to it from the pre-state."""
    root, _ = make_pair({1: 1}, stored=False)
    one = root.set(2, 2)
    other = root.set(3, 3)
    grandchild = one.set(4, 4)
    for pre, post in ((one, root), (one, other), (other, grandchild), (grandchild, root), (root, Map({1: 1}))):
        with pytest.raises(NotDescended):
            collect_changes(pre, post)
    assert [(2, ABSENT, 2), (4, ABSENT, 4)] == sorted(collect_changes(root, grandchild))
    assert [(3, ABSENT, 3)] == collect_changes(root, other)
    assert [] == collect_changes(root, root)


def test_equal_objects_of_other_classes_are_changes() -> None:
    """True is not 1 here: whoever collects changes must see it, and check it."""
    root, _ = make_pair({1: 1}, stored=False)
    ((key, before, after),) = collect_changes(root, root.set(1, True))
    assert (1, 1, True) == (key, before, after)
    assert (int, bool) == (type(before), type(after))
    assert [(1, 1, True)] == collect_changes(root, root.set(1, 5).set(1, True))


# --- over a store ----------------------------------------------------------------------------------------------------


def test_lazy() -> None:
    """Making a map over a store loads nothing; each key is loaded once, absent ones too."""
    source = DictSource({1: 10, 2: 20})
    version = bind_map(source, 2)
    assert (0, 2) == (source.loads, len(version))
    for _ in range(3):
        assert (10, None) == (version.get(1), version.get(5))
    assert 2 == source.loads
    later = version.set(2, 21)
    assert (3, 21, 20) == (source.loads, later[2], version[2])
    assert 3 == source.loads


@pytest.mark.parametrize("loaded", [False, True], ids=["cold", "warm"])
def test_keys_of_another_class(loaded: bool) -> None:
    """A key that equals a known one but is of another class is refused, whether or not the entry is in memory."""
    version = bind_map(DictSource({1: 10}), 1)
    if loaded:
        assert 10 == version[1]
    for key in (True, 1.0, 1 + 0j):
        for use in (
            lambda: version.get(key),  # noqa: B023
            lambda: version[key],  # noqa: B023
            lambda: key in version,  # noqa: B023
            lambda: version.set(key, 5),  # noqa: B023
            lambda: version.delete(key),  # noqa: B023
        ):
            with pytest.raises(TypeError, match="exactly int"):
                use()
    assert [(1, 10)] == list(version.items())


def test_faults_of_the_store() -> None:
    """A store that fails raises a fault, leaves the map as it was, and is asked again."""
    source = DictSource({1: 10})
    version = bind_map(source, 1)
    source.fails = True
    for use in (lambda: version.get(1), lambda: version.set(1, 2), lambda: version.delete(1), lambda: list(version)):
        with pytest.raises(StoreFault):
            use()
    source.fails = False
    assert (1, 10) == (len(version), version[1])
    with pytest.raises(ValueError, match="500"):
        version.set(500, 1)
    assert [(1, 10)] == list(version.items())


def test_rebind() -> None:
    """Once a block is stored its maps go on over the store, nothing loaded again; older versions are dead."""
    source = DictSource({1: 10, 2: 20})
    old = bind_map(source, 2)
    new = old.set(1, 11).delete(2).set(3, 30)
    between = old.set(9, 9)
    source.rows = {1: 11, 3: 30}
    loads = source.loads
    fresh = rebind_map(new, source)
    assert [(1, 11), (3, 30)] == list(fresh.items())
    assert (2, 11, None, 30) == (len(fresh), fresh.get(1), fresh.get(2), fresh.get(3))
    assert loads == source.loads
    for dead in (old, new, between):
        for use in (
            lambda: dead.get(1),  # noqa: B023
            lambda: dead[1],  # noqa: B023
            lambda: 1 in dead,  # noqa: B023
            lambda: dead.set(1, 1),  # noqa: B023
            lambda: dead.delete(1),  # noqa: B023
            lambda: list(dead),  # noqa: B023
        ):
            with pytest.raises(RuntimeError, match="earlier block"):
                use()
        with pytest.raises((NotDescended, RuntimeError)):
            collect_changes(fresh, dead)


def test_rebind_an_older_version() -> None:
    """The version that was stored may not be the newest one: what counts is what it holds."""
    source = DictSource({1: 10})
    kept = bind_map(source, 1).set(2, 20)
    kept.set(2, 99).set(3, 30)
    source.rows = {1: 10, 2: 20}
    fresh = rebind_map(kept, source)
    assert ([(1, 10), (2, 20)], 2, 20, None) == (list(fresh.items()), len(fresh), fresh[2], fresh.get(3))


def test_memory_is_bounded() -> None:
    """A table with more entries than may stay in memory is emptied when its map is bound again."""
    source = DictSource({})
    version: Map[int, int] = bind_map(source, 0)
    for key in range(CACHED_ENTRIES + 1):
        version._table.entries[key] = 1
    source.rows = dict.fromkeys(range(100), 1)
    assert [] == get_loaded(rebind_map(version, source))


def test_old_versions_are_freed() -> None:
    """A version that nobody holds is freed although newer ones live, and a long history does not pile up."""
    version: Map[int, int] = Map()
    for number in range(2_000):
        version = version.set(number % 10, number)
    gc.collect()
    alive = sum(1 for thing in gc.get_objects() if type(thing) is Map and thing._table is version._table)
    assert 1 == alive


def test_long_chains() -> None:
    """A version from 50,000 sets ago is read without recursion, and the newest again after it."""
    first: Map[int, int] = Map({0: 0})
    last = first
    for number in range(50_000):
        last = last.set(number % 100, number)
    assert (0, 1, 49_900, 100) == (first[0], len(first), last[0], len(last))
    assert [(0, 0)] == list(first.items())


def test_representation() -> None:
    """A map says its size, is no key itself, and is equal to maps only."""
    version = Map({1: 1})
    assert "<Map of 1 entries>" == repr(version)
    with pytest.raises(TypeError):
        hash(version)
    assert version != {1: 1}
    assert version == Map({1: 1})
    assert version != Map({1: 2})
