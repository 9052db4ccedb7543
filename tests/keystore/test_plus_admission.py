"""What a node of Keystore+ refuses: what nobody would pay for, and nothing else."""

from __future__ import annotations

import pytest

from apps.keystore.plus.admission import admit
from apps.keystore.plus.fees import SetFeeToken, SetPrice, Sponsor
from apps.keystore.plus.naming import CommitName
from apps.keystore.plus.orders import Fill, OpenOrder
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.recovery import FinishRecovery
from apps.keystore.plus.rollup import app
from apps.keystore.plus.spending import NO_LIMIT, PermitSpending, SetSpendingRule
from apps.keystore.plus.state import Plus
from apps.keystore.plus.updates import SetCareful
from apps.keystore.plus.vault import Freeze, Transfer, Withdraw
from apps.keystore.transitions import Register, Update
from microrollup import Context, Revert
from microrollup.declaration.action import Action
from microrollup.declaration.admission import load_admission
from microrollup.testing.execution import at
from plus_world import (
    ALICE,
    BOB,
    CHAIN,
    CODE,
    CODE_2,
    COLLECTOR,
    CONFIG,
    CONFIG_2,
    DAVE,
    DAY,
    ETHER,
    PLUS,
    SALT,
    START,
    TOKEN,
    A,
    B,
    D,
    list_reasons,
    run,
)

LATER = START + 2 * DAY
PRICED = [(COLLECTOR, SetPrice(ETHER, 10)), at(LATER)]
FUNDS = [(A, ETHER, 100), (B, ETHER, 9)]
HOUR = 3_600


def judge(state: Plus, sender: bytes, action: Action) -> str:
    """Why it is refused; an empty text if it is not."""
    try:
        admit(state, action, Context(sender=sender, height=9, timestamp=LATER))
    except Revert as revert:
        return revert.reason
    return ""


def make_state(*steps: object) -> Plus:
    state = run(*PRICED, *steps, at(LATER), funds=FUNDS).state
    assert isinstance(state, Plus)
    return state


def test_declared() -> None:
    """The app's nodes ask it."""
    assert admit is load_admission(app)


@pytest.mark.parametrize(
    "action",
    [
        Transfer(D, A, ETHER, 0), Withdraw(D, ETHER, 1, ALICE), Intend(D, 0, 1, ALICE, CODE_2, LATER + HOUR),
        SetDelegate(D, 0, CODE_2, CONFIG_2, LATER + HOUR), Sponsor(D, A, 5, ETHER, LATER + HOUR),
        SetSpendingRule(D, ETHER, 5, DAY, bytes(32)), SetFeeToken(D, ETHER),
        OpenOrder(D, ETHER, 1, CHAIN, CODE_2, LATER + HOUR),
        Fill(CODE_2, ALICE, CHAIN, D, A, ETHER, 1, ALICE, LATER + HOUR),
    ],
    ids=lambda action: type(action).__name__,
)  # fmt: skip
def test_what_nobody_pays_for(action: Action) -> None:
    """An account without money, or a sender who may not act for it: refused, where it would be rejected for nothing. A
    sponsor changes that for the account, and not for a stranger.
    """
    poor, sponsored = make_state(), make_state((ALICE, Sponsor(A, D, 50, ETHER, LATER + HOUR)))
    assert "balance too low" == judge(poor, DAVE, action)
    assert "" == judge(sponsored, DAVE, action)
    assert "sender is not the account's vk" == judge(sponsored, BOB, action)
    assert "" == judge(make_state((COLLECTOR, SetPrice(ETHER, 0))), DAVE, action)
    assert "" == judge(run(funds=FUNDS).state, BOB, action)  # type: ignore[arg-type]  # without prices all is free


def test_what_is_free_is_taken_if_it_would_be_executed() -> None:
    """Nobody pays for its place in the log: who has no account, or no say, gets none by being rejected."""
    free = (Update(D, CODE_2, CONFIG_2, DAVE), SetCareful(D, True), CommitName(bytes(32)))
    assert [""] * 3 == [judge(make_state(), DAVE, action) for action in free]
    stranger = b"\x99" * 20
    for sender, action, reason in (
        (stranger, Update(A, CODE_2, CONFIG_2, stranger), "sender is not the account's vk"),
        (stranger, FinishRecovery(bytes(32)), "no such proposal"),
        (DAVE, Register(CODE, CONFIG, SALT), "account exists"),
        (DAVE, Freeze(), "not from the vault on L1"),
        (DAVE, SetPrice(ETHER, 1), "sender is not the account's vk"),
    ):
        assert reason == judge(make_state(), sender, action)
        assert "" == judge(run(funds=FUNDS).state, sender, action)  # type: ignore[arg-type]


def test_what_could_pay_is_taken_although_it_is_rejected() -> None:
    """The policy is about the fee: the rest is the functions' own, and its rejections are rationed."""
    state, action = make_state(), Transfer(A, B, ETHER, 1_000)
    assert "" == judge(state, ALICE, action)
    assert ["balance too low"] == list_reasons(run(*PRICED, (ALICE, action), funds=FUNDS))[1:]


def test_a_controller_pays() -> None:
    """Who permits, or loosens a rule, is the controller: his balance is looked at, as the functions do."""
    named = (ALICE, SetSpendingRule(A, ETHER, 5, DAY, B))
    state = run(*PRICED, named, at(LATER + 3 * DAY), funds=[(A, ETHER, 100), (B, ETHER, 9)]).state
    permit, loosen = PermitSpending(A, ETHER, 5, LATER + 9 * DAY), SetSpendingRule(A, ETHER, NO_LIMIT, DAY, B)
    for action in (permit, loosen):
        context = Context(sender=BOB, height=9, timestamp=LATER + 4 * DAY)
        with pytest.raises(Revert, match="balance too low"):
            admit(state, action, context)  # type: ignore[arg-type]
    with pytest.raises(Revert, match="no controller for this token"):
        admit(state, PermitSpending(A, TOKEN, 5, LATER + 9 * DAY), Context(sender=BOB, timestamp=LATER))  # type: ignore[arg-type]


def test_the_policy_is_the_functions_own() -> None:
    """Whatever it refuses would have been rejected: it never stands between an account and what it could do."""
    assert PLUS.admission == app.admission
    state = make_state((ALICE, Sponsor(A, D, 50, ETHER, LATER + HOUR)))
    for sender in (ALICE, BOB, DAVE):
        for key in (A, B, D):
            action = Transfer(key, A, ETHER, 1)
            reason = judge(state, sender, action)
            steps = [*PRICED, (ALICE, Sponsor(A, D, 50, ETHER, LATER + HOUR)), (sender, action)]
            outcome = list_reasons(run(*steps, funds=FUNDS))[-1]
            assert not reason or outcome == reason
