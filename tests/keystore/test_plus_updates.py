"""Keystore+'s accounts: registered and updated as in the keystore, and careful ones."""

from __future__ import annotations

import pytest

from apps.keystore.accounts import Account
from apps.keystore.plus.clock import MAX_TIME
from apps.keystore.plus.exits import SetExit
from apps.keystore.plus.naming import CommitName, RegisterNamed, compute_commitment
from apps.keystore.plus.updates import AcceptUpdate, CarefulSet, SetCareful, UpdateAnnounced
from apps.keystore.transitions import Register, Update, Updated
from microrollup.testing.execution import at, force, next_block
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CODE,
    CODE_2,
    CONFIG,
    CONFIG_2,
    DAY,
    SALT,
    START,
    THIEF,
    A,
    list_reasons,
    run,
)

ROTATE = Update(A, CODE_2, CONFIG_2, BOB)


def test_an_update() -> None:
    """The present vk replaces data and vk, at once; then only the next one may."""
    outcome = run((ALICE, ROTATE), (ALICE, ROTATE), force(BOB, Update(A, CODE, CONFIG, CAROL)))
    assert ["sender is not the account's vk", "executed", "sender is not the account's vk"] == list_reasons(outcome)
    assert Account(CODE_2 + CONFIG_2, BOB) == outcome.state.keystore.accounts[A]
    assert (Updated(A),) == outcome.outcomes[1].events


@pytest.mark.parametrize(
    ("sender", "action", "reason"),
    [
        (ALICE, Register(CODE, CONFIG, SALT), "account exists"),
        (THIEF, ROTATE, "sender is not the account's vk"),
        (ALICE, Update(SALT, CODE, CONFIG, BOB), "no such account"),
        (ALICE, Update(A, CODE, CONFIG, bytes(20)), "vk of no known kind"),
        (ALICE, Update(A, CODE, CONFIG, b"\x01" * 290), "vk of no known kind"),
        (BOB, AcceptUpdate(A), "no update waits"),
        (THIEF, SetCareful(A, False), "sender is not the account's vk"),
        (ALICE, SetCareful(A, False), "account is not careful"),
    ],
)
def test_rejections(sender: bytes, action: object, reason: str) -> None:
    """As in the keystore; a vk of another form, as Axiom's, would leave the account without authority."""
    assert [reason] == list_reasons(run((sender, action)))


def test_attack_an_account_that_looks_locked() -> None:
    """Contracts tell a lock by a zero code hash: nobody registers, updates, names or proposes one."""
    zero, reason = bytes(32), "a code hash of zero marks a locked account"
    steps = [
        (THIEF, Register(zero, CONFIG, SALT)),
        (ALICE, Update(A, zero, CONFIG, BOB)),
        force(ALICE, Update(A, zero, CONFIG, BOB)),
    ]
    assert [reason] * 3 == list_reasons(run(*steps))
    label = CommitName(compute_commitment("alice", ALICE, SALT))
    outcome = run((ALICE, label), next_block(), (ALICE, RegisterNamed("alice", SALT, zero, CONFIG)))
    assert reason == list_reasons(outcome)[-1]


def test_a_careful_account() -> None:
    """An update waits until its own vk accepts; a mistake in it costs nothing."""
    steps = [
        (ALICE, SetCareful(A, True)), (ALICE, Update(A, CODE_2, CONFIG_2, THIEF)), (ALICE, ROTATE),
        (THIEF, AcceptUpdate(A)), (ALICE, AcceptUpdate(A)), (BOB, AcceptUpdate(A)), (BOB, AcceptUpdate(A)),
    ]  # fmt: skip
    outcome = run(*steps)
    assert ["executed"] * 3 == list_reasons(outcome)[:3]
    assert ["sender is not the next vk"] * 2 + ["executed", "no update waits"] == list_reasons(outcome)[3:]
    assert (CarefulSet(A, MAX_TIME),) == outcome.outcomes[0].events
    assert (UpdateAnnounced(A),) == outcome.outcomes[1].events
    assert Account(CODE_2 + CONFIG_2, BOB) == outcome.state.keystore.accounts[A]


def test_attack_a_thief_turns_off_care() -> None:
    """It takes two days, and an update that was executed meanwhile takes it back."""
    steps = [(ALICE, SetCareful(A, True)), (ALICE, SetCareful(A, False)), (ALICE, SetCareful(A, False))]
    outcome = run(*steps, at(START + DAY), (ALICE, SetCareful(A, False)), (ALICE, ROTATE))
    assert START + 2 * DAY == outcome.state.recovery.careful[A]
    assert ALICE == outcome.state.keystore.accounts[A].vk
    assert BOB == run(*steps, at(START + 2 * DAY), (ALICE, ROTATE)).state.keystore.accounts[A].vk
    outcome = run(*steps, (ALICE, ROTATE), (BOB, AcceptUpdate(A)))
    assert (BOB, MAX_TIME) == (outcome.state.keystore.accounts[A].vk, outcome.state.recovery.careful[A])


def test_an_exit_ends_with_its_vk() -> None:
    """Another authority names its own; the same one with other data keeps it."""
    exit_set = (ALICE, SetExit(A, CAROL))
    assert A not in run(exit_set, (ALICE, ROTATE)).state.exits.exits
    assert A in run(exit_set, (ALICE, Update(A, CODE_2, CONFIG_2, ALICE))).state.exits.exits
