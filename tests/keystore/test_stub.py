"""Stubs of signatures: their forms. What a bundler makes of them is in `test_estimates`."""

from __future__ import annotations

import pytest

from apps.keystore.smart_account import (
    CACHED,
    STUB_CLIENT_DATA_BYTES,
    ChainEntry,
    Configuration,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    encode_delegate_signature,
    encode_intent_signature,
    encode_signature,
    encode_stub_delegate_signature,
    encode_stub_intent_signature,
    encode_stub_signature,
    encode_webauthn,
)
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError
from microrollup.testing.passkey import P256Key, Passkey

OWNERS = [bytes((number,)) * 20 for number in range(1, 10)]
POINT = P256Key(keccak256(b"stub")).point
VALUE, PROOF = b"\x01" * 64, b"\x02" * 300


def find_validator_part(configuration: Configuration) -> bytes:
    """The validator's part of a stub, which has nothing but the opening's bytes around it."""
    stub = encode_stub_signature(configuration, CACHED)
    head = encode_signature(configuration, CACHED, b"")[:-2]
    assert head == stub[: len(head)]
    assert len(stub) - len(head) - 2 == int.from_bytes(stub[len(head) : len(head) + 2], "big")
    return stub[len(head) + 2 :]


@pytest.mark.parametrize(
    ("configuration", "size"),
    [
        (configure_ecdsa(OWNERS[0]), 65),
        (configure_multisig(2, OWNERS[:3]), 130),
        (configure_multisig(5, OWNERS), 325),
        (configure_p256(POINT), 64),
        (configure_p256(POINT, precompile=False), 64),
    ],
)
def test_as_long_as_a_signature(configuration: Configuration, size: int) -> None:
    """Each has its validator's length, and no byte that is cheaper than a signature's."""
    part = find_validator_part(configuration)
    assert size == len(part)
    assert 0 not in part


def test_a_passkey() -> None:
    """It decodes as an assertion, is longer than one from a browser, and as long as it is told to be."""
    passkey = Passkey(keccak256(b"stub"))
    signed = encode_webauthn(passkey.sign(keccak256(b"digest")))
    for precompile in (True, False):
        part = find_validator_part(configure_webauthn(passkey.point, precompile=precompile))
        size = int.from_bytes(part[:2], "big")
        client_data = part[2 + size : -68]
        assert int.from_bytes(signed[:2], "big") == size
        assert STUB_CLIENT_DATA_BYTES == len(client_data)
        assert client_data[int.from_bytes(part[-68:-66], "big") :].startswith(b'"challenge":"')
        assert client_data[int.from_bytes(part[-66:-64], "big") :].startswith(b'"type":"webauthn.get"')
        assert len(signed) < len(part)
    configuration = configure_webauthn(passkey.point)
    fitted = encode_stub_signature(configuration, CACHED, client_data_bytes=len(signed) - 2 - size - 68)
    assert len(encode_signature(configuration, CACHED, signed)) == len(fitted)
    with pytest.raises(UsageError, match="clientDataJSON"):
        encode_stub_signature(configuration, CACHED, client_data_bytes=50)


def test_outbox() -> None:
    """An intent's and a delegate's have the lengths of the true ones."""
    intent = encode_stub_intent_signature(VALUE, PROOF)
    assert len(encode_intent_signature(7, 1, 2, VALUE, PROOF, PROOF)) == len(intent)
    delegate = configure_ecdsa(OWNERS[0])
    for entry in (None, ChainEntry(False, PROOF)):
        true = encode_delegate_signature(delegate, bytes(65), 9, VALUE, PROOF, PROOF, entry=entry)
        stub = encode_stub_delegate_signature(delegate, 9, VALUE, PROOF, PROOF, entry=entry)
        assert (len(true), true[:1]) == (len(stub), stub[:1])


def test_an_unknown_validator() -> None:
    """Nobody but its authors knows what it checks."""
    with pytest.raises(UsageError, match="no published validator"):
        encode_stub_signature(Configuration(keccak256(b"unknown"), b""), CACHED)
