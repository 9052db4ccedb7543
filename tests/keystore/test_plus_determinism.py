"""Keystore+ in other processes: another hash seed, zone, locale and installed Python give the same outcomes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from apps.keystore.plus.fees import SetAxiomFee, SetPrice, Sponsor
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.naming import CommitName, RegisterNamed, SetText, compute_commitment
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import FinishRecovery, StartRecovery, SupportRecovery, compute_proposal_id
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.vault import Deposit, Transfer, Withdraw
from apps.keystore.transitions import Register, Update
from axiom_world import make_update, make_wallet, make_withdrawal, prove_user, send
from microrollup.testing.determinism import assert_deterministic
from microrollup.testing.execution import at, execute, force
from plus_world import (
    ALICE,
    BOB,
    BRIDGE,
    CAROL,
    CODE,
    CODE_2,
    COLLECTOR,
    CONFIG,
    CONFIG_2,
    DAY,
    ETHER,
    PLUS,
    SALT,
    START,
    VAULT,
    A,
    B,
)

GUARDIANS = [Guardian(0, bytes(12) + BOB)]
POLICY = SetRecovery(A, compute_guardians_hash(SALT, GUARDIANS), 1, 1, DAY, 1)
PROPOSED = StartRecovery(A, CODE_2, CONFIG_2, CAROL, SALT, GUARDIANS)
PROPOSAL = compute_proposal_id(bytes(32), PROPOSED, Policy(POLICY.guardians_hash, 1, 1, DAY, 1, 1), 0)
USER, NEXT, PAYER = make_wallet(1, 2, 3), make_wallet(11, 1, 1), make_wallet(21, 0, 1)
LATER_KEYS = USER.rotate(NEXT)
STEPS = [
    at(START), *[(who, Register(CODE, CONFIG, SALT)) for who in (ALICE, BOB, COLLECTOR)],
    (COLLECTOR, SetPrice(ETHER, 5)), (COLLECTOR, SetAxiomFee(2, 3)),
    (ALICE, CommitName(compute_commitment("alice", ALICE, SALT))), at(START + DAY),
    force(VAULT, Deposit(1, ETHER, A, 1_000)), force(VAULT, Deposit(2, ETHER, B, 1_000)), at(START + DAY),
    (ALICE, RegisterNamed("alice", SALT, CODE, CONFIG)), (ALICE, POLICY),
    (BOB, Sponsor(B, A, 50, ETHER, START + 9 * DAY)),
    (ALICE, SetSpendingRule(A, ETHER, 100, DAY, bytes(32))), (ALICE, Transfer(A, B, ETHER, 60)), at(START + DAY),
    force(ALICE, Withdraw(A, ETHER, 60, ALICE)), (ALICE, Intend(A, 1, 10, BOB, CODE, START + DAY + 60)),
    (ALICE, SetDelegate(A, 0, CODE_2, CONFIG_2, START + 90 * DAY)), (ALICE, SetText(A, "url", "é")),
    at(START + 3 * DAY),
    (BOB, PROPOSED), (BOB, SupportRecovery(PROPOSAL, 0)), (ALICE, Update(A, CODE, CONFIG, BOB)), at(START + 4 * DAY),
    force(CAROL, FinishRecovery(PROPOSAL)),
    *[force(VAULT, Deposit(number, ETHER, each.address, 10**9)) for number, each in ((3, USER), (4, PAYER))],
    at(START + 5 * DAY),
    send(make_withdrawal(USER, 7, 0, 2)), send(make_update(USER.settled, NEXT, 1, 2, PAYER)),
    at(START + 6 * DAY), send(prove_user(replace(make_withdrawal(LATER_KEYS, 8, 2), l1_nonce=5), LATER_KEYS), BRIDGE),
]  # fmt: skip


def test_the_steps_do_what_they_are_for() -> None:
    """All but the payment over the rule and the update of a locked account are executed."""
    reasons = [outcome.reason for outcome in execute(PLUS, STEPS).outcomes if outcome.status != "executed"]
    assert ["more than the spending rule allows", "account is locked"] == reasons


@pytest.mark.slow
def test_every_process_agrees() -> None:
    """Outcomes, events and changed entries are equal to the byte."""
    assert_deterministic(PLUS, STEPS)
