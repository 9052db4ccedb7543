"""Keystore+ in other processes: another hash seed, zone, locale and installed Python give the same outcomes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from apps.keystore.plus.dkim_keys import AddDkimKey
from apps.keystore.plus.fees import SetAxiomFee, SetPrice, Sponsor
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.mail_votes import compute_mail_id
from apps.keystore.plus.mailing import make_envelope, sign_mail, write_subject
from apps.keystore.plus.naming import CommitName, RegisterNamed, SetText, compute_commitment
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import FinishRecovery, StartRecovery, SupportRecovery, compute_proposal_id
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.vault import Deposit, Transfer, Withdraw
from apps.keystore.transitions import Register, Update
from axiom_world import make_update, make_wallet, make_withdrawal, prove_user, send
from mail_keys import ED25519_KEY
from microrollup.testing.determinism import assert_deterministic
from microrollup.testing.execution import at, envelope, execute, force
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
MAILED = [Guardian(0, bytes(12) + CAROL), Guardian(2, compute_mail_id(SALT, "ann@mail.example"))]
MAIL_POLICY = SetRecovery(B, compute_guardians_hash(SALT, MAILED), 2, 2, DAY, 1)
MAIL_PROPOSED = StartRecovery(B, CODE_2, CONFIG_2, CAROL, SALT, MAILED)
MAIL_PROPOSAL = compute_proposal_id(bytes(32), MAIL_PROPOSED, Policy(MAIL_POLICY.guardians_hash, 2, 2, DAY, 1, 1), 0)
MAIL = sign_mail(ED25519_KEY, "Ann <ann@mail.example>", write_subject(MAIL_PROPOSAL))
USER, NEXT, PAYER = make_wallet(1, 2, 3), make_wallet(11, 1, 1), make_wallet(21, 0, 1)
LATER_KEYS = USER.rotate(NEXT)
STEPS = [
    at(START), *[(who, Register(CODE, CONFIG, SALT)) for who in (ALICE, BOB, COLLECTOR)],
    (COLLECTOR, SetPrice(ETHER, 5)), (COLLECTOR, SetAxiomFee(2, 3)),
    (COLLECTOR, AddDkimKey("mail.example", "s1", ED25519_KEY.hash, START + 7 * DAY, START + 99 * DAY)),
    (BOB, MAIL_POLICY),
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
    at(START + 8 * DAY), (CAROL, MAIL_PROPOSED), (CAROL, SupportRecovery(MAIL_PROPOSAL, 0)),
    envelope("dkim", make_envelope(MAIL, ED25519_KEY.public, SALT)), (BOB, Transfer(B, A, ETHER, 1)),
]  # fmt: skip


def test_the_steps_do_what_they_are_for() -> None:
    """All but the payment over the rule and what locked accounts do are executed."""
    reasons = [outcome.reason for outcome in execute(PLUS, STEPS).outcomes if outcome.status != "executed"]
    assert ["more than the spending rule allows", "account is locked", "account is locked"] == reasons


@pytest.mark.slow
def test_every_process_agrees() -> None:
    """Outcomes, events and changed entries are equal to the byte."""
    assert_deterministic(PLUS, STEPS)
