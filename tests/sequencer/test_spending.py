"""Execution time is told to whoever keeps budgets, and who has spent theirs is refused; nothing else changes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kernel_fixtures import Chain
from microrollup.errors import ActionLimit, BudgetSpent, DuplicateAction
from microrollup.execution.authentication import Authenticated
from microrollup.sequencer import spending
from microrollup.sequencer.sequencer import Sequenced
from zoo import MISCHIEF, Edit, Misbehave, Step, Zoo


class CountingPurse:
    """Tickets below 100 are one client's, who may have so many actions executed; everybody else may have all."""

    def __init__(self, actions: int) -> None:
        self.actions = actions
        self.charged: list[tuple[int, float]] = []

    def find_wait(self, ticket: int) -> float:
        """2 seconds once all is spent."""
        return 2.0 if ticket < 100 and sum(each < 100 for each, _ in self.charged) >= self.actions else 0.0

    def charge(self, ticket: int, seconds: float) -> None:
        """Note it."""
        self.charged.append((ticket, seconds))

    def find_request(self, ticket: int) -> str | None:
        """A name for each ticket."""
        return f"request-{ticket}"


def count(chain: Chain, name: str = "alice") -> Authenticated:
    return chain.signer.sign(Edit([Step(4, 0, 1)], False), name)


def test_each_action_is_charged_once(chain: Chain, tmp_path: Path) -> None:
    """Whoever keeps budgets learns what each action took, in order; the block is the one without them."""
    other = Chain(tmp_path / "other")
    purse = CountingPurse(100)
    chain.sequencer.spending.purse = purse
    actions = [count(chain, f"s{number % 3}") for number in range(9)]
    assert [Sequenced] * 9 == [type(outcome) for outcome in chain.submit(*actions)]
    assert list(range(9)) == [ticket for ticket, _ in purse.charged]
    assert all(0 < seconds < 60 for _, seconds in purse.charged)
    other.submit(*actions)
    assert other.close_block() == chain.close_block()
    other.close()


def test_who_has_spent_all_is_refused(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause the rest of the group is looked at again: one client's actions are refused, others' go on."""
    monkeypatch.setattr(spending, "PAUSE_SECONDS", 0.0)
    purse = CountingPurse(3)
    chain.sequencer.spending.purse = purse
    mine = [(number, count(chain)) for number in range(8)]
    others = [(100 + number, count(chain, "bob")) for number in range(4)]
    group = [pair for pairs in zip(mine, [*others, *others], strict=True) for pair in pairs][:8] + mine[4:]
    outcomes = dict(chain.sequencer.submit(group))
    assert [Sequenced] * 3 + [BudgetSpent] * 5 == [type(outcomes[number]) for number in range(8)]
    assert [Sequenced] * 4 == [type(outcomes[100 + number]) for number in range(4)]
    assert "try again in 2.0 s" in str(outcomes[3])
    assert 7 == len(purse.charged)
    purse.actions = 100
    assert [Sequenced] * 5 == [type(outcome) for _, outcome in chain.sequencer.submit(mine[3:])]


def test_without_pauses_a_group_goes_on(chain: Chain) -> None:
    """Budgets are looked at between calls of the executor, not between two short actions."""
    purse = CountingPurse(3)
    chain.sequencer.spending.purse = purse
    assert [Sequenced] * 8 == [type(outcome) for outcome in chain.submit(*[count(chain) for _ in range(8)])]
    (refused,) = chain.submit(count(chain))
    assert isinstance(refused, BudgetSpent)


def test_what_is_stopped_is_charged(chain: Chain) -> None:
    """An action that hits a limit took its time all the same."""

    def recurse(state: Zoo, ctx: object) -> Zoo:
        return recurse(state, ctx)

    MISCHIEF["recurse"] = recurse
    purse = CountingPurse(100)
    chain.sequencer.spending.purse = purse
    outcomes = chain.submit(count(chain, "bob"), chain.signer.sign(Misbehave("recurse")), count(chain, "carol"))
    assert [Sequenced, ActionLimit, Sequenced] == [type(outcome) for outcome in outcomes]
    assert [0, 1, 2] == [ticket for ticket, _ in purse.charged]


def test_nobody_pays_for_a_machine_that_stood_still(chain: Chain) -> None:
    """All of a group are charged at most a quarter of a second more than the CPU was used; what it waits up to then
    counts.
    """

    def wait(state: Zoo, ctx: object) -> Zoo:
        time.sleep(0.3)
        return state

    MISCHIEF["wait"] = wait
    purse = CountingPurse(100)
    chain.sequencer.spending.purse = purse
    before = time.thread_time()
    chain.submit(count(chain, "bob"), chain.signer.sign(Misbehave("wait")))
    used = time.thread_time() - before
    assert 0.249 < sum(seconds for _, seconds in purse.charged) < 0.25 + used


def test_known_actions_are_answered(chain: Chain) -> None:
    """Who has spent all is still told that an action is in the log: nothing is executed for it."""
    action = count(chain)
    chain.submit(action)
    chain.sequencer.spending.purse = CountingPurse(0)
    (outcome,) = chain.submit(action)
    assert isinstance(outcome, DuplicateAction)
    (outcome,) = chain.submit(chain.signer.sign(Edit([], False), nonce=5))
    assert isinstance(outcome, BudgetSpent)
