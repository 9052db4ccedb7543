"""What all versions of a `Map` share: the entries known in memory, the source of the others, and the order of keys."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, cast, final

__all__ = ["ABSENT", "STALE", "UNKNOWN", "Absent", "MapSource", "StoreFault", "Table", "compute_sort_key"]

INSERTED_KEYS: Final = 16
"""Up to so many new keys are put into their places one by one; more are sorted with the others."""

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


@final
class Absent:
    """The value of a key that is not there; also keeps the store from being asked twice."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class StoreFault(BaseException):
    """The store failed while an STF was reading. Not an `Exception`: a disk fault must never become an outcome."""


class _StaleEntries(dict[Any, Any]):
    """Stands for the table of a map from an earlier block, whose entries the store has moved on from."""

    def get(self, *_: object) -> NoReturn:
        raise RuntimeError("this version of the map is from an earlier block; keep keys, not maps")

    __getitem__ = get


STALE: Final = _StaleEntries()
UNKNOWN: Final = Absent()
"""The value of a key that a table does not hold in memory."""


class MapSource(Protocol[K, V_co]):
    """Where a table finds entries that it does not hold."""

    def load(self, key: K) -> V_co | Absent:
        """The stored value of a key, or `ABSENT`. Raises `ValueOutOfBounds` if the key is not of the key type."""
        ...

    @property
    def key_class(self) -> type | tuple[type, ...] | None:
        """The very class of all keys; of composite keys, the very classes of their components; None: any."""
        ...

    def iterate(
        self, start: bytes = b"", stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[K, V_co]]:
        """The stored entries with encoded keys from `start` to before `stop`, in the order of encoded keys."""
        ...

    def sort_key(self, key: K) -> bytes:
        """The encoded key, by which maps are ordered."""
        ...

    def sort_prefix(self, prefix: Any) -> bytes:
        """What all encoded keys with a prefix begin with. Raises `ValueOutOfBounds` if it is not one."""
        ...


@final
class Table(Generic[K, V]):
    """What all versions of one map share: the entries known in memory, their source, and how many there are."""

    __slots__ = (
        "_by_encoded",
        "_components",
        "_ordered",
        "changed",
        "entries",
        "key_class",
        "key_classes",
        "missing",
        "serial",
        "size",
        "source",
    )

    def __init__(self, entries: dict[K, V | Absent], size: int, source: MapSource[K, V] | None) -> None:
        self.entries = entries
        self.size = size
        self.source = source
        self.serial = 0
        classes = self.key_classes = None if source is None else source.key_class
        self.key_class = None if classes is None else classes if isinstance(classes, type) else Absent
        """What a key is exactly, else `check_class` is asked; None: any class. A dict takes True for 1, so what is in
        memory would decide what such a key finds."""
        self.missing: Final = ABSENT if source is None else UNKNOWN
        """The value of a key that `entries` lacks; `UNKNOWN` is to be asked of `fetch`."""
        self._components = classes if isinstance(classes, tuple) else None
        self.changed: dict[K, int] = dict.fromkeys(entries, 0) if source is None else {}
        """Key that may differ from the source -> serial of the version that was the first to change it; ascending."""
        self._ordered: list[bytes] = []
        self._by_encoded: dict[bytes, K] = {}
        """Of the first keys in `changed`: those that are in order already."""

    def fetch(self, key: K) -> V | Absent:
        """Load an entry that `entries` lacks, and keep it."""
        if self.source is None:
            return ABSENT
        value = self.source.load(key)
        self.entries[key] = value
        return value

    def check_class(self, key: K) -> None:
        """Raises `TypeError` for a key of another class than the source's keys."""
        parts: object = key
        if self._components is not None:
            if type(parts) is not tuple or tuple([type(part) for part in parts]) != self._components:
                names = ", ".join([component.__name__ for component in self._components])
                raise TypeError(f"a key of this map is exactly a tuple of {names}, not {_show_class(key)}")
        elif self.key_class is not None and type(key) is not self.key_class:
            raise TypeError(f"a key of this map is exactly {self.key_class.__name__}, not {_show_class(key)}")

    def encode(self, key: K) -> bytes:
        """The encoded key, by which the map is ordered."""
        return compute_sort_key(key) if self.source is None else self.source.sort_key(key)

    def encode_bound(self, bound: object) -> bytes:
        """Where a range begins or ends: a key, or leading components of a composite one."""
        if isinstance(bound, tuple):
            return self.encode_prefix(bound)
        return self.encode(cast("K", bound))

    def encode_prefix(self, prefix: object) -> bytes:
        """What all encoded keys with a prefix begin with."""
        return compute_sort_key(prefix) if self.source is None else self.source.sort_prefix(prefix)

    def order_changed(self) -> tuple[list[bytes], dict[bytes, K]]:
        """All keys that may differ from the source, encoded: in order, and each with its key."""
        ordered, by_encoded = self._ordered, self._by_encoded
        if len(self.changed) > len(by_encoded):
            fresh = {self.encode(key): key for key in islice(self.changed, len(by_encoded), None)}
            by_encoded.update(fresh)
            if len(fresh) <= INSERTED_KEYS:
                for encoded in fresh:
                    insort(ordered, encoded)
            else:
                ordered.extend(fresh)
                ordered.sort()
        return ordered, by_encoded

    def forget_after(self, serial: int) -> None:
        """Only the versions up to this one count: keys that later ones were the first to change are as in the source.

        The version of that serial owns the table.
        """
        changed = self.changed
        while changed:
            key, first = changed.popitem()
            if first <= serial:
                changed[key] = first
                break
        if len(changed) < len(self._by_encoded):
            self._by_encoded = {self.encode(key): key for key in changed}
            self._ordered = sorted(self._by_encoded)


def _show_class(key: object) -> str:
    return f"({', '.join([type(part).__name__ for part in key])})" if type(key) is tuple else type(key).__name__


def compute_sort_key(key: object) -> bytes:
    """The encoding of a key whose type nobody declared, by its own class."""
    if isinstance(key, tuple):
        return b"".join([compute_sort_key(part) for part in key])
    if isinstance(key, int):
        return key.to_bytes(32, "big")
    return key.encode() if isinstance(key, str) else cast("bytes", key)
