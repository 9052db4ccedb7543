"""What a ledger keeps in memory of its state: entries that were read or written, bounded in number and in bytes."""

from __future__ import annotations

from typing import Final

from microrollup.declaration.map import Map, bind_map, forget_loaded, rebind_map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import NONCES, StateField
from microrollup.errors import WrongRollup
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState
from microrollup.ledger.closing import StateChanges
from microrollup.store.environment import Environment
from microrollup.store.layer import Unflushed
from microrollup.store.row_changes import count_bytes
from microrollup.store.rows import StoredRows, read_scalar
from microrollup.store.stored_keys import StoredKeys
from microrollup.store.tables import Checkpoint

__all__ = ["StateMemory"]

CACHED_BYTES: Final = 8 << 20
"""Encoded bytes of the entries that are kept from one block to the next. As Python objects they take up to 30 times as
much, which leaves room for a block of the largest budget in a process of 1 GiB."""


class StateMemory:
    """Binds the state's maps to the store, and lets go of what they hold of it when that grows too large."""

    def __init__(self, rollup: MicroRollup, environment: Environment, keys: StoredKeys, unflushed: Unflushed) -> None:
        self._rollup = rollup
        self._environment = environment
        self._keys = keys
        self._unflushed = unflushed
        self._sources: list[StoredRows] = []
        self._bytes = 0

    def load(self, checkpoint: Checkpoint) -> ChainState:
        """The state as of the checkpoint. Raises `StoreCorrupt`, and `WrongRollup` for other fields than the app's."""
        if len(checkpoint.sizes) != len(self._rollup.state_fields) + 1:
            raise WrongRollup("the store's state has other fields than the app's")
        self._sources, self._bytes = [], 0
        fields: dict[str, object] = {}
        for (name, field), size in zip(self._rollup.state_fields, checkpoint.sizes, strict=False):
            if field.is_map:
                fields[name] = bind_map(self._make_source(field, size), size)
            else:
                fields[name] = read_scalar(self._environment, field, self._unflushed)
        nonces: Map[bytes, int] = bind_map(self._make_source(NONCES, checkpoint.sizes[-1]), checkpoint.sizes[-1])
        return ChainState(self._rollup.state_type.build(fields), nonces, checkpoint.forced_count)

    def _make_source(self, field: StateField, size: int) -> StoredRows:
        source = StoredRows(self._environment, field, size, self._keys, self._unflushed)
        self._sources.append(source)
        return source

    def move_on(self, state: ChainState, changes: StateChanges) -> ChainState:
        """The same state once a block's changes are stored: maps begin a fresh line of versions."""
        self._bytes += sum([source.loaded_bytes for source in self._sources])
        self._bytes += count_bytes([change.new for change in changes.rows])
        self._bytes -= count_bytes([change.old for change in changes.rows])
        keep = self._bytes <= CACHED_BYTES
        if not keep:
            self._bytes = 0
        self._sources = []
        app = state.app
        fields = {
            name: rebind_map(field.read(app), self._make_source(field, size), keep=keep)
            if field.is_map
            else field.read(app)
            for (name, field), size in zip(self._rollup.state_fields, changes.sizes, strict=False)
        }
        nonces = rebind_map(state.nonces, self._make_source(NONCES, changes.sizes[-1]), keep=keep)
        return ChainState(self._rollup.state_type.build(fields), nonces, state.forced_count)

    def forget(self, state: ChainState, journal: Journal) -> None:
        """Let go of all entries that the open block has not changed, as after an action that wanted too much memory."""
        for field, touched in zip(self._rollup.state_type.fields, journal.fields, strict=True):
            if field.is_map:
                forget_loaded(field.read(state.app), [change.key for change in touched.values()])
        forget_loaded(state.nonces, journal.nonces)
        self._bytes = 0
        for source in self._sources:
            source.loaded_bytes = 0
