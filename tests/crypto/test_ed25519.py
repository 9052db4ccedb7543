"""Scheme 3: Ed25519 by RFC 8032, with rules of our own where implementations disagree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import ed25519
from microrollup.crypto.signatures.openssl import verify_ed25519
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, RefusedError, WrongLength
from microrollup.testing.keys import Ed25519Key
from paths import WYCHEPROOF

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, PRIME) % PRIME
KEY = Ed25519Key(b"\x09" * 32)
DIGEST = keccak256(b"a digest")
STATEMENT = Statement(DIGEST)
SIGNATURE = KEY.sign(DIGEST)

Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    """The sum of two points in affine coordinates, by RFC 8032's formula."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % PRIME
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, PRIME) % PRIME
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, PRIME) % PRIME


def multiply(count: int, point: Point) -> Point:
    """A point added to itself."""
    total = (0, 1)
    for bit in f"{count:b}":
        total = add(total, total)
        total = add(total, point) if bit == "1" else total
    return total


def find_points(y: int) -> list[Point]:
    """The points of the curve with this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    for candidate in (x, x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME):
        if candidate * candidate % PRIME == square:
            return sorted({(candidate, y), (-candidate % PRIME, y)})
    return []


def encode(point: Point) -> bytes:
    """32 bytes: y, and the lowest bit of x on top."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


SMALL = [point for y in sorted(ed25519._SMALL_ORDER_Y) for point in find_points(y)]


def test_a_key_signs() -> None:
    """A signature gives its key's sender, in its one form; of another digest, or by another key, it is refused."""
    assert SIGNATURE == canonicalize(SIGNATURE)
    assert KEY.sender == recover_sender(STATEMENT, SIGNATURE) == keccak256(SIGNATURE[:33])[12:]
    with pytest.raises(BadSignature):
        recover_sender(Statement(keccak256(b"another")), SIGNATURE)
    stranger = Ed25519Key(b"\x0a" * 32).sign(DIGEST)
    with pytest.raises(BadSignature):
        recover_sender(STATEMENT, stranger[:33] + SIGNATURE[33:])


@pytest.mark.parametrize("length", [66, 96, 98, 129, 2_048])
def test_lengths(length: int) -> None:
    """Only 97 bytes are an Ed25519 signature."""
    with pytest.raises(WrongLength):
        canonicalize((SIGNATURE + bytes(2_048))[:length])


def test_the_small_points_are_the_eight() -> None:
    """The list holds all points whose order divides 8, and no others."""
    assert 8 == len(SMALL)
    assert {(0, 1)} == {multiply(8, point) for point in SMALL}
    base = find_points(4 * pow(5, -1, PRIME) % PRIME)[0]
    torsion = {multiply(ORDER, add(base, point)) for point in SMALL}
    assert set(SMALL) == torsion


@pytest.mark.parametrize("point", SMALL, ids=str)
def test_small_order_is_refused(point: Point) -> None:
    """A key or R of small order signs any message in lax implementations: refused by name, in every encoding."""
    for raw in (encode(point), (point[1] + PRIME).to_bytes(32, "little") if point[1] < 19 else encode(point)):
        for signature in (SIGNATURE[:1] + raw + SIGNATURE[33:], SIGNATURE[:33] + raw + SIGNATURE[65:]):
            with pytest.raises(BadSignature, match=r"small order|canonical"):
                canonicalize(signature)


def test_one_form_only() -> None:
    """S + L is the same number for a lax verifier, and y + p the same point: both are refused."""
    scalar = int.from_bytes(SIGNATURE[65:], "little")
    with pytest.raises(BadSignature, match="below the order"):
        canonicalize(SIGNATURE[:65] + (scalar + ORDER).to_bytes(32, "little"))
    for y in range(19):
        for sign in (0, 1 << 255):
            raw = (y + PRIME | sign).to_bytes(32, "little")
            with pytest.raises(BadSignature):
                canonicalize(SIGNATURE[:1] + raw + SIGNATURE[33:])


def read_cases() -> list[tuple[dict[str, Any], bytes, bytes, bytes]]:
    """Cases of Wycheproof: the case, key, message, signature."""
    path = WYCHEPROOF / "ed25519_test.json"
    if not path.is_file():
        pytest.skip("third-party vectors are not there")
    return [
        (case, bytes.fromhex(group["publicKey"]["pk"]), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        for group in json.loads(path.read_text())["testGroups"]
        for case in group["tests"]
    ]


def test_wycheproof() -> None:
    """What Wycheproof calls valid verifies, what it calls invalid is refused by form or by the library."""
    results = {"valid": 0, "invalid": 0}
    for case, key, message, signature in read_cases():
        raw = bytes((ed25519.SCHEME,)) + key + signature
        try:
            accepted = canonicalize(raw) == raw and verify_ed25519(key, signature, message)
        except RefusedError:
            accepted = False
        assert (case["result"] == "valid") is accepted, case
        results[case["result"]] += 1
    assert min(results.values()) > 40


def test_the_library_s_own_key_agrees() -> None:
    """RFC 8032's first test vector, through our form."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert public == Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    assert Ed25519Key(secret).sender == ed25519.compute_sender(public)
