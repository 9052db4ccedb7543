"""Keystore+'s recovery: policies, proposals, votes, locks, and what a thief or a guardian may not do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth_abi import encode

from apps.keystore.accounts import Account
from apps.keystore.plus.exits import SetExit
from apps.keystore.plus.fees import SetFeeToken, SetPrice, Sponsor
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.naming import SetText
from apps.keystore.plus.orders import Fill, OpenOrder
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.policies import DropPending, SetRecovery
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import (
    CancelRecovery,
    FinishRecovery,
    StartRecovery,
    SupportRecovery,
    compute_proposal_id,
)
from apps.keystore.plus.spending import PermitSpending, SetSpendingRule
from apps.keystore.plus.updates import AcceptUpdate, SetCareful
from apps.keystore.plus.vault import Transfer, Withdraw
from apps.keystore.transitions import Update
from microrollup.crypto.keccak import keccak256
from microrollup.execution.payload import encode_forced_payload
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES
from microrollup.testing.execution import at, carry, force
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CHAIN,
    CODE,
    CODE_2,
    COLLECTOR,
    CONFIG,
    CONFIG_2,
    DAVE,
    DAY,
    ERIN,
    ETHER,
    FRANK,
    PLUS,
    SALT,
    SETTLER,
    START,
    THIEF,
    TOKEN,
    VAULT,
    A,
    B,
    C,
    E,
    T,
    list_reasons,
    run,
)

READY = START + 3 * DAY
"""When the first policy is in force."""
DELAY = 5 * DAY
WRONG, LOCKED, NOT_GUARDIAN = "sender is not the account's vk", "account is locked", "sender is not this guardian"


def sender(address: bytes) -> Guardian:
    return Guardian(0, bytes(12) + address)


def order(*guardians: Guardian) -> list[Guardian]:
    return sorted(guardians, key=lambda each: (each.kind, each.id))


GUARDIANS = order(sender(BOB), sender(CAROL), Guardian(1, E))
"""Bob and Carol by their senders, Erin by her account."""
PLACE = {BOB: GUARDIANS.index(sender(BOB)), CAROL: GUARDIANS.index(sender(CAROL)), ERIN: 2}
OWNER = 255


def choose(mode: int, threshold: int = 2, guardians: Sequence[Guardian] = GUARDIANS, delay: int = DELAY) -> SetRecovery:
    hashed = compute_guardians_hash(SALT, list(guardians))
    return SetRecovery(A, hashed, len(guardians), threshold, delay, mode)


def propose(vk: bytes = FRANK, guardians: Sequence[Guardian] = GUARDIANS) -> StartRecovery:
    return StartRecovery(A, CODE_2, CONFIG_2, vk, SALT, list(guardians))


def name(start: StartRecovery, policy: SetRecovery, number: int = 0, policy_number: int = 1) -> bytes:
    """The id of a proposal."""
    in_force = Policy(policy.guardians_hash, policy.count, policy.threshold, policy.delay, policy.mode, policy_number)
    return compute_proposal_id(bytes(32), start, in_force, number)


def recover(mode: int, *more: Any) -> Any:
    """Alice's account with a policy in force, a proposal for Frank that Bob and Carol support, then more steps."""
    return run(*begin(mode), *more, funds=[(A, ETHER, 100), (B, ETHER, 100)])


def begin(mode: int) -> list[Any]:
    proposal = name(propose(), choose(mode))
    return [
        (ALICE, choose(mode)), at(READY), (BOB, propose()), (BOB, SupportRecovery(proposal, PLACE[BOB])),
        (CAROL, SupportRecovery(proposal, PLACE[CAROL])), at(READY + 1),
    ]  # fmt: skip


P0, P1 = name(propose(), choose(0)), name(propose(), choose(1))


def test_ids_are_abi_words() -> None:
    """The hashes of lists and proposals are those of a library's `abi.encode`."""
    pairs = [(each.kind, each.id) for each in GUARDIANS]
    hashed = keccak256(encode(["bytes32", "(uint8,bytes32)[]"], [SALT, pairs]))
    assert hashed == compute_guardians_hash(SALT, GUARDIANS)
    words = [bytes(32), A, CODE_2, CONFIG_2, keccak256(FRANK), hashed, 7, 9]
    expected = keccak256(encode(["bytes32"] * 6 + ["uint64"] * 2, words))
    assert expected == name(propose(), choose(0), 9, 7)


@pytest.mark.parametrize("mode", [0, 1])
def test_a_recovery(mode: int) -> None:
    """After the delay the proposal's own vk has the account; data and vk are the proposed ones."""
    proposal = name(propose(), choose(mode))
    steps = [
        (FRANK, FinishRecovery(proposal)), at(READY + DELAY - 1), (FRANK, FinishRecovery(proposal)), at(READY + DELAY),
        (BOB, FinishRecovery(proposal)), (ALICE, FinishRecovery(proposal)), (FRANK, FinishRecovery(proposal)),
        (FRANK, FinishRecovery(proposal)), (FRANK, Withdraw(A, ETHER, 100, FRANK)), (ALICE, Transfer(A, B, ETHER, 1)),
    ]  # fmt: skip
    outcome = recover(mode, *steps)
    early, other = "the delay is not over", "sender is not the proposal's vk"
    assert [early, early, other, other, "executed", "no such proposal", "executed", WRONG] == list_reasons(outcome)[4:]
    assert Account(CODE_2 + CONFIG_2, FRANK) == outcome.state.keystore.accounts[A]
    assert 0 == len(outcome.state.recovery.proposals) == len(outcome.state.recovery.locks)
    assert (1, bytes(32)) == (outcome.state.recovery.standings[A].finished, outcome.state.recovery.standings[A].running)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (choose(0, 0), "a threshold is 1 to the number of guardians"),
        (choose(0, 4), "a threshold is 1 to the number of guardians"),
        (choose(2), "mode 0 or 1"),
        (choose(1, 1), "half of the guardians lock an account"),
        (choose(0, delay=DAY - 1), "a delay is 1 to 365 days, or to 30 where it locks"),
        (choose(0, delay=365 * DAY), "executed"),
        (choose(0, delay=365 * DAY + 1), "a delay is 1 to 365 days, or to 30 where it locks"),
        (choose(1, delay=30 * DAY), "executed"),
        (choose(1, delay=30 * DAY + 1), "a delay is 1 to 365 days, or to 30 where it locks"),
        (SetRecovery(A, bytes(32), 0, 1, DELAY, 0), "1 to 32 guardians"),
        (SetRecovery(A, bytes(32), 33, 2, DELAY, 0), "1 to 32 guardians"),
        (SetRecovery(A, bytes(32), 32, 32, DELAY, 1), "executed"),
        (SetRecovery(B, bytes(32), 1, 1, DELAY, 0), WRONG),
    ],
)
def test_policies(policy: SetRecovery, reason: str) -> None:
    """The bounds, each with its neighbour."""
    assert [reason] == list_reasons(run((ALICE, policy)))


def test_attack_a_delay_that_overflows() -> None:
    """A delay of 2^64 - 1 seconds is out of bounds."""
    assert "executed" != list_reasons(run((ALICE, choose(0, delay=2**64 - 1))))[0]


def test_a_first_policy_takes_two_days() -> None:
    """Until then it does nothing, and can be dropped."""
    none = "account has no guardians"
    early = [(ALICE, choose(0)), at(START + 2 * DAY - 1), (BOB, propose()), at(START + 2 * DAY), (BOB, propose())]
    assert ["executed", none, "executed"] == list_reasons(run(*early))
    dropped = [(ALICE, choose(0)), (BOB, DropPending(A)), (ALICE, DropPending(A)), (ALICE, DropPending(A))]
    outcome = run(*dropped, at(READY), (BOB, propose()))
    assert ["executed", WRONG, "executed", "no policy is announced", none] == list_reasons(outcome)
    assert "no policy is announced" == list_reasons(run((ALICE, choose(0)), at(READY), (ALICE, DropPending(A))))[-1]


def test_a_proposal_names_the_guardians() -> None:
    """The list must hash to the policy's, be in order, and hold no account that guards itself."""
    wrong = "not the guardians of the policy"
    for guardians, salt, reason in (
        (GUARDIANS[:2], SALT, wrong),
        (order(*GUARDIANS[:2], sender(DAVE)), SALT, wrong),
        (GUARDIANS, CODE, wrong),
        ([GUARDIANS[1], GUARDIANS[0], GUARDIANS[2]], SALT, "guardians are not in ascending order"),
        ([GUARDIANS[0], GUARDIANS[0], GUARDIANS[2]], SALT, "guardians are not in ascending order"),
    ):
        start = StartRecovery(A, CODE_2, CONFIG_2, FRANK, salt, guardians)
        assert reason == list_reasons(run((ALICE, choose(0)), at(READY), (BOB, start)))[-1]
    for guardians, reason in (
        ([Guardian(1, A)], "an account does not guard itself"),
        ([Guardian(3, A)], "a guardian of no known kind"),
        ([Guardian(0, A)], "a sender has 12 zero bytes first"),
    ):
        steps = [(ALICE, choose(0, 1, guardians)), at(READY), (BOB, propose(guardians=guardians))]
        assert reason == list_reasons(run(*steps))[-1]
    steps = [
        (ALICE, choose(0)),
        at(READY),
        (THIEF, propose()),
        (BOB, propose(bytes(20))),
        (BOB, propose(b"\x01" * 290)),
        (BOB, StartRecovery(A, bytes(32), CONFIG_2, FRANK, SALT, GUARDIANS)),
    ]
    bad = ["vk of no known kind", "vk of no known kind", "a code hash of zero marks a locked account"]
    assert ["sender is not a guardian", *bad] == list_reasons(run(*steps))[1:]


def test_the_longest_list_can_be_forced() -> None:
    """32 guardians fit into a payload of the inbox and into the steps of a forced action."""
    guards = order(sender(BOB), *[Guardian(1, bytes([number]) * 32) for number in range(1, 32)])
    policy, start = choose(0, 1, guards), propose(guardians=guards)
    assert MAX_FORCED_PAYLOAD_BYTES > 2 * len(encode_forced_payload(PLUS, start))
    vote = SupportRecovery(name(start, policy), 0)
    outcome = run((ALICE, policy), at(READY), force(BOB, start), at(READY), force(BOB, vote))
    assert ["executed"] * 3 == list_reasons(outcome)


def test_votes() -> None:
    """Who speaks for which guardian; a proposal below its threshold does nothing."""
    steps = [
        (ALICE, choose(0)), at(READY), (ERIN, propose()),
        (BOB, SupportRecovery(P0, PLACE[CAROL])), (BOB, SupportRecovery(P0, 3)), (BOB, SupportRecovery(P0, OWNER)),
        (BOB, SupportRecovery(SALT, PLACE[BOB])), (ERIN, SupportRecovery(P0, PLACE[ERIN])),
        (ERIN, SupportRecovery(P0, PLACE[ERIN])), (FRANK, FinishRecovery(P0)),
    ]  # fmt: skip
    outcome = run(*steps)
    none = "no such guardian"
    assert [
        NOT_GUARDIAN,
        none,
        none,
        "no such proposal",
        "executed",
        "executed",
        "proposal does not run",
    ] == list_reasons(outcome)[2:]
    assert 1 == len(outcome.state.recovery.proposals[P0].supports)


def test_attack_a_guardian_who_is_also_the_owner() -> None:
    """No vote for who holds the account now; and nobody has two by being a sender and an account's authority."""
    own = order(sender(ALICE), sender(BOB))
    policy, start = choose(0, 2, own), propose(guardians=own)
    proposal = name(start, policy)
    steps = [(ALICE, policy), at(READY), (BOB, start), (ALICE, SupportRecovery(proposal, own.index(sender(ALICE))))]
    assert "the owner does not vote" == list_reasons(run(*steps))[-1]
    twice = order(sender(BOB), Guardian(1, B))
    policy, start = choose(0, 2, twice), propose(guardians=twice)
    proposal = name(start, policy)
    votes = [(BOB, SupportRecovery(proposal, 0)), (BOB, SupportRecovery(proposal, 1))]
    outcome = run((ALICE, policy), at(READY), (BOB, start), *votes)
    assert ["executed", "sender has voted as another guardian"] == list_reasons(outcome)[-2:]


def test_attack_a_vote_that_is_moved() -> None:
    """It counts for the newest proposal only, until one has reached its threshold."""
    other = propose(DAVE)
    second = name(other, choose(0), 1)
    steps = [
        (ALICE, choose(0)), at(READY), (BOB, propose()), (CAROL, other), (BOB, SupportRecovery(P0, PLACE[BOB])),
        (BOB, SupportRecovery(second, PLACE[BOB])), (CAROL, SupportRecovery(P0, PLACE[CAROL])),
    ]  # fmt: skip
    outcome = run(*steps)
    assert {"executed"} == set(list_reasons(outcome))
    assert [1, 1] == [len(outcome.state.recovery.proposals[each].supports) for each in (P0, second)]
    assert bytes(32) == outcome.state.recovery.standings[A].running
    more = [(CAROL, SupportRecovery(second, PLACE[CAROL])), (BOB, SupportRecovery(P0, PLACE[BOB]))]
    outcome = run(*steps, *more, (BOB, CancelRecovery(second, PLACE[BOB])))
    assert ["executed", "another proposal runs", "only the owner cancels here"] == list_reasons(outcome)[-3:]


def test_attack_a_vote_that_is_taken_back() -> None:
    """It no longer counts; who has none takes none back."""
    vote, back = SupportRecovery(P0, PLACE[BOB]), CancelRecovery(P0, PLACE[BOB])
    steps = [(ALICE, choose(0)), at(READY), (BOB, propose()), (BOB, vote), (CAROL, back), (BOB, back), (BOB, back)]
    outcome = run(*steps, (CAROL, SupportRecovery(P0, PLACE[CAROL])))
    assert [NOT_GUARDIAN, "executed", "no vote to take back", "executed"] == list_reasons(outcome)[-4:]
    assert [CAROL] == [vote.sender for vote in outcome.state.recovery.proposals[P0].supports]


def test_attack_a_vote_for_a_lapsed_proposal() -> None:
    """After seven days without its threshold, and after a recovery, a proposal takes no votes."""
    late = [(ALICE, choose(0)), at(READY), (BOB, propose()), (BOB, SupportRecovery(P0, PLACE[BOB]))]
    vote = (CAROL, SupportRecovery(P0, PLACE[CAROL]))
    assert "executed" == list_reasons(run(*late, at(READY + 7 * DAY), vote))[-1]
    assert "proposal is not open" == list_reasons(run(*late, at(READY + 7 * DAY + 1), vote))[-1]
    other = name(propose(DAVE), choose(0), 1)
    steps = [
        (CAROL, propose(DAVE)),
        at(READY + DELAY),
        (FRANK, FinishRecovery(P0)),
        (BOB, SupportRecovery(other, PLACE[BOB])),
    ]
    assert ["executed", "executed", "proposal is not open"] == list_reasons(recover(0, *steps))[4:]


def test_a_proposal_that_nobody_finishes_lapses() -> None:
    """Thirty days after the delay, and the owner, or a guardian, has the account unlocked."""
    last = READY + DELAY + 30 * DAY
    assert "executed" == list_reasons(recover(1, at(last), (FRANK, FinishRecovery(P1))))[-1]
    steps = [
        at(last + 1),
        (FRANK, FinishRecovery(P1)),
        (THIEF, CancelRecovery(P1, OWNER)),
        (ALICE, CancelRecovery(P1, OWNER)),
    ]
    outcome = recover(1, *steps, (ALICE, Transfer(A, B, ETHER, 1)))
    assert ["proposal has lapsed", "sender is not the owner", "executed", "executed"] == list_reasons(outcome)[4:]
    assert CODE + CONFIG == outcome.state.keystore.accounts[A].data


def test_a_guardian_has_one_proposal_at_a_time() -> None:
    """A new one replaces the last, unless others support that, or it runs."""
    steps = [(ALICE, choose(0)), at(READY), (BOB, propose()), (BOB, propose(DAVE))]
    second = name(propose(DAVE), choose(0), 1)
    assert [second] == list(run(*steps).state.recovery.proposals.keys())
    more = [(CAROL, SupportRecovery(second, PLACE[CAROL])), (BOB, propose())]
    assert "others support the guardian's proposal" == list_reasons(run(*steps, *more))[-1]
    assert "the guardian's proposal runs" == list_reasons(recover(0, (BOB, propose(DAVE))))[-1]


def test_the_owner_vetoes_in_mode_0() -> None:
    """Until the recovery is finished; the account acts meanwhile. A guardian does not veto."""
    steps = [
        (BOB, CancelRecovery(P0, PLACE[BOB])),
        (ALICE, Transfer(A, B, ETHER, 1)),
        (ALICE, CancelRecovery(P0, OWNER)),
    ]
    outcome = recover(0, *steps, at(READY + DELAY), (FRANK, FinishRecovery(P0)))
    assert ["only the owner cancels here", "executed", "executed", "no such proposal"] == list_reasons(outcome)[4:]
    early = [
        (ALICE, choose(0)),
        at(READY),
        (BOB, propose()),
        (THIEF, CancelRecovery(P0, OWNER)),
        (ALICE, CancelRecovery(P0, OWNER)),
    ]
    assert ["sender is not the owner", "executed"] == list_reasons(run(*early))[-2:]


def test_mode_1_locks_the_leaf() -> None:
    """From the threshold on no validator opens the account on any chain; the next vk can be read from it."""
    outcome = recover(1)
    assert Account(bytes(32) + keccak256(FRANK), ALICE) == outcome.state.keystore.accounts[A]


def test_mode_1_is_cancelled_by_a_majority_of_owner_and_guardians() -> None:
    """Of three guardians and the owner, two of whom are other senders; the account is as it was."""
    steps = [
        (ALICE, CancelRecovery(P1, OWNER)), (ALICE, CancelRecovery(P1, OWNER)), (THIEF, CancelRecovery(P1, 2)),
        (ERIN, CancelRecovery(P1, PLACE[ERIN])), (ALICE, Transfer(A, B, ETHER, 1)), at(READY + DELAY),
        (FRANK, FinishRecovery(P1)),
    ]  # fmt: skip
    outcome = recover(1, *steps)
    assert ["executed", "executed", NOT_GUARDIAN, "executed", "executed", "no such proposal"] == list_reasons(outcome)[
        4:
    ]
    assert Account(CODE + CONFIG, ALICE) == outcome.state.keystore.accounts[A]


def test_attack_the_owner_cancels_alone_where_guardians_lock() -> None:
    """Not before the threshold, and not by updates: the proposal survives them."""
    early = [(ALICE, choose(1)), at(READY), (BOB, propose()), (ALICE, CancelRecovery(P1, OWNER))]
    assert "the owner alone cancels nothing where guardians lock" == list_reasons(run(*early))[-1]
    rotated = [*early, (ALICE, Update(A, CODE_2, CONFIG_2, THIEF))]
    votes = [(who, SupportRecovery(P1, PLACE[who])) for who in (BOB, ERIN)]
    outcome = run(*rotated, *votes, at(READY + DELAY), (FRANK, FinishRecovery(P1)))
    assert FRANK == outcome.state.keystore.accounts[A].vk


def list_ways_to_act() -> list[Any]:
    """Each action by which an account acts, money leaves or a policy changes."""
    until = READY + 90 * DAY
    return [
        Update(A, CODE, CONFIG, THIEF), Transfer(A, B, ETHER, 1), Transfer(A, A, ETHER, 1),
        Withdraw(A, ETHER, 1, ALICE),
        SetExit(A, ALICE), SetFeeToken(A, ETHER), Sponsor(A, B, 1, ETHER, until), SetCareful(A, True),
        SetSpendingRule(A, ETHER, 1, DAY, bytes(32)), choose(0), DropPending(A),
        Intend(A, 0, 10, ALICE, CODE, READY + 2 * DAY + 60), SetDelegate(A, 0, CODE, CONFIG, until),
        SetText(A, "url", "x"),
        OpenOrder(A, ETHER, 1, CHAIN, CODE, until), Fill(CODE, SETTLER, CHAIN, A, B, ETHER, 1, ALICE, until),
    ]  # fmt: skip


def test_attack_a_locked_account_acts_by_any_way_in() -> None:
    """Signed, forced and carried, all of it is refused; nothing changes but what comes in."""
    priced = [(COLLECTOR, SetPrice(ETHER, 1)), at(READY + 2 * DAY)]
    ways = list_ways_to_act()
    steps = [
        step
        for number, action in enumerate(ways)
        for step in (force(ALICE, action), carry(BOB, ALICE, action), (ALICE, action), at(READY + 2 * DAY + number))
    ]
    outcome = recover(1, *priced, *steps)
    assert [LOCKED] * 3 * len(ways) == list_reasons(outcome)[5:]
    assert 100 == outcome.state.vault.balances[A]


def test_attack_a_locked_account_pays_votes_or_decides_for_others() -> None:
    """It sponsors nobody, guards nobody, controls no rule, and no waiting update of it is accepted."""
    guards = [Guardian(1, A)]
    policy, start = choose(0, 1, guards), propose(guardians=guards)
    policy = SetRecovery(B, policy.guardians_hash, 1, 1, DELAY, 0)
    start = StartRecovery(B, CODE_2, CONFIG_2, THIEF, SALT, guards)
    before = [
        begin(1)[0], (COLLECTOR, SetPrice(ETHER, 1)), (BOB, policy), (BOB, SetSpendingRule(B, ETHER, 5, DAY, A)),
        (ALICE, SetCareful(A, True)), (ALICE, Update(A, CODE, CONFIG, THIEF)), at(START + 2 * DAY),
        force(ALICE, Sponsor(A, B, 50, ETHER, READY + 90 * DAY)), (ALICE, start),
    ]  # fmt: skip
    proposal = compute_proposal_id(bytes(32), start, Policy(policy.guardians_hash, 1, 1, DELAY, 0, 1), 0)
    after = [
        (ALICE, SupportRecovery(proposal, 0)), (ALICE, PermitSpending(B, ETHER, 9, READY + 90 * DAY)),
        (ALICE, SetSpendingRule(B, ETHER, 9, DAY, A)), (THIEF, AcceptUpdate(A)), (BOB, Transfer(B, C, ETHER, 1)),
    ]  # fmt: skip
    outcome = run(*before, *begin(1)[1:], *after, funds=[(A, ETHER, 100), (B, ETHER, 100)])
    assert [LOCKED, LOCKED, LOCKED, LOCKED, "executed"] == list_reasons(outcome)[-5:]
    assert (100, 98) == (outcome.state.vault.balances[A], outcome.state.vault.balances[B]), "Bob paid for himself"


def test_attack_a_policy_change_raced_against_a_recovery() -> None:
    """A thief's change takes the delay of the present policy and falls when a proposal reaches its threshold; one that
    came into force between gives way to the policy that the proposal was made under; none is made while one runs.
    """
    thieves = choose(1, 1, [sender(THIEF)])
    for change_at in (READY, READY - DELAY + DAY):
        first = [(ALICE, choose(1)), at(START + 2 * DAY)]
        steps = [
            *first, at(max(change_at, START + 2 * DAY)), (ALICE, thieves), at(READY), (BOB, propose()),
            (BOB, SupportRecovery(P1, PLACE[BOB])), at(READY + 6 * DAY), (CAROL, SupportRecovery(P1, PLACE[CAROL])),
        ]  # fmt: skip
        outcome = run(*steps, (ALICE, thieves))
        assert LOCKED == list_reasons(outcome)[-1]
        assert (1, 0) == (outcome.state.recovery.policies[A].number, len(outcome.state.recovery.pending_policies))
    assert "a recovery is running" == list_reasons(recover(0, (ALICE, thieves)))[-1]


def test_attack_a_hidden_policy_that_outlives_a_rotation() -> None:
    """What a thief has announced falls with the next update: policies, rules, sponsorships, permits."""
    thieves = choose(1, 1, [sender(THIEF)])
    steps = [
        (COLLECTOR, SetPrice(ETHER, 0)), (ALICE, thieves), (ALICE, SetSpendingRule(A, ETHER, 5, DAY, T)),
        (ALICE, Sponsor(A, T, 100, ETHER, READY + 90 * DAY)), at(START + DAY),
        (ALICE, Update(A, CODE_2, CONFIG_2, DAVE)),
        (COLLECTOR, SetPrice(ETHER, 1)), at(READY), (THIEF, propose(THIEF, [sender(THIEF)])),
        (THIEF, Transfer(T, B, ETHER, 1)),
    ]  # fmt: skip
    outcome = run(*steps, funds=[(A, ETHER, 100), (T, ETHER, 10)])
    assert ["account has no guardians", "executed"] == list_reasons(outcome)[-2:]
    assert (0, 100) == (len(outcome.state.spending.rules[A]), outcome.state.vault.balances[A])
    assert 8 == outcome.state.vault.balances[T], "the thief pays for himself"


def test_what_falls_with_a_recovery() -> None:
    """Also a controller that was named less than thirty days before; its limit stays. An older one stays."""
    rules = [(ALICE, SetSpendingRule(A, ETHER, 5, DAY, C)), (ALICE, SetSpendingRule(A, TOKEN, 5, DAY, T))]
    exit_set = (ALICE, SetExit(A, THIEF))
    finish = [at(READY + 1 + DELAY), (FRANK, FinishRecovery(P1))]
    outcome = run(*rules, exit_set, *begin(1), *finish)
    assert "executed" == list_reasons(outcome)[-1]
    (ether, token) = outcome.state.spending.rules[A]
    assert [(5, bytes(32)), (5, bytes(32))] == [
        (rule.limits[0].limit, rule.limits[0].controller) for rule in (ether, token)
    ]
    assert A not in outcome.state.exits.exits
    old = at(START + 40 * DAY)
    policy = [(ALICE, choose(1)), *rules, old]
    rest = [(BOB, propose()), *[(who, SupportRecovery(P1, PLACE[who])) for who in (BOB, CAROL)]]
    outcome = run(*policy, *rest, at(START + 40 * DAY + DELAY), (FRANK, FinishRecovery(P1)))
    assert [C, T] == [rule.limits[0].controller for rule in outcome.state.spending.rules[A]]


def test_attack_a_controller_who_outlasts_a_slow_recovery() -> None:
    """A thief names one, and the recovery takes longer than the thirty days: they count back from its proposal."""
    policy, start = choose(0, 2, delay=60 * DAY), propose()
    proposal = name(start, policy)
    thief = (ALICE, SetSpendingRule(A, ETHER, 0, DAY, T))
    votes = [(who, SupportRecovery(proposal, PLACE[who])) for who in (BOB, CAROL)]
    done = READY + DAY + 60 * DAY
    steps = [(ALICE, policy), at(READY), thief, at(READY + DAY), (BOB, start), *votes, at(done)]
    outcome = run(*steps, (FRANK, FinishRecovery(proposal)))
    assert "executed" == list_reasons(outcome)[-1]
    assert [bytes(32)] == [rule.limits[0].controller for rule in outcome.state.spending.rules[A]]


def test_attack_a_rule_that_is_announced_before_a_lock() -> None:
    """It would come into force while the account is locked: it falls, and the one before holds."""
    steps = [
        (ALICE, SetSpendingRule(A, ETHER, 5, DAY, bytes(32))), (ALICE, choose(1)), at(READY),
        (ALICE, SetSpendingRule(A, ETHER, 100, DAY, bytes(32))), (ALICE, SetSpendingRule(A, TOKEN, 7, DAY, T)),
        (BOB, propose()), *[(who, SupportRecovery(P1, PLACE[who])) for who in (BOB, CAROL)], at(READY + DELAY),
        (FRANK, FinishRecovery(P1)),
    ]  # fmt: skip
    outcome = run(*steps)
    assert "executed" == list_reasons(outcome)[-1]
    (rule,) = outcome.state.spending.rules[A]
    assert (ETHER, [5]) == (rule.token, [limits.limit for limits in rule.limits])


def test_attack_votes_by_mail_without_a_mail() -> None:
    """An e-mail guardian has no other voice."""
    guards = order(sender(BOB), Guardian(2, SALT))
    policy, start = choose(0, 2, guards), propose(guardians=guards)
    vote = SupportRecovery(name(start, policy), 1)
    outcome = run((ALICE, policy), at(READY), (BOB, start), at(READY), (BOB, vote), force(VAULT, vote))
    assert ["this guardian speaks by mail"] * 2 == list_reasons(outcome)[-2:]
