"""Keystore+'s spending rules: what they hold back, who may loosen them, and how a count goes on over a change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.keystore.plus.fees import SetPrice, Sponsor
from apps.keystore.plus.money import EVERY_TOKEN
from apps.keystore.plus.spending import MAX_RULES, NO_LIMIT, PermitSpending, RuleSet, SetSpendingRule
from apps.keystore.plus.vault import Deposit, Transfer, Withdraw
from apps.keystore.transitions import Update
from microrollup import ZERO_BYTES32
from microrollup.testing.execution import at, execute, force
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CODE_2,
    COLLECTOR,
    CONFIG_2,
    DAY,
    ETHER,
    OTHER_TOKEN,
    PLUS,
    START,
    THIEF,
    TOKEN,
    VAULT,
    A,
    B,
    C,
    count_money,
    list_reasons,
    make_state,
    run,
)

HOUR = 3_600
FUNDS = [(A, ETHER, 1_000), (A, TOKEN, 1_000), (B, ETHER, 1_000)]
OVER = "more than the spending rule allows"
NOBODY = ZERO_BYTES32


def daily(limit: int, token: bytes = ETHER, controller: bytes = NOBODY, period: int = DAY) -> SetSpendingRule:
    return SetSpendingRule(A, token, limit, period, controller)


def pay(amount: int, token: bytes = ETHER) -> Transfer:
    return Transfer(A, B, token, amount)


CONTROLLED = [(ALICE, daily(100, controller=C)), at(START + 2 * DAY)]
"""A rule of 100 ether a day that Carol controls, in force."""


def test_a_rule_holds_back_every_way_out() -> None:
    """Transfers, withdrawals, forced ones, fees, and what the account pays for others."""
    now = START + 2 * DAY
    outcome = run(
        (COLLECTOR, SetPrice(ETHER, 40)), (ALICE, daily(100)), at(now), force(ALICE, pay(61)),
        force(ALICE, Sponsor(A, B, 1_000, ETHER, START + 9 * DAY)), force(ALICE, pay(40)),
        force(ALICE, Withdraw(A, ETHER, 40, ALICE)), (BOB, Transfer(B, C, ETHER, 1)), (ALICE, pay(1)), funds=FUNDS,
    )  # fmt: skip
    assert 1_000 - 61 == outcome.state.vault.balances[A]
    assert 1_000 + 61 - 1 - 40 == outcome.state.vault.balances[B], "its sponsor could not pay"
    # forced ones are free and come first in their block; the fee of the last payment is more than what is left of it
    assert ["executed"] * 4 + [OVER, OVER, "executed", OVER] == list_reasons(outcome)


def test_periods_lie_on_a_grid() -> None:
    """The count begins anew where the grid turns; two periods' limits can leave around that second."""
    turn = (START // DAY + 1) * DAY
    outcome = run(
        (ALICE, daily(100)), at(turn - 1), (ALICE, pay(100)), (ALICE, pay(1)), at(turn), (ALICE, pay(100)),
        (ALICE, pay(1)), funds=FUNDS,
    )  # fmt: skip
    assert ["executed", "executed", OVER, "executed", OVER] == list_reasons(outcome)


def test_every_token_without_a_rule_of_its_own() -> None:
    """Each is counted by itself."""
    outcome = run(
        (ALICE, daily(10, EVERY_TOKEN)), (ALICE, daily(5, TOKEN)), (ALICE, pay(10)), (ALICE, pay(1)),
        (ALICE, pay(5, TOKEN)), (ALICE, pay(1, TOKEN)), funds=FUNDS,
    )  # fmt: skip
    assert ["executed", "executed", "executed", OVER, "executed", OVER] == list_reasons(outcome)


def test_tighter_at_once_and_looser_later() -> None:
    """Without a controller, anything but tighter takes two days."""
    tighter, looser = daily(50), daily(60)
    outcome = run(
        (ALICE, daily(100)), (ALICE, tighter), (ALICE, pay(51)), (ALICE, looser), (ALICE, pay(51)), funds=FUNDS
    )
    assert ["executed", "executed", OVER, "executed", OVER] == list_reasons(outcome)
    assert (RuleSet(A, ETHER, START + 2 * DAY),) == outcome.outcomes[3].events
    outcome = run(
        (ALICE, tighter), (ALICE, looser), at(START + 2 * DAY), (ALICE, pay(60)), (ALICE, pay(1)), funds=FUNDS
    )
    assert ["executed", OVER] == list_reasons(outcome)[2:]


@pytest.mark.parametrize(
    "looser",
    [daily(101), daily(100, period=DAY - 1), daily(1, controller=B), daily(2**256 - 1), daily(1, controller=C)],
    ids=["limit", "period", "controller", "none", "another controller"],
)
def test_attack_a_thief_loosens_a_rule(looser: SetSpendingRule) -> None:
    """With the owner's key alone, each of these takes two days; an update meanwhile takes it back."""
    steps = [(ALICE, daily(100)), (ALICE, looser), at(START + DAY), (ALICE, pay(101))]
    assert OVER == list_reasons(run(*steps, funds=FUNDS))[-1]
    rotate = (ALICE, Update(A, CODE_2, CONFIG_2, CAROL))
    outcome = run(*steps, rotate, at(START + 9 * DAY), (CAROL, pay(101)), funds=FUNDS)
    assert OVER == list_reasons(outcome)[-1]


def test_attack_a_rule_of_its_own_that_is_looser_than_that_for_every_token() -> None:
    """It loosens what binds the token now, so it waits."""
    outcome = run((ALICE, daily(10, EVERY_TOKEN)), (ALICE, daily(11, TOKEN)), (ALICE, pay(11, TOKEN)), funds=FUNDS)
    assert OVER == list_reasons(outcome)[-1]


def test_the_controller_decides() -> None:
    """Looser, at once; the owner may only tighten, and does not get rid of the controller."""
    steps = [
        (ALICE, daily(200, controller=C)), (ALICE, daily(100)), (THIEF, daily(200, controller=C)),
        (ALICE, daily(90, controller=C)), (CAROL, daily(150, controller=C)), (ALICE, pay(150)), (CAROL, daily(200)),
        (ALICE, daily(201)), at(START + 4 * DAY), (ALICE, pay(201)),
    ]  # fmt: skip
    outcome = run(*CONTROLLED, *steps, funds=FUNDS)
    wrong = "sender is not the account's vk"
    assert [wrong, wrong, wrong, *["executed"] * 6] == list_reasons(outcome)[1:]


def test_a_permit_is_for_once() -> None:
    """Beyond the limit, until its time, used up; not renewed with the next period."""
    now = START + 2 * DAY
    permit = PermitSpending(A, ETHER, 50, now + 5 * DAY)
    steps = [(CAROL, permit), (ALICE, pay(130)), (ALICE, pay(21)), (ALICE, pay(20)), at(now + DAY), (ALICE, pay(101))]
    outcome = run(*CONTROLLED, *steps, funds=FUNDS)
    assert ["executed", "executed", OVER, "executed", OVER] == list_reasons(outcome)[1:]
    outcome = run(*CONTROLLED, (CAROL, permit), at(now + 5 * DAY + 1), (ALICE, pay(101)), funds=FUNDS)
    assert OVER == list_reasons(outcome)[-1]
    rotate = (ALICE, Update(A, CODE_2, CONFIG_2, BOB))
    assert OVER == list_reasons(run(*CONTROLLED, (CAROL, permit), rotate, (BOB, pay(101)), funds=FUNDS))[-1]


@pytest.mark.parametrize(
    ("sender", "action", "reason"),
    [
        (ALICE, PermitSpending(A, ETHER, 1, START + 9 * DAY), "sender is not the account's vk"),
        (CAROL, PermitSpending(A, ETHER, 1, START + 2 * DAY), "it would have ended already"),
        (CAROL, PermitSpending(A, TOKEN, 1, START + 9 * DAY), "no controller for this token"),
        (CAROL, PermitSpending(B, ETHER, 1, START + 9 * DAY), "no controller for this token"),
        (ALICE, daily(1, controller=A), "an account does not control itself"),
        (ALICE, daily(1, controller=b"\x77" * 32), "no such account"),
        (ALICE, daily(1, period=HOUR - 1), "a period is 1 hour to 366 days"),
        (ALICE, daily(1, period=366 * DAY + 1), "a period is 1 hour to 366 days"),
        (BOB, daily(1, TOKEN), "sender is not the account's vk"),
        (ALICE, SetSpendingRule(b"\x77" * 32, ETHER, 1, DAY, NOBODY), "no such account"),
    ],
)
def test_rejections(sender: bytes, action: object, reason: str) -> None:
    """Who may not, and what is out of bounds."""
    assert reason == list_reasons(run(*CONTROLLED, (sender, action), funds=FUNDS))[-1]


def test_permits_are_for_tokens_that_the_account_has() -> None:
    """So that they stay few."""
    steps = [(ALICE, daily(1, EVERY_TOKEN, controller=C)), at(START + 2 * DAY)]
    outcome = run(*steps, (CAROL, PermitSpending(A, OTHER_TOKEN, 1, START + 9 * DAY)), funds=FUNDS)
    assert "the account never had this token" == list_reasons(outcome)[-1]


def test_rules_are_few() -> None:
    """An account has a bounded number; one that exists can still change."""
    tokens = [bytes([number]) * 20 for number in range(MAX_RULES + 1)]
    outcome = run(*[(ALICE, daily(9, token)) for token in tokens], (ALICE, daily(8, tokens[3])))
    assert ["executed"] * MAX_RULES + ["an account has at most 16 rules", "executed"] == list_reasons(outcome)


def test_attack_a_thief_fills_the_places_for_rules() -> None:
    """One that is made to hold nothing back, which takes its two days, makes room."""
    tokens = [bytes([number]) * 20 for number in range(1, MAX_RULES + 1)]
    idle = daily(NO_LIMIT, tokens[5])
    steps = [*[(ALICE, daily(0, token)) for token in tokens], (ALICE, idle), (ALICE, daily(7))]
    outcome = run(*steps, at(START + 2 * DAY), (ALICE, daily(7)), (ALICE, pay(8)), funds=FUNDS)
    assert ["an account has at most 16 rules", "executed", OVER] == list_reasons(outcome)[-3:]
    assert {ETHER, *tokens} - {tokens[5]} == {rule.token for rule in outcome.state.spending.rules[A]}


def test_a_count_goes_on_over_a_change() -> None:
    """What was spent under the old rule counts under the new one until both grids have turned."""
    day_end = (START // DAY + 1) * DAY
    steps = [(ALICE, daily(100)), (ALICE, pay(100)), (ALICE, daily(100, period=10 * DAY)), at(day_end), (ALICE, pay(1))]
    assert OVER == list_reasons(run(*steps, funds=FUNDS))[-1]
    ten_end = (START // (10 * DAY) + 1) * 10 * DAY
    assert "executed" == list_reasons(run(*steps[:-2], at(ten_end), (ALICE, pay(1)), funds=FUNDS))[-1]


CHANGES = st.tuples(st.integers(0, 30), st.sampled_from([HOUR, 5 * HOUR, DAY]))
SPENDINGS = st.integers(1, 40)


@given(st.lists(st.tuples(st.integers(0, 2 * DAY), CHANGES | SPENDINGS), min_size=1, max_size=30))
def test_no_stretch_of_a_period_sees_more_than_twice_the_limit(events: list[tuple[int, object]]) -> None:
    """Whatever the owner does at whatever time: in each stretch, at most twice the highest limit of that stretch."""
    now, steps, limits = START, [], []
    for seconds, what in events:
        now += seconds
        if isinstance(what, tuple):
            steps += [at(now), (ALICE, daily(what[0], period=what[1]))]
        else:
            steps += [at(now), (ALICE, pay(what))]
    outcome = execute(PLUS, [force(VAULT, Deposit(1, ETHER, A, 10_000)), at(START), *steps], state=make_state())
    spent: list[tuple[int, int]] = []
    now, done = START, iter(outcome.outcomes[1:])
    for seconds, what in events:
        now += seconds
        executed = next(done).status == "executed"
        if isinstance(what, tuple) and executed:
            limits.append((now, *what))
        elif not isinstance(what, tuple) and executed:
            spent.append((now, what))
    if not limits:
        return
    begun, longest = limits[0][0], max(limit for _, limit, _ in limits)
    for first, _ in spent:
        total = sum(amount for time, amount in spent if first <= time < first + HOUR and time >= begun)
        assert total <= 2 * longest
    assert count_money(outcome.state, ETHER) == 10_000
