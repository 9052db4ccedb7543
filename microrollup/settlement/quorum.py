"""The signatures of a batch, in call and event, and whether they are enough; the rules of `VerifierSets.sol`.

    0x00 || r || s || v ...                              65 bytes for each verifier, in any order
    0x01 || signature || absent                          the sum of all but the absent: 128 bytes, a bit for each key
    0x02 || abi.encode(bytes, (uint8 rule, bytes)[])     one of the two above, and proofs in the order of the rules

Key i is the bit `1 << (i % 8)` of byte `i // 8`. Proofs cannot be verified here: where they count, L1's node is
believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from microrollup.codec.abi import compile_arguments_decoder, compile_arguments_encoder
from microrollup.codec.schema import describe_struct
from microrollup.crypto.bls_shares import (
    CHAIN_SIGNATURE_BYTES,
    add_signatures,
    expand_signature,
    is_share,
    is_sum,
)
from microrollup.errors import BadSignature, DecodeError
from microrollup.primitives import Bytes, Uint8
from microrollup.settlement.attestation import ECDSA_BYTES, SignedAttestation, recover_signer
from microrollup.settlement.errors import DuplicateAttester, ForeignAttester, MalleableSignature, TooFewAttestations
from microrollup.settlement.quorum_errors import (
    BadBitmap,
    FalseShare,
    RuleUnmet,
    UnknownRule,
    WrongAggregate,
    WrongAggregateLength,
    WrongEncoding,
    WrongKind,
)
from microrollup.settlement.verifiers import BLS, ECDSA, REQUIRE, RULES, VerifierRule, VerifierSet

__all__ = ["BatchProof", "count_signers", "join_signatures", "verify_signatures"]

_NO_KIND: Final = 255


class BatchProof(msgspec.Struct, frozen=True):
    """A proof for the rule with an index."""

    rule: Uint8
    proof: Bytes


class RulesBody(msgspec.Struct, frozen=True):
    signatures: Bytes
    proofs: tuple[BatchProof, ...]


_body_types: Final = [field.type for field in describe_struct(RulesBody, where="state").fields]
_encode_body: Final = compile_arguments_encoder(_body_types)
_decode_body: Final = compile_arguments_decoder(_body_types)


def join_signatures(
    verifiers: VerifierSet, digest: bytes, attestations: Sequence[SignedAttestation], proofs: Sequence[BatchProof] = ()
) -> bytes:
    """The signatures of a batch whose verifiers sign a 32-byte digest, as a set of verifiers takes them.

    Each share of BLS is verified before it is added, so that a false one is named: raises `ForeignAttester`,
    `DuplicateAttester` or `FalseShare`. Others are not looked at: the inbox names what is wrong with one.
    """
    if verifiers.kind == BLS:
        joined = bytes((BLS,)) + _aggregate(verifiers.keys, digest, attestations)
    else:
        for signed in attestations:
            if len(signed.signature) != ECDSA_BYTES:
                raise MalleableSignature(signed.signature)
        joined = bytes((ECDSA,)) + b"".join([signed.signature for signed in attestations])
    return bytes((RULES,)) + _encode_body([joined, tuple(proofs)]) if verifiers.rules else joined


def _aggregate(keys: Sequence[bytes], digest: bytes, attestations: Sequence[SignedAttestation]) -> bytes:
    places = {key: place for place, key in enumerate(keys)}
    absent = bytearray((len(keys) + 7) // 8)
    for place in range(len(keys)):
        absent[place // 8] |= 1 << (place % 8)
    for signed in attestations:
        place = places.get(signed.key, -1)
        if place < 0:
            raise ForeignAttester(signed.key)
        if not absent[place // 8] & 1 << (place % 8):
            raise DuplicateAttester(signed.key)
        if not is_share(signed.key, digest, signed.signature):
            raise FalseShare(signed.key)
        absent[place // 8] &= ~(1 << (place % 8))
    try:
        return expand_signature(add_signatures([signed.signature for signed in attestations])) + absent
    except BadSignature:  # of nobody, or of keys that cancel each other
        return bytes(CHAIN_SIGNATURE_BYTES) + absent


def verify_signatures(verifiers: VerifierSet, digest: bytes, signatures: bytes) -> None:
    """Raise, as the contract does, unless these signatures over a 32-byte digest are enough of a set."""
    found = 0
    if verifiers.rules:
        signatures, found = _open_rules(verifiers.rules, _open(RULES, signatures))
    body = _open(verifiers.kind, signatures)
    if verifiers.kind == BLS:
        found += _verify_aggregate(verifiers.keys, digest, body)
    else:
        found += _verify_each(verifiers.addresses, digest, body)
    if found < verifiers.quorum:
        raise TooFewAttestations(verifiers.quorum, found)


def count_signers(verifiers: VerifierSet, signatures: bytes) -> int:
    """How many verifiers' signatures the settled `signatures` hold, without the weight of proofs."""
    if verifiers.rules:
        signatures, _ = _open_rules(verifiers.rules, _open(RULES, signatures))
    body = _open(verifiers.kind, signatures)
    if verifiers.kind == BLS:
        return len(verifiers.keys) - int.from_bytes(body[CHAIN_SIGNATURE_BYTES:], "big").bit_count()
    return len(body) // ECDSA_BYTES


def _open(kind: int, signatures: bytes) -> bytes:
    """What comes after the byte that says what it is."""
    found = signatures[0] if signatures else _NO_KIND
    if found != kind:
        raise WrongKind(kind, found)
    return signatures[1:]


def _open_rules(rules: Sequence[VerifierRule], body: bytes) -> tuple[bytes, int]:
    """The verifiers' signatures, and the weight of the proofs beside them, which are not verified."""
    try:
        signatures, proofs = _decode_body(body)
    except DecodeError:
        raise WrongEncoding from None
    weight, given = 0, list(proofs)
    for index, rule in enumerate(rules):
        if given and given[0].rule == index:
            weight += rule.weight
            del given[0]
        elif rule.kind == REQUIRE:
            raise RuleUnmet(index, rule.verifier)
    if given:
        raise UnknownRule(given[0].rule)
    return signatures, weight


def _verify_each(addresses: Sequence[bytes], digest: bytes, body: bytes) -> int:
    seen: set[bytes] = set()
    for at in range(0, len(body), ECDSA_BYTES):
        attester = recover_signer(digest, body[at : at + ECDSA_BYTES])
        if attester not in addresses:
            raise ForeignAttester(attester)
        if attester in seen:
            raise DuplicateAttester(attester)
        seen.add(attester)
    return len(seen)


def _verify_aggregate(keys: Sequence[bytes], digest: bytes, body: bytes) -> int:
    length = CHAIN_SIGNATURE_BYTES + (len(keys) + 7) // 8
    if len(body) != length:
        raise WrongAggregateLength(length, len(body))
    signature, absent = body[:CHAIN_SIGNATURE_BYTES], body[CHAIN_SIGNATURE_BYTES:]
    bits = int.from_bytes(absent, "little")
    if bits >> len(keys):
        raise BadBitmap(len(keys), absent)
    present = [key for place, key in enumerate(keys) if not bits >> place & 1]
    if not is_sum(present, digest, signature):
        raise WrongAggregate(len(present))
    return len(present)
