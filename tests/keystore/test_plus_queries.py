"""Keystore+'s queries: what accounts have, owe and allow, who recovers them, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pytest

from apps.keystore.plus import queries
from apps.keystore.plus.answers import DelegateAnswer, HoldingAnswer, NameEntry, TextAnswer
from apps.keystore.plus.dkim_keys import AddDkimKey
from apps.keystore.plus.exits import SetExit
from apps.keystore.plus.fees import SetPrice, Sponsor
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.naming import CommitName, RegisterNamed, SetText, compute_commitment, compute_named_key
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian
from apps.keystore.plus.proposals import FINISH_WINDOW, OPEN_TIME
from apps.keystore.plus.recovery import StartRecovery, SupportRecovery
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.updates import SetCareful
from apps.keystore.plus.vault import Deposit, Transfer, Withdraw, compute_withdrawal_id
from apps.keystore.transitions import Update
from microrollup import replace
from microrollup.execution.querying import QueryFault
from microrollup.primitives import ZERO_BYTES32
from microrollup.testing.executed import Execution
from microrollup.testing.execution import at, execute, force, next_block
from microrollup.testing.querying import query
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
    DAY,
    ETHER,
    FRANK,
    KEYS,
    OTHER_TOKEN,
    PARENT,
    PLUS,
    SALT,
    START,
    TOKEN,
    VAULT,
    A,
    B,
    C,
    make_state,
)

SECRET: Final = b"\x5e" * 32
DELAY: Final = 5 * DAY
EVERY_TOKEN: Final = b"\xff" * 20


def play(*steps: Any) -> Execution:
    """Steps after deposits of ether and two tokens for Alice."""
    deposits = [
        force(VAULT, Deposit(number, token, A, amount))
        for number, (token, amount) in enumerate([(ETHER, 900), (TOKEN, 70), (OTHER_TOKEN, 8)], 1)
    ]
    outcome = execute(PLUS, [at(START - 1), *deposits, at(START), *steps], state=make_state())
    assert {"executed"} == {each.status for each in outcome.outcomes}, [each.reason for each in outcome.outcomes]
    return outcome


def name_steps(*labels: str) -> list[Any]:
    """Alice takes names, one after another."""
    steps = []
    for label in labels:
        commitment = compute_commitment(label, ALICE, SECRET)
        steps += [(ALICE, CommitName(commitment)), next_block(), (ALICE, RegisterNamed(label, SECRET, CODE, CONFIG))]
    return steps


def follow(function: Any, run: Execution, *arguments: Any, limit: int) -> list[Any]:
    """The entries of all pages."""
    found, more = [], {}
    while True:
        page = query(PLUS, function, run, *arguments, limit=limit, **more)
        assert len(page.items) <= limit + 1
        found += page.items
        if page.next is None:
            return found
        more = {"after": page.next}


def test_balances_and_movements() -> None:
    """Ether first, then tokens; deposits and withdrawals by account; pages give the same as a whole."""
    run = play(
        (ALICE, Transfer(A, B, ETHER, 100)),
        (ALICE, Transfer(A, B, TOKEN, 7)),
        (ALICE, Withdraw(A, ETHER, 30, CAROL)),
        (ALICE, Withdraw(A, TOKEN, 3, BOB)),
        force(VAULT, Deposit(9, ETHER, b"\x99" * 32, 1)),
    )
    wanted = [HoldingAnswer(ETHER, 770), HoldingAnswer(TOKEN, 60), HoldingAnswer(OTHER_TOKEN, 8)]
    assert wanted == query(PLUS, queries.balances, run, A).items == follow(queries.balances, run, A, limit=1)
    assert [HoldingAnswer(ETHER, 100), HoldingAnswer(TOKEN, 7)] == query(PLUS, queries.balances, run, B).items
    assert [HoldingAnswer(ETHER, 1)] == query(PLUS, queries.balances, run, b"\x99" * 32).items
    assert [] == query(PLUS, queries.balances, run, C).items

    assert [(A, 770), (B, 100), (b"\x99" * 32, 1)] == [
        (each.key, each.amount) for each in query(PLUS, queries.holders, run).items
    ]
    assert query(PLUS, queries.holders, run).items == follow(queries.holders, run, limit=1)
    assert [(A, 60), (B, 7)] == [(each.key, each.amount) for each in query(PLUS, queries.holders, run, TOKEN).items]
    assert {ETHER: 901, TOKEN: 70, OTHER_TOKEN: 8} == {
        each.token: each.deposited for each in query(PLUS, queries.tokens, run)
    }

    left = query(PLUS, queries.withdrawals, run, A).items
    assert left == follow(queries.withdrawals, run, A, limit=1)
    assert [(1, TOKEN, BOB, 3), (0, ETHER, CAROL, 30)] == [
        (each.nonce, each.token, each.to, each.amount) for each in left
    ]
    assert compute_withdrawal_id(A, 0) == left[1].withdrawal
    assert [(1, ETHER, 900), (2, TOKEN, 70), (3, OTHER_TOKEN, 8)] == [
        (each.deposit, each.token, each.amount) for each in query(PLUS, queries.deposits, run, A).items
    ]
    assert [1, 2, 3] == [each.deposit for each in follow(queries.deposits, run, A, limit=1)]


def test_a_withdrawal_before_many_updates() -> None:
    """Updates of Axiom's format take numbers too: no page goes over too many of them, and the last one has it."""
    run = play((ALICE, Withdraw(A, ETHER, 30, CAROL)))
    vault = replace(run.state.vault, axiom_nonces=run.state.vault.axiom_nonces.set(A, 30_000))  # type: ignore[attr-defined]
    run = Execution(replace(run.state, vault=vault), run.outcomes, run.height, run.timestamp)
    assert ([], 29_000) == ((page := query(PLUS, queries.withdrawals, run, A)).items, page.next)
    assert [30] == [each.amount for each in follow(queries.withdrawals, run, A, limit=200)]


def test_accounts() -> None:
    """All of them by key; what stands in the way of one; none that is not there."""
    run = play(
        (ALICE, SetCareful(A, True)),
        (ALICE, SetExit(A, CAROL)),
        (ALICE, Update(A, CODE_2, CONFIG_2, BOB)),
        at(START + 3 * DAY),
    )
    entries = query(PLUS, queries.accounts, run).items
    assert sorted(KEYS) == [each.key for each in entries]
    assert entries == follow(queries.accounts, run, limit=3)
    assert (900, "active", ALICE) == next((e.ether, e.state, e.vk) for e in entries if e.key == A)
    shown = query(PLUS, queries.account, run, A)
    assert (ALICE, CODE, CONFIG, "active") == (shown.vk, shown.code_hash, shown.config_hash, shown.state)
    assert (True, 0, BOB, CAROL) == (shown.careful, shown.careful_until, shown.next_vk, shown.exit)
    with pytest.raises(QueryFault, match="no such account"):
        query(PLUS, queries.account, run, b"\x99" * 32)
    for limit in (0, 201):
        with pytest.raises(QueryFault, match="1 to 200"):
            query(PLUS, queries.accounts, run, limit=limit)


def test_spending_rules() -> None:
    """What has left in the period, what a rule becomes, and who controls it."""
    run = play(
        (ALICE, SetSpendingRule(A, ETHER, 500, DAY, ZERO_BYTES32)),
        (ALICE, SetSpendingRule(A, EVERY_TOKEN, 50, DAY, ZERO_BYTES32)),
        (ALICE, Transfer(A, B, ETHER, 120)),
        (ALICE, SetSpendingRule(A, ETHER, 600, DAY, B)),
    )
    shown = query(PLUS, queries.spending_rules, run, A)
    first, announced, every = sorted(shown, key=lambda each: (each.token, each.since))
    assert ("in force", 500, 120, ZERO_BYTES32) == (first.state, first.limit, first.spent, first.controller)
    assert first.turns == (START // DAY + 1) * DAY
    assert ("announced", 600, 0, B, START + 2 * DAY) == (
        announced.state, announced.limit, announced.spent, announced.controller, announced.since,
    )  # fmt: skip
    assert (EVERY_TOKEN, 50, 0) == (every.token, every.limit, every.spent)
    assert [] == query(PLUS, queries.spending_rules, run, B)


def sender(address: bytes) -> Guardian:
    return Guardian(0, bytes(12) + address)


GUARDIANS: Final = sorted([sender(BOB), sender(CAROL)], key=lambda each: each.id)


def recover(mode: int, *steps: Any) -> tuple[Execution, bytes]:
    """Bob has proposed that Frank gets Alice's account."""
    hashed = compute_guardians_hash(SALT, GUARDIANS)
    run = play(
        (ALICE, SetRecovery(A, hashed, 2, 2, DELAY, mode)),
        at(START + 3 * DAY),
        (BOB, StartRecovery(A, CODE_2, CONFIG_2, FRANK, SALT, GUARDIANS)),
        *steps,
    )
    ((proposal, _),) = run.state.recovery.proposals.items()  # type: ignore[attr-defined]
    return run, proposal


def vote(voters: Sequence[bytes], mode: int = 0) -> list[Any]:
    """They support the one proposal, whose id follows from the rest."""
    _, proposal = recover(mode)
    places = {address: GUARDIANS.index(sender(address)) for address in voters}
    return [(address, SupportRecovery(proposal, places[address])) for address in voters]


@pytest.mark.parametrize(("mode", "word", "state"), [(0, "veto", "recovering"), (1, "lock", "locked")])
def test_a_recovery_from_its_start_to_its_end(mode: int, word: str, state: str) -> None:
    """Open, waiting, ready, lapsed: with votes and deadlines; the account is locked where guardians lock."""
    began = START + 3 * DAY
    reached = began + DELAY
    stages: list[tuple[list[Any], str, int, str, int]] = [
        (vote([BOB], mode), "open", 1, "active", began + OPEN_TIME),
        ([*vote([BOB], mode), at(began + OPEN_TIME + 1)], "lapsed", 1, "active", began + OPEN_TIME),
        (vote([BOB, CAROL], mode), "waiting", 2, state, reached),
        ([*vote([BOB, CAROL], mode), at(reached)], "ready", 2, state, reached + FINISH_WINDOW),
        ([*vote([BOB, CAROL], mode), at(reached + FINISH_WINDOW + 1)], "lapsed", 2, "active", reached + FINISH_WINDOW),
    ]
    for steps, stage, supports, account, until in stages:
        run, proposal = recover(mode, *steps)
        shown = query(PLUS, queries.recovery, run, proposal)
        assert (A, stage, supports, 2, 2, word, began, until, FRANK) == (
            shown.key, shown.state, shown.supports, shown.threshold, shown.count, shown.mode, shown.started,
            shown.until, shown.vk,
        )  # fmt: skip
        assert [shown] == query(PLUS, queries.recoveries, run).items == query(PLUS, queries.recoveries_of, run, A)
        assert [] == query(PLUS, queries.recoveries_of, run, B)
        voices = {each.id: each.vote for each in query(PLUS, queries.guardians, run, proposal)}
        assert {BOB: "supports", CAROL: "supports" if supports == 2 else ""} == voices
        described = query(PLUS, queries.account, run, A)
        assert (account, CODE, CONFIG) == (described.state, described.code_hash, described.config_hash)
        assert (proposal if account == state else ZERO_BYTES32) == described.running
    for function in (queries.recovery, queries.guardians):
        with pytest.raises(QueryFault, match="no such proposal"):
            query(PLUS, function, run, b"\x99" * 32)


def test_policies() -> None:
    """The one in force, and the one that is announced; once its time has come it is the only one."""
    hashed = compute_guardians_hash(SALT, GUARDIANS)
    first = (ALICE, SetRecovery(A, hashed, 2, 1, DELAY, 0))
    run = play(first)
    (shown,) = query(PLUS, queries.guardian_policies, run, A)
    assert ("announced", 1, 2, "veto", START + 2 * DAY) == (
        shown.state, shown.threshold, shown.count, shown.mode, shown.effective
    )  # fmt: skip
    run = play(first, at(START + 2 * DAY), (ALICE, SetRecovery(A, hashed, 2, 2, DELAY, 1)))
    assert [("in force", 1), ("announced", 2)] == [
        (each.state, each.threshold) for each in query(PLUS, queries.guardian_policies, run, A)
    ]
    assert [] == query(PLUS, queries.guardian_policies, run, B)


def test_mail_keys() -> None:
    """Announced, in force, expired."""
    steps = [(COLLECTOR, AddDkimKey("mail.example", "s1", b"\x11" * 32, START + 8 * DAY, START + 20 * DAY))]
    for seconds, word in ((0, "announced"), (8 * DAY, "in force"), (20 * DAY + 1, "expired")):
        (key,) = query(PLUS, queries.mail_keys, play(*steps, at(START + seconds)))
        assert ("mail.example", "s1", word, START + 8 * DAY) == (key.domain, key.selector, key.state, key.valid_from)


def test_names_and_texts() -> None:
    """Names by their letters, accounts with their names, text records by name until they are deleted."""
    key = compute_named_key(PARENT, "alice")
    run = play(
        *name_steps("alice", "bob", "alice-2"),
        (ALICE, SetText(key, "url", "https://alice.example")),
        (ALICE, SetText(key, "avatar", "x")),
        (ALICE, SetText(key, "n", "gone")),
        next_block(),
        (ALICE, SetText(key, "n", "")),
    )
    entries = query(PLUS, queries.named_accounts, run).items
    assert {"alice", "bob", "alice-2"} == {each.name for each in entries}
    assert entries == follow(queries.named_accounts, run, limit=1)
    assert NameEntry("alice", key, ALICE, "active") == query(PLUS, queries.find_name, run, "alice")
    assert "alice" == query(PLUS, queries.account, run, key).name
    assert "alice" in [each.name for each in query(PLUS, queries.accounts, run).items]
    wanted = [TextAnswer("avatar", "x"), TextAnswer("url", "https://alice.example")]
    found = query(PLUS, queries.texts, run, key).items
    assert wanted == sorted(found, key=lambda each: each.name)
    assert found == follow(queries.texts, run, key, limit=1)
    with pytest.raises(QueryFault, match="nobody has registered"):
        query(PLUS, queries.find_name, run, "nobody")


def test_intents_and_delegates() -> None:
    """In force, expired, forbidden, and void after the account has changed."""
    steps: list[Any] = [
        (ALICE, Intend(A, 3, 10, BOB, b"\x11" * 32, START + 100)),
        (ALICE, Intend(A, 5, 10, BOB, b"\x12" * 32, START + DAY)),
        (ALICE, SetDelegate(A, 0, CODE_2, CONFIG_2, START + 2 * DAY)),
        (ALICE, SetDelegate(A, 10, ZERO_BYTES32, ZERO_BYTES32, START + 2 * DAY)),
        at(START + 200),
    ]
    run = play(*steps)
    slots = query(PLUS, queries.intents, run, A).items
    assert [(5, "in force"), (3, "expired")] == [(each.slot, each.state) for each in slots]
    assert slots == follow(queries.intents, run, A, limit=1)
    assert DelegateAnswer(0, "in force", CODE_2, CONFIG_2, START + 2 * DAY) in query(PLUS, queries.delegates, run, A)
    assert {0: "in force", 10: "nobody"} == {
        each.chain_id: each.state for each in query(PLUS, queries.delegates, run, A)
    }
    run = play(*steps, (ALICE, Update(A, CODE_2, CONFIG_2, BOB)))
    assert {"void"} == {each.state for each in query(PLUS, queries.intents, run, A).items}
    assert {0: "void", 10: "nobody"} == {each.chain_id: each.state for each in query(PLUS, queries.delegates, run, A)}


def test_fees() -> None:
    """Prices with what is announced; sponsors of an account, of any account, and those that have changed since."""
    run = play(
        (COLLECTOR, SetPrice(TOKEN, 2)),
        at(START + DAY),
        (ALICE, Sponsor(A, B, 20, TOKEN, START + 3 * DAY)),
        (ALICE, Sponsor(A, ZERO_BYTES32, 10, TOKEN, START + 2 * DAY)),
    )
    (price,) = query(PLUS, queries.prices, run)
    assert (TOKEN, 2, 2, 0, 50) == (price.token, price.price, price.next, price.effective, price.cap)
    (own,), (any_one,) = (query(PLUS, queries.sponsors, run, key) for key in (B, ZERO_BYTES32))
    assert (A, TOKEN, 20, "in force") == (own.sponsor, own.token, own.budget, own.state)
    assert 10 == any_one.budget
    assert [] == query(PLUS, queries.sponsors, run, COLLECTOR_KEY)
    run = play((COLLECTOR, SetPrice(TOKEN, 2)))
    (price,) = query(PLUS, queries.prices, run)
    assert (0, 2, START + DAY) == (price.price, price.next, price.effective)
