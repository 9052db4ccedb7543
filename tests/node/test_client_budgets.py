"""One client's share of the execution time, by a clock of the test's own, and in a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.errors import BudgetSpent
from microrollup.limits import CLIENT_BURST_SECONDS, CLIENT_SHARE
from microrollup.node import client_budgets
from microrollup.node.client_budgets import ClientBudgets
from microrollup.node.submission import Submission, Ticket
from microrollup.sequencer.sequencer import Sequenced
from node_fixtures import Site


def make_ticket(client: str | None) -> Ticket:
    return Ticket(Submission(1, client), 0, 100)


class Clock:
    """Stands still until told."""

    now = 5.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_a_share_of_the_time() -> None:
    """A client may have a quarter of the time and what it has saved up; another one, and nobody, are not touched."""
    clock = Clock()
    budgets = ClientBudgets(clock)
    one, other, nobody = make_ticket("one"), make_ticket("other"), make_ticket(None)
    budgets.charge(one, CLIENT_BURST_SECONDS / 2)
    assert 0.0 == budgets.find_wait(one)
    budgets.charge(one, CLIENT_BURST_SECONDS)
    budgets.charge(nobody, 1e9)
    wait = budgets.find_wait(one)
    assert CLIENT_BURST_SECONDS / 2 / CLIENT_SHARE == pytest.approx(wait, abs=0.01)
    assert [0.0, 0.0] == [budgets.find_wait(ticket) for ticket in (other, nobody)]
    clock.now += wait - 0.01
    assert 0 < budgets.find_wait(make_ticket("one")) < 0.02
    clock.now += 0.02
    assert 0.0 == budgets.find_wait(one)


def test_no_more_than_the_burst_is_saved_up() -> None:
    """After a day of silence a client has as much as after eight seconds."""
    clock = Clock()
    budgets = ClientBudgets(clock)
    budgets.charge(make_ticket("one"), 0.001)
    clock.now += 86_400
    budgets.charge(make_ticket("one"), CLIENT_BURST_SECONDS + 1)
    assert 1 / CLIENT_SHARE == pytest.approx(budgets.find_wait(make_ticket("one")), abs=0.01)


def test_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is bounded: who was charged longest ago begins anew."""
    monkeypatch.setattr(client_budgets, "MAX_CLIENTS", 3)
    budgets = ClientBudgets(Clock())
    for client in ("a", "b", "c", "a", "d"):
        budgets.charge(make_ticket(client), 100)
    assert 3 == len(budgets)
    assert [0.0, True] == [budgets.find_wait(make_ticket("b")), budgets.find_wait(make_ticket("a")) > 0]


def test_a_node_refuses_who_has_spent_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that handed in an action is charged for it; callers on the same machine and other addresses go on."""
    monkeypatch.setattr(client_budgets, "CLIENT_BURST_SECONDS", 1e-9)
    monkeypatch.setattr(client_budgets, "CLIENT_SHARE", 1e-9)
    site = Site(tmp_path)
    with site.open() as node:
        outcomes = [
            node.submit([site.line(("count", 0, 1), name=name)], client).result(60)[0]
            for name, client in (("alice", "a"), ("alice", "a"), ("bob", "b"), ("carol", None), ("carol", None))
        ]
    assert [Sequenced, BudgetSpent, Sequenced, Sequenced, Sequenced] == [type(outcome) for outcome in outcomes]
    assert "budget_spent" == BudgetSpent.code
