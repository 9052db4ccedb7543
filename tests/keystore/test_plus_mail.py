"""Keystore+'s guardians by mail: whose key counts when, what a vote by mail is worth, and mails that move nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from apps.keystore.plus.dkim_keys import MAX_KEY_TIME, AddDkimKey, RevokeDkimKey
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.mail_votes import compute_mail_id
from apps.keystore.plus.mailing import MailForm, MailKey, make_envelope, sign_mail, write_subject
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian, MailVote, Policy
from apps.keystore.plus.recovery import (
    CancelRecovery,
    FinishRecovery,
    StartRecovery,
    SupportRecovery,
    compute_proposal_id,
)
from mail_keys import ED25519_KEY, RSA_KEY
from microrollup.execution.payload import encode_envelope_payload
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES
from microrollup.testing.execution import Execution, ExecutionStep, at, envelope, force
from plus_world import (
    ALICE,
    BOB,
    CODE_2,
    COLLECTOR,
    CONFIG_2,
    DAVE,
    DAY,
    ERIN,
    FRANK,
    SALT,
    START,
    THIEF,
    A,
    E,
    list_reasons,
    run,
)

KEY_DAY = START + 8 * DAY
"""When the keys of the providers count and the policy is in force."""
DELAY = 5 * DAY
ANN, JOE = "ann@mail.example", "joe@post.example"
PROVIDERS = {"mail.example": RSA_KEY, "post.example": ED25519_KEY}
ADDED = [
    (COLLECTOR, AddDkimKey(domain, "s1", key.hash, START + 7 * DAY, START + 700 * DAY))
    for domain, key in PROVIDERS.items()
]
UNKNOWN, NOT_IN_FORCE = "the mail's key is not known", "the mail's key is not in force"


def person(address: str, salt: bytes = SALT) -> Guardian:
    return Guardian(2, compute_mail_id(salt, address))


def order(*guardians: Guardian) -> list[Guardian]:
    return sorted(guardians, key=lambda each: (each.kind, each.id))


GUARDIANS = order(Guardian(0, bytes(12) + BOB), person(ANN), person(JOE))
BOBS, ANNS, JOES = (GUARDIANS.index(each) for each in (Guardian(0, bytes(12) + BOB), person(ANN), person(JOE)))


def choose(threshold: int = 2, guardians: Sequence[Guardian] = GUARDIANS, mode: int = 0) -> SetRecovery:
    hashed = compute_guardians_hash(SALT, list(guardians))
    return SetRecovery(A, hashed, len(guardians), threshold, DELAY, mode)


def propose(vk: bytes = FRANK, guardians: Sequence[Guardian] = GUARDIANS) -> StartRecovery:
    return StartRecovery(A, CODE_2, CONFIG_2, vk, SALT, list(guardians))


def name(start: StartRecovery, policy: SetRecovery, number: int = 0, rollup: bytes = bytes(32)) -> bytes:
    in_force = Policy(policy.guardians_hash, policy.count, policy.threshold, policy.delay, policy.mode, 1)
    return compute_proposal_id(rollup, start, in_force, number)


P = name(propose(), choose())


def write(
    address: str, proposal: bytes = P, form: MailForm | None = None, key: MailKey | None = None, salt: bytes = SALT
) -> bytes:
    """The envelope of a mail as the address's provider signs it."""
    signer = key or PROVIDERS[address.partition("@")[2]]
    return make_envelope(sign_mail(signer, address, write_subject(proposal), form), signer.public, salt)


def mail(address: str, proposal: bytes = P, form: MailForm | None = None, **more: Any) -> ExecutionStep:
    return envelope("dkim", write(address, proposal, form, **more))


def begin(*steps: Any, policy: SetRecovery | None = None, start: StartRecovery | None = None) -> Execution:
    """Keys, a policy, a proposal of Bob's, then steps."""
    return run(*ADDED, (ALICE, policy or choose()), at(KEY_DAY), (BOB, start or propose()), *steps)


def test_a_recovery_with_a_mail() -> None:
    """One guardian by a signature, one by a mail; the events and the proposal tell which."""
    steps = [(BOB, SupportRecovery(P, BOBS)), mail(ANN), at(KEY_DAY + DELAY), (FRANK, FinishRecovery(P))]
    outcome = begin(*steps)
    assert {"executed"} == set(list_reasons(outcome))
    assert FRANK == outcome.state.keystore.accounts[A].vk
    (supported, _) = outcome.outcomes[-2].events
    assert (P, ANNS) == (supported.proposal, supported.guardian)  # type: ignore[attr-defined]


def test_a_mail_can_be_forced() -> None:
    """Anybody carries it through the inbox; it fits."""
    raw = write(ANN)
    assert MAX_FORCED_PAYLOAD_BYTES > 4 * len(encode_envelope_payload("dkim", raw))
    outcome = begin(at(KEY_DAY + 1), envelope("dkim", raw, l1_sender=THIEF))
    assert "executed" == list_reasons(outcome)[-1]
    assert [ANNS] == [vote.guardian for vote in outcome.state.recovery.proposals[P].supports]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"domain": "Mail.example"}, "domain is not two labels or more in lower case"),
        ({"domain": "mail"}, "domain is not two labels or more in lower case"),
        ({"domain": "mäil.example"}, "domain is not two labels or more in lower case"),
        ({"selector": ""}, "selector is not labels in lower case"),
        ({"selector": "S1"}, "selector is not labels in lower case"),
        ({"selector": "s1._domainkey."}, "selector is not labels in lower case"),
        ({"from_": START + 7 * DAY - 1}, "a key is announced a week ahead"),
        ({"until": START + 7 * DAY - 1}, "a key counts for two years at most"),
        ({"until": START + 7 * DAY + MAX_KEY_TIME}, "executed"),
        ({"until": START + 7 * DAY + MAX_KEY_TIME + 1}, "a key counts for two years at most"),
        ({"from_": 2**64 - 1, "until": 2**64 - 1}, "executed"),
    ],
)
def test_keys_have_bounds(change: dict[str, Any], reason: str) -> None:
    """Each with its neighbour."""
    plain = {"domain": "x.example", "selector": "k.s_1", "key_hash": SALT, "from_": START + 7 * DAY, "until": 2**31}
    assert [reason] == list_reasons(run((COLLECTOR, AddDkimKey(**{**plain, **change}))))


def test_only_the_collector_announces_and_revokes() -> None:
    """A key that is known is not turned to another domain; a revoked one may be announced again, a week ahead."""
    add, revoke = ADDED[0][1], RevokeDkimKey(RSA_KEY.hash)
    other = AddDkimKey("evil.example", "s1", RSA_KEY.hash, START + 7 * DAY, START + 8 * DAY)
    steps = [
        (THIEF, add), (COLLECTOR, revoke), (COLLECTOR, add), (COLLECTOR, other), (THIEF, revoke), (COLLECTOR, revoke),
        (COLLECTOR, revoke), (COLLECTOR, other),
    ]  # fmt: skip
    wrong, none = "sender is not the account's vk", "no such key"
    assert [wrong, none, "executed", "key is known", wrong, "executed", none, "executed"] == list_reasons(run(*steps))


def test_the_keys_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was announced takes room until it is revoked."""
    monkeypatch.setattr("apps.keystore.plus.dkim_keys.MAX_DKIM_KEYS", 2)
    third = (COLLECTOR, AddDkimKey("x.example", "s1", SALT, START + 7 * DAY, START + 8 * DAY))
    outcome = run(*ADDED, third, (COLLECTOR, RevokeDkimKey(RSA_KEY.hash)), third)
    assert ["too many keys; revoke those that are over", "executed", "executed"] == list_reasons(outcome)[-3:]


def test_attack_a_key_that_is_not_in_force() -> None:
    """Unknown, announced for later, over, revoked; and in force again for what was refused."""
    first, last = START + 7 * DAY, START + 10 * DAY
    added = (COLLECTOR, AddDkimKey("mail.example", "s1", RSA_KEY.hash, first, last))
    steps = [
        (ALICE, choose()), at(START + 3 * DAY), (BOB, propose()), mail(ANN), added, mail(ANN), at(first - 1), mail(ANN),
        (COLLECTOR, AddDkimKey("x.example", "s1", SALT, last, last)),
    ]  # fmt: skip
    reasons = list_reasons(run(*steps[:4], steps[7]))
    assert [UNKNOWN, UNKNOWN] == reasons[-2:]
    assert [NOT_IN_FORCE, NOT_IN_FORCE] == list_reasons(run(*[added, *steps[:4], at(first - 1), mail(ANN)]))[-2:]
    assert "executed" == list_reasons(run(added, *steps[:3], at(first), mail(ANN)))[-1]
    late = [added, steps[0], at(last - DAY), (BOB, propose())]
    assert "executed" == list_reasons(run(*late, at(last), mail(ANN)))[-1]
    assert NOT_IN_FORCE == list_reasons(run(*late, at(last + 1), mail(ANN)))[-1]
    assert UNKNOWN == list_reasons(begin((COLLECTOR, RevokeDkimKey(RSA_KEY.hash)), mail(ANN)))[-1]


def test_attack_another_domains_key() -> None:
    """A provider's key speaks for its own domain and selector, even for mails that it has signed for others."""
    wrong = "the mail's key is another domain's or selector's"
    assert [wrong, wrong] == list_reasons(begin(mail(ANN, key=ED25519_KEY), mail(ANN, form=MailForm("s2"))))[-2:]


def test_attack_an_expired_mail() -> None:
    """By the block's time; one that is signed an hour ahead of it is taken, a later one is not."""
    now = KEY_DAY
    for form, reason in (
        (MailForm(expires=now), "executed"),
        (MailForm(expires=now - 1), "the mail's signature has expired"),
        (MailForm(signed=now + 3_600), "executed"),
        (MailForm(signed=now + 3_601), "the mail is signed in the future"),
    ):
        assert reason == list_reasons(begin(mail(ANN, form=form)))[-1]


def test_attack_a_mail_for_another_rollup() -> None:
    """The proposal's id is made of the rollup's; so a mail for the same account elsewhere names nothing here."""
    elsewhere = name(propose(), choose(), rollup=b"\x01" * 32)
    assert "no such proposal" == list_reasons(begin(mail(ANN, elsewhere)))[-1]


def test_attack_a_replayed_mail() -> None:
    """It moves no vote back from where its guardian has moved it since, nor does another mail for the same proposal."""
    again = "this guardian has voted by mail"
    assert ["executed", again] == list_reasons(begin(mail(ANN), mail(ANN)))[-2:]
    guardians = order(Guardian(0, bytes(12) + BOB), Guardian(1, E), person(ANN))
    policy = choose(3, guardians)
    start, other = propose(guardians=guardians), propose(DAVE, guardians)
    first, second = name(start, policy), name(other, policy, 1)
    late = MailForm(signed=KEY_DAY)
    steps = [(ERIN, other), *[mail(ANN, each) for each in (first, second, first)], mail(ANN, first, late)]
    outcome = begin(*steps, policy=policy, start=start)
    assert ["executed", "executed", "executed", again, again] == list_reasons(outcome)[-5:]
    proposals = outcome.state.recovery.proposals
    assert [0, 1] == [len(proposals[each].supports) for each in (first, second)]
    assert [1, 1] == [len(proposals[each].mails) for each in (first, second)]


def test_attack_an_old_mail_that_was_kept_back() -> None:
    """It moves no vote from where a newer one has put it; without `t=` a mail is older than any."""
    guardians = order(Guardian(0, bytes(12) + BOB), Guardian(1, E), person(ANN))
    policy = choose(3, guardians)
    start, other = propose(guardians=guardians), propose(DAVE, guardians)
    first, second = name(start, policy), name(other, policy, 1)
    for kept in (MailForm(signed=KEY_DAY - 2), MailForm()):
        steps = [(ERIN, other), mail(ANN, second, MailForm(signed=KEY_DAY - 1)), mail(ANN, first, kept)]
        outcome = begin(*steps, policy=policy, start=start)
        assert ["executed", "executed", "a newer mail of this guardian has voted"] == list_reasons(outcome)[-3:]
    steps = [*steps[:2], mail(ANN, first, MailForm(signed=KEY_DAY - 1))]
    assert "executed" == list_reasons(begin(*steps, policy=policy, start=start))[-1]


def test_attack_one_address_as_two_guardians() -> None:
    """Under two salts it is in the list twice, and has one vote all the same."""
    guardians = order(Guardian(0, bytes(12) + BOB), person(ANN), person(ANN, CODE_2))
    policy, start = choose(3, guardians), propose(guardians=guardians)
    proposal = name(start, policy)
    steps = [mail(ANN, proposal), mail(ANN, proposal, salt=CODE_2)]
    outcome = begin(*steps, policy=policy, start=start)
    assert ["executed", "address has voted as another guardian"] == list_reasons(outcome)[-2:]
    (voted,) = outcome.state.recovery.proposals[proposal].mails
    assert isinstance(voted, MailVote)
    assert guardians.index(person(ANN)) == voted.guardian


def test_two_addresses_are_two_guardians() -> None:
    """Neither has a sender, so they do not stand in each other's way."""
    policy = choose(3)
    proposal = name(propose(), policy)
    steps = [mail(ANN, proposal), mail(JOE, proposal), (BOB, SupportRecovery(proposal, BOBS))]
    outcome = begin(*steps, policy=policy)
    assert ["executed"] * 3 == list_reasons(outcome)[-3:]
    assert proposal == outcome.state.recovery.standings[A].running


def test_attack_mails_alone() -> None:
    """Whoever announces keys could write them all: they count for one less than the threshold."""
    for threshold, guardians in ((2, GUARDIANS), (1, GUARDIANS)):
        policy, start = choose(threshold, guardians), propose(guardians=guardians)
        proposal = name(start, policy)
        outcome = begin(mail(ANN, proposal), mail(JOE, proposal), policy=policy, start=start)
        assert ["executed", "executed"] == list_reasons(outcome)[-2:]
        assert bytes(32) == outcome.state.recovery.standings[A].running
        outcome = begin(
            mail(ANN, proposal), mail(JOE, proposal), (BOB, SupportRecovery(proposal, BOBS)), policy=policy, start=start
        )
        assert proposal == outcome.state.recovery.standings[A].running


def test_attack_a_stranger_by_mail() -> None:
    """Who is no guardian has no vote, nor has a guardian under another salt, or by an action instead of a mail."""
    strange = "address is not a guardian"
    steps = [
        mail("eve@mail.example"), mail(ANN, salt=CODE_2), (THIEF, SupportRecovery(P, ANNS)),
        force(THIEF, CancelRecovery(P, ANNS)),
    ]  # fmt: skip
    by_mail = "this guardian speaks by mail"
    outcome = begin(*steps[:3], at(KEY_DAY + 1), steps[3])
    assert [strange, strange, by_mail, by_mail] == list_reasons(outcome)[-4:]


def test_attack_a_mail_for_a_lapsed_proposal() -> None:
    """After seven days, beside a running one, and when it runs itself."""
    assert "proposal is not open" == list_reasons(begin(at(KEY_DAY + 7 * DAY + 1), mail(ANN)))[-1]
    steps = [(BOB, SupportRecovery(P, BOBS)), mail(ANN), mail(JOE)]
    assert ["executed", "executed", "proposal is not open"] == list_reasons(begin(*steps))[-3:]


def test_a_revoked_key_takes_no_vote_back() -> None:
    """The owner, or guardians, cancel what they doubt."""
    outcome = begin(mail(ANN), (COLLECTOR, RevokeDkimKey(RSA_KEY.hash)), (BOB, SupportRecovery(P, BOBS)))
    assert P == outcome.state.recovery.standings[A].running
