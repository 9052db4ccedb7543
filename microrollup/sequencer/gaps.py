"""The gap queue: signed actions that wait for lower nonces, bounded because anybody can make senders up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from microrollup.errors import DuplicateAction, NonceGap, NonceTooHigh, NonceUsed, QueueFull, RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.primitives import MAX_GAP_PER_SENDER, MAX_GAP_TOTAL

__all__ = ["GapQueue"]

T = TypeVar("T")


class GapQueue(Generic[T]):
    """Waiting actions by sender and nonce, each with its submitter's ticket."""

    def __init__(self, per_sender: int = MAX_GAP_PER_SENDER, total: int = MAX_GAP_TOTAL) -> None:
        self._waiting: dict[bytes, dict[int, tuple[T, Authenticated]]] = {}
        self._moved: set[bytes] = set()
        self._all = False
        self._count = 0
        self._per_sender = per_sender
        self._total = total

    def __len__(self) -> int:
        return self._count

    def add(self, ticket: T, action: Authenticated, expected: int) -> None:
        """Let an action wait whose nonce is above `expected`, the sender's next.

        Raises `NonceTooHigh`, `QueueFull`, `DuplicateAction`, or `NonceUsed` if another action waits with that nonce.
        """
        if action.nonce - expected > self._per_sender:
            raise NonceTooHigh(f"the next nonce is {expected}; {action.nonce} is more than {self._per_sender} ahead")
        waiting = self._waiting.setdefault(action.sender, {})
        known = waiting.get(action.nonce)
        if known is not None:
            if known[1].action_hash == action.action_hash:
                raise DuplicateAction("the same action is waiting for lower nonces already", -1)
            raise NonceUsed(f"another action with nonce {action.nonce} is waiting for lower nonces")
        if self._count >= self._total:
            if not waiting:
                del self._waiting[action.sender]
            raise QueueFull(f"{self._total} actions are waiting for lower nonces already")
        waiting[action.nonce] = (ticket, action)
        self._count += 1

    def pop(self, sender: bytes, nonce: int) -> tuple[T, Authenticated] | None:
        """Take out the sender's action with that nonce, if it waits here."""
        waiting = self._waiting.get(sender)
        if waiting is None:
            return None
        found = waiting.pop(nonce, None)
        if found is not None:
            self._count -= 1
            if not waiting:
                del self._waiting[sender]
        return found

    @property
    def has_moved(self) -> bool:
        """Whether `take_released` has something to look at."""
        return bool(self._moved) or self._all

    def note_moved(self, senders: set[bytes]) -> None:
        """Nonces of these 20-byte senders were taken by actions that did not come this way."""
        self._moved |= senders & self._waiting.keys()

    def release_all(self) -> None:
        """None of those that wait now can come to its turn."""
        self._all = bool(self._waiting)

    def take_released(self, get_nonce: Callable[[bytes, int], int]) -> list[tuple[T, Authenticated]]:
        """Take out what need not wait any more: it is next now, or its nonce was taken. In order for each sender."""
        if self._all:
            self._all = False
            everything = [waiting[nonce] for waiting in self._waiting.values() for nonce in sorted(waiting)]
            self._waiting.clear()
            self._moved.clear()
            self._count = 0
            return everything
        released = [
            found
            for sender in self._moved
            for nonce in sorted(self._waiting.get(sender, ()))
            if nonce <= get_nonce(sender, 0) and (found := self.pop(sender, nonce)) is not None
        ]
        self._moved.clear()
        return released

    def clear(self) -> list[tuple[T, RefusedError]]:
        """Give up on all that wait: their refusals, `nonce_gap`."""
        refusals: list[tuple[T, RefusedError]] = [
            (ticket, NonceGap(f"nonce {action.nonce} came, lower nonces of 0x{action.sender.hex()} never did"))
            for waiting in self._waiting.values()
            for ticket, action in waiting.values()
        ]
        self._waiting.clear()
        self._count = 0
        return refusals
