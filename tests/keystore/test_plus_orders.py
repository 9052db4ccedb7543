"""Keystore+'s orders: money that waits for a filler elsewhere, and fills of other chains' orders."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode

from apps.keystore.plus import queries
from apps.keystore.plus.orders import (
    FILLED,
    MAX_ORDER_TIME,
    OPEN,
    UNFILLED,
    EndOrder,
    Fill,
    OpenOrder,
    compute_fill_id,
    compute_order_id,
)
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.state import Order, OrderFill, TokenWithdrawal, Withdrawal
from apps.keystore.plus.vault import Deposit, Freeze, Transfer
from microrollup.crypto.keccak import keccak256
from microrollup.testing.execution import at, carry, execute, force
from microrollup.testing.querying import query
from plus_world import (
    ALICE,
    BOB,
    CHAIN,
    DAY,
    ETHER,
    PLUS,
    SETTLER,
    START,
    THIEF,
    TOKEN,
    VAULT,
    A,
    B,
    count_money,
    list_reasons,
    make_state,
    run,
)

ZERO, CLAIMANT, OTHER = bytes(20), b"\xc1" * 20, b"\xc2" * 20
OUTPUTS, FOREIGN = b"\x0f" * 32, b"\xf0" * 32
DEADLINE = START + 3_600
FUNDS = [(A, ETHER, 1_000), (A, TOKEN, 70), (B, ETHER, 500), (B, TOKEN, 40)]
FIRST, SECOND = compute_order_id(bytes(32), A, 0), compute_order_id(bytes(32), A, 1)
"""Tests execute for a rollup id of zeros."""
NEXT = at(START + 1)
"""What L1 forces comes first in its block."""
WRONG, OVER = "sender is not the account's vk", "more than the spending rule allows"


def want(amount: int = 300, token: bytes = ETHER, deadline: int = DEADLINE, **more: Any) -> OpenOrder:
    words: dict[str, Any] = {"key": A, "chain_id": CHAIN, "output_hash": OUTPUTS, **more}
    return OpenOrder(token=token, amount=amount, fill_deadline=deadline, **words)


def pay(amount: int = 30, token: bytes = ETHER, deadline: int = DEADLINE, **more: Any) -> Fill:
    words: dict[str, Any] = {
        "order_id": FOREIGN, "settler": SETTLER, "chain_id": CHAIN, "filler_key": B, "to_key": A, "claimant": CLAIMANT,
        **more,
    }  # fmt: skip
    return Fill(token=token, amount=amount, fill_deadline=deadline, **words)


def locate(action: Fill) -> bytes:
    return compute_fill_id(
        action.order_id, action.settler, action.chain_id, action.to_key, action.token, action.amount,
        action.fill_deadline,
    )  # fmt: skip


def end(order: bytes, claimant: bytes = CLAIMANT) -> Any:
    return force(VAULT, EndOrder(order, claimant != ZERO, claimant))


def test_ids_are_what_contracts_compute() -> None:
    """`abi.encode` of a library, hashed."""
    assert keccak256(encode(["bytes32", "bytes32", "uint256"], [FOREIGN, A, 3])) == compute_order_id(FOREIGN, A, 3)
    types = ["bytes32", "address", "uint64", "bytes32", "address", "uint256", "uint64"]
    words = [FOREIGN, SETTLER, CHAIN, A, TOKEN, 30, DEADLINE]
    assert keccak256(encode(types, words)) == locate(pay(token=TOKEN))


@pytest.mark.parametrize("token", [ETHER, TOKEN])
def test_an_order_that_is_filled(token: bytes) -> None:
    """The money is locked, then waits on L1 for the claimant, under the order's id."""
    opened = run((ALICE, want(60, token)), funds=FUNDS)
    order = Order(A, token, 60, CHAIN, OUTPUTS, DEADLINE, OPEN)
    assert order == opened.state.orders.orders[FIRST]
    assert (1_500, 110) == (count_money(opened.state, ETHER), count_money(opened.state, TOKEN))
    outcome = run((ALICE, want(60, token)), NEXT, end(FIRST), (ALICE, want(1)), funds=FUNDS)
    assert ["executed"] * 3 == list_reasons(outcome)
    vault = outcome.state.vault
    if token == ETHER:
        assert Withdrawal(CLAIMANT, 60) == vault.withdrawals[FIRST]
    else:
        assert TokenWithdrawal(TOKEN, CLAIMANT, 60) == vault.token_withdrawals[FIRST]
    assert FILLED == outcome.state.orders.orders[FIRST].status
    assert {FIRST, SECOND} == set(outcome.state.orders.orders.keys())
    assert A not in vault.axiom_nonces, "a filler moves no number that the account's own transactions count with"


def test_an_order_that_nobody_fills() -> None:
    """The money comes back, also to an account whose rule would let none leave."""
    outcome = run((ALICE, want()), NEXT, end(FIRST, ZERO), funds=FUNDS)
    assert (UNFILLED, 1_000) == (outcome.state.orders.orders[FIRST].status, outcome.state.vault.balances[A])


def test_an_order_ends_once() -> None:
    """Whatever the second message says."""
    outcome = run((ALICE, want()), NEXT, end(FIRST), end(FIRST, ZERO), end(FIRST, OTHER), funds=FUNDS)
    assert ["executed", "executed", *["order has ended already"] * 2] == list_reasons(outcome)
    outcome = run((ALICE, want()), NEXT, end(FIRST, ZERO), end(FIRST), funds=FUNDS)
    assert ["executed", "executed", "order has ended already"] == list_reasons(outcome)
    assert 1_500 == count_money(outcome.state, ETHER)


@pytest.mark.parametrize(
    ("sender", "action", "reason"),
    [
        (ALICE, want(1_000), "executed"),
        (ALICE, want(1_001), "balance too low"),
        (ALICE, want(0), "nothing to lock"),
        (BOB, want(), WRONG),
        (ALICE, want(chain_id=11), "no settler on this chain: nothing would end the order"),
        (ALICE, want(output_hash=bytes(32)), "an order asks for something"),
        (ALICE, want(deadline=START), "an order lasts 30 days at most"),
        (ALICE, want(deadline=START + 1), "executed"),
        (ALICE, want(deadline=START + MAX_ORDER_TIME), "executed"),
        (ALICE, want(deadline=START + MAX_ORDER_TIME + 1), "an order lasts 30 days at most"),
        (BOB, pay(500), "executed"),
        (BOB, pay(501), "balance too low"),
        (BOB, pay(0), "nothing to transfer"),
        (ALICE, pay(), WRONG),
        (BOB, pay(to_key=b"\xee" * 32), "no such account"),
        (BOB, pay(claimant=ZERO), "nobody claims for the zero address"),
        (BOB, pay(deadline=START), "executed"),
        (BOB, pay(deadline=START - 1), "the order's deadline has passed"),
    ],
)
def test_bounds(sender: bytes, action: Any, reason: str) -> None:
    assert [reason] == list_reasons(run((sender, action), funds=FUNDS))


def test_the_last_second_of_erc_7683() -> None:
    """It counts in 32 bits, whatever 30 days from now are."""
    late = 2**32 - DAY
    outcome = run(at(late), (ALICE, want(deadline=2**32 - 1)), (ALICE, want(deadline=2**32)), funds=FUNDS)
    assert ["executed", "an order lasts 30 days at most"] == list_reasons(outcome)


def test_a_fill() -> None:
    """A transfer with a leaf that says who filled, and when."""
    outcome = run((BOB, pay(30, TOKEN)), funds=FUNDS)
    assert OrderFill(CLAIMANT, START) == outcome.state.orders.fills[locate(pay(30, TOKEN))]
    assert (100, 10) == (outcome.state.vault.tokens[TOKEN, A], outcome.state.vault.tokens[TOKEN, B])


def test_attack_an_order_that_is_filled_twice() -> None:
    """Nobody pays twice, and the first claimant stays."""
    outcome = run((BOB, pay()), (BOB, pay(claimant=OTHER)), (ALICE, pay(filler_key=A, claimant=OTHER)), funds=FUNDS)
    assert ["executed", *["order was filled already"] * 2] == list_reasons(outcome)
    assert CLAIMANT == outcome.state.orders.fills[locate(pay())].claimant


def test_attack_an_order_that_is_occupied_by_a_wrong_fill() -> None:
    """A fill of less, of another token, to another account, for another settler, chain or deadline has a place of its
    own: the right fill still finds its place free.
    """
    wrong = [
        pay(1), pay(30, TOKEN), pay(to_key=B), pay(settler=OTHER), pay(chain_id=11), pay(deadline=DEADLINE + 1),
        pay(order_id=b"\xf1" * 32),
    ]  # fmt: skip
    outcome = run(*[(BOB, each) for each in wrong], (BOB, pay()), funds=FUNDS)
    assert ["executed"] * 8 == list_reasons(outcome)
    assert 8 == len({locate(each) for each in [*wrong, pay()]}) == len(outcome.state.orders.fills)


def test_attack_a_fill_to_oneself() -> None:
    """Moves nothing and makes nothing."""
    outcome = run((BOB, pay(500, to_key=B)), funds=FUNDS)
    assert (["executed"], 500) == (list_reasons(outcome), outcome.state.vault.balances[B])
    assert ["balance too low"] == list_reasons(run((BOB, pay(501, to_key=B)), funds=FUNDS))


def test_attack_an_order_that_is_ended_by_anybody_but_the_vault() -> None:
    """Signed, forced by another, carried by the vault's own hand, or by the settler."""
    action = EndOrder(FIRST, True, THIEF)
    steps = [
        (VAULT, action), (THIEF, action), force(THIEF, action), force(SETTLER, action), carry(VAULT, THIEF, action),
    ]  # fmt: skip
    outcome = run((ALICE, want()), NEXT, *steps, funds=FUNDS)
    assert ["executed", *["not from the vault on L1"] * 5] == list_reasons(outcome)
    assert OPEN == outcome.state.orders.orders[FIRST].status


def test_attack_an_order_that_is_not_there() -> None:
    """A stranger's id, or one whose opening was never settled."""
    assert ["no such order"] == list_reasons(run(end(FIRST), funds=FUNDS))


def test_a_message_that_contradicts_itself() -> None:
    """Filled by nobody, or not filled by somebody."""
    steps = [force(VAULT, EndOrder(FIRST, True, ZERO)), force(VAULT, EndOrder(FIRST, False, CLAIMANT))]
    outcome = run((ALICE, want()), NEXT, *steps, funds=FUNDS)
    assert ["executed", *["a filled order has a claimant, another one has none"] * 2] == list_reasons(outcome)


def test_attack_orders_as_a_way_around_a_rule() -> None:
    """What is locked and what is filled counts as what is paid; an order that comes back does not count back."""
    rule = SetSpendingRule(A, ETHER, 100, DAY, bytes(32))
    outcome = run(
        (ALICE, rule), at(START + 2 * DAY), (ALICE, want(60, deadline=START + 3 * DAY)),
        (ALICE, pay(41, filler_key=A, to_key=B, deadline=START + 3 * DAY)),
        (ALICE, pay(40, filler_key=A, to_key=B, deadline=START + 3 * DAY)),
        (ALICE, want(1, deadline=START + 3 * DAY)), at(START + 2 * DAY + 9), end(FIRST, ZERO),
        (ALICE, want(1, deadline=START + 3 * DAY)), (ALICE, Transfer(A, B, ETHER, 1)), funds=FUNDS,
    )  # fmt: skip
    assert ["executed"] * 2 + [OVER, "executed", OVER, "executed", OVER, OVER] == list_reasons(outcome)


def test_the_freeze() -> None:
    """Nothing is locked, filled or ended after it: the vault pays by the state before."""
    outcome = run(
        (ALICE, want()), NEXT, force(VAULT, Freeze()), end(FIRST), end(FIRST, ZERO), (ALICE, want()),
        (BOB, pay()), funds=FUNDS,
    )  # fmt: skip
    assert ["executed"] * 2 + ["the vault is frozen"] * 4 == list_reasons(outcome)


def test_queries() -> None:
    """An account's orders by state, and the fills that it was paid by."""
    steps = [
        (ALICE, want(1)), (ALICE, want(2, deadline=START + 9)), (ALICE, want(3)), (ALICE, want(4)), (BOB, pay(30)),
        (BOB, pay(5, TOKEN)), at(START + 10),
    ]  # fmt: skip
    ids = [compute_order_id(bytes(32), A, number) for number in range(4)]
    paid_in = [force(VAULT, Deposit(number, token, key, amount)) for number, (key, token, amount) in enumerate(FUNDS)]
    begun = [at(START - 1), *paid_in, at(START), *steps]
    outcome = execute(PLUS, [*begun, end(ids[2]), end(ids[3], ZERO), at(START + 11)], state=make_state())
    shown = query(PLUS, queries.orders, outcome, A)
    assert {ids[0]: "open", ids[1]: "due", ids[2]: "filled", ids[3]: "returned"} == {
        each.order: each.state for each in shown.items
    }
    assert shown.items[-1].order == ids[1], "the latest deadline first"
    first = query(PLUS, queries.orders, outcome, A, limit=3)
    assert shown.items[:3] == first.items
    assert shown.items[3:] == query(PLUS, queries.orders, outcome, A, first.next, limit=3).items
    assert shown.items[3] == query(PLUS, queries.order, outcome, ids[1])
    found = query(PLUS, queries.fills, outcome, A)
    assert {30, 5} == {each.amount for each in found.items}
    assert {B} == {each.filler_key for each in found.items}
    page = query(PLUS, queries.fills, outcome, A, limit=1)
    assert found.items[1:] == query(PLUS, queries.fills, outcome, A, page.next).items
    assert [] == query(PLUS, queries.fills, outcome, B).items
