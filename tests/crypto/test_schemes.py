"""Signature schemes in actions: passkeys go the whole way, records hold one form, and the unused cost nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apps.keystore import app
from apps.keystore.accounts import Account, Keystore, compute_account_key
from apps.keystore.transitions import Register, Update
from kernel_fixtures import Chain, make_key
from microrollup import Action
from microrollup.chain.receipt import EXECUTED, REJECTED
from microrollup.crypto.ecdsa import compute_address, sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import (
    DecodeError,
    DuplicateAction,
    RefusedError,
    SenderMismatch,
    UnknownScheme,
    WrongChallenge,
    WrongLength,
)
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.sequencer.sequencer import Sequenced
from microrollup.testing.passkey import P256Key, Passkey
from microrollup.testing.signing import sign_action

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DOMAIN = app.make_domain()
AUTHENTICATOR = Authenticator(app.action_types, DOMAIN)
PASSKEY = Passkey(b"\x11" * 32)
P256 = P256Key(b"\x12" * 32)
WALLET = make_key("wallet")
REGISTER = Register(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32)
KEYS = {"secp256k1": WALLET, "p256": P256, "webauthn": PASSKEY}
SENDERS = {"secp256k1": compute_address(WALLET), "p256": P256.sender, "webauthn": PASSKEY.sender}
LINES = {name: sign_action(app, REGISTER, 0, key) for name, key in KEYS.items()}


def sign(action: Action, nonce: int, key: object) -> Authenticated:
    """An authenticated action."""
    return AUTHENTICATOR.authenticate_line(sign_action(app, action, nonce, key))  # type: ignore[arg-type]


def negate_s(signature: bytes) -> bytes:
    """The signature with the other s."""
    return signature[:97] + (ORDER - int.from_bytes(signature[97:129], "big")).to_bytes(32, "big") + signature[129:]


def with_signature(line: bytes, signature: bytes) -> bytes:
    """A line with another signature."""
    return json.dumps(json.loads(line) | {"signature": f"0x{signature.hex()}"}).encode()


def get_signature(line: bytes) -> bytes:
    """The signature of a line."""
    return bytes.fromhex(json.loads(line)["signature"][2:])


@pytest.mark.parametrize("name", KEYS)
def test_lines_and_records_agree(name: str) -> None:
    """A line, its record, and the record's JSON give one action, signed by the scheme's sender."""
    outcome = AUTHENTICATOR.authenticate_line(LINES[name])
    assert SENDERS[name] == outcome.sender
    assert outcome == AUTHENTICATOR.authenticate_record(outcome.record)
    record = app.action_types.decode_record(outcome.record)
    shown = app.action_types.to_json(record)
    assert json.loads(LINES[name]) == shown | {"sender": f"0x{outcome.sender.hex()}"}
    assert outcome == AUTHENTICATOR.authenticate_line(json.dumps(shown).encode())
    stated = json.dumps(shown | {"sender": f"0x{outcome.sender.hex()}"}).encode()
    assert outcome == AUTHENTICATOR.authenticate_line(stated)
    with pytest.raises(SenderMismatch):
        AUTHENTICATOR.authenticate_line(json.dumps(shown | {"sender": f"0x{'22' * 20}"}).encode())


@pytest.mark.parametrize("name", ["p256", "webauthn"])
def test_the_high_s_of_a_line_is_normalised_and_a_record_s_is_refused(name: str) -> None:
    """Authenticators give either s: both lines make one record, and only that one is a record."""
    line, signature = LINES[name], get_signature(LINES[name])
    outcome = AUTHENTICATOR.authenticate_line(line)
    high = negate_s(signature)
    assert outcome == AUTHENTICATOR.authenticate_line(with_signature(line, high))
    assert outcome.record.count(signature) == 1
    with pytest.raises(DecodeError, match="not in the form"):
        AUTHENTICATOR.authenticate_record(outcome.record.replace(signature, high))


def encode_record(signature: bytes) -> bytes:
    """The record of the test's action with any signature."""
    return app.action_types.by_name["Register"].encode_record(REGISTER, 0, signature)


def test_records_hold_one_form_of_a_signature() -> None:
    """Wrong lengths, unknown schemes, scalars out of range and parts that do not fill it are no record."""
    passkey, bare = (get_signature(LINES[name]) for name in ("webauthn", "p256"))
    assert AUTHENTICATOR.authenticate_record(encode_record(passkey)).sender == PASSKEY.sender
    for signature in (
        passkey + b"\0",
        passkey[:-1],
        bare + b"\0",
        bare[:-1],
        bare[:66],
        b"\0" + bare[1:],
        b"\x03" + bare[1:],
        b"\x02" + bare[1:],
        b"\x01" + passkey[1:],
        bare[:65] + bytes(32) + bare[97:],
        passkey.ljust(2_048, b"\0"),
        passkey.ljust(2_049, b"\0"),
        bytes(64),
        b"",
    ):
        with pytest.raises(DecodeError):
            AUTHENTICATOR.authenticate_record(encode_record(signature))


@pytest.mark.parametrize("scheme", [0, 8, 27, 28, 255])
@pytest.mark.parametrize("name", ["p256", "webauthn"])
def test_other_schemes_are_refused(scheme: int, name: str) -> None:
    """A first byte that names no scheme is said to be one."""
    signature = bytes((scheme,)) + get_signature(LINES[name])[1:]
    with pytest.raises(UnknownScheme, match=f"first byte {scheme};"):
        AUTHENTICATOR.authenticate_line(with_signature(LINES[name], signature))
    with pytest.raises(UnknownScheme):
        recover_sender(Statement(bytes(32)), signature)


@pytest.mark.parametrize("length", [*range(64), *range(66, 91), 8_193, 10_000])
def test_other_lengths_are_refused(length: int) -> None:
    """Shorter than any scheme's, or longer than any may be, whatever the first byte."""
    for first in range(256):
        with pytest.raises(WrongLength):
            canonicalize((bytes((first,)) + b"\x01" * length)[:length])


@pytest.mark.parametrize(
    ("scheme", "lengths"),
    [
        (1, (91, 128, 130, 8_192)), (2, (91, 169, 2_049, 8_192)), (3, (91, 96, 98)), (4, (91, 8_192)),
        (6, (3_732, 3_734)), (7, (2_176, 2_178)),
    ],
)  # fmt: skip
def test_each_scheme_has_bounds(scheme: int, lengths: tuple[int, ...]) -> None:
    """A signature outside the bounds of the scheme that its first byte names is refused for its length."""
    for length in lengths:
        with pytest.raises(WrongLength):
            canonicalize(bytes((scheme,)) + b"\x01" * (length - 1))


def test_secp256k1_is_told_by_its_length() -> None:
    """A wallet's signature may begin with any byte, 1 and 2 among them."""
    found = set()
    for number in range(2_000):
        digest = keccak256(b"%d" % number)
        signature = sign_digest(WALLET, digest)
        if signature[0] in {1, 2}:
            found.add(signature[0])
            assert SENDERS["secp256k1"] == recover_sender(Statement(digest), canonicalize(signature))
    assert {1, 2} == found


def test_two_assertions_for_one_action_are_one_action(tmp_path: Path) -> None:
    """The signature is no part of identity: a second assertion is answered as the duplicate that it is."""
    first, second = sign(REGISTER, 0, PASSKEY), sign(REGISTER, 0, PASSKEY)
    assert first.record != second.record
    assert (first.action_hash, first.sender) == (second.action_hash, second.sender)
    assert first.action_hash != sign(REGISTER, 0, P256).action_hash
    chain = Chain(tmp_path, app)
    (acknowledged,) = chain.submit(first)
    assert isinstance(acknowledged, Sequenced)
    (refused,) = chain.submit(second)
    assert isinstance(refused, DuplicateAction)
    assert acknowledged.receipt.seq == refused.seq
    chain.close()


def test_a_passkey_registers_and_rotates(tmp_path: Path) -> None:
    """An account goes from a passkey to a bare P-256 key, to a wallet and back; a verifier finds the same state."""
    chain = Chain(tmp_path, app)
    data = REGISTER.code_hash + REGISTER.config_hash
    key = compute_account_key(REGISTER.salt, data, PASSKEY.sender)

    def update(number: int, vk: bytes) -> Update:
        return Update(key, bytes((number,)) * 32, b"\x02" * 32, vk)

    actions = [
        sign(REGISTER, 0, PASSKEY),
        sign(update(2, P256.sender), 1, PASSKEY),
        sign(update(3, PASSKEY.sender), 2, PASSKEY),  # no longer its account
        sign(update(4, SENDERS["secp256k1"]), 0, P256),
        sign(update(5, PASSKEY.sender), 0, WALLET),
        sign(update(6, PASSKEY.sender), 3, PASSKEY),
    ]
    outcomes = chain.submit(*actions)
    statuses = [outcome.receipt.status for outcome in outcomes if isinstance(outcome, Sequenced)]
    assert [EXECUTED, EXECUTED, REJECTED, EXECUTED, EXECUTED, EXECUTED] == statuses
    header = chain.close_block()
    state = chain.ledger.state.app
    assert isinstance(state, Keystore)
    assert Account(b"\x06" * 32 + b"\x02" * 32, PASSKEY.sender) == state.accounts.get(key)
    verifier = chain.make_verifier()
    chain.verify(verifier)
    assert header == verifier.header
    verifier.abandon()
    chain.reopen()  # re-executes the log
    assert header == chain.ledger.header
    chain.close()


def test_another_domain_refuses_an_assertion() -> None:
    """Where a wallet's signature would give a stranger, an assertion for another rollup is refused outright."""
    other = Authenticator(app.action_types, type(DOMAIN)("other", "1", 31337, bytes(20)))
    with pytest.raises(WrongChallenge):
        other.authenticate_line(LINES["webauthn"])
    with pytest.raises(RefusedError, match="did not make"):
        other.authenticate_line(LINES["p256"])


def test_the_pool_carries_the_refusals() -> None:
    """Each new refusal survives the way from a worker process, and so do passkeys' actions."""
    client_data_json = get_signature(LINES["webauthn"])[170:]
    unverified = PASSKEY.encode(PASSKEY.sign_client_data(client_data_json, flags=1))
    lines = [
        LINES["webauthn"],
        with_signature(LINES["webauthn"], unverified),
        with_signature(LINES["webauthn"], b"\x08" + unverified[1:]),
        with_signature(LINES["webauthn"], PASSKEY.encode(PASSKEY.sign_client_data(client_data_json[1:]))),
        with_signature(LINES["webauthn"], get_signature(sign_action(app, REGISTER, 1, PASSKEY))),
        LINES["p256"],
    ]
    with AuthenticationPool("apps.keystore", DOMAIN, 1) as pool:
        (away,) = pool.authenticate_lines([lines])
    with AuthenticationPool("apps.keystore", DOMAIN, 0) as pool:
        (here,) = pool.authenticate_lines([lines])
    assert [repr(outcome) for outcome in here] == [repr(outcome) for outcome in away]
    codes = [outcome.code if isinstance(outcome, RefusedError) else "" for outcome in away]
    assert ["", "user_not_verified", "unknown_scheme", "bad_client_data", "wrong_challenge", ""] == codes


def test_openssl_is_loaded_by_need() -> None:
    """Authenticating wallets' actions never imports the library that the other schemes need."""
    code = (
        "import sys\n"
        "from apps.keystore import app\n"
        "from microrollup.execution.authentication import Authenticator\n"
        "authenticator = Authenticator(app.action_types, app.make_domain())\n"
        "def is_loaded(line):\n"
        "    authenticator.authenticate_record(authenticator.authenticate_line(line).record)\n"
        "    return 'cryptography' in sys.modules\n"
        f"print([is_loaded(line) for line in {[LINES['secp256k1'], LINES['p256']]!r}])\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[False, True]" == outcome.stdout.strip()
