"""The metered form of an app, with what the framework gives to STFs: maps, the context, hashes.

It executes what nobody can refuse, as forced actions: what takes too long there has faulted, on every machine alike.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from weakref import WeakKeyDictionary

import msgspec

from microrollup.chain.block_entry import BlockBegin
from microrollup.crypto import checks
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.context import Context, require
from microrollup.declaration.map import Map, settle_map, walk_map
from microrollup.declaration.map_transform import TransformedSource
from microrollup.declaration.signature import Stf, lift_hook
from microrollup.declaration.state import State, guard_leaf
from microrollup.declaration.upgrade import Migration
from microrollup.errors import DeclarationError
from microrollup.guard.metered import MeteredCode
from microrollup.guard.steps import MAX_DEPTH
from microrollup.guard.walking import TEXTS

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["Metered", "MeteredMaps", "add_framework", "collect_trees", "get_metered"]

ITERATION_STEPS: Final = 5_000
"""What beginning to iterate over a map costs: the entries in memory are sorted."""

CHECK_STEPS: Final[dict[Callable[..., Any], int]] = {
    checks.sha256: 1,
    checks.recover_signer: 500,
    checks.verify_ed25519: 500,
    checks.verify_p256: 1_000,
    checks.verify_rsa_sha256: 5_000,
}
"""What the checks of the kernel cost, beside a step for each 32 bytes that they are given."""
TRANSFORM_STEPS: Final = 200
"""What a migration may take beside the budget of an entry, per entry of each map that it transforms."""

_made: WeakKeyDictionary[MicroRollup, Metered | None] = WeakKeyDictionary()


class Metered:
    """The metered forms of a rollup's STFs and leaf functions."""

    def __init__(self, rollup: MicroRollup) -> None:
        self.code = MeteredCode()
        self._transformable = add_framework(self.code).transformable
        self.code.build(collect_trees(rollup))
        self.meter = self.code.meter
        self.stfs: dict[type[Any], Stf] = {
            action: self.code.find(stf) or stf for action, stf in rollup.stf_by_action.items()
        }
        if rollup.on_block is not None:
            self.stfs[BlockBegin] = lift_hook(self.code.find(rollup.on_block) or rollup.on_block)
        self.leaves: dict[int, Callable[[Any], bytes]] = {
            field.position: guard_leaf(field.name, self.code.find(field.leaf) or field.leaf)
            for field in rollup.state_type.fields
            if field.leaf is not None
        }
        before = rollup.previous
        self.migrate: Migration = _refuse if before is None else self.code.find(before.migrate) or before.migrate
        self._maps = [field.read for field in rollup.state_type.fields if field.is_map]

    @contextmanager
    def migrating(self, maps: Sequence[Map[Any, Any]]) -> Iterator[None]:
        """Count the steps of a migration: of its old state's maps, each that is transformed adds to the budget,
        once.
        """
        with self.meter:
            self._transformable |= {id(each._table): len(each) for each in maps}
            try:
                yield
            finally:
                self._transformable.clear()

    def settle(self, state: State) -> None:
        """Let each map own its table: what an entry that was not taken has left there is no entry's to pay for."""
        for read in self._maps:
            settle_map(read(state))


def collect_trees(rollup: MicroRollup) -> dict[str, ast.Module]:
    """The trees of a version's modules, and of those before it: a migration calls functions of both.

    Raises `DeclarationError` for code without an identity.
    """
    return {name: tree for version in rollup.versions for name, tree in version.trees.items()}


def get_metered(rollup: MicroRollup) -> Metered | None:
    """The metered form, made when it is first asked for; None for code without an identity, which no ledger executes.

    That is code of functions inside functions, or of modules that import what has no identity, as tests declare it.
    """
    if rollup not in _made:
        try:
            _ = rollup.manifest
            _made[rollup] = Metered(rollup)
        except DeclarationError:
            _made[rollup] = None
    return _made[rollup]


def _refuse(*_: object) -> NoReturn:
    raise DeclarationError("migrate", "a first version has no migration")


def add_framework(code: MeteredCode) -> MeteredMaps:
    """Add what the framework gives to an app's functions, before `build`; the operations of maps among it."""
    maps = MeteredMaps(code)
    code.methods |= {
        (Map, "get"): maps.get, (Map, "set"): maps.set, (Map, "delete"): maps.delete, (Map, "items"): maps.items,
        (Map, "keys"): maps.keys, (Map, "values"): maps.values, (Map, "first"): maps.first, (Map, "last"): maps.last,
        (Map, "transform"): maps.transform, (Context, "emit"): maps.emit,
    }  # fmt: skip
    code.kinds |= {(Map, "$in"): maps.contains, (Map, "$item"): maps.get_item, (Map, "$or"): maps.merge}
    code.walker.iterators[Map] = maps.iterate
    code.walker.comparisons[Map] = maps.compare
    plain: tuple[Any, ...] = (require, msgspec.structs.replace)
    code.functions |= {each: each for each in plain}
    code.functions |= {len: maps.measure, Map: maps.make, keccak256: maps.hash}
    code.functions |= {function: _charge_check(code, function, steps) for function, steps in CHECK_STEPS.items()}
    return maps


def _charge_check(code: MeteredCode, function: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """A check of the kernel's, which costs its steps and what its arguments hold."""
    charge = code.meter.charge

    def check(*arguments: Any, **named: Any) -> Any:
        given = (*arguments, *named.values())
        charge(steps + sum([len(each) // 32 for each in given if type(each) in TEXTS]))
        return function(*arguments, **named)

    return check


class MeteredMaps:
    """The operations of maps and context. Each costs a step, and what its key and its value hold."""

    def __init__(self, code: MeteredCode) -> None:
        self._meter = code.meter
        self._walker = code.walker
        self.transformable: dict[int, int] = {}
        """What transforming a map adds to the budget, in entries, by the identity of its table."""

    def _touch(self, version: Map[Any, Any], key: Any) -> None:
        meter = self._meter
        meter.left -= 1
        if meter.left < 0:
            meter.stop("steps")
        if type(key) in TEXTS:
            if len(key) >= 64:
                meter.charge(len(key) // 64)
        elif type(key) is not int:
            self._walker.charge_hash(key)
        self._turn(version)

    def _turn(self, version: Map[Any, Any]) -> None:
        """A step for each difference that is turned round to read this version."""
        following = version._next
        while following is not None:
            self._meter.charge()
            following = following._next

    def _read(self, value: Any) -> None:
        """What a value holds, one level deep."""
        parts: tuple[Any, ...] = (value,)
        if isinstance(value, msgspec.Struct):
            parts = msgspec.structs.astuple(value)
        for part in parts:
            kind = type(part)
            if (kind in TEXTS or kind is tuple) and len(part) >= 64:
                self._meter.charge(len(part) // (64 if kind in TEXTS else 8))

    def get(self, version: Map[Any, Any], key: Any, default: Any = None) -> Any:
        self._touch(version, key)
        value = version.get(key, default)
        self._read(value)
        return value

    def get_item(self, version: Map[Any, Any], key: Any) -> Any:
        self._touch(version, key)
        value = version[key]
        self._read(value)
        return value

    def contains(self, version: Map[Any, Any], key: Any) -> bool:
        self._touch(version, key)
        return key in version

    def set(self, version: Map[Any, Any], key: Any, value: Any) -> Map[Any, Any]:
        self._touch(version, key)
        self._read(value)
        return version.set(key, value)

    def delete(self, version: Map[Any, Any], key: Any) -> Map[Any, Any]:
        self._touch(version, key)
        return version.delete(key)

    def measure(self, value: Any) -> int:
        if type(value) is Map:
            self._turn(value)
        return len(value)

    def items(
        self, version: Map[Any, Any], *, start: Any = None, stop: Any = None, prefix: Any = None, reverse: Any = False
    ) -> Iterator[tuple[Any, Any]]:
        self._meter.charge(ITERATION_STEPS)
        for bound in (start, stop, prefix):
            self._read(bound)
        self._turn(version)
        charge = self._meter.charge
        return self._walk(walk_map(version, start, stop, prefix, reverse=reverse is True, on_skip=charge))

    def _walk(self, items: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self._meter.charge()
            self._read(item[1])
            yield item

    def keys(self, version: Map[Any, Any], **bounds: Any) -> Iterator[Any]:
        return (key for key, _ in self.items(version, **bounds))

    def values(self, version: Map[Any, Any], **bounds: Any) -> Iterator[Any]:
        return (value for _, value in self.items(version, **bounds))

    def first(self, version: Map[Any, Any], **bounds: Any) -> Any:
        if "reverse" in bounds:
            raise TypeError("first() takes no reverse")
        return next(self.items(version, **bounds), None)

    def last(self, version: Map[Any, Any], **bounds: Any) -> Any:
        if "reverse" in bounds:
            raise TypeError("last() takes no reverse")
        return next(self.items(version, **bounds, reverse=True), None)

    def transform(self, version: Map[Any, Any], function: Callable[[Any, Any], Any]) -> Map[Any, Any]:
        """The function's own steps are charged where the entries are read; transformed maps over one another count as
        depth, since reading one is a call in all of them.
        """
        self._meter.charge()
        self._turn(version)
        self._meter.grant(TRANSFORM_STEPS * self.transformable.pop(id(version._table), 0))
        made = version.transform(function)
        if cast("TransformedSource[Any, Any, Any]", made._table.source).depth > MAX_DEPTH:
            self._meter.stop("depth")
        return made

    def merge(self, version: Any, other: Any) -> Any:
        """`|` of a map with a map or a dict."""
        if type(version) is not Map or type(other) not in (Map, dict):
            raise TypeError("`|` takes a Map and a Map or dict")
        pairs = self.items(other) if type(other) is Map else iter(other.items())
        for key, value in pairs:
            version = self.set(version, key, value)
        return version

    def iterate(self, version: Map[Any, Any]) -> Iterator[Any]:
        return (key for key, _ in self.items(version))

    def compare(self, one: Map[Any, Any], other: Map[Any, Any], depth: int) -> None:
        if one is other:
            return
        self._meter.charge(2 * ITERATION_STEPS + 2 * (len(one) + len(other)))
        for left, right in zip(self.items(one), self.items(other), strict=False):
            self._walker.charge_compare(left, right, depth + 1)

    def make(self, entries: Any = None) -> Map[Any, Any]:
        self._meter.charge(1 + len(entries or ()))
        return Map(entries)

    def emit(self, context: Context, event: Any) -> None:
        self._meter.charge()
        self._read(event)
        context.emit(event)

    def hash(self, data: bytes) -> bytes:
        self._meter.charge(1 + len(data) // 32)
        return keccak256(data)
