"""Attestations: the EIP-712 digest that wallets and contracts compute, signatures in one form, JSON there and back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError
from microrollup.settlement.attestation import (
    BatchAttestation,
    SignedAttestation,
    attestation_from_json,
    attestation_to_json,
    compute_attestation_digest,
    recover_attester,
    sign_attestation,
)
from microrollup.settlement.errors import MalleableSignature
from microrollup.testing.settlement_harness import make_key

INBOX = bytes(range(20))
KEY = make_key("verifier")
MEMBERS = [
    ("rollupId", "bytes32"),
    ("firstHeight", "uint64"),
    ("lastHeight", "uint64"),
    ("parentHash", "bytes32"),
    ("blockHash", "bytes32"),
    ("stateRoot", "bytes32"),
    ("dataHash", "bytes32"),
]
ATTESTATION = BatchAttestation(
    keccak256(b"rollup"), 1, 300, keccak256(b"parent"), keccak256(b"block"), keccak256(b"state"), keccak256(b"data")
)

word = st.binary(min_size=32, max_size=32)
uint64 = st.integers(0, 2**64 - 1)
attestations = st.builds(BatchAttestation, word, uint64, uint64, word, word, word, word)


def sign_with_wallet(attestation: BatchAttestation, chain_id: int, inbox: bytes) -> Any:
    """What a wallet library makes of the typed data, knowing nothing of this code."""
    values = msgspec.structs.astuple(attestation)
    return Account.sign_typed_data(
        KEY.secret,
        {"name": "microrollup", "version": "1", "chainId": chain_id, "verifyingContract": "0x" + inbox.hex()},
        {"BatchAttestation": [{"name": name, "type": kind} for name, kind in MEMBERS]},
        {name: value for (name, _), value in zip(MEMBERS, values, strict=True)},
    )


@given(attestations, uint64, st.binary(min_size=20, max_size=20))
def test_digest_and_signature_are_a_wallets(attestation: BatchAttestation, chain_id: int, inbox: bytes) -> None:
    """eth-account computes the same digest and, both being RFC 6979, the same signature."""
    signed = sign_with_wallet(attestation, chain_id, inbox)
    assert bytes(signed.message_hash) == compute_attestation_digest(attestation, chain_id, inbox)
    assert bytes(signed.signature) == sign_attestation(KEY, attestation, chain_id, inbox).signature


def test_digest_is_pinned() -> None:
    """A fixed attestation keeps its digest, here and in the contract."""
    digest = compute_attestation_digest(ATTESTATION, 31337, INBOX)
    assert "d2c065d0cfcda599379bc75a98baaf8b104ab0f2d88c90b32163fb954d37f862" == digest.hex()


def test_recovers_the_signer() -> None:
    """The signer comes back; under another chain, inbox or member somebody else does."""
    signed = sign_attestation(KEY, ATTESTATION, 1, INBOX)
    attester = compute_address(KEY)
    assert attester == recover_attester(signed, 1, INBOX)
    assert attester != recover_attester(signed, 2, INBOX)
    assert attester != recover_attester(signed, 1, bytes(20))
    for member in BatchAttestation.__struct_fields__:
        value = getattr(ATTESTATION, member)
        other = msgspec.structs.replace(
            ATTESTATION, **{member: value + 1 if isinstance(value, int) else keccak256(value)}
        )
        assert attester != recover_attester(SignedAttestation(other, signed.signature), 1, INBOX)


@given(st.binary(max_size=70))
def test_noise_gives_a_stranger_or_is_no_signature(noise: bytes) -> None:
    """Bytes of the one form recover some address, if at all; bytes of any other form raise `MalleableSignature`."""
    try:
        attester = recover_attester(SignedAttestation(ATTESTATION, noise), 1, INBOX)
    except MalleableSignature:
        return
    assert (65, 20) == (len(noise), len(attester))


@given(attestations)
def test_json_comes_back(attestation: BatchAttestation) -> None:
    """Reading what was written gives the same, in upper case too."""
    signed = SignedAttestation(attestation, keccak256(b"a") + keccak256(b"b") + b"\x1c")
    raw = attestation_to_json(signed)
    assert signed == attestation_from_json(raw)
    upper = json.loads(raw)
    upper["signature"] = "0x" + upper["signature"][2:].upper()
    assert signed == attestation_from_json(json.dumps(upper).encode())
    assert [name for name, _ in MEMBERS] == list(json.loads(raw)["attestation"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"signature":"0x', b'"signature":"0X'),
        (b'"signature":"0x', b'"signature":"0x0'),
        (b'"signature":"0x', b'"signature":"'),
        (b'"signature":"0x00', b'"signature":"0x 0'),
        (b'"signature":"0x00', b'"signature":"0xg0'),
        (b'"signature"', b'"sign"'),
        (b'"firstHeight":1', b'"firstHeight":-1'),
        (b'"firstHeight":1', b'"firstHeight":18446744073709551616'),
        (b'"firstHeight":1', b'"firstHeight":1.0'),
        (b'"firstHeight":1', b'"firstHeight":"01"'),
        (b'"firstHeight":1', b'"firstHeight":1,"firstHeight":1'),
        (b'"firstHeight":1', b'"firstHeight":1,"more":2'),
        (b'{"attestation"', b'\xff{"attestation"'),
        (b'{"attestation"', b"[" * 4_000 + b'{"attestation"'),
        (b'{"attestation"', b" " * 5_000 + b'{"attestation"'),
    ],
)
def test_refuses_other_json(old: bytes, new: bytes) -> None:
    """Each departure from the form is a `DecodeError`."""
    raw = attestation_to_json(SignedAttestation(ATTESTATION, bytes(64) + b"\x1b"))
    assert old in raw
    with pytest.raises(DecodeError):
        attestation_from_json(raw.replace(old, new, 1))
