"""Keccak-256, secp256k1 signatures in their one form, and addresses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.crypto.ecdsa import (
    canonicalize_signature,
    compute_address,
    load_private_key,
    recover_address,
    recover_addresses,
    sign_digest,
)
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.errors import BadSignature, HighS, RefusedError, WrongLength

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = load_private_key(b"\x01" * 32)
ADDRESS = compute_address(KEY)
DIGEST = keccak256(b"digest")


def test_keccak_vectors() -> None:
    """Keccak-256 with the original padding, not SHA3-256."""
    assert "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470" == EMPTY_HASH.hex()
    assert "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45" == keccak256(b"abc").hex()
    assert keccak256(bytes(136)) != keccak256(bytes(135))


def test_address_vectors() -> None:
    """The addresses of the keys 1 and 2, as every client computes them."""
    one, two = (compute_address(load_private_key(number.to_bytes(32, "big"))).hex() for number in (1, 2))
    assert ("7e5f4552091a69125d5dfcb7b8c2659029395bdf", "2b5ad5c4795c026514f8317c7a215e218dccd6cf") == (one, two)


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, b"\x01" * 33, b""])
def test_no_private_key(secret: bytes) -> None:
    """Zero, the order and beyond, and other lengths are no keys."""
    with pytest.raises(ValueError):
        load_private_key(secret)


@given(st.binary(min_size=32, max_size=32), st.integers(1, ORDER - 1))
@settings(max_examples=100)
def test_sign_and_recover(digest: bytes, secret: int) -> None:
    """A signature is deterministic, of low s, with v 27 or 28, and recovers to its signer in every accepted form."""
    key = load_private_key(secret.to_bytes(32, "big"))
    signature = sign_digest(key, digest)
    assert signature == sign_digest(key, digest)
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    parity = signature[64] - 27
    compact = signature[:32] + bytes((signature[32] | parity << 7,)) + signature[33:64]
    canonical = signature[:64] + bytes((parity,))
    for form in (signature, canonical, compact):
        assert canonical == canonicalize_signature(form)
    assert compute_address(key) == recover_address(digest, canonical)


def test_high_s() -> None:
    """The other s of the same signature is refused in both lengths; the greatest low s is not."""
    signature = sign_digest(KEY, DIGEST)
    high = (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    with pytest.raises(HighS):
        canonicalize_signature(signature[:32] + high + bytes((55 - signature[64],)))
    half = (ORDER // 2).to_bytes(32, "big")
    assert half == canonicalize_signature(signature[:32] + half + b"\x1b")[32:64]
    above = (ORDER // 2 + 1).to_bytes(32, "big")
    for form in (signature[:32] + above + b"\x1b", signature[:32] + above):
        with pytest.raises(HighS):
            canonicalize_signature(form)


@pytest.mark.parametrize("v", [2, 3, 26, 29, 30, 31, 35, 37, 127, 128, 255])
def test_unknown_v(v: int) -> None:
    """A v that is not 0, 1, 27 or 28 is refused."""
    with pytest.raises(BadSignature):
        canonicalize_signature(sign_digest(KEY, DIGEST)[:64] + bytes((v,)))


@pytest.mark.parametrize("size", [0, 1, 63, 66, 130])
def test_other_lengths(size: int) -> None:
    """Only 64 and 65 bytes are secp256k1 signatures."""
    with pytest.raises(WrongLength):
        canonicalize_signature(bytes(size))


@pytest.mark.parametrize(
    ("r", "s"),
    [(0, 1), (1, 0), (0, 0), (ORDER, 1), (2**256 - 1, 1), (5, 1)],
    ids=["r0", "s0", "zero", "order", "max", "off"],
)
def test_nobody_signed(r: int, s: int) -> None:
    """Numbers that are no point or no scalar recover to nobody, with our own error."""
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for recovery_id in (0, 1):
        with pytest.raises(BadSignature):
            recover_address(DIGEST, signature + bytes((recovery_id,)))


def test_many_recover_as_each_alone() -> None:
    """One call gives an address or None for each, whatever stands beside it; lengths and recovery ids that
    libsecp256k1 must never see are among them.
    """
    key = load_private_key(b"\x05" * 32)
    digests = [keccak256(b"%d" % number) for number in range(20)]
    signatures = [canonicalize_signature(sign_digest(key, digest)) for digest in digests]
    bad = [bytes(65), bytes(64), b"", signatures[0] + b"\0", signatures[0][:64] + b"\4", signatures[0][:64] + b"\xff"]
    found = recover_addresses([*digests, *[DIGEST] * len(bad), DIGEST[:31]], [*signatures, *bad, signatures[0]])
    assert [*[compute_address(key)] * 20, *[None] * (len(bad) + 1)] == found
    assert [] == recover_addresses([], [])
    with pytest.raises(ValueError, match="shorter"):
        recover_addresses(digests, signatures[1:])


@given(st.binary(max_size=70))
@settings(max_examples=200)
def test_hostile_signatures(raw: bytes) -> None:
    """Any bytes canonicalize or are refused, and what canonicalizes recovers or is refused."""
    try:
        canonical = canonicalize_signature(raw)
        assert 65 == len(canonical)
        assert canonical == canonicalize_signature(canonical)
        assert 20 == len(recover_address(DIGEST, canonical))
    except RefusedError:
        pass
