"""What is known of one chain: the place of each account, what became of each update, and what it has cost.

What has a row on disk is written there first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from ...chains.store import ChainNote
from .chain import ChainStanding
from .store import ChainOutcome, RelayStore
from .updates import Place, UpdateLine, UpdateLines

__all__ = ["AccountStand", "ChainBook"]

_UNREAD_AT_ONCE: Final = 1_000
_STUCK_AT_ONCE: Final = 32
"""Accounts that have diverged, or whose next update is refused, and that are read in a round."""

_log = structlog.get_logger(__name__)


class AccountStand:
    """What is known of an account on the chain."""

    def __init__(self) -> None:
        self.position = 0
        """How many of its updates the chain has."""
        self.is_read = False
        self.fits = False
        """Whether the chain's root and nonces are those of the position."""
        self.tries = 0
        self.is_blocked = False
        """Whether its next update is refused."""
        self.is_alone = False
        """Whether its updates go in transactions of their own."""
        self.resumes = 0
        """The round from which on it is tried again."""


class ChainBook:
    """Of the accounts that are served: all, or those that are `wanted`."""

    def __init__(self, store: RelayStore, lines: UpdateLines, note: ChainNote, wanted: frozenset[bytes]) -> None:
        self._store = store
        self._lines = lines
        self._wanted = wanted
        self._generation = lines.generation
        self._stands: dict[Place, AccountStand] = {}
        self.note = note
        self.outcomes = store.list_outcomes(note.chain_id)

    def begin(self) -> None:
        """A round begins: if the log was forgotten since the last one, so is what became of its updates."""
        if self._generation != self._lines.generation:
            self._generation = self._lines.generation
            self._stands, self.outcomes = {}, self._store.list_outcomes(self.note.chain_id)

    @property
    def is_current(self) -> bool:
        """Whether the log is still that of the round's beginning."""
        return self._generation == self._lines.generation

    def forget_stands(self) -> None:
        """All accounts are to be read again."""
        self._stands = {}

    def write(self, changes: dict[int, ChainOutcome | None], **note: object) -> None:
        """On disk first, then here. Outcomes of a log that was forgotten during the round are nobody's."""
        if not self.is_current:
            changes = {}
        changed = replace(self.note, **note)
        self._store.write_chain(changed, changes)
        self.note = changed
        for index, outcome in changes.items():
            if outcome is None:
                self.outcomes.pop(index, None)
            else:
                self.outcomes[index] = outcome

    def change_note(self, **changes: object) -> None:
        """What is known of the chain, on disk first."""
        self.write({}, **changes)

    def get_stand(self, place: Place) -> AccountStand:
        """Of an account of which nothing is known, a new one."""
        return self._stands.setdefault(place, AccountStand())

    def list_open(self) -> list[UpdateLine]:
        """Accounts with updates that the chain does not have, as far as is known; those whose turn is next first."""
        lines = [
            line
            for place, line in self._lines.by_place.items()
            if self._is_wanted(place) and self.get_stand(place).position < len(line.updates)
        ]
        return sorted(lines, key=lambda line: line.updates[self.get_stand(line.place).position].index)

    def list_due(self, number: int, count: int) -> list[UpdateLine]:
        """Accounts that are read in a round, by its number: some that were not read yet, the next `count`, and some of
        those that are stuck.
        """
        unread = self.list_unread()[:_UNREAD_AT_ONCE]
        moving: list[UpdateLine] = []
        stuck: list[UpdateLine] = []
        for line in self.list_open():
            stand = self.get_stand(line.place)
            if stand.is_read:
                (stuck if stand.is_blocked or not stand.fits else moving).append(line)
        if stuck:
            start = number * _STUCK_AT_ONCE % len(stuck)
            stuck = [*stuck, *stuck][start : start + min(len(stuck), _STUCK_AT_ONCE)]
        return [*unread, *moving[:count], *stuck]

    def list_unread(self) -> list[UpdateLine]:
        """Accounts that were not read yet."""
        return [
            line
            for place, line in self._lines.by_place.items()
            if self._is_wanted(place) and not self.get_stand(place).is_read
        ]

    def _is_wanted(self, place: Place) -> bool:
        return not self._wanted or place[1] in self._wanted

    def take(self, lines: Sequence[UpdateLine], standings: Sequence[ChainStanding | None]) -> None:
        """Note where accounts stand, and what that says of their updates."""
        changes: dict[int, ChainOutcome | None] = {}
        for line, standing in zip(lines, standings, strict=True):
            self._place(line, standing, changes)
        if changes:
            self.write(changes)

    def _place(self, line: UpdateLine, standing: ChainStanding | None, changes: dict[int, ChainOutcome | None]) -> None:
        stand = self.get_stand(line.place)
        before, reason = stand.position, ""
        if standing is None:
            position = 0  # without a contract nothing has arrived; sending says why
        else:
            position = standing.position
            if standing.root != line.get_root(position):
                position = min(before, position)  # so many were there, with roots that fitted
                reason = f"the chain has the root 0x{standing.root.hex()}"
        stand.position, stand.is_read, stand.fits = position, True, not reason
        if position != before:
            stand.tries, stand.resumes, stand.is_blocked = 0, 0, False
        now = time.time()
        for place, logged in enumerate(line.updates):
            old = self.outcomes.get(logged.index)
            if place < position:
                if old is None or old.status != "done":
                    changes[logged.index] = replace(old or ChainOutcome("done"), status="done", reason="", done=now)
            elif reason:
                if old is None or old.status != "diverged":
                    changes[logged.index] = ChainOutcome("diverged", reason)
                    _log.warning("relay_diverged", chain=self.note.chain_id, update=logged.index, reason=reason)
            elif old is not None and old.status in ("done", "diverged"):
                changes[logged.index] = None
