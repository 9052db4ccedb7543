"""Scheme 7: a one-time signature of hashes alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import winternitz
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength
from microrollup.testing.keys import WinternitzKey

KEY = WinternitzKey(b"\x07" * 32)
DIGEST = keccak256(b"a digest")
SIGNATURE = KEY.sign(DIGEST)


def model_sender(digest: bytes, signature: bytes) -> bytes:
    """The sender, written down once more from the specification."""
    seed, values = signature[1:33], [signature[at : at + 32] for at in range(33, len(signature), 32)]
    text = digest.hex() + f"{sum(15 - int(digit, 16) for digit in digest.hex()):03x}"
    for chain, digit in enumerate(text):
        for step in range(int(digit, 16), 15):
            values[chain] = keccak256(seed + bytes([chain, step]) + values[chain])
    return keccak256(b"\x07" + seed + keccak256(seed + b"".join(values)))[12:]


def test_a_key_signs_once() -> None:
    """With nonce 0 a signature gives its key's sender; with any other nonce it is refused."""
    assert SIGNATURE == canonicalize(SIGNATURE)
    assert KEY.sender == recover_sender(Statement(DIGEST), SIGNATURE) == model_sender(DIGEST, SIGNATURE)
    for nonce in (1, 2, 2**64 - 1):
        with pytest.raises(BadSignature, match="nonce 0"):
            recover_sender(Statement(DIGEST, nonce), SIGNATURE)


@given(st.binary(min_size=32, max_size=32))
def test_other_digests_are_another_s(digest: bytes) -> None:
    """The same values over another digest give a stranger, whatever the digest is."""
    found = recover_sender(Statement(digest), SIGNATURE)
    assert model_sender(digest, SIGNATURE) == found
    assert (digest == DIGEST) is (found == KEY.sender)


def test_the_checksum_stops_values_further_along() -> None:
    """Raising a digit of the digest, which anybody can compute values for, lowers the checksum, which nobody can."""
    digits = winternitz.compute_digits(DIGEST)
    place = next(at for at, digit in enumerate(digits[:64]) if digit < 15)
    raised = bytearray(DIGEST)
    raised[place // 2] += 16 if place % 2 == 0 else 1
    forged = bytearray(SIGNATURE)
    at = 33 + 32 * place
    forged[at : at + 32] = winternitz.climb(
        SIGNATURE[1:33], place, digits[place], digits[place] + 1, SIGNATURE[at : at + 32]
    )
    assert KEY.sender != recover_sender(Statement(bytes(raised)), bytes(forged))


@pytest.mark.parametrize("length", [97, 2_048, 2_176, 2_178])
def test_lengths(length: int) -> None:
    """Only 2,177 bytes are a Winternitz signature."""
    with pytest.raises(WrongLength):
        canonicalize((SIGNATURE + bytes(100))[:length])


def test_every_bit_counts() -> None:
    """A changed byte anywhere gives a stranger."""
    for at in range(1, len(SIGNATURE), 61):
        damaged = bytearray(SIGNATURE)
        damaged[at] ^= 0x40
        assert KEY.sender != recover_sender(Statement(DIGEST), bytes(damaged))
