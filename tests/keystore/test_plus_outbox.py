"""Keystore+'s outbox: intents and delegates, and what ends them."""

from __future__ import annotations

import pytest

from apps.keystore.accounts import Account, encode_account_leaf
from apps.keystore.plus.authority import compute_owner_hash
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.state import Intent, KeyDelegate
from apps.keystore.transitions import Update
from microrollup.crypto.keccak import keccak256
from microrollup.testing.execution import at, execute, force
from plus_world import (
    ALICE,
    BOB,
    CODE,
    CODE_2,
    CONFIG,
    CONFIG_2,
    DAY,
    PLUS,
    START,
    THIEF,
    A,
    B,
    list_reasons,
    make_state,
    run,
)

WALLET, OPERATION = b"\x55" * 20, b"\x66" * 32
OWNER_HASH = keccak256(encode_account_leaf(Account(CODE + CONFIG, ALICE)))
WRONG = "sender is not the account's vk"


def want(slot: int = 0, chain: int = 10, until: int = START + DAY, key: bytes = A) -> Intend:
    return Intend(key, slot, chain, WALLET, OPERATION, until)


def test_an_intent() -> None:
    """It names the operation, when it is valid, and who owned the account."""
    outcome = run((ALICE, want(7)))
    assert Intent(10, WALLET, OPERATION, START, START + DAY, OWNER_HASH) == outcome.state.outbox.intents[A, 7]
    assert "executed" == list_reasons(run(force(ALICE, want())))[0]


@pytest.mark.parametrize(
    ("sender", "action", "reason"),
    [
        (ALICE, want(1_023), "executed"),
        (ALICE, want(1_024), "a slot is 0 to 1023"),
        (ALICE, want(chain=0), "no chain has the id 0"),
        (ALICE, want(until=START), "an intent lasts a day at most"),
        (ALICE, want(until=START + DAY + 1), "an intent lasts a day at most"),
        (ALICE, SetDelegate(A, 10, CODE_2, CONFIG_2, START), "a delegate ends later than now, in 48 bits"),
        (ALICE, SetDelegate(A, 10, CODE_2, CONFIG_2, 2**48), "a delegate ends later than now, in 48 bits"),
        (ALICE, SetDelegate(A, 10, CODE_2, CONFIG_2, 2**48 - 1), "executed"),
        (ALICE, SetDelegate(A, 10, bytes(32), bytes(32), 0), "executed"),
    ],
)
def test_bounds(sender: bytes, action: object, reason: str) -> None:
    """Slots, chains and times, each with its neighbour."""
    assert [reason] == list_reasons(run((sender, action)))


def test_attack_an_intent_of_a_stranger_for_another_account() -> None:
    """Nobody writes into another's slots, signed or forced; the same slot of another key is another entry."""
    steps = [
        (ALICE, want(3)),
        (THIEF, want(3)),
        force(THIEF, want(3)),
        (THIEF, SetDelegate(A, 0, CODE, CONFIG, START + 9)),
    ]
    outcome = run(*steps, (BOB, want(3, 11, key=B)))
    assert sorted([WRONG] * 3 + ["executed"] * 2) == sorted(list_reasons(outcome))
    assert [10, 11] == [outcome.state.outbox.intents[key, 3].chain_id for key in (A, B)]


def test_a_slot_is_written_again() -> None:
    """The intent before is gone."""
    outcome = run((ALICE, want(3)), at(START + 5), (ALICE, want(3, 99)))
    assert [((A, 3), Intent(99, WALLET, OPERATION, START + 5, START + DAY, OWNER_HASH))] == list(
        outcome.state.outbox.intents.items()
    )


def test_attack_an_intent_that_outlives_a_rotation() -> None:
    """Its hash of the owner is another one than that of the account after an update."""
    outcome = run(
        (ALICE, want(3)), (ALICE, SetDelegate(A, 0, CODE, CONFIG, START + 9)), (ALICE, Update(A, CODE_2, CONFIG_2, BOB))
    )
    now = compute_owner_hash(outcome.state.keystore.accounts[A])
    outbox = outcome.state.outbox
    assert OWNER_HASH == outbox.intents[A, 3].owner_hash == outbox.delegates[A, 0].owner_hash != now


def test_an_account_that_is_again_what_it_was() -> None:
    """It has its intents and delegates again, as the documents say; one that is written anew is gone."""
    there_and_back = [(ALICE, Update(A, CODE_2, CONFIG_2, ALICE)), (ALICE, Update(A, CODE, CONFIG, ALICE))]
    gone = [(ALICE, SetDelegate(A, 10, bytes(32), bytes(32), 0))]
    made = [(ALICE, SetDelegate(A, chain, CODE_2, CONFIG_2, START + 9)) for chain in (0, 10)]
    outcome = run(*made, *there_and_back, *gone)
    delegates = outcome.state.outbox.delegates
    assert compute_owner_hash(outcome.state.keystore.accounts[A]) == delegates[A, 0].owner_hash
    assert bytes(32) == delegates[A, 10].code_hash


def test_delegates() -> None:
    """For a chain or for all of them; a zero codeHash forbids one; each is written again."""
    steps = [
        (ALICE, SetDelegate(A, 0, CODE_2, CONFIG_2, START + 9)), (ALICE, SetDelegate(A, 10, bytes(32), bytes(32), 0)),
        (ALICE, SetDelegate(A, 10, bytes(32), bytes(32), 0)),
    ]  # fmt: skip
    outcome = run(*steps)
    assert {
        (A, 0): KeyDelegate(CODE_2, CONFIG_2, START + 9, OWNER_HASH),
        (A, 10): KeyDelegate(bytes(32), bytes(32), 0, OWNER_HASH),
    } == dict(outcome.state.outbox.delegates.items())


def test_times_end_with_48_bits() -> None:
    """Where seconds have 48 bits, nothing lasts longer."""
    outcome = execute(PLUS, [(ALICE, want(until=2**48))], state=make_state(), timestamp=2**48 - 1)
    assert ["a time has 48 bits there"] == list_reasons(outcome)
