"""Whose turn it is."""

from __future__ import annotations

from microrollup.node.turns import Turns


def test_clients_take_turns() -> None:
    """In the order in which they came; who comes later waits for one of each, whatever they have."""
    turns: Turns[int] = Turns()
    assert not turns
    for number in range(3):
        turns.add("a", number)
    turns.add("b", 10)
    turns.add(None, 20)
    assert ("a", [0]) == (turns.next, turns.take())
    turns.add("c", 30)
    assert [[10], [20], [1], [30], [2]] == [turns.take() for _ in range(5)]
    assert not turns
    turns.add("a", 3)
    assert [3] == turns.take()


def test_several_in_one_turn() -> None:
    """At most so many, in order."""
    turns: Turns[int] = Turns()
    for number in range(5):
        turns.add("a", number)
    turns.add("b", 10)
    assert [[0, 1, 2], [10], [3, 4]] == [turns.take(3) for _ in range(3)]


def test_dropped() -> None:
    """All that a client has, and nothing of the others."""
    turns: Turns[int] = Turns()
    for number in range(3):
        turns.add("a", number)
    turns.add("b", 10)
    assert [0, 1, 2] == turns.drop()
    assert ("b", [10]) == (turns.next, turns.drop())
    assert not turns
