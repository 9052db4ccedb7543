"""Keystore+'s names: commit, register, and text records."""

from __future__ import annotations

import pytest
from eth_abi import encode

from apps.keystore.accounts import Account, compute_account_key
from apps.keystore.plus import app
from apps.keystore.plus.naming import (
    MAX_TEXTS,
    CommitName,
    RegisterNamed,
    SetText,
    compute_commitment,
    compute_named_key,
    compute_text_key,
    is_label,
)
from apps.keystore.transitions import Register, Update
from microrollup.crypto.keccak import keccak256
from microrollup.testing.execution import at, execute, force, next_block
from plus_world import (
    ALICE,
    BOB,
    CODE,
    CODE_2,
    CONFIG,
    CONFIG_2,
    DAY,
    PARENT,
    SALT,
    START,
    THIEF,
    A,
    list_reasons,
    run,
)

SECRET = b"\x5e" * 32
KEY = compute_named_key(PARENT, "alice")


def commit(label: str = "alice", sender: bytes = ALICE, secret: bytes = SECRET) -> CommitName:
    return CommitName(compute_commitment(label, sender, secret))


def claim(label: str = "alice", secret: bytes = SECRET) -> RegisterNamed:
    return RegisterNamed(label, secret, CODE, CONFIG)


def test_hashes_are_those_of_the_standards() -> None:
    """The commitment is `abi.encode`'s; the key of a name is ENS's namehash (ERC-137's own example)."""
    for label in ("abc", "a" * 31, "a" * 32, "a" * 33, "a" * 63):
        words = encode(["string", "address", "bytes32"], [label, ALICE, SECRET])
        assert keccak256(words) == compute_commitment(label, ALICE, SECRET)
    eth = compute_named_key(bytes(32), "eth")
    assert "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae" == eth.hex()
    assert "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f" == compute_named_key(eth, "foo").hex()


def test_a_name() -> None:
    """The key is the name's hash, the vk the sender's; afterwards it is an account like any other."""
    steps = [(ALICE, commit()), next_block(), (ALICE, claim()), (ALICE, Update(KEY, CODE_2, CONFIG_2, BOB))]
    outcome = run(*steps)
    assert {"executed"} == set(list_reasons(outcome))
    assert Account(CODE_2 + CONFIG_2, BOB) == outcome.state.keystore.accounts[KEY]
    assert 0 == len(outcome.state.naming.commitments)


def test_when_a_commitment_counts() -> None:
    """From the next block on, for a day, once."""
    early, late = "register in a later block than the commitment's", "the commitment is more than a day old"
    assert early == list_reasons(run((ALICE, commit()), (ALICE, claim())))[-1]
    assert "executed" == list_reasons(run((ALICE, commit()), at(START + DAY), (ALICE, claim())))[-1]
    assert late == list_reasons(run((ALICE, commit()), at(START + DAY + 1), (ALICE, claim())))[-1]
    again = [
        (ALICE, commit()),
        next_block(),
        (ALICE, claim()),
        (ALICE, claim()),
        (ALICE, commit()),
        next_block(),
        (ALICE, claim()),
    ]
    assert ["commit to the name first", "executed", "account exists"] == list_reasons(run(*again))[2:]


def test_attack_a_name_that_is_seen_is_taken_by_another() -> None:
    """A commitment holds its sender, and each sender has its own: copied, it is worth nothing and disturbs nobody."""
    steps = [(ALICE, commit()), next_block(), (THIEF, commit()), next_block(), force(THIEF, claim()), (ALICE, claim())]
    outcome = run(*steps)
    assert ["not what was committed to", "executed"] == list_reasons(outcome)[2:]
    assert ALICE == outcome.state.keystore.accounts[KEY].vk
    steps = [(ALICE, commit()), next_block(), (ALICE, claim(secret=SALT)), (ALICE, claim("alicf")), (BOB, claim())]
    assert ["not what was committed to"] * 2 + ["commit to the name first"] == list_reasons(run(*steps))[1:]


LABELS = [
    ("abc", True), ("ab", False), ("a" * 63, True), ("a" * 64, False), ("a-c", True), ("-bc", False), ("ab-", False),
    ("ab-d", True), ("ab--e", False), ("xn--ls8h", False), ("abc--e", True), ("a1-2z", True), ("Alice", False),
    ("al ice", False), ("al.ice", False), ("al_ice", False), ("\u0430lice", False), ("alicé", False),
    ("ali\u200bce", False),
    ("", False), ("alice\0", False),
]  # fmt: skip


@pytest.mark.parametrize(("label", "good"), LABELS)
def test_attack_a_label_with_an_upper_case_or_confusable_letter(label: str, good: bool) -> None:
    """Only `a-z 0-9 -` in plain ASCII; forced too, where text methods that read Unicode's tables would fault."""
    assert good is is_label(label)
    outcome = run((ALICE, commit(label)), next_block(), force(ALICE, claim(label)))
    assert good is (outcome.outcomes[-1].status == "executed")
    assert "faulted" != outcome.outcomes[-1].status


def test_attack_a_named_account_is_opened_by_its_absence() -> None:
    """A name's key is no hash of a configuration: registering with any parameters gives another key."""
    outcome = run((THIEF, Register(CODE, CONFIG, PARENT)))
    assert KEY not in outcome.state.keystore.accounts
    assert compute_account_key(PARENT, CODE + CONFIG, THIEF) != KEY
    assert 64 == len(PARENT + keccak256(b"alice")) != len(SALT + keccak256(CODE + CONFIG) + keccak256(THIEF)) == 96


def test_a_rollup_without_names() -> None:
    """Nothing is registered under the root of all names."""
    outcome = execute(app, [(ALICE, commit()), next_block(), (ALICE, claim())])
    assert ["no names here", "commit to the name first"] == list_reasons(outcome)


def test_texts() -> None:
    """Set, changed, deleted by the authority, and bounded."""
    place = compute_text_key(A, "avatar")
    outcome = run(
        (ALICE, SetText(A, "avatar", "x")), (ALICE, SetText(A, "avatar", "face")), (THIEF, SetText(A, "url", "x"))
    )
    assert ["executed", "executed", "sender is not the account's vk"] == list_reasons(outcome)
    assert ("face", 1) == (outcome.state.texts.texts[place], outcome.state.naming.text_counts[A])
    outcome = run(
        (ALICE, SetText(A, "avatar", "x")), (ALICE, SetText(A, "avatar", "")), (ALICE, SetText(A, "avatar", ""))
    )
    assert ["executed", "executed", "no such text"] == list_reasons(outcome)
    assert (0, 0) == (len(outcome.state.texts.texts), outcome.state.naming.text_counts[A])
    names = [SetText(A, f"n{number}", "x") for number in range(MAX_TEXTS + 1)]
    assert "an account has at most 64 texts" == list_reasons(run(*[(ALICE, text) for text in names]))[-1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SetText(A, "", "x"), "a text's name has 1 to 64 bytes"),
        (SetText(A, "é" * 33, "x"), "a text's name has 1 to 64 bytes"),
        (SetText(A, "é" * 32, "x"), "executed"),
        (SetText(A, "x", "é" * 512), "executed"),
        (SetText(A, "x", "é" * 512 + "x"), "a text has at most 1024 bytes"),
    ],
)
def test_texts_are_short(text: SetText, reason: str) -> None:
    """In bytes of UTF-8."""
    assert [reason] == list_reasons(run((ALICE, text)))
