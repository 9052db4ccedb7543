"""Scheme 1: published vectors, one stored form, and nothing but a key's own signature over a digest."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import p256
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, RefusedError, WrongLength
from microrollup.testing.passkey import P256Key

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# RFC 6979, A.2.5, with SHA-256
SECRET = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
POINT = bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
SAMPLE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)
TEST = bytes.fromhex(
    "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
    "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"
)
SAMPLE_DIGEST, TEST_DIGEST = hashlib.sha256(b"sample").digest(), hashlib.sha256(b"test").digest()
SENDER = keccak256(b"\x01" + POINT)[12:]
KEY = P256Key(SECRET)
SIGNATURE = b"\x01" + POINT + TEST


def negate_s(signature: bytes) -> bytes:
    """The other signature that the same key would have to answer for."""
    return signature[:97] + (ORDER - int.from_bytes(signature[97:129], "big")).to_bytes(32, "big") + signature[129:]


def test_published_vectors_verify() -> None:
    """RFC 6979's signatures (one of them with the high s) are its key's, and no other message's."""
    sample = canonicalize(b"\x01" + POINT + SAMPLE)
    assert negate_s(b"\x01" + POINT + SAMPLE) == sample
    assert SIGNATURE == canonicalize(SIGNATURE)
    assert (
        SENDER == recover_sender(Statement(SAMPLE_DIGEST), sample) == recover_sender(Statement(TEST_DIGEST), SIGNATURE)
    )
    for digest, signature in ((TEST_DIGEST, sample), (SAMPLE_DIGEST, SIGNATURE)):
        with pytest.raises(BadSignature, match="did not make"):
            recover_sender(Statement(digest), signature)


def test_the_software_key_is_the_published_one() -> None:
    """The testing key has the RFC's point and the sender that the design defines; what it signs verifies."""
    assert (POINT, SENDER) == (KEY.point, KEY.sender)
    assert SENDER == recover_sender(Statement(SAMPLE_DIGEST), KEY.sign(SAMPLE_DIGEST))
    assert 129 == len(KEY.sign(SAMPLE_DIGEST))


def test_scalars_out_of_range_are_refused() -> None:
    """Neither r nor s is 0, n or more: there would be a second spelling of the same number."""
    good = b"\x01" + POINT + TEST
    for number in (0, ORDER, ORDER + 1, 2**256 - 1):
        raw = number.to_bytes(32, "big")
        for signature in (good[:65] + raw + good[97:], good[:97] + raw):
            with pytest.raises(BadSignature, match="order"):
                canonicalize(signature)
    for number in (1, ORDER - 1):
        canonicalize(good[:65] + number.to_bytes(32, "big") + good[97:])
    assert good[:97] + b"\0" * 31 + b"\x01" == canonicalize(good[:97] + (ORDER - 1).to_bytes(32, "big"))


def test_the_border_between_low_and_high() -> None:
    """(n - 1) / 2 is low and stays; the next number is high and becomes it."""
    half = ORDER // 2
    low, high = (SIGNATURE[:97] + s.to_bytes(32, "big") for s in (half, half + 1))
    assert low == canonicalize(low) == canonicalize(high)


def add_to(part: int, addend: int) -> bytes:
    """The signature with x (part 0) or y (part 1) moved, as far as 32 bytes reach."""
    at = 1 + 32 * part
    number = (int.from_bytes(SIGNATURE[at : at + 32], "big") + addend) % 2**256
    return SIGNATURE[:at] + number.to_bytes(32, "big") + SIGNATURE[at + 32 :]


@pytest.mark.parametrize(
    "signature",
    [
        b"\x01" + bytes(64) + TEST,  # the nearest thing to a point at infinity
        b"\x01" + b"\xff" * 64 + TEST,
        b"\x01" + POINT[32:] + POINT[:32] + TEST,
        b"\x01" + PRIME.to_bytes(32, "big") + POINT[32:] + TEST,
        add_to(0, 1),
        add_to(1, 1),
        add_to(0, -1),
        add_to(0, PRIME),
        add_to(1, PRIME),
    ],
)
def test_keys_off_the_curve_are_refused(signature: bytes) -> None:
    """Both x and y are below p and satisfy the curve's equation."""
    with pytest.raises(BadSignature, match="not a point"):
        recover_sender(Statement(TEST_DIGEST), canonicalize(signature))


def test_coordinates_have_one_spelling() -> None:
    """A point whose x fits 32 bytes a second time, as x + p, is taken in the smaller spelling only."""
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    y = pow(b, (PRIME + 1) // 4, PRIME)  # of x = 0
    assert b == y * y % PRIME
    tail = y.to_bytes(32, "big") + TEST
    with pytest.raises(BadSignature, match="did not make"):
        recover_sender(Statement(TEST_DIGEST), b"\x01" + bytes(32) + tail)
    with pytest.raises(BadSignature, match="not a point"):
        recover_sender(Statement(TEST_DIGEST), b"\x01" + PRIME.to_bytes(32, "big") + tail)


def test_the_opposite_key_is_another_key() -> None:
    """(x, -y) is on the curve too, and did not sign."""
    opposite = (PRIME - int.from_bytes(POINT[32:], "big")).to_bytes(32, "big")
    with pytest.raises(BadSignature, match="did not make"):
        recover_sender(Statement(TEST_DIGEST), b"\x01" + POINT[:32] + opposite + TEST)


@pytest.mark.parametrize("length", [66, 97, 128, 130, 2_048, 2_049])
def test_the_length_is_129(length: int) -> None:
    """One byte less or more is refused."""
    with pytest.raises(WrongLength):
        canonicalize(SIGNATURE.ljust(length, b"\0")[:length])


def test_a_key_has_another_sender_under_another_scheme() -> None:
    """The scheme is part of the sender, so that one scheme's signature never speaks for the other's sender."""
    assert SENDER == p256.compute_sender(1, POINT) != p256.compute_sender(2, POINT)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 128), st.integers(1, 255))
def test_any_changed_byte_is_refused(digest: bytes, place: int, change: int) -> None:
    """Signatures over any digest verify, with either s; with one byte changed they do not."""
    signature = KEY.sign(digest)
    assert KEY.sender == recover_sender(Statement(digest), canonicalize(signature))
    assert signature == canonicalize(negate_s(signature))
    damaged = signature[:place] + bytes((signature[place] ^ change,)) + signature[place + 1 :]
    with pytest.raises(RefusedError):
        recover_sender(Statement(digest), canonicalize(damaged))
