"""The updates of the rollup's log, in its order, each judged by the rollup's own code.

Nothing of the source is trusted: what does not open, or does not execute, is left out. What is left was signed by the
accounts' nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from microrollup.chain.block import Block, compute_block_hash, compute_rollup_id
from microrollup.chain.envelope_record import decode_envelope_record, is_envelope_record
from microrollup.chain.record import Genesis
from microrollup.declaration.context import Context, Revert
from microrollup.errors import DecodeError, RefusedError
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.execution.envelope import EnvelopeOpener
from microrollup.execution.payload import ENVELOPE_FORMAT, decode_envelope_payload
from microrollup.primitives import ZERO_ADDRESS

from ..envelope import OpenedUpdate, UcmtEnvelope, UpdateRoot
from ..rollup import Ucmt, app, update_root
from ..updates import RootUpdate, join_nonce

__all__ = ["UpdateLine", "LogReader", "LoggedUpdate", "UpdateLines", "Place"]

Place = tuple[bytes, bytes]
"""(refHash, account)."""

_SENDER: Final = ZERO_ADDRESS


class LoggedUpdate(msgspec.Struct, frozen=True):
    """An update that has executed."""

    index: int
    """Its place among all updates of the log, from 0."""
    height: int
    """Of its block."""
    seen: float
    """When the relayer read it, seconds of its own clock: for the table of latencies only."""
    message: bytes
    """The 32 bytes that the nodes sign."""
    keystore: bytes
    root: bytes
    """The root before it."""
    update: RootUpdate

    @property
    def place(self) -> Place:
        """Whose root it changes."""
        return self.update.ref_hash, self.update.account

    @property
    def nonce_key(self) -> int:
        """192 bits."""
        return self.update.nonce >> 64

    @property
    def sequence(self) -> int:
        """64 bits."""
        return self.update.nonce & (1 << 64) - 1


class UpdateLine:
    """The updates of one account, in order: each changes the root that the one before it gave."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.updates: list[LoggedUpdate] = []

    def get_root(self, position: int) -> bytes:
        """The root after so many updates."""
        return self.updates[position - 1].update.next_hash if position else self.place[0]


class UpdateLines:
    """All updates, by account, and the state to which they lead."""

    def __init__(self) -> None:
        self.by_place: dict[Place, UpdateLine] = {}
        self.count = 0
        self.state = Ucmt()
        self.generation = 0
        """How often they were forgotten."""

    def add(self, update: LoggedUpdate) -> None:
        """Append one that has executed."""
        line = self.by_place.get(update.place)
        if line is None:
            line = self.by_place[update.place] = UpdateLine(update.place)
        line.updates.append(update)
        self.count = update.index + 1

    def clear(self) -> None:
        """Forget all of them."""
        self.by_place, self.count, self.state = {}, 0, Ucmt()
        self.generation += 1

    def restore(self, update: LoggedUpdate) -> None:
        """Take over an update of the store, which has executed before."""
        given = update.update
        action = UpdateRoot(
            given.ref_hash, given.account, update.nonce_key, update.sequence, update.root, given.next_hash,
            update.keystore,
        )  # fmt: skip
        self.state = execute_update(self.state, action) or self.state
        self.add(update)


class LogReader:
    """Takes blocks in order, and gives their updates, which `commit` adds to the lines: after they are on disk."""

    def __init__(self, genesis: Genesis, lines: UpdateLines) -> None:
        self.rollup_id = compute_rollup_id(genesis)
        self.found: list[LoggedUpdate] = []
        """Of all blocks that were read whole."""
        self._lines = lines
        self._state, self._count = lines.state, lines.count
        self._opener = EnvelopeOpener(app)

    def check(self, block: Block, height: int, parent: bytes | None) -> bool:
        """Whether a block follows the one with the hash `parent` (None: the first). Raises `DecodeError` for one of
        another rollup or height.
        """
        header = block.header
        if header.rollup_id != self.rollup_id or header.height != height:
            raise DecodeError("block", f"height {header.height} of another rollup, or not height {height}")
        return parent is None or header.parent_hash == parent

    def read(self, block: Block, seen: float) -> None:
        """Find the updates of a block that execute. Raises `LimitExceeded` if there is too little memory to know."""
        found: list[LoggedUpdate] = []
        state = self._state
        for raw in _list_envelopes(block):
            try:
                enveloped = self._opener.open(UcmtEnvelope.name, raw)
            except RefusedError:
                continue
            opened = cast("OpenedUpdate", UcmtEnvelope().open(raw))
            action = cast("UpdateRoot", opened.action)
            after = execute_update(state, action)
            if after is None:
                continue
            state = after
            update = LoggedUpdate(
                self._count + len(found), block.header.height, seen, enveloped.hash, action.keystore, action.root,
                to_root_update(opened),
            )  # fmt: skip
            found.append(update)
        self._state, self._count = state, self._count + len(found)
        self.found += found

    def commit(self) -> None:
        """Add what was found to the lines."""
        self._lines.state = self._state
        for update in self.found:
            self._lines.add(update)


def execute_update(state: Ucmt, action: UpdateRoot) -> Ucmt | None:
    """The rollup's function; None if it rejects the action."""
    try:
        return update_root(state, action, Context(_SENDER, origin=UcmtEnvelope.name))
    except Revert:
        return None


def to_root_update(opened: Any) -> RootUpdate:
    """The `UpdateAction` of an opened envelope."""
    action = opened.action
    return RootUpdate(
        ref_hash=action.ref_hash,
        next_hash=action.next_hash,
        nonce=join_nonce(action.nonce_key, action.sequence),
        account=action.account,
        proof=opened.proof,
        node=opened.node,
        data=opened.data,
        next_proof=opened.next_proof,
        next_node=opened.next_node,
        next_data=opened.next_data,
    )


def _list_envelopes(block: Block) -> Iterator[bytes]:
    """The bytes of each envelope `ucmt`, handed in or carried through L1."""
    for record in block.records:
        try:
            if is_envelope_record(record):
                envelope = decode_envelope_record(record)
                name, raw = envelope.name, envelope.raw
            elif is_forced_record(record):
                forced = decode_forced(record)
                if forced.voided or forced.payload[:1] != ENVELOPE_FORMAT:
                    continue
                name, raw = decode_envelope_payload(forced.payload)
            else:
                continue
        except DecodeError:
            continue
        if name == UcmtEnvelope.name:
            yield raw


def hash_block(block: Block) -> bytes:
    """32 bytes, to which the next block refers."""
    return compute_block_hash(block.header)
