"""Signed actions from outside: every accepted spelling gives one record and one identity, every refusal its code."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import coincurve
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.chain.record import DomainConfig
from microrollup.codec.json_text import parse_json
from microrollup.crypto.ecdsa import compute_address, load_private_key, sign_digest
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.declaration.action import Action, ActionTypes
from microrollup.errors import DecodeError, RefusedError
from microrollup.execution.authentication import Authenticated, Authenticator, compute_action_hash
from microrollup.primitives import MAX_ACTION_BYTES, Bytes, Bytes32, Int16, Uint64, Uint256
from microrollup.testing.strategies import actions
from paths import KEYSTORE_DATA


class Register(Action, frozen=True):
    """As the keystore declares it."""

    code_hash: Bytes32
    config_hash: Bytes32
    salt: Bytes32


class Update(Action, frozen=True):
    """As the keystore declares it."""

    key: Bytes32
    code_hash: Bytes32
    config_hash: Bytes32
    vk: Bytes


class Mixed(Action, frozen=True):
    """Has a member of every JSON type."""

    flag: bool
    label: str
    amounts: list[Uint256]
    delta: Int16
    small: Uint64


WALLET_LINES = (KEYSTORE_DATA / "wallet-actions.jsonl").read_bytes().rstrip(b"\n").split(b"\n")
TYPES = ActionTypes([Register, Update, Mixed])
DOMAIN = DomainConfig("keystore", "1", 31337, bytes(20))
SEPARATOR = compute_domain_separator("keystore", "1", 31337, bytes(20))
AUTHENTICATOR = Authenticator(TYPES, DOMAIN)
BY_DEFINITION = Authenticator(TYPES, DOMAIN, parse=parse_json)
"""Reads every line with the strict parser, never the fast way."""
KEY = load_private_key(b"\x07" * 32)
SENDER = compute_address(KEY)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MIXED = Mixed(flag=True, label="ä", amounts=[0, 2**256 - 1], delta=-3, small=2)


def compute_digest(action: Action, nonce: int) -> bytes:
    """The digest of an action under the test's domain."""
    return compile_digest(TYPES.by_name[type(action).__name__].type, SEPARATOR)(action, nonce)


def sign(action: Action, nonce: int = 0) -> dict[str, Any]:
    """The JSON form of an action signed with the test's key."""
    signature = sign_digest(KEY, compute_digest(action, nonce))
    return TYPES.by_name[type(action).__name__].to_json(action, nonce, signature[:64] + bytes((signature[64] - 27,)))


def write(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


SIGNED = sign(MIXED, nonce=5)
LINE = write(SIGNED)
RAW_SIGNATURE = bytes.fromhex(SIGNED["signature"][2:])


def test_wallets_lines_authenticate() -> None:
    """All 2,000 lines that two wallet libraries signed, by 400 senders; records and lines give the same."""
    outcomes = [AUTHENTICATOR.authenticate_line(line) for line in WALLET_LINES]
    assert 2000 == len(outcomes)
    assert 400 == len({outcome.sender for outcome in outcomes})
    assert 2000 == len({outcome.action_hash for outcome in outcomes})
    some = outcomes[::20]
    assert some == [AUTHENTICATOR.authenticate_record(outcome.record) for outcome in some]


def test_sender_nonce_and_identity_come_out() -> None:
    """The sender is the key's address; the identity is `keccak256(digest || sender)`."""
    outcome = AUTHENTICATOR.authenticate_line(LINE)
    expected = compute_action_hash(compute_digest(MIXED, 5), SENDER)
    assert (SENDER, 5, expected) == (outcome.sender, outcome.nonce, outcome.action_hash)
    assert MIXED == TYPES.to_action(TYPES.decode_record(outcome.record))


def compact_2098(raw: bytes) -> bytes:
    """EIP-2098's 64 bytes of a wallet's 65."""
    return raw[:32] + bytes((raw[32] | (raw[64] - 27) << 7,)) + raw[33:64]


RESPELLED: dict[str, bytes] = {
    "v 0 or 1": write(SIGNED | {"signature": f"0x{RAW_SIGNATURE[:64].hex()}{RAW_SIGNATURE[64] - 27:02x}"}),
    "EIP-2098": write(SIGNED | {"signature": f"0x{compact_2098(RAW_SIGNATURE).hex()}"}),
    "upper-case hex": write(SIGNED | {"signature": f"0x{RAW_SIGNATURE.hex().upper()}"}),
    "sender stated": write(SIGNED | {"sender": f"0x{SENDER.hex()}"}),
    "sender in upper case": write(SIGNED | {"sender": f"0x{SENDER.hex().upper()}"}),
    "indented": json.dumps(SIGNED, indent=1).encode(),
    "escapes": json.dumps(SIGNED).encode(),
    "order": write({name: SIGNED[name] for name in ("signature", "message", "type")}),
    "inner order": write(SIGNED | {"message": dict(reversed(SIGNED["message"].items()))}),
    "integers as strings": write(SIGNED | {"message": SIGNED["message"] | {"small": "2", "delta": "-3", "nonce": "5"}}),
    "integers as 0x": write(SIGNED | {"message": SIGNED["message"] | {"small": "0x2", "nonce": "0x5"}}),
    "large integer as number": write(SIGNED | {"message": SIGNED["message"] | {"amounts": [0, 2**256 - 1]}}),
    "spaces around": b" \t\r" + LINE + b"\r ",
}


@pytest.mark.parametrize("spelling", RESPELLED)
def test_one_action_has_one_record(spelling: str) -> None:
    """However an action and its signature are spelled, record and identity are the same."""
    assert AUTHENTICATOR.authenticate_line(LINE) == AUTHENTICATOR.authenticate_line(RESPELLED[spelling])


def with_message(**changes: Any) -> bytes:
    """The signed line with members changed, or removed by `...`."""
    message = SIGNED["message"] | changes
    return write(SIGNED | {"message": {name: value for name, value in message.items() if value is not ...}})


def with_signature(raw: bytes) -> bytes:
    """The signed line with another signature."""
    return write(SIGNED | {"signature": f"0x{raw.hex()}"})


def flip_s(raw: bytes) -> bytes:
    """The other signature that the curve admits for the same key and digest."""
    s = int.from_bytes(raw[32:64], "big")
    return raw[:32] + (ORDER - s).to_bytes(32, "big") + bytes((55 - raw[64],))


REFUSED: list[tuple[str, bytes]] = [
    ("too_large", LINE + b" " * MAX_ACTION_BYTES),
    ("too_large", write(sign(Mixed(True, "", [0] * 600, 0, 0)))),  # 1.4 KB of JSON, 20 KB of record
    ("invalid_utf8", LINE.replace("ä".encode(), b"\xe4")),
    ("invalid_utf8", b"\xff"),
    ("too_deep", b"[" * MAX_ACTION_BYTES),
    ("too_deep", with_message(small=json.loads("[" * 31 + "]" * 31))),
    ("wrong_type", with_message(small=json.loads("[" * 30 + "]" * 30))),
    ("not_json", b""),
    ("not_json", LINE[:-1]),
    ("not_json", LINE + b"x"),
    ("not_json", b"[" + LINE + b"]"),
    ("not_json", b'"Register"'),
    ("not_json", LINE.replace(b":5,", b":NaN,").replace(b":5}", b":NaN}")),
    ("duplicate_member", LINE.replace(b'"nonce":5', b'"nonce":4,"nonce":5')),
    ("duplicate_member", LINE.replace(b'"nonce":5', b'"nonce":5,"nonce":5')),
    ("duplicate_member", LINE.replace(b'"nonce":5', b'"nonce":5,"n\\u006fnce":5')),
    ("duplicate_member", LINE[:-1] + b',"type":"Mixed"}'),
    ("unknown_type", write(SIGNED | {"type": "Mint"})),
    ("unknown_type", write(SIGNED | {"type": "mixed"})),
    ("unknown_member", write(SIGNED | {"memo": 1})),
    ("unknown_member", with_message(memo=1)),
    ("missing_member", write({"type": "Mixed", "message": {}})),
    ("missing_member", with_message(nonce=...)),
    ("missing_member", with_message(label=...)),
    ("wrong_type", write(SIGNED | {"type": 1})),
    ("wrong_type", write(SIGNED | {"message": []})),
    ("wrong_type", write(SIGNED | {"signature": 1})),
    ("wrong_type", write(SIGNED | {"signature": None})),
    ("wrong_type", write(SIGNED | {"sender": None})),
    ("wrong_type", with_message(nonce=5.0)),
    ("wrong_type", LINE.replace(b'"nonce":5', b'"nonce":5e0')),
    ("wrong_type", LINE.replace(b'"nonce":5', b'"nonce":-0')),
    ("wrong_type", with_message(nonce="05")),
    ("wrong_type", with_message(nonce="0X5")),
    ("wrong_type", with_message(flag=1)),
    ("wrong_type", with_message(label=None)),
    ("wrong_type", LINE.replace("ä".encode(), b"\\ud800")),
    ("wrong_type", with_message(amounts="0x")),
    ("out_of_range", with_message(nonce=2**64)),
    ("out_of_range", with_message(nonce=-1)),
    ("out_of_range", with_message(small=10**90)),
    ("out_of_range", with_message(small=10**4000)),
    ("out_of_range", LINE.replace(b'"nonce":5', b'"nonce":' + b"5" * 9000)),
    ("out_of_range", with_message(amounts=[2**256])),
    ("out_of_range", with_message(delta=-(2**15) - 1)),
    ("bad_hex", write(SIGNED | {"signature": RAW_SIGNATURE.hex()})),
    ("bad_hex", write(SIGNED | {"signature": f"0X{RAW_SIGNATURE.hex()}"})),
    ("bad_hex", write(SIGNED | {"signature": f"0x{RAW_SIGNATURE.hex()[:-1]}"})),
    ("bad_hex", write(SIGNED | {"signature": f"0x {RAW_SIGNATURE.hex()[:-1]}"})),
    ("wrong_length", with_signature(RAW_SIGNATURE + b"\0")),
    ("wrong_length", with_signature(b"")),
    ("wrong_length", write(SIGNED | {"sender": "0x00"})),
    ("bad_signature", with_signature(RAW_SIGNATURE[:64] + b"\x02")),
    ("bad_signature", with_signature(RAW_SIGNATURE[:64] + b"\x1d")),
    ("bad_signature", with_signature(bytes(64) + b"\x1b")),
    ("bad_signature", with_signature(b"\xff" * 32 + RAW_SIGNATURE[32:])),
    ("high_s", with_signature(flip_s(RAW_SIGNATURE))),
    ("high_s", with_signature(RAW_SIGNATURE[:32] + b"\x7f" + b"\xff" * 31 + b"\x1b")),
    ("sender_mismatch", write(SIGNED | {"sender": f"0x{'11' * 20}"})),
    ("sender_mismatch", write(json.loads(with_message(nonce=6)) | {"sender": f"0x{SENDER.hex()}"})),
]


@pytest.mark.parametrize(("code", "line"), REFUSED)
def test_everything_else_is_refused_with_its_code(code: str, line: bytes) -> None:
    """One code a cause; the same line untouched is accepted."""
    with pytest.raises(RefusedError) as caught:
        AUTHENTICATOR.authenticate_line(line)
    assert code == caught.value.code


def test_the_flipped_signature_would_recover_to_the_sender() -> None:
    """The refused high s is the real other form of the same signature: without the rule it would be a second record."""
    flipped = flip_s(RAW_SIGNATURE)
    digest = compute_digest(MIXED, 5)
    raw = flipped[:64] + bytes((flipped[64] - 27,))
    key = coincurve.PublicKey.from_signature_and_message(raw, digest, hasher=None)
    assert KEY.public_key == key


def test_another_domain_gives_another_sender() -> None:
    """A signature for another rollup, version, chain or inbox recovers to a stranger."""
    for domain in (
        DomainConfig("keystorf", "1", 31337, bytes(20)),
        DomainConfig("keystore", "2", 31337, bytes(20)),
        DomainConfig("keystore", "1", 1, bytes(20)),
        DomainConfig("keystore", "1", 31337, b"\x01" * 20),
    ):
        assert SENDER != Authenticator(TYPES, domain).authenticate_line(LINE).sender
    assert SENDER == AUTHENTICATOR.authenticate_line(LINE).sender


def outcome_of(authenticate: Callable[[bytes], Authenticated], raw: bytes) -> Authenticated | str:
    """The result, or the class and text of the typed error; anything else escapes."""
    try:
        return authenticate(raw)
    except (RefusedError, DecodeError) as error:
        return f"{type(error).__name__}: {error}"


CORPUS = [LINE, *RESPELLED.values(), *WALLET_LINES[:5], *[line for _, line in REFUSED if len(line) < 12_000]]


@pytest.mark.parametrize("line", CORPUS)
def test_both_ways_of_reading_agree(line: bytes) -> None:
    """The fast reading and the definition give the same outcome, to the word."""
    assert outcome_of(BY_DEFINITION.authenticate_line, line) == outcome_of(AUTHENTICATOR.authenticate_line, line)


TOKENS = [
    b"-0",
    b"1.0",
    b"1e0",
    b"5",
    b'"',
    b"\\",
    b"\\u0061",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"null",
    b"\xc3",
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CORPUS), st.randoms(use_true_random=False))
def test_damaged_lines_agree_and_raise_typed_errors(line: bytes, rng: random.Random) -> None:
    """Whatever bytes change, only refusals come out, the same both ways."""
    raw = bytearray(line)
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(0, len(raw))
        insert = rng.choice([*TOKENS, bytes((rng.randrange(256),)), bytes(raw[place : place + 30])])
        raw[place : place + rng.randint(0, 3)] = insert
    assert outcome_of(BY_DEFINITION.authenticate_line, bytes(raw)) == outcome_of(
        AUTHENTICATOR.authenticate_line, bytes(raw)
    )


def outcomes_of(authenticate: Callable[[bytes], Any], items: list[bytes]) -> list[Any]:
    """The outcome of each alone, in the form of `show_all`."""
    return [outcome_of(authenticate, item) for item in items]


def show_all(outcomes: list[Any]) -> list[Any]:
    """Outcomes of many, errors by class and text."""
    return [f"{type(each).__name__}: {each}" if isinstance(each, Exception) else each for each in outcomes]


def test_many_lines_come_out_as_each_alone() -> None:
    """Good and refused lines in any order: the same typed errors at the same places, though all signatures are
    recovered after the last line was read.
    """
    lines = [*CORPUS, *CORPUS[::-1], *CORPUS[::3]]
    expected = outcomes_of(AUTHENTICATOR.authenticate_line, lines)
    assert expected == show_all(AUTHENTICATOR.authenticate_lines(lines))
    assert {"BadSignature", "SenderMismatch"} <= {text.split(":")[0] for text in expected if isinstance(text, str)}
    assert [] == AUTHENTICATOR.authenticate_lines([])


def test_many_records_come_out_as_each_alone() -> None:
    """The same of records, among them one that no key signed and damaged ones."""
    good = [AUTHENTICATOR.authenticate_line(line).record for line in WALLET_LINES[:9]]
    unsigned = good[0][:-65] + bytes(65)
    nobody = good[1][:-65] + bytes(31) + b"\5" + bytes(31) + b"\1" + b"\0"
    records = [good[0], unsigned, *good[1:4], b"", nobody, good[4][:-1], *good[4:]]
    expected = outcomes_of(AUTHENTICATOR.authenticate_record, records)
    assert expected == show_all(AUTHENTICATOR.authenticate_records(records))
    kinds = [each.split(":")[0] for each in expected if isinstance(each, str)]
    assert ["BadSignature", "DecodeError", "BadSignature", "DecodeError"] == kinds


def test_refusals_keep_nothing_alive() -> None:
    """An error among many outcomes does not hold the frame that made it, with all lines of its chunk."""
    (outcome,) = AUTHENTICATOR.authenticate_lines([b"{}"])
    assert isinstance(outcome, RefusedError)
    assert outcome.__traceback__ is None


@settings(max_examples=60, deadline=None)
@given(actions(Mixed) | actions(Update), st.integers(0, 2**64 - 1))
def test_any_action_goes_through(action: Action, nonce: int) -> None:
    """An action of any values, signed, written, and read, is the action; its record authenticates to the same."""
    outcome = AUTHENTICATOR.authenticate_line(write(sign(action, nonce)))
    assert (SENDER, nonce, action) == (
        outcome.sender,
        outcome.nonce,
        TYPES.to_action(TYPES.decode_record(outcome.record)),
    )
    assert outcome == AUTHENTICATOR.authenticate_record(outcome.record)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_records_raise_typed_errors(rng: random.Random) -> None:
    """Damage either gives a typed error or a record that decodes to values in their bounds."""
    raw = bytearray(AUTHENTICATOR.authenticate_line(LINE).record)
    for _ in range(rng.randint(1, 2)):
        place = rng.randint(0, len(raw))
        raw[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
    outcome = outcome_of(AUTHENTICATOR.authenticate_record, bytes(raw))
    if isinstance(outcome, Authenticated):
        action = TYPES.to_action(TYPES.decode_record(bytes(raw)))
        TYPES.by_name[type(action).__name__].check(action)
        assert bytes(raw) == outcome.record


def test_a_record_has_the_signature_in_one_form() -> None:
    """A v of 27, a high s or an unknown recovery id in a record is not canonical, though a line may have the first."""
    record = AUTHENTICATOR.authenticate_line(LINE).record
    assert SENDER == AUTHENTICATOR.authenticate_record(record).sender
    flipped = flip_s(RAW_SIGNATURE)
    for signature in (RAW_SIGNATURE, flipped[:64] + bytes((flipped[64] - 27,)), RAW_SIGNATURE[:64] + b"\x02"):
        with pytest.raises(DecodeError, match="signature"):
            AUTHENTICATOR.authenticate_record(record[:-65] + signature)
    with pytest.raises(RefusedError):
        AUTHENTICATOR.authenticate_record(record[:-65] + bytes(65))
