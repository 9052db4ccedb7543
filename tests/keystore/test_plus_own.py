"""What concerns one sender of Keystore+: accounts, guardians, votes, recoveries to cancel and to finish."""

from __future__ import annotations

from typing import Any, Final

from apps.keystore.plus import queries
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian
from apps.keystore.plus.recovery import CancelRecovery, FinishRecovery, StartRecovery, SupportRecovery
from apps.keystore.plus.updates import AcceptUpdate, SetCareful
from apps.keystore.transitions import Update
from microrollup.testing.executed import Execution
from microrollup.testing.execution import at, execute
from microrollup.testing.querying import query
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CODE_2,
    CONFIG_2,
    DAVE,
    DAY,
    FRANK,
    PLUS,
    SALT,
    START,
    A,
    C,
    make_state,
)

GUARDIANS: Final = [Guardian(0, bytes(12) + BOB), Guardian(1, C), Guardian(2, b"\x77" * 32)]
POLICY: Final = SetRecovery(A, compute_guardians_hash(SALT, GUARDIANS), 3, 2, 5 * DAY, 0)


def play(*steps: Any) -> Execution:
    """Steps after Alice has named Bob, Carol's account and a mail address."""
    run = execute(PLUS, [at(START), (ALICE, POLICY), at(START + 20 * DAY), *steps], state=make_state())
    assert {"executed"} == {each.status for each in run.outcomes}, [each.reason for each in run.outcomes]
    return run


def ask(function: Any, run: Execution, sender: bytes) -> Any:
    return query(PLUS, function, run, sender)


def find_proposal(run: Execution) -> bytes:
    (proposal,) = [key for key, _ in run.state.recovery.proposals.items()]
    return bytes(proposal)


def test_from_a_proposal_to_its_end() -> None:
    """Each hears of it in its own role, by its own place; afterwards nobody does."""
    start = (BOB, StartRecovery(A, CODE_2, CONFIG_2, FRANK, SALT, GUARDIANS))
    run = play(start)
    proposal = find_proposal(run)
    (bobs,), (carols,) = ask(queries.votes_due, run, BOB), ask(queries.votes_due, run, CAROL)
    assert (0, 1, "open", "") == (bobs.guardian, carols.guardian, bobs.state, bobs.vote)
    assert (proposal, A, FRANK) == (bobs.proposal, bobs.key, bobs.vk)
    assert [] == ask(queries.votes_due, run, ALICE) == ask(queries.votes_due, run, DAVE)
    assert [255] == [each.guardian for each in ask(queries.own_recoveries, run, ALICE)]
    assert [] == ask(queries.own_recoveries, run, BOB)
    assert [proposal] == [each.proposal for each in ask(queries.recoveries_to_finish, run, FRANK)]
    assert [] == ask(queries.recoveries_to_finish, run, BOB) == ask(queries.recoveries_to_finish, run, ALICE)

    votes = [(BOB, SupportRecovery(proposal, 0)), (CAROL, SupportRecovery(proposal, 1))]
    run = play(start, *votes)
    assert [("waiting", "supports", 2)] == [
        (each.state, each.vote, each.supports) for each in ask(queries.votes_due, run, CAROL)
    ]
    cancelled = play(start, *votes, (ALICE, CancelRecovery(proposal, 255)))
    finished = play(start, *votes, at(START + 26 * DAY), (FRANK, FinishRecovery(proposal)))
    for ended in (cancelled, finished):
        for sender, function in (
            (BOB, queries.votes_due), (ALICE, queries.own_recoveries), (FRANK, queries.recoveries_to_finish),
        ):  # fmt: skip
            assert [] == ask(function, ended, sender)
    assert A in [each.key for each in ask(queries.held, finished, FRANK).items]
    assert A not in [each.key for each in ask(queries.held, finished, ALICE).items]


def test_a_guardian_that_is_an_account_goes_with_it() -> None:
    """Who holds the guardian's account has the voice, and not who held it."""
    start = (BOB, StartRecovery(A, CODE_2, CONFIG_2, FRANK, SALT, GUARDIANS))
    run = play(start, (CAROL, Update(C, CODE_2, CONFIG_2, DAVE)))
    assert [] == ask(queries.votes_due, run, CAROL)
    assert [1] == [each.guardian for each in ask(queries.votes_due, run, DAVE)]


def test_accounts_policies_and_updates_that_wait() -> None:
    """Of a careful account the next vk hears, until it accepts or another update takes its place."""
    update = (ALICE, Update(A, CODE_2, CONFIG_2, DAVE))
    run = play((ALICE, SetCareful(A, True)), update)
    (mine,) = [each for each in ask(queries.held, run, ALICE).items if each.key == A]
    assert (True, "active") == (mine.careful, mine.state)
    assert [(A, CODE_2, CONFIG_2)] == [
        (each.key, each.code_hash, each.config_hash) for each in ask(queries.updates_due, run, DAVE)
    ]
    assert [] == ask(queries.updates_due, run, ALICE)
    assert [("in force", 2, 3, "veto", 5 * DAY)] == [
        (each.state, each.threshold, each.count, each.mode, each.delay)
        for each in ask(queries.own_policies, run, ALICE)
        if each.key == A
    ]
    accepted = play((ALICE, SetCareful(A, True)), update, (DAVE, AcceptUpdate(A)))
    assert [] == ask(queries.updates_due, accepted, DAVE)
    assert A in [each.key for each in ask(queries.held, accepted, DAVE).items]
    moved = play((ALICE, SetCareful(A, True)), update, (ALICE, Update(A, CODE_2, CONFIG_2, FRANK)))
    assert [] == ask(queries.updates_due, moved, DAVE)
    assert [A] == [each.key for each in ask(queries.updates_due, moved, FRANK)]
