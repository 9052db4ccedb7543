"""What may be in flight."""

from __future__ import annotations

import pytest

from microrollup.node.errors import Overloaded
from microrollup.node.load import Load
from microrollup.node.submission import Submission, Ticket


def make_tickets(count: int, client: str | None = None, size: int = 10) -> list[Ticket]:
    submission = Submission(count, client)
    return [Ticket(submission, index, size) for index in range(count)]


def test_all_together() -> None:
    """By count and by bytes; what is decided makes room."""
    load = Load("things", (3, 100))
    taken = make_tickets(3)
    load.require(taken, "a")
    load.add(taken)
    assert 3 == len(load)
    with pytest.raises(Overloaded, match="3 things are in flight already"):
        load.require(make_tickets(1), "b")
    load.remove(taken[:2])
    load.require(make_tickets(2, size=45), "b")
    with pytest.raises(Overloaded):
        load.require(make_tickets(2, size=46), "b")


def test_of_each_client() -> None:
    """A client's bound is its own; nobody's have none; a client without anything is forgotten."""
    load = Load("things", (100, 10_000), (2, 100))
    taken = make_tickets(2, "a")
    for tickets in (taken, make_tickets(2, "b"), make_tickets(20)):
        load.require(tickets, tickets[0].submission.client)
        load.add(tickets)
    for tickets, client in ((make_tickets(1, "a"), "a"), (make_tickets(3, "c"), "c"), (make_tickets(2, "c", 51), "c")):
        with pytest.raises(Overloaded, match="of this client are in flight already"):
            load.require(tickets, client)
    load.remove(taken)
    load.require(make_tickets(2, "a"), "a")
    assert (22, ["b"]) == (len(load), [*load._clients])
