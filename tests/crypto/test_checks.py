"""Checks for an app's own code: right for what is signed, False or None for everything else, and charged for."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from kernel_fixtures import make_key, mutate
from microrollup.crypto import checks
from microrollup.crypto.ecdsa import compute_address, sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.execution.metering import CHECK_STEPS, add_framework
from microrollup.guard.metered import MeteredCode
from microrollup.testing.keys import Ed25519Key
from microrollup.testing.passkey import P256Key

DIGEST = keccak256(b"digest")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


def test_p256() -> None:
    """Either s; another digest, key or length is not signed."""
    key = P256Key(b"\5" * 32)
    signature = key.sign(DIGEST)[65:]
    high = signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert checks.verify_p256(key.point, DIGEST, signature)
    assert checks.verify_p256(key.point, DIGEST, high)
    for wrong in (
        (P256Key(b"\6" * 32).point, DIGEST, signature),
        (key.point, keccak256(b"other"), signature),
        (key.point, DIGEST, signature[:-1]),
        (key.point, DIGEST[:-1], signature),
        (key.point[:-1], DIGEST, signature),
        (bytes(64), DIGEST, signature),
        (key.point, DIGEST, bytes(64)),
        (key.point, DIGEST, b"\xff" * 64),
        (b"", b"", b""),
    ):
        assert not checks.verify_p256(*wrong)


def test_ed25519() -> None:
    """RFC 8032, 7.1, test 3; a message of any length; points of small order sign nothing."""
    key = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert checks.verify_ed25519(key, b"\xaf\x82", signature)
    signer = Ed25519Key(b"\7" * 32)
    made = signer.sign(DIGEST)
    assert checks.verify_ed25519(made[1:33], DIGEST, made[33:])
    for wrong in (
        (key, b"\xaf\x83", signature),
        (key, b"\xaf\x82", signature[:-1]),
        (key[:-1], b"\xaf\x82", signature),
        (bytes(32), b"", bytes(64)),
        (b"\1" + bytes(31), b"", b"\1" + bytes(63)),
    ):
        assert not checks.verify_ed25519(*wrong)


def test_secp256k1() -> None:
    """The address of any of the forms that wallets give; None for what no key made."""
    key = make_key("signer")
    signature = sign_digest(key, DIGEST)
    assert compute_address(key) == checks.recover_signer(DIGEST, signature)
    assert compute_address(key) == checks.recover_signer(DIGEST, signature[:64] + bytes((signature[64] - 27,)))
    assert checks.recover_signer(keccak256(b"other"), signature) != compute_address(key)
    for digest, wrong in ((DIGEST, bytes(65)), (DIGEST, signature[:-1] + b"\5"), (DIGEST[:-1], signature), (b"", b"")):
        assert checks.recover_signer(digest, wrong) is None


def test_rsa(rsa_key: rsa.RSAPrivateKey) -> None:
    """The library agrees, for signatures and for what is near one; keys out of bounds sign nothing."""
    public, rng = rsa_key.public_key(), Random(5)
    modulus, message = public.public_numbers().n.to_bytes(256, "big"), b"a header"
    signature = rsa_key.sign(message, padding.PKCS1v15(), SHA256())
    assert checks.verify_rsa_sha256(modulus, 65_537, message, signature)
    for _ in range(300):
        changed = mutate(rng, signature)
        try:
            public.verify(changed, message, padding.PKCS1v15(), SHA256())
            expected = True
        except (InvalidSignature, ValueError):
            expected = False
        assert expected is checks.verify_rsa_sha256(modulus, 65_537, message, changed)
    other = int.from_bytes(signature, "big") + public.public_numbers().n
    for wrong in (
        (modulus, 65_537, b"another", signature),
        (modulus, 65_539, message, signature),
        (modulus, 65_536, message, signature),
        (modulus, 1, message, signature),
        (modulus, 2**32 + 1, message, signature),
        (modulus, -3, message, signature),
        (b"\0" + modulus, 65_537, message, b"\0" + signature),
        (modulus[1:], 65_537, message, signature[1:]),
        (modulus, 65_537, message, other.to_bytes(257, "big")),
        (bytes(256), 3, message, signature),
        (b"\xff" * 2_000, 3, message, signature),
        (b"", 3, message, b""),
    ):
        assert not checks.verify_rsa_sha256(*wrong)


def test_sha256() -> None:
    """That of the standard library."""
    assert hashlib.sha256(b"abc").digest() == checks.sha256(b"abc")


@pytest.mark.parametrize("function", CHECK_STEPS)
def test_they_are_charged(function: Any) -> None:
    """Their steps, and one for each 32 bytes, given by place or by name."""
    code = MeteredCode()
    add_framework(code)
    for size in (0, 320):
        arguments: dict[str, Any] = {
            name: 3 if name == "exponent" else bytes(size)
            for name in function.__code__.co_varnames[:4]
            if name in ("data", "digest", "key", "message", "modulus", "signature", "exponent")
        }
        count = len([each for each in arguments.values() if isinstance(each, bytes)])
        with code.meter:
            code.call(function, *arguments.values())
        by_place = code.meter.taken
        with code.meter:
            code.call(function, **arguments)
        assert 1 + CHECK_STEPS[function] + count * (size // 32) == by_place == code.meter.taken
