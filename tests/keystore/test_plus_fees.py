"""Keystore+'s fees: prices, who pays, sponsors."""

from __future__ import annotations

import pytest

from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.acting import MAX_SPONSORS, FeePaid
from apps.keystore.plus.fees import SetAxiomFee, SetFeeToken, SetPrice, Sponsor
from apps.keystore.plus.prices import get_price
from apps.keystore.plus.updates import SetCareful
from apps.keystore.plus.vault import Transfer, Withdraw
from apps.keystore.transitions import Register, Update
from microrollup import ZERO_BYTES32
from microrollup.testing.execution import at, carry, force
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CODE,
    CODE_2,
    COLLECTOR,
    COLLECTOR_KEY,
    CONFIG,
    CONFIG_2,
    DAVE,
    DAY,
    ETHER,
    KEYS,
    OTHER_TOKEN,
    SENDERS,
    START,
    THIEF,
    TOKEN,
    VAULT,
    A,
    B,
    C,
    D,
    count_money,
    list_reasons,
    run,
)

LATER = START + 2 * DAY
PRICED = [(COLLECTOR, SetPrice(ETHER, 10)), (COLLECTOR, SetPrice(TOKEN, 3)), at(LATER)]
FUNDS = [(A, ETHER, 100), (B, ETHER, 100), (A, TOKEN, 100), (C, ETHER, 1_000)]
PAY = Transfer(A, B, ETHER, 1)


def test_without_prices_everything_is_free() -> None:
    """The default: nothing is drawn."""
    assert 99 == run((ALICE, PAY), funds=FUNDS).state.vault.balances[A]


def test_a_price_is_drawn_from_who_acts() -> None:
    """A day after it was announced, for the collector."""
    soon = [(COLLECTOR, SetPrice(ETHER, 10)), at(START + DAY - 1), (ALICE, PAY), at(START + DAY), (ALICE, PAY)]
    outcome = run(*soon, funds=FUNDS)
    assert () == tuple(event for event in outcome.outcomes[1].events if isinstance(event, FeePaid))
    assert FeePaid(A, ETHER, 10) == outcome.outcomes[2].events[0]
    assert (88, 10) == (outcome.state.vault.balances[A], outcome.state.vault.balances[COLLECTOR_KEY])
    assert 1_200 == count_money(outcome.state, ETHER)


def test_rejected_actions_pay_nothing() -> None:
    """The state is kept, the fee with it; who has too little for fee and amount is rejected."""
    outcome = run(*PRICED, (ALICE, Transfer(A, B, ETHER, 91)), (DAVE, Transfer(D, A, ETHER, 1)), funds=FUNDS)
    assert ["balance too low"] * 2 == list_reasons(outcome)[2:]
    assert 100 == outcome.state.vault.balances[A]


def test_what_is_free() -> None:
    """Updates, recovery, the collector's own actions, an L1 account's own forced ones; not what is carried."""
    steps = [
        (DAVE, Update(D, CODE_2, CONFIG_2, DAVE)), (DAVE, SetCareful(D, True)), force(ALICE, PAY), at(LATER + 1),
        carry(BOB, ALICE, PAY),
    ]  # fmt: skip
    outcome = run(*PRICED, *steps, funds=FUNDS)
    assert {"executed"} == set(list_reasons(outcome))
    assert (88, 10) == (outcome.state.vault.balances[A], outcome.state.vault.balances[COLLECTOR_KEY])


def test_another_token() -> None:
    """Chosen by the account, with a price; the choice itself is paid with it."""
    outcome = run(
        *PRICED, (ALICE, SetFeeToken(A, OTHER_TOKEN)), (BOB, SetFeeToken(A, TOKEN)), (ALICE, SetFeeToken(A, TOKEN)),
        (ALICE, PAY), funds=FUNDS,
    )  # fmt: skip
    assert ["token has no price", "sender is not the account's vk", "executed", "executed"] == list_reasons(outcome)[2:]
    assert (94, 6) == (outcome.state.vault.tokens[TOKEN, A], outcome.state.vault.tokens[TOKEN, COLLECTOR_KEY])


def test_attack_a_price_in_a_token_that_nobody_has_stops_everybody() -> None:
    """Who pays in a token without a price pays nothing; a token without a price cannot be chosen."""
    outcome = run(
        (COLLECTOR, SetPrice(TOKEN, 50)), at(LATER), (ALICE, PAY), (DAVE, SetFeeToken(D, OTHER_TOKEN)), funds=FUNDS
    )
    assert ["executed", "token has no price"] == list_reasons(outcome)[1:]
    assert 99 == outcome.state.vault.balances[A]


def test_prices_rise_slowly() -> None:
    """At most to twice in seven days, a day ahead, never above the cap; down at once; not by way of zero."""
    week = 7 * DAY
    steps = [
        (THIEF, SetPrice(ETHER, 1)), (COLLECTOR, SetPrice(ETHER, 1_001)), (COLLECTOR, SetPrice(OTHER_TOKEN, 1)),
        (COLLECTOR, SetPrice(ETHER, 100)), at(LATER), (COLLECTOR, SetPrice(ETHER, 0)),
        (COLLECTOR, SetPrice(ETHER, 200)),
        at(START + week), (COLLECTOR, SetPrice(ETHER, 201)), (COLLECTOR, SetPrice(ETHER, 200)), at(START + week + DAY),
        (COLLECTOR, SetPrice(ETHER, 400)), at(START + week + DAY + week),
    ]  # fmt: skip
    outcome = run(*steps)
    assert [
        "sender is not the account's vk", "more than the price's cap", "more than the price's cap", "executed",
        "executed", "the last rise is less than seven days ago", "a price may at most double", "executed",
        "the last rise is less than seven days ago",
    ] == list_reasons(outcome)  # fmt: skip
    price = outcome.state.fees.prices[ETHER]
    assert [0, 200] == [get_price(price, START + week + DAY - 1), get_price(price, START + week + DAY)]


def test_an_announced_price_can_be_taken_back() -> None:
    """A lower one is in force at once, and what was announced is gone."""
    outcome = run(
        (COLLECTOR, SetPrice(ETHER, 10)), (COLLECTOR, SetPrice(ETHER, 0)), at(LATER), (ALICE, PAY), funds=FUNDS
    )
    assert 99 == outcome.state.vault.balances[A]


def test_axioms_fee_moves_as_prices_do() -> None:
    """Both parts."""
    steps = [(THIEF, SetAxiomFee(1, 1)), (COLLECTOR, SetAxiomFee(1_001, 1)), (COLLECTOR, SetAxiomFee(7, 9)), at(LATER)]
    outcome = run(*steps)
    assert ["sender is not the account's vk", "more than the price's cap", "executed"] == list_reasons(outcome)
    fee = outcome.state.fees.axiom
    assert (7, 9) == (get_price(fee.minimum, LATER), get_price(fee.per_byte, LATER))


def test_a_sponsor_pays() -> None:
    """Up to the budget, out of the sponsor's balance; then the account itself."""
    promise = (CAROL, Sponsor(C, A, 20, ETHER, LATER + DAY))
    outcome = run(*PRICED, promise, (ALICE, PAY), (ALICE, PAY), (ALICE, PAY), funds=FUNDS)
    assert (87, 970) == (outcome.state.vault.balances[A], outcome.state.vault.balances[C])
    assert 0 == len(outcome.state.fees.sponsorships)
    payers = [event.key for each in outcome.outcomes for event in each.events if isinstance(event, FeePaid)]
    assert [C, C, C, A] == payers


def test_a_sponsor_of_any_account_pays_once_each() -> None:
    """For whoever acts, once."""
    promise = (CAROL, Sponsor(C, ZERO_BYTES32, 100, ETHER, LATER + DAY))
    outcome = run(*PRICED, promise, (ALICE, PAY), (ALICE, PAY), (BOB, Transfer(B, A, ETHER, 1)), funds=FUNDS)
    payers = [event.key for each in outcome.outcomes for event in each.events if isinstance(event, FeePaid)]
    assert [C, C, A, C] == payers


@pytest.mark.parametrize(
    "end",
    [
        [(CAROL, Sponsor(C, A, 0, ETHER, LATER))],
        [at(LATER + DAY + 1)],
        [(CAROL, Update(C, CODE_2, CONFIG_2, CAROL))],
        [force(CAROL, Withdraw(C, ETHER, 990, CAROL)), at(LATER + 2)],
    ],
    ids=["taken back", "too late", "another epoch", "nothing left"],
)
def test_sponsorships_end(end: list[object]) -> None:
    """Taken back, past its time, after an update of the sponsor, or without money: the account pays itself."""
    promise = (CAROL, Sponsor(C, A, 100, ETHER, LATER + DAY))
    outcome = run(*PRICED, promise, *end, (ALICE, PAY), funds=FUNDS)
    assert {"executed"} == set(list_reasons(outcome))
    assert (89, 0) == (outcome.state.vault.balances[A], len(outcome.state.fees.sponsorships))


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Sponsor(A, B, 1, ETHER, LATER + 1), "sender is not the account's vk"),
        (Sponsor(C, C, 1, ETHER, LATER + 1), "an account pays for itself anyway"),
        (Sponsor(C, A, 1, OTHER_TOKEN, LATER + 1), "token has no price"),
        (Sponsor(C, A, 1, ETHER, LATER), "it would have ended already"),
        (Sponsor(C, A, 0, ETHER, LATER), "no such sponsorship"),
    ],
)
def test_sponsoring_rejected(action: Sponsor, reason: str) -> None:
    """Only by the sponsor's authority, in a token with a price, for some time to come."""
    assert reason == list_reasons(run(*PRICED, (CAROL, action), funds=FUNDS))[-1]


def test_attack_sponsors_without_money_in_front_of_others() -> None:
    """One action looks at a few sponsorships; those that cannot pay end then, so the next action reaches the others."""
    keys = sorted(set(KEYS) - {A, COLLECTOR_KEY})
    promises = [(SENDERS[KEYS.index(key)], Sponsor(key, A, 1_000, ETHER, LATER + DAY)) for key in keys]
    assert MAX_SPONSORS > len(promises)
    funds = [(A, ETHER, 100), *[(key, ETHER, 10) for key in keys[:-1]], (keys[-1], ETHER, 1_000)]
    outcome = run(*PRICED, *promises, (ALICE, PAY), funds=funds)
    assert FeePaid(keys[-1], ETHER, 10) == outcome.outcomes[-1].events[0]
    assert [(A, keys[-1])] == list(outcome.state.fees.sponsorships.keys())


def test_attack_empty_sponsors_that_hide_the_others_from_who_has_nothing() -> None:
    """What an account without money tries is rejected, and ends no sponsorship: so one has at most eight, and whoever
    adds one ends those that cannot pay.
    """
    low = [make_poor(place) for place in range(MAX_SPONSORS)]
    registers = [(THIEF, Register(CODE, CONFIG, salt)) for _, salt in low]
    promises = [(THIEF, Sponsor(key, D, 1, ETHER, LATER + DAY)) for key, _ in low]
    good, act = (CAROL, Sponsor(C, D, 50, ETHER, LATER + DAY)), (DAVE, Sponsor(D, A, 5, ETHER, LATER + DAY))
    funds = [*FUNDS, *[(key, ETHER, 10) for key, _ in low]]
    for steps in ([*promises, good], [good, *promises]):
        outcome = run(*PRICED, *registers, *steps, act, funds=funds)
        assert {"executed"} == set(list_reasons(outcome))
        assert FeePaid(C, ETHER, 10) == outcome.outcomes[-1].events[0]
    (first, _), (last, salt) = low[0], make_poor(MAX_SPONSORS)
    registers.append((THIEF, Register(CODE, CONFIG, salt)))
    paying = [(THIEF, Sponsor(key, D, 50, ETHER, LATER + DAY)) for key, _ in low]
    more = [(THIEF, Sponsor(first, D, 60, ETHER, LATER + DAY)), (THIEF, Sponsor(last, D, 50, ETHER, LATER + DAY))]
    outcome = run(*PRICED, *registers, *paying, *more, funds=[(key, ETHER, 50) for key, _ in (*low, (last, salt))])
    assert ["executed", "eight others sponsor it already"] == list_reasons(outcome)[-2:]


def make_poor(place: int) -> tuple[bytes, bytes]:
    """Key and salt of one more account of the thief's, before Carol's in the order of keys."""
    salts = [number.to_bytes(32, "big") for number in range(200)]
    made = sorted((compute_account_key(salt, CODE + CONFIG, THIEF), salt) for salt in salts)
    assert made[place][0] < C
    return made[place]


@pytest.mark.parametrize("fallen", [False, True], ids=["announced", "fallen to nothing"])
def test_attack_a_token_whose_price_is_nothing(fallen: bool) -> None:
    """Where ether has a price, nobody acts for nothing by a token that has none yet, or no more: neither by choosing it
    nor by a sponsor.
    """
    token = [(COLLECTOR, SetPrice(TOKEN, 3)), at(LATER)]
    if fallen:
        token += [at(LATER + DAY), (COLLECTOR, SetPrice(TOKEN, 0))]
    steps = [
        (COLLECTOR, SetPrice(ETHER, 10)), at(LATER), *token, (ALICE, SetFeeToken(A, TOKEN)),
        (BOB, Sponsor(B, A, 50, TOKEN, LATER + 2 * DAY)), (ALICE, PAY),
    ]  # fmt: skip
    outcome = run(*steps, funds=FUNDS)
    assert ["executed", "token has no price", "executed"] == list_reasons(outcome)[-3:]
    assert 100 - 10 - 10 - 1 == outcome.state.vault.balances[A]
    before = [
        (COLLECTOR, SetPrice(ETHER, 10)), (COLLECTOR, SetPrice(TOKEN, 3)), at(LATER),
        (BOB, Sponsor(B, A, 50, TOKEN, LATER + 2 * DAY)), (COLLECTOR, SetPrice(TOKEN, 0)), (ALICE, PAY),
    ]  # fmt: skip
    outcome = run(*before, funds=[*FUNDS, (B, TOKEN, 50)])
    assert (89, []) == (outcome.state.vault.balances[A], list(outcome.state.fees.sponsorships))


def test_after_the_freeze_nothing_is_drawn() -> None:
    """Balances stay as the vault on L1 pays them."""
    from apps.keystore.plus.exits import SetExit
    from apps.keystore.plus.vault import Freeze

    outcome = run(*PRICED, force(VAULT, Freeze()), (ALICE, SetExit(A, BOB)), funds=FUNDS)
    assert ("executed", 100) == (list_reasons(outcome)[-1], outcome.state.vault.balances[A])
