"""Indexes: tables that an app derives from closed blocks, for its queries. Nothing commits to them.

    def by_payer(block: IndexBlock[Subs], rows: Index[tuple[Address, Uint64], Uint64]) -> None:
        for change in block.changes(block.state.plans):
            if change.old is not None:
                rows.delete((change.old.payer, change.key))
            if change.new is not None:
                rows.put((change.new.payer, change.key), change.new.due)

    def plans_of(view: View[Subs], payer: Address) -> list[Uint64]:
        return [number for _, number in view.index(by_payer).keys(prefix=(payer,))]

An index is a function of the module that `reads` names, or of one that this module imports it from. It runs once for
each closed block, in order, and what it has put and deleted until then is what it reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Protocol,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import msgspec

from microrollup.chain.receipt import ReceiptStatus
from microrollup.codec.annotations import show_annotation
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action, Event
from microrollup.declaration.map import Map
from microrollup.declaration.modules import Package
from microrollup.declaration.state import State, StateField, describe_map
from microrollup.errors import DeclarationError, LimitExceeded

if TYPE_CHECKING:
    from microrollup.chain.block import Header

__all__ = [
    "MAX_INDEX_CHANGES",
    "BlockReceipt",
    "IndexBlockSource",
    "Change",
    "Index",
    "IndexBlock",
    "IndexFunction",
    "IndexType",
    "IndexView",
    "QueueEntry",
    "describe_index",
    "is_index",
]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
_S_co = TypeVar("_S_co", bound=State, covariant=True)

MAX_INDEX_CHANGES: Final = 100_000
"""Calls of `put` and `delete` by one index for one block."""

MAX_NAME: Final = 64

PAGE_ENTRIES: Final = 50
"""Entries of a page, unless it is told otherwise."""


class Change(msgspec.Struct, Generic[K, V], frozen=True):
    """An entry of a map before a block and after it; None where there is none."""

    key: K
    old: V | None
    new: V | None


class QueueEntry(msgspec.Struct, frozen=True):
    """What lay in the inbox's queue."""

    index: int
    """Its place there, counted from zero."""
    payload: bytes
    """Its first byte says what it is: 0 an L1 account's own action, 1 a signed one, 2 an envelope."""


def _queue_nothing(_: int) -> QueueEntry | None:
    return None


class BlockReceipt(msgspec.Struct, frozen=True):
    """What became of an entry of a block."""

    seq: int
    action_hash: bytes
    """32 bytes."""
    status: ReceiptStatus
    reason: str
    """Why it was rejected; empty otherwise."""
    events: tuple[Event, ...]
    """Of the app's own classes."""
    read: Callable[[int], tuple[bytes, Action | None]]
    """From `seq` to sender and action; a signature has to be recovered, so it is done when it is asked for."""
    read_queued: Callable[[int], QueueEntry | None] = _queue_nothing
    """From `seq` to what lay in the inbox's queue."""

    @property
    def sender(self) -> bytes:
        """20 bytes: who signed, or who forced it; zero for the block's own entry."""
        return self.read(self.seq)[0]

    @property
    def action(self) -> Action | None:
        """None for the block's own entry, and for a forced payload without one."""
        return self.read(self.seq)[1]

    @property
    def queued(self) -> QueueEntry | None:
        """As it lay in the inbox's queue; None for what did not come through it, and in a test's run."""
        return self.read_queued(self.seq)


class IndexBlockSource(Protocol):
    """Where an `IndexBlock` has its contents from."""

    height: int
    timestamp: int

    def read_header(self) -> Header:
        """The words of the block's header."""
        ...

    def read_first_builder(self) -> bytes:
        """The 20-byte address that the rollup's genesis names as its builder."""
        ...

    def read_state(self) -> Any:
        """The app's state after the block."""
        ...

    def read_receipts(self) -> tuple[BlockReceipt, ...]:
        """All receipts, in order."""
        ...

    def list_changes(self, entries: Map[Any, Any]) -> list[Change[Any, Any]]:
        """What the block changed in a map of the state. Raises `TypeError` for another map."""
        ...


class IndexBlock(Generic[_S_co]):
    """A closed block as an index sees it.

    The first block that it gets is the genesis, with all entries as new and no receipts. In a store whose history does
    not go back so far, as after `microrollup restore`, it is the oldest height that can be read. This first block comes
    in parts: the function is called once for each few thousand entries.
    """

    __slots__ = ("_read_part", "_receipts", "_source", "_state", "height", "timestamp")

    def __init__(self, source: IndexBlockSource, read_part: Callable[[Any], _S_co]) -> None:
        self.height = source.height
        self.timestamp = source.timestamp
        """In seconds."""
        self._source = source
        self._read_part = read_part
        self._state: _S_co | None = None
        self._receipts: tuple[BlockReceipt, ...] | None = None

    @property
    def header(self) -> Header:
        """The words of the block's header. In a test's run, which has no store, its roots and hashes are zero."""
        return self._source.read_header()

    @property
    def first_builder(self) -> bytes:
        """The 20-byte address that the rollup's genesis names as its builder. Zero in a test's run."""
        return self._source.read_first_builder()

    @property
    def state(self) -> _S_co:
        """The state after the block."""
        if self._state is None:
            self._state = self._read_part(self._source.read_state())
        return self._state

    @property
    def receipts(self) -> tuple[BlockReceipt, ...]:
        """What became of the block's entries, in order."""
        if self._receipts is None:
            self._receipts = self._source.read_receipts()
        return self._receipts

    def changes(self, entries: Map[K, V]) -> list[Change[K, V]]:
        """What the block changed in a map, as in `block.changes(block.state.plans)`, by key in encoded order.

        Raises `TypeError` for a map that `block.state` does not hold.
        """
        return self._source.list_changes(entries)


class IndexView(Generic[K, V]):
    """The entries of an index after a block, in the order of encoded keys, as those of a `Map`."""

    __slots__ = ("version",)

    def __init__(self, version: Map[K, V]) -> None:
        self.version = version
        """The entries."""

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: object = None) -> object:
        """The value of `key`, or `default` if there is none."""
        return self.version.get(key, default)

    def __getitem__(self, key: K) -> V:
        return self.version[key]

    def __contains__(self, key: K) -> bool:
        return key in self.version

    def __len__(self) -> int:
        return len(self.version)

    def __iter__(self) -> Iterator[K]:
        return self.keys()

    def items(
        self, *, start: object = None, stop: object = None, prefix: object = None, reverse: bool = False
    ) -> Iterator[tuple[K, V]]:
        """Keys and values of a range; the bounds are those of `Map.items`."""
        return self.version.items(start=start, stop=stop, prefix=prefix, reverse=reverse)

    def keys(
        self, *, start: object = None, stop: object = None, prefix: object = None, reverse: bool = False
    ) -> Iterator[K]:
        """The keys of `items`."""
        return self.version.keys(start=start, stop=stop, prefix=prefix, reverse=reverse)

    def values(
        self, *, start: object = None, stop: object = None, prefix: object = None, reverse: bool = False
    ) -> Iterator[V]:
        """The values of `items`."""
        return self.version.values(start=start, stop=stop, prefix=prefix, reverse=reverse)

    def first(self, *, start: object = None, stop: object = None, prefix: object = None) -> tuple[K, V] | None:
        """The first of `items`; None if there is none."""
        return self.version.first(start=start, stop=stop, prefix=prefix)

    def last(self, *, start: object = None, stop: object = None, prefix: object = None) -> tuple[K, V] | None:
        """The last of `items`; None if there is none."""
        return self.version.last(start=start, stop=stop, prefix=prefix)

    def page(
        self, *, after: K | None = None, limit: int = PAGE_ENTRIES, prefix: object = None, reverse: bool = False
    ) -> tuple[list[tuple[K, V]], K | None]:
        """Up to `limit` entries after a key, and the key after which the next page begins; None if this is the last.

        Costs what its own entries cost, however many there are. Raises `ValueError` for a limit below 1.
        """
        return take_page(self.items, after, limit, prefix, reverse=reverse)


def take_page(
    items: Callable[..., Iterator[tuple[K, V]]], after: K | None, limit: int, prefix: object, *, reverse: bool
) -> tuple[list[tuple[K, V]], K | None]:
    """`IndexView.page` over a function like `IndexView.items`."""
    if limit < 1:
        raise ValueError("a page has 1 or more entries")
    bounds = {"stop" if reverse else "start": after} if after is not None else {}
    entries: list[tuple[K, V]] = []
    for key, value in items(prefix=prefix, reverse=reverse, **bounds):
        if key == after:
            continue
        if len(entries) == limit:
            return entries, entries[-1][0]
        entries.append((key, value))
    return entries, None


class Index(IndexView[K, V]):
    """The entries of an index while its function runs: it reads them, puts and deletes."""

    __slots__ = ("_field", "left")

    def __init__(self, version: Map[K, V], field: StateField) -> None:
        super().__init__(version)
        self._field = field
        self.left = MAX_INDEX_CHANGES
        """Calls of `put` and `delete` that remain; negative once there were too many."""

    def put(self, key: K, value: V) -> None:
        """Let the index have `value` at `key`.

        Raises `ValueOutOfBounds` for a key or a value of another type, `LimitExceeded` beyond `MAX_INDEX_CHANGES`.
        """
        self.check(key, value)
        self.version = self.version.set(key, value)

    def delete(self, key: K) -> None:
        """Let the index have nothing at `key`. Raises as `put` does."""
        self.check(key)
        self.version = self.version.delete(key)

    def check(self, key: object, *values: object) -> None:
        """Count a call, and check a key and the values that come with it. Raises as `put` does."""
        self.left -= 1
        if self.left < 0:
            raise LimitExceeded(f"an index puts and deletes at most {MAX_INDEX_CHANGES} times per block")
        self._field.encode_key(key)
        for value in values:
            self._field.check(value)


IndexFunction: TypeAlias = Callable[[IndexBlock[Any], Index[K, V]], None]
"""What fills an index, and stands for it in `view.index(...)`."""


class IndexType(msgspec.Struct, frozen=True):
    """An index, compiled."""

    function: IndexFunction[Any, Any]
    name: str
    """The function's."""
    state: type[State]
    """The class in `IndexBlock[...]`: the app's state, or a part of it."""
    field: StateField
    """How its keys and values are checked and stored: as those of a metadata map."""
    id: bytes
    """32 bytes: keccak256 of the name, the types, and the syntax trees of the module and of those that it imports."""
    summary: str


def is_index(function: Callable[..., Any]) -> bool:
    """Whether a function's first parameter is annotated `IndexBlock[...]`."""
    names = list(inspect.signature(function).parameters)
    annotation = getattr(function, "__annotations__", {}).get(names[0]) if names else None
    if isinstance(annotation, str):
        return "IndexBlock[" in annotation
    return get_origin(annotation) is IndexBlock


def describe_index(function: FunctionType, package: Package) -> IndexType:
    """The index that a function's annotations declare. Raises `DeclarationError` saying what cannot be filled."""
    name, hints = function.__qualname__, _read_hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    if len(function.__name__) > MAX_NAME or not function.__name__.isascii():
        raise DeclarationError(name, f"an index has a name of at most {MAX_NAME} ASCII characters")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise DeclarationError(name, "is async or yields; an index puts and deletes, and returns nothing")
    plain = len(parameters) == 2 and all(each.default is each.empty for each in parameters)
    plain = plain and get_origin(hints.get(parameters[0].name)) is IndexBlock
    rows = hints.get(parameters[1].name) if plain else None
    if not plain or get_origin(rows) is not Index:
        found = show_annotation(rows) if rows is not None else "nothing"
        raise DeclarationError(
            name,
            f"an index takes a block and its rows, as in `(block: IndexBlock[...], rows: Index[K, V])`, not {found}",
        )
    (state,) = get_args(hints[parameters[0].name])
    field = describe_map(name, function.__name__, Map[get_args(rows)])  # type: ignore[misc]
    trees = package.hash_modules([function.__module__])
    content = [function.__name__, field.schema, [[module, tree] for module, (_, tree) in sorted(trees.items())]]
    summary = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    return IndexType(function, function.__name__, state, field, keccak256(encode_canonical(content)), summary)


def _read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:  # annotations can fail with whatever their expressions raise
        name = getattr(function, "__qualname__", repr(function))
        raise DeclarationError(name, f"its annotations cannot be read: {error}") from error
