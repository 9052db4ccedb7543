"""Scheme 2: assertions of browsers and of the software authenticator; each rule with what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import p256, webauthn
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import (
    BadClientData,
    BadSignature,
    RefusedError,
    UserNotVerified,
    WrongChallenge,
    WrongLength,
)
from microrollup.testing.passkey import Passkey

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DIGEST = keccak256(b"an action")
CHALLENGE = webauthn.compute_challenge(DIGEST)
PASSKEY = Passkey(b"\x05" * 32)
SIGNATURE = PASSKEY.sign(DIGEST)
AUTHENTICATOR_DATA_AT = 131


def pack(head: bytes, authenticator_data: bytes, client_data_json: bytes) -> bytes:
    """The layout, written down a second time."""
    parts = (authenticator_data, client_data_json)
    return b"\x02" + head + b"".join([len(part).to_bytes(2, "big") + part for part in parts])


# Assertions that browsers made, as the tests of other libraries publish them: ox (Firefox), Ithaca's account (Chrome),
# Nethereum (without user verification). All over one challenge.
PUBLISHED_DIGEST = bytes.fromhex("f631058a3ba1116acce12396fad0a125b5041c43f8e15723709f81aa8d5f4ccf")
RP_ID_HASH = bytes.fromhex("49960de5880e8c687434170f6476605b8fe4aeb9a28632c7995cf3ba831d9763")  # localhost
PUBLISHED: dict[str, tuple[tuple[int, int, int, int], str, str]] = {
    "firefox": (
        (
            44614816799078269475358047303051634413161263247311473071495733982312972971969,
            46167236825796363714760407637183215339795593866991122305568923653847108814360,
            113791849669138837781667788757552147501372344687388971338283671717487200515057,
            5390836038580862917709632535460377625750500964730124261384576347991859205326,
        ),
        "1d00000000",
        (
            '{"type":"webauthn.get","challenge":"9jEFijuhEWrM4SOW-tChJbUEHEP44VcjcJ-Bqo1fTM8",'
            '"origin":"http://localhost:5173"}'
        ),
    ),
    "chrome": (
        (
            15325272481743543470187210372131079389379804084126119117911265853867256769440,
            74947999673872536163854436677160946007685903587557427331495653571111132132212,
            10330677067519063752777069525326520293658884904426299601620960859195372963151,
            47017859265388077754498411591757867926785106410894171160067329762716841868244,
        ),
        "0500000000",
        (
            '{"type":"webauthn.get","challenge":"9jEFijuhEWrM4SOW-tChJbUEHEP44VcjcJ-Bqo1fTM8",'
            '"origin":"http://localhost:5173","crossOrigin":false}'
        ),
    ),
    "unverified": (
        (
            66296829923831658891499717579803548012279830557731564719736971029660387468805,
            46098569798045992993621049610647226011837333919273603402527314962291506652186,
            23510924181331275540501876269042668160690304423490805737085519687669896593880,
            36590747517247563381084733394442750806324326036343798276847517765557371045088,
        ),
        "0100000001",
        (
            '{"type":"webauthn.get","challenge":"9jEFijuhEWrM4SOW-tChJbUEHEP44VcjcJ-Bqo1fTM8",'
            '"origin":"http://localhost:8080","crossOrigin":false}'
        ),
    ),
}


def pack_published(name: str) -> bytes:
    """A published assertion as a signature."""
    numbers, rest, client_data_json = PUBLISHED[name]
    head = b"".join([number.to_bytes(32, "big") for number in numbers])
    return pack(head, RP_ID_HASH + bytes.fromhex(rest), client_data_json.encode())


@pytest.mark.parametrize("name", ["firefox", "chrome"])
def test_assertions_of_browsers_verify(name: str) -> None:
    """A browser's assertion gives the sender of its key; for another action it does not."""
    signature = canonicalize(pack_published(name))
    assert keccak256(signature[:65])[12:] == recover_sender(Statement(PUBLISHED_DIGEST), signature)
    with pytest.raises(WrongChallenge):
        recover_sender(Statement(DIGEST), signature)


def test_a_browser_s_assertion_without_verification_is_refused() -> None:
    """The signature is right, and what it signs says that nobody checked who the user was."""
    signature = canonicalize(pack_published("unverified"))
    authenticator_data, client_data_json = signature[131:168], signature[170:]
    p256.verify(webauthn.compute_signed_hash(authenticator_data, client_data_json), signature[1:129])
    with pytest.raises(UserNotVerified, match="0x01"):
        recover_sender(Statement(PUBLISHED_DIGEST), signature)


def test_the_layout_is_pinned() -> None:
    """Scheme byte, key, r, s, and two parts behind their lengths; the sender hashes the scheme byte and the key."""
    assertion = PASSKEY.get_assertion(CHALLENGE)
    signature = PASSKEY.encode(assertion)
    assert pack(signature[1:129], assertion.authenticator_data, assertion.client_data_json) == signature
    assert PASSKEY.point == signature[1:65]
    assert int.from_bytes(signature[97:129], "big") <= ORDER // 2
    assert keccak256(b"\x02" + PASSKEY.point)[12:] == PASSKEY.sender == recover_sender(Statement(DIGEST), signature)


def test_the_high_s_is_normalised() -> None:
    """Both s of an assertion lead to the same bytes, so that it has one form."""
    high = SIGNATURE[:97] + (ORDER - int.from_bytes(SIGNATURE[97:129], "big")).to_bytes(32, "big") + SIGNATURE[129:]
    assert high != SIGNATURE == canonicalize(high) == canonicalize(SIGNATURE)
    for zero in (slice(65, 97), slice(97, 129)):
        damaged = bytearray(SIGNATURE)
        damaged[zero] = bytes(32)
        with pytest.raises(BadSignature):
            canonicalize(bytes(damaged))


@pytest.mark.parametrize("flags", range(256))
def test_the_user_is_present_and_verified(flags: int) -> None:
    """UP and UV must be set; what else the flags say does not matter."""
    signature = PASSKEY.encode(PASSKEY.get_assertion(CHALLENGE, flags=flags))
    if flags & 0x05 == 0x05:
        assert PASSKEY.sender == recover_sender(Statement(DIGEST), signature)
        return
    with pytest.raises(UserNotVerified):
        recover_sender(Statement(DIGEST), signature)


def sign_text(client_data_json: bytes) -> bytes:
    """A signature over any clientDataJSON."""
    return PASSKEY.encode(PASSKEY.sign_client_data(client_data_json))


def write(**members: Any) -> bytes:
    """A clientDataJSON with members changed, added, or (None) left out."""
    document = {"type": "webauthn.get", "challenge": CHALLENGE, "origin": "https://wallet.example"} | members
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


GOOD = write()

ACCEPTED = {
    "as browsers write it": GOOD,
    "no origin": write(origin=None),
    "cross origin": write(crossOrigin=True, topOrigin="https://elsewhere.example"),
    "what Chrome adds": write(other_keys_can_be_added_here="do not compare clientDataJSON against a template"),
    "nested extras": write(extra=[{"challenge": "x"}, 1.5, None]),
    "escaped": GOOD.replace(b"webauthn.get", b"\\u0077ebauthn.get"),
    "spaces": b" " + GOOD + b"\n",
    "UTF-8": write(origin="\u00e4").replace(b"\\u00e4", "\u00e4".encode()),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_client_data_may_hold_more(name: str) -> None:
    """Type and challenge count; browsers add what they like."""
    assert PASSKEY.sender == recover_sender(Statement(DIGEST), sign_text(ACCEPTED[name]))


REFUSED: dict[str, tuple[type[RefusedError], bytes]] = {
    "empty": (BadClientData, b""),
    "not JSON": (BadClientData, GOOD[:-1]),
    "more behind": (BadClientData, GOOD + b"{}"),
    "array": (BadClientData, b"[" + GOOD + b"]"),
    "null": (BadClientData, b"null"),
    "byte order mark": (BadClientData, b"\xef\xbb\xbf" + GOOD),
    "UTF-16": (BadClientData, GOOD.decode().encode("utf-16-le")),
    "no UTF-8": (BadClientData, GOOD.replace(b"wallet", b"wall\xff")),
    "overlong UTF-8": (BadClientData, GOOD.replace(b"wallet", b"wall\xc0\x80")),
    "surrogate in UTF-8": (BadClientData, GOOD.replace(b"wallet", b"wall\xed\xa0\x80")),
    "single quotes": (BadClientData, GOOD.replace(b'"', b"'")),
    "trailing comma": (BadClientData, GOOD[:-1] + b",}"),
    "NaN": (BadClientData, GOOD[:-1] + b',"x":NaN}'),
    "line break in a string": (BadClientData, GOOD.replace(b"wallet", b"wal\nlet")),
    "deep": (BadClientData, GOOD[:-1] + b',"x":' + b"[" * 40 + b"]" * 40 + b"}"),
    "two types": (BadClientData, GOOD[:-1] + b',"type":"webauthn.get"}'),
    "two challenges": (BadClientData, b'{"challenge":"' + CHALLENGE.encode() + b'",' + GOOD[1:]),
    "two of an escaped name": (BadClientData, GOOD[:-1] + b',"\\u0074ype":"webauthn.get"}'),
    "two others": (BadClientData, GOOD[:-1] + b',"origin":""}'),
    "creation": (BadClientData, write(type="webauthn.create")),
    "payment": (BadClientData, write(type="payment.get")),
    "upper case": (BadClientData, write(type="WebAuthn.get")),
    "no type": (BadClientData, write(type=None)),
    "type in a list": (BadClientData, write(type=["webauthn.get"])),
    "no challenge": (WrongChallenge, write(challenge=None)),
    "padded": (WrongChallenge, write(challenge=CHALLENGE + "=")),
    "cut off": (WrongChallenge, write(challenge=CHALLENGE[:-1])),
    "longer": (WrongChallenge, write(challenge=CHALLENGE + "A")),
    "hex": (WrongChallenge, write(challenge="0x" + DIGEST.hex())),
    "challenge in a list": (WrongChallenge, write(challenge=[CHALLENGE])),
    "challenge elsewhere": (WrongChallenge, write(challenge="", x={"challenge": CHALLENGE})),
    "another digest": (WrongChallenge, write(challenge=webauthn.compute_challenge(keccak256(b"another")))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_client_data_is_strict(name: str) -> None:
    """Signed all the same, and refused: another reader could see another action in it."""
    expected, client_data_json = REFUSED[name]
    with pytest.raises(RefusedError) as caught:
        recover_sender(Statement(DIGEST), sign_text(client_data_json))
    assert expected is type(caught.value)


def test_the_challenge_is_one_text() -> None:
    """Base64url's last character has two unused bits, which readers ignore: only one of four spellings is taken."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    digest = b"\xff" * 32
    last = alphabet.index(webauthn.compute_challenge(digest)[-1])
    for bits in range(4):
        challenge = webauthn.compute_challenge(digest)[:-1] + alphabet[last + bits]
        signature = sign_text(write(challenge=challenge))
        if bits == 0:
            assert PASSKEY.sender == recover_sender(Statement(digest), signature)
            continue
        with pytest.raises(WrongChallenge):
            recover_sender(Statement(digest), signature)
    standard = webauthn.compute_challenge(digest).replace("_", "/")
    with pytest.raises(WrongChallenge):
        recover_sender(Statement(digest), sign_text(write(challenge=standard)))


def change_length(at: int, by: int) -> bytes:
    """The signature with one of its lengths moved."""
    length = int.from_bytes(SIGNATURE[at : at + 2], "big") + by
    return SIGNATURE[:at] + length.to_bytes(2, "big") + SIGNATURE[at + 2 :]


CLIENT_DATA_LENGTH_AT = AUTHENTICATOR_DATA_AT + 37


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE + b"\0",
        SIGNATURE[:-1],
        SIGNATURE[:129],
        SIGNATURE[:130],
        SIGNATURE[:131],
        SIGNATURE[:168],
        SIGNATURE[:169],
        change_length(129, 1),
        change_length(129, -1),
        change_length(129, 60_000),
        change_length(CLIENT_DATA_LENGTH_AT, 1),
        change_length(CLIENT_DATA_LENGTH_AT, -1),
        change_length(CLIENT_DATA_LENGTH_AT, 60_000),
        pack(SIGNATURE[1:129], b"", GOOD),
        pack(SIGNATURE[1:129], bytes(36), GOOD),
        pack(SIGNATURE[1:129], bytes(37), GOOD.ljust(2_048 - 170 + 1)),
    ],
)
def test_lengths_add_up(signature: bytes) -> None:
    """The parts fill the signature exactly, authenticatorData has 37 bytes or more, the whole at most 2,048."""
    with pytest.raises(WrongLength):
        canonicalize(signature)
    assert SIGNATURE == canonicalize(SIGNATURE)


def test_the_longest_assertion() -> None:
    """2,048 bytes are taken, with extensions too; one more is not."""
    data = {"client": 2_048 - 133 - 37, "extended": 2_048 - 133 - 137}
    longest = sign_text(GOOD.ljust(data["client"]))
    extended = PASSKEY.encode(
        PASSKEY.sign_client_data(GOOD.ljust(data["extended"]), flags=0x85, extensions=b"\xa1" * 100)
    )
    for signature in (longest, extended):
        assert 2_048 == len(signature)
        assert PASSKEY.sender == recover_sender(Statement(DIGEST), signature)
    with pytest.raises(WrongLength):
        canonicalize(sign_text(GOOD.ljust(data["client"] + 1)))


def test_keys_are_points() -> None:
    """A key off the curve is refused as under scheme 1."""
    for x in (bytes(32), b"\xff" * 32):
        with pytest.raises(BadSignature, match="not a point"):
            recover_sender(Statement(DIGEST), SIGNATURE[:1] + x + SIGNATURE[33:])


def test_the_schemes_do_not_mix() -> None:
    """What a passkey signs is no P-256 signature over the digest, and neither is the other way round."""
    with pytest.raises(BadSignature):
        recover_sender(Statement(DIGEST), b"\x01" + SIGNATURE[1:129])
    hashed = webauthn.compute_signed_hash(SIGNATURE[131:168], SIGNATURE[170:])
    assert PASSKEY.sender != recover_sender(Statement(hashed), b"\x01" + SIGNATURE[1:129])


def test_encoding_refuses_what_is_no_assertion() -> None:
    """A signature that is not DER, numbers of more than 32 bytes, a key of another length, parts too long."""
    good = PASSKEY.get_assertion(CHALLENGE)
    data, text, der = good.authenticator_data, good.client_data_json, good.signature
    assert PASSKEY.sender == recover_sender(
        Statement(DIGEST), webauthn.encode_assertion(PASSKEY.point, data, text, der)
    )
    huge = b"\x30\x26\x02\x21" + b"\x7f" * 33 + b"\x02\x01\x01"
    negative = b"\x30\x06\x02\x01\xff\x02\x01\x01"
    for signature in (b"", der[:-1], der + b"\0", der[4:], bytes(64), huge, negative):
        with pytest.raises(BadSignature):
            webauthn.encode_assertion(PASSKEY.point, data, text, signature)
    for arguments in (
        (b"\x04" + PASSKEY.point, data, text),
        (PASSKEY.point, data[:36], text),
        (PASSKEY.point, data, bytes(65_536)),
        (PASSKEY.point, bytes(65_536), text),
    ):
        with pytest.raises(WrongLength):
            webauthn.encode_assertion(*arguments, der)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SIGNATURE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    """Every byte is under the signature or part of the sender's key."""
    damaged = SIGNATURE[:place] + bytes((SIGNATURE[place] ^ change,)) + SIGNATURE[place + 1 :]
    with pytest.raises(RefusedError):
        recover_sender(Statement(DIGEST), canonicalize(damaged))


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_damage_is_refused(rng: Any) -> None:
    """Bytes cut out, put in and moved: a typed refusal, or the very same signature."""
    raw = bytearray(SIGNATURE)
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(1, len(raw))
        raw[place : place + rng.randint(0, 40)] = rng.choice([b"", rng.randbytes(2), bytes(raw[: rng.randint(0, 40)])])
    if bytes(raw) == SIGNATURE:
        return
    with pytest.raises(RefusedError):
        recover_sender(Statement(DIGEST), canonicalize(bytes(raw)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.binary(min_size=37, max_size=60))
def test_hostile_bytes_raise_typed_errors(text: bytes, data: bytes) -> None:
    """Whatever stands in the parts, the outcome is a refusal."""
    with pytest.raises(RefusedError):
        recover_sender(Statement(DIGEST), canonicalize(pack(SIGNATURE[1:129], data, text)))
