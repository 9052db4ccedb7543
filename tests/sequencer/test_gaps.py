"""The gap queue: actions that wait for lower nonces, bounded by sender and in all."""

from __future__ import annotations

from random import Random

import pytest

from microrollup.errors import DuplicateAction, NonceGap, NonceTooHigh, NonceUsed, QueueFull, RefusedError
from microrollup.execution.authentication import Authenticated
from microrollup.primitives import MAX_GAP_PER_SENDER, MAX_GAP_TOTAL
from microrollup.sequencer.gaps import GapQueue


def make(nonce: int, sender: int = 0, variant: int = 0) -> Authenticated:
    return Authenticated(b"", sender.to_bytes(20, "big"), nonce, bytes((variant,)) * 32)


def test_waits_and_is_taken() -> None:
    """An action is given back once, under its sender and nonce, with its ticket."""
    queue: GapQueue[str] = GapQueue()
    queue.add("a", make(2), 0)
    queue.add("b", make(2, 1), 0)
    assert 2 == len(queue)
    for sender, nonce in ((2, 2), (0, 1), (0, 3)):
        assert queue.pop(make(0, sender).sender, nonce) is None
    assert ("a", make(2)) == queue.pop(make(0).sender, 2)
    assert queue.pop(make(0).sender, 2) is None
    assert 1 == len(queue)


def test_same_nonce_twice() -> None:
    """The same action again is a duplicate, another one with its nonce is refused; the first one keeps its place."""
    queue: GapQueue[int] = GapQueue()
    queue.add(1, make(5), 0)
    with pytest.raises(DuplicateAction):
        queue.add(2, make(5), 0)
    with pytest.raises(NonceUsed):
        queue.add(3, make(5, variant=1), 0)
    assert (1, make(5)) == queue.pop(make(0).sender, 5)


def test_reach_of_a_sender() -> None:
    """A nonce may be as far ahead as the queue of a sender is long, and no further."""
    queue: GapQueue[int] = GapQueue()
    for nonce in range(11, 10 + MAX_GAP_PER_SENDER + 1):
        queue.add(nonce, make(nonce), 10)
    for nonce in (10 + MAX_GAP_PER_SENDER + 1, 2**64 - 1):
        with pytest.raises(NonceTooHigh):
            queue.add(nonce, make(nonce), 10)
    assert MAX_GAP_PER_SENDER == len(queue)


def test_full() -> None:
    """When all places are taken everybody is refused, made-up senders too, and nothing is left of them."""
    queue: GapQueue[int] = GapQueue()
    for sender in range(MAX_GAP_TOTAL):
        queue.add(sender, make(1, sender), 0)
    for sender in (0, MAX_GAP_TOTAL, MAX_GAP_TOTAL + 1):
        with pytest.raises(QueueFull):
            queue.add(-1, make(2, sender), 0)
    assert MAX_GAP_TOTAL == len(queue) == len(queue._waiting)
    queue.pop(make(0, 7).sender, 1)
    queue.add(-1, make(1, MAX_GAP_TOTAL), 0)


def test_refused_senders_leave_nothing() -> None:
    """A sender whose first action is refused takes no memory."""
    queue: GapQueue[int] = GapQueue()
    for sender in range(50):
        with pytest.raises(NonceTooHigh):
            queue.add(0, make(100, sender), 0)
    assert 0 == len(queue._waiting)


def test_giving_up() -> None:
    """Clearing refuses each waiting action as a gap, by its ticket, and leaves the queue empty and usable."""
    queue: GapQueue[int] = GapQueue()
    for number in range(6):
        queue.add(number, make(1 + number % 3, number // 3), 0)
    refusals = dict(queue.clear())
    assert set(range(6)) == set(refusals)
    assert {NonceGap} == set(map(type, refusals.values()))
    assert (0, []) == (len(queue), queue.clear())
    queue.add(1, make(1), 0)


def test_model() -> None:
    """On random calls the queue is a dict of (sender, nonce) with limits."""
    rng, queue, model = Random(1), GapQueue[int](per_sender=4, total=9), dict[tuple[bytes, int], int]()
    for ticket in range(3_000):
        action = make(rng.randrange(1, 8), rng.randrange(5), rng.randrange(2))
        key = (action.sender, action.nonce)
        if rng.random() < 0.4:
            found = queue.pop(*key)
            assert model.pop(key, None) == (None if found is None else found[0])
            continue
        accepted = action.nonce <= 4 and key not in model and len(model) < 9
        try:
            queue.add(ticket, action, 0)
            assert accepted
            model[key] = ticket
        except RefusedError:
            assert not accepted
        assert len(model) == len(queue)
    assert set(model.values()) == {ticket for ticket, _ in queue.clear()}
