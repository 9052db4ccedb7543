"""Keystore+'s money: deposits, transfers, withdrawals, and the freeze."""

from __future__ import annotations

import pytest

from apps.keystore import vault_calls
from apps.keystore.plus import app
from apps.keystore.plus.exits import SetExit
from apps.keystore.plus.state import Exit, TokenWithdrawal, Withdrawal
from apps.keystore.plus.vault import Deposit, Freeze, Transfer, Transferred, Withdraw, compute_withdrawal_id
from apps.keystore.transitions import Register
from conformance.encoding import fill
from conformance.files import load_cases
from microrollup.codec.schema import BytesType, SequenceType, StringType, compute_bounds
from microrollup.crypto.keccak import keccak256
from microrollup.testing.execution import at, carry, execute, force
from plus_world import (
    ALICE,
    BOB,
    CODE,
    CONFIG,
    DAY,
    ETHER,
    PLUS,
    SALT,
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

NOBODY = b"\xee" * 32
MAX = 2**256 - 1


def test_silos_are_fixed() -> None:
    """Contracts compute tree keys with these numbers."""
    settled = [field.name for field in app.state_type.fields if field.settled]
    assert [
        "keystore.accounts", "vault.balances", "vault.axiom_nonces", "vault.withdrawals", "vault.tokens",
        "vault.token_withdrawals", "outbox.intents", "outbox.delegates", "orders.orders", "orders.fills",
        "deposits.deposits", "exits.exits", "texts.texts",
    ] == settled  # fmt: skip


def test_attack_a_leaf_of_another_silo_as_a_withdrawal() -> None:
    """No settled value but those of silo 3 has 52 bytes: `abi.encode` gives whole words, an account 64 bytes."""
    for field in app.state_type.fields:
        if not field.settled or field.name == "vault.withdrawals":
            continue
        if field.name == "keystore.accounts":
            continue  # two hashes
        assert field.leaf is None, field.name
        assert not isinstance(field.value_type, (BytesType, SequenceType)), field.name
        sample = "x" * 20 if isinstance(field.value_type, StringType) else None
        if sample is not None:
            assert {0} == {len(field.encode_leaf("x" * size)) % 32 for size in range(70)}
    state = make_state()
    assert 64 == len(app.state_type.get_field("keystore.accounts").encode_leaf(state.keystore.accounts[A]))
    assert 52 == len(app.state_type.get_field("vault.withdrawals").encode_leaf(Withdrawal(ALICE, 1)))


def test_the_vault_on_l1_looks_in_the_right_places() -> None:
    """Its call data and the rollup's state agree on tree keys."""
    keys = {case["field"]: case["treeKey"] for case in load_cases("keystore-plus-leaves")}
    key, token, place = fill("key"), fill("token", 20), compute_withdrawal_id(fill("key"), 3)
    assert [
        keys["vault.balances"], keys["vault.tokens"], keys["vault.withdrawals"], keys["vault.token_withdrawals"],
        keys["deposits.deposits"], keys["exits.exits"],
    ] == [
        f"0x{each.hex()}"
        for each in (
            vault_calls.compute_balance_tree_key(ETHER, key), vault_calls.compute_balance_tree_key(token, key),
            vault_calls.compute_withdrawal_tree_key(ETHER, place),
            vault_calls.compute_withdrawal_tree_key(token, place),
            vault_calls.compute_deposit_tree_key(5), vault_calls.compute_exit_tree_key(key),
        )
    ]  # fmt: skip


def test_the_code_is_the_same_for_every_configuration() -> None:
    """What is chosen at genesis is no part of the code's id, and the lint has nothing to say."""
    assert app.stf_id == PLUS.stf_id
    assert () == app.findings
    assert () == app.allow
    assert PLUS.make_domain().name == "keystore-plus"


def test_register_and_deposit_for_a_key_that_is_not_registered() -> None:
    """The money waits for whoever registers the key."""
    outcome = execute(PLUS, [force(VAULT, Deposit(7, ETHER, A, 5)), (ALICE, Register(CODE, CONFIG, SALT))])
    assert (5, ALICE) == (outcome.state.vault.balances[A], outcome.state.keystore.accounts[A].vk)
    assert {7: A} == dict(outcome.state.deposits.deposits.items())


def test_attack_deposits_that_the_vault_did_not_make() -> None:
    """Signed, forced by a stranger, carried by the vault for a stranger, or in a rollup without a vault: rejected."""
    deposit = Deposit(1, ETHER, A, 5)
    steps = [
        (ALICE, deposit),
        force(THIEF, deposit),
        carry(VAULT, ALICE, deposit),
        (ALICE, Freeze()),
        force(BOB, Freeze()),
    ]
    assert {"not from the vault on L1"} == set(list_reasons(run(*steps)))
    assert ["not from the vault on L1"] == list_reasons(execute(app, [force(bytes(20), deposit)]))


@pytest.mark.parametrize(
    ("deposit", "reason"),
    [
        (Deposit(1, ETHER, A, 5), "deposit was credited already"),
        (Deposit(1, TOKEN, B, 5), "deposit was credited already"),
        (Deposit(2, ETHER, bytes(32), 5), "no account has the key zero"),
        (Deposit(2, ETHER, A, 0), "nothing to deposit"),
        (Deposit(2, ETHER, B, MAX - 99), "more of this token than 256 bits can count"),
        (Deposit(2, ETHER, B, MAX - 100), "executed"),
        (Deposit(2, TOKEN, A, MAX), "executed"),
    ],
)
def test_deposits(deposit: Deposit, reason: str) -> None:
    """Each id counts once; all deposits of a token together fit in 256 bits, so no balance overflows later."""
    assert [reason] == list_reasons(run(force(VAULT, deposit), funds=[(A, ETHER, 100)]))


def test_transfers() -> None:
    """Ether and tokens; the event says who paid whom."""
    steps = [(ALICE, Transfer(A, B, ETHER, 30)), (ALICE, Transfer(A, B, TOKEN, 7)), (BOB, Transfer(B, A, ETHER, 30))]
    outcome = run(*steps, funds=[(A, ETHER, 100), (A, TOKEN, 7)])
    vault = outcome.state.vault
    assert (100, 0) == (vault.balances[A], vault.balances[B])
    assert (0, 7) == (vault.tokens[TOKEN, A], vault.tokens[TOKEN, B])
    assert (Transferred(A, B, ETHER, 30),) == outcome.outcomes[0].events


@pytest.mark.parametrize(
    ("sender", "action", "reason"),
    [
        (THIEF, Transfer(A, B, ETHER, 1), "sender is not the account's vk"),
        (ALICE, Transfer(A, B, ETHER, 101), "balance too low"),
        (ALICE, Transfer(A, B, TOKEN, 1), "balance too low"),
        (ALICE, Transfer(A, NOBODY, ETHER, 1), "no such account"),
        (ALICE, Transfer(NOBODY, A, ETHER, 1), "no such account"),
        (ALICE, Transfer(A, B, ETHER, 0), "nothing to transfer"),
        (ALICE, Transfer(A, B, ETHER, MAX), "balance too low"),
        (THIEF, Withdraw(A, ETHER, 1, THIEF), "sender is not the account's vk"),
        (ALICE, Withdraw(A, ETHER, 101, ALICE), "balance too low"),
        (ALICE, Withdraw(A, ETHER, 0, ALICE), "nothing to withdraw"),
        (ALICE, Withdraw(A, ETHER, 1, ETHER), "nobody claims for the zero address"),
        (ALICE, Withdraw(A, TOKEN, 1, ALICE), "balance too low"),
        (THIEF, SetExit(A, THIEF), "sender is not the account's vk"),
    ],
)
def test_rejections(sender: bytes, action: object, reason: str) -> None:
    """Only the account's vk, only what is there; signed or forced alike."""
    outcome = run((sender, action), force(sender, action), funds=[(A, ETHER, 100)])
    assert [reason, reason] == list_reasons(outcome)
    assert 100 == count_money(outcome.state, ETHER)


def test_attack_a_transfer_to_oneself() -> None:
    """It neither makes nor destroys money, and what is not there cannot be sent."""
    outcome = run((ALICE, Transfer(A, A, ETHER, 100)), (ALICE, Transfer(A, A, ETHER, 101)), funds=[(A, ETHER, 100)])
    assert ["executed", "balance too low"] == list_reasons(outcome)
    assert 100 == outcome.state.vault.balances[A] == count_money(outcome.state, ETHER)


def test_withdrawals() -> None:
    """Each has an id of its own; ether and tokens lie in different silos; nothing is deleted."""
    steps = [
        (ALICE, Withdraw(A, ETHER, 60, BOB)),
        (ALICE, Withdraw(A, TOKEN, 5, BOB)),
        (ALICE, Withdraw(A, ETHER, 40, BOB)),
    ]
    outcome = run(*steps, funds=[(A, ETHER, 100), (A, TOKEN, 5)])
    vault, ids = outcome.state.vault, [compute_withdrawal_id(A, number) for number in range(3)]
    assert {ids[0]: Withdrawal(BOB, 60), ids[2]: Withdrawal(BOB, 40)} == dict(vault.withdrawals.items())
    assert {ids[1]: TokenWithdrawal(TOKEN, BOB, 5)} == dict(vault.token_withdrawals.items())
    assert (0, 0, 3) == (vault.balances[A], vault.tokens[TOKEN, A], vault.axiom_nonces[A])
    assert keccak256(A + bytes(31) + b"\x02") == ids[2]
    assert (100, 5) == (count_money(outcome.state, ETHER), count_money(outcome.state, TOKEN))


def test_the_freeze() -> None:
    """After an escape no money moves, by whoever; accounts still change."""
    steps = [
        force(VAULT, Freeze()), at(START + 10), force(VAULT, Deposit(9, ETHER, A, 1)), force(VAULT, Freeze()),
        force(ALICE, Withdraw(A, ETHER, 1, ALICE)), (ALICE, Transfer(A, B, ETHER, 1)),
    ]  # fmt: skip
    outcome = run(*steps, funds=[(A, ETHER, 100)])
    assert ["executed", *["the vault is frozen"] * 4] == list_reasons(outcome)
    assert 100 == outcome.state.vault.balances[A]


def test_exits() -> None:
    """The next one counts after two days; one that is changed before never does."""
    outcome = run((ALICE, SetExit(A, BOB)), at(START + DAY), (ALICE, SetExit(A, VAULT)))
    assert Exit(ETHER, VAULT, START + 3 * DAY) == outcome.state.exits.exits[A]
    outcome = run((ALICE, SetExit(A, BOB)), at(START + 2 * DAY), (ALICE, SetExit(A, VAULT)))
    assert Exit(BOB, VAULT, START + 4 * DAY) == outcome.state.exits.exits[A]


def test_clocks_do_not_overflow() -> None:
    """In the last second of 64 bits a deadline is that second."""
    outcome = execute(PLUS, [at(2**64 - 1), (ALICE, SetExit(A, BOB))], state=make_state(), timestamp=2**64 - 2)
    assert 2**64 - 1 == outcome.state.exits.exits[A].effective


def test_bounds_are_those_of_the_types() -> None:
    """Amounts and balances are unsigned 256-bit integers."""
    field = app.state_type.get_field("vault.balances")
    assert (0, MAX) == compute_bounds(field.value_type)  # type: ignore[arg-type]
