"""Executing an upgrade: the migrations from the version in force to the announced one, all of them or none.

Each migration runs metered on the state that the one before has made. Nothing of it reaches the state until the block
is closed; one that raises, takes too many steps or returns something else than its version's state has failed, and the
state stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import structlog

from microrollup.chain.receipt import EXECUTED, FAULTED, Receipt
from microrollup.chain.upgrade_entry import MAX_UPGRADE_LINKS, UpgradeStep, compute_upgrade_id
from microrollup.declaration.context import Context, Revert
from microrollup.declaration.map import ABSENT, Map, StoreFault, collect_changes, is_descended
from microrollup.declaration.map_range import compute_stop
from microrollup.declaration.state import State, StateField
from microrollup.declaration.state_part import StatePart
from microrollup.declaration.upgrade import Upgrade, passes_unchanged
from microrollup.errors import LimitExceeded
from microrollup.execution.attempt import encode_events, read_reason
from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.execution.metering import Metered, get_metered
from microrollup.execution.migration_rows import RowReader, StagedRow, StagedRows, bind_state
from microrollup.guard.stack import with_room
from microrollup.guard.steps import LimitReached
from microrollup.primitives import ZERO_ADDRESS

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["NO_PATH", "Upgraded", "explain_failure", "find_path", "list_steps", "run_upgrade"]

_log = structlog.get_logger(__name__)

NO_PATH: Final = "no path"
"""The reason in the receipt of an upgrade to a code that does not follow on the one in force."""

_BEYOND_MIGRATION: Final = (StoreFault, Interrupted, KeyboardInterrupt)

_Changes = dict[bytes, StagedRow]


class Upgraded(msgspec.Struct, frozen=True):
    """What became of an upgrade block's entries."""

    stf_id: bytes
    """The code that is in force after them: the new one, or still the old one."""
    receipts: list[Receipt]
    rows: Mapping[bytes, StagedRow]
    """What changes in the state, by row key; nothing if the upgrade has failed."""
    sizes: tuple[int, ...]
    """Entries of each field of the code in force after them, 1 for a scalar."""

    @property
    def has_failed(self) -> bool:
        """Whether the state and the code stay as they were."""
        return self.receipts[-1].status != EXECUTED


class _Failed(Exception):
    """A migration has failed; `reason` is what the receipt says."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def find_path(app: MicroRollup, old: bytes, new: bytes) -> Sequence[MicroRollup] | None:
    """The versions from the code `old` to the code `new` (32-byte stfIds), both included; None if `new` does not follow
    on `old`. `app` knows both, or has no path.
    """
    versions = app.versions
    ids = [version.stf_id for version in versions]
    if old not in ids or new not in ids or ids.index(old) > ids.index(new):
        return None
    path = versions[ids.index(old) : ids.index(new) + 1]
    return path if len(path) <= MAX_UPGRADE_LINKS + 1 else None


def list_steps(app: MicroRollup, old: bytes, new: bytes) -> list[UpgradeStep]:
    """The entries of a block that upgrades from one code to another; without a path, one that fails."""
    path = find_path(app, old, new) or ()
    ids = [version.stf_id for version in path]
    return [UpgradeStep(one, other) for one, other in pairwise(ids)] or [UpgradeStep(old, new)]


@with_room
def run_upgrade(
    app: MicroRollup, steps: Sequence[UpgradeStep], rows: RowReader, sizes: tuple[int, ...], context: BlockContext
) -> Upgraded:
    """Run the migrations of `steps` over the rows of the state; `sizes` are its fields' numbers of entries.

    Pure but for `context`, whose sequence number moves on. Raises `StoreFault`, and `LimitExceeded` if this process has
    too little memory.
    """
    path = find_path(app, steps[0].old, steps[-1].new)
    identities = [compute_upgrade_id(context.rollup_id, context.height, index) for index in range(len(steps))]
    staged = StagedRows(rows)
    after = sizes
    outcomes: list[tuple[int, str, tuple[tuple[str, bytes], ...]]] = []
    try:
        if path is None or len(path) < 2:
            raise _Failed(NO_PATH)
        for old, new in pairwise(path):
            changes, after, events = _migrate(old, new, staged, after, context)
            staged.stage(changes)
            outcomes.append((EXECUTED, "", events))
        stf_id = steps[-1].new
    except _Failed as failed:
        stf_id, after = steps[0].old, sizes
        staged.changed.clear()
        place = len(outcomes)
        outcomes = [(FAULTED, failed.reason if at == place else "", ()) for at in range(len(steps))]
    receipts: list[Receipt] = []
    for identity, (status, reason, events) in zip(identities, outcomes, strict=True):
        receipts.append(Receipt(context.next_seq, identity, status, reason, events))
        context.next_seq += 1
    return Upgraded(stf_id, receipts, staged.changed, after)


def explain_failure(tried: Upgraded) -> str:
    """Why an upgrade fails, in words."""
    reasons = [receipt.reason for receipt in tried.receipts if receipt.reason]
    if reasons == [NO_PATH]:
        return "this version does not follow on the code in force"
    return f"the migration {f'ends with {reasons[0]!r}' if reasons else 'raises, as the log shows'}"


def _migrate(
    old: MicroRollup, new: MicroRollup, rows: StagedRows, sizes: tuple[int, ...], context: BlockContext
) -> tuple[_Changes, tuple[int, ...], tuple[tuple[str, bytes], ...]]:
    """One migration: what it changes, the new fields' sizes, its events. Raises `_Failed`."""
    metered = get_metered(new)
    pre = bind_state(old, rows, sizes)
    ctx = Context(ZERO_ADDRESS, context.height, context.timestamp, "upgrade", context.rollup_id)
    try:
        if metered is None:
            post = cast("Upgrade", new.previous).migrate(pre, ctx)
            collector = _Collector(old, new, pre, rows, None)
            return *collector.collect(post), encode_events(new, ctx.events)[0]
        return _migrate_metered(old, new, metered, pre, rows, ctx, context)
    except _BEYOND_MIGRATION:
        raise
    except (MemoryError, RecursionError) as limit:
        name = "memory" if isinstance(limit, MemoryError) else "recursion"
        raise LimitExceeded(f"the migration to version {new.version} hits this process's limit of {name}") from None
    except Revert as revert:
        raise _Failed(read_reason(revert)[1]) from None
    except _Failed:
        raise
    except BaseException as error:  # whatever class the migration made up for it
        _log.exception("migration_faulted", version=new.version, error=type(error).__name__)
        raise _Failed from None


def _migrate_metered(
    old: MicroRollup,
    new: MicroRollup,
    metered: Metered,
    pre: State,
    rows: StagedRows,
    ctx: Context,
    context: BlockContext,
) -> tuple[_Changes, tuple[int, ...], tuple[tuple[str, bytes], ...]]:
    """The same with its steps counted, those of functions that transform maps included."""
    meter, limit = metered.meter, None
    found: tuple[_Changes, tuple[int, ...]] | None = None
    try:
        with metered.migrating([field.read(pre) for field in old.state_type.fields if field.is_map]):
            try:
                post = metered.migrate(pre, ctx)
                found = _Collector(old, new, pre, rows, metered).collect(post)
            finally:
                limit = meter.limit
                context.steps += meter.count_taken()
    except LimitReached as reached:
        limit = reached.limit
    except (*_BEYOND_MIGRATION, MemoryError, RecursionError):
        raise
    except BaseException:  # raised instead of the limit, by a migration that has caught it
        if limit is None:
            raise
    if found is None or limit is not None:
        _log.warning("migration_limit_reached", version=new.version, limit=limit)
        raise _Failed(f"limit: {limit}")
    return *found, encode_events(new, ctx.events)[0]


class _Collector:
    """What a migration's result changes in the rows."""

    def __init__(
        self, old: MicroRollup, new: MicroRollup, pre: State, rows: StagedRows, metered: Metered | None
    ) -> None:
        self._new = new
        self._rows = rows
        self._charge: Callable[[], None] = (lambda: None) if metered is None else metered.meter.charge
        self._leaves = {} if metered is None else metered.leaves
        self._old_maps = [(field, field.read(pre)) for field in old.state_type.fields if field.is_map]
        self._before = {field.row_prefix: field for field in old.state_type.fields}
        self._changes: _Changes = {}

    def collect(self, post: Any) -> tuple[_Changes, tuple[int, ...]]:
        """The changed rows, and the new fields' sizes. Raises whatever is wrong with the result."""
        _require_parts(self._new.state_type.parts[self._new.state_type.cls], post)
        sizes: list[int] = []
        for field in self._new.state_type.fields:
            value, before = field.read(post), self._before.pop(field.row_prefix, None)
            if field.is_map:
                sizes.append(self._collect_map(field, before, value))
            else:
                self._stage(field, before, b"", value)
                sizes.append(1)
        for field in self._before.values():  # what is gone
            for row_key, _ in self._rows.iterate(field.row_prefix, compute_stop(field.row_prefix)):
                self._changes[row_key] = StagedRow(None, b"")
        return self._changes, tuple(sizes)

    def _stage(self, field: StateField, before: StateField | None, encoded: bytes, value: Any) -> None:
        field.check(value)
        row_key, row = field.row_prefix + encoded, field.encode_row(value)
        if before is not None and passes_unchanged(before, field) and self._rows.get(row_key) == row:
            return
        self._changes[row_key] = StagedRow(row, self._leaves.get(field.position, field.encode_leaf)(value))

    def _collect_map(self, field: StateField, before: StateField | None, value: Any) -> int:
        if type(value) is not Map:
            raise TypeError(f"{field.name} is not a Map")
        for other, old in self._old_maps:
            if is_descended(old, value):
                if before is None or other.row_prefix != field.row_prefix or not passes_unchanged(before, field):
                    raise TypeError(f"{field.name} is {other.name} as it was; pass state.{other.name}.transform(f)")
                for key, _, after in collect_changes(old, value):
                    if after is ABSENT:
                        self._changes[field.row_prefix + field.encode_key(key)] = StagedRow(None, b"")
                    else:
                        self._stage(field, before, field.encode_key(key), after)
                return len(value)
        return self._replace_map(field, before, value)

    def _replace_map(self, field: StateField, before: StateField | None, value: Map[Any, Any]) -> int:
        """A map that was made anew: every entry is staged, and whatever else was stored under its number is deleted."""
        kept: set[bytes] = set()
        for key, entry in value.items():
            self._charge()
            encoded = field.encode_key(key)
            if encoded in kept:
                raise ValueError(f"{field.name} has a key twice")
            kept.add(encoded)
            self._stage(field, before, encoded, entry)
        if before is not None:
            prefix = field.row_prefix
            for row_key, _ in self._rows.iterate(prefix, compute_stop(prefix)):
                if row_key[len(prefix) :] not in kept:
                    self._changes[row_key] = StagedRow(None, b"")
        return len(kept)


def _require_parts(part: StatePart, value: Any) -> None:
    if type(value) is not part.cls:
        raise TypeError(f"returned {type(value).__name__}, not {part.cls.__name__}")
    for name, member in part.members:
        if isinstance(member, StatePart):
            _require_parts(member, getattr(value, name))
