"""Scheme 5: a group of BLS12-381 keys signs as one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from py_arkworks_bls12381 import G1Point, G2Point, Scalar

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import bls
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength
from microrollup.testing.keys import BlsKeys
from paths import WYCHEPROOF

GROUP = BlsKeys([bytes([index + 1]) * 32 for index in range(3)])
STATEMENT = Statement(keccak256(b"a digest"), 3, keccak256(b"a domain"))
SIGNATURE = GROUP.sign(STATEMENT.digest)
SIGNED = 3 + 3 * 144
"""Where the signature of all begins."""

INFINITY = b"\xc0" + bytes(95)
ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


def replace(signature: bytes, at: int, part: bytes) -> bytes:
    """The signature with other bytes from a place on."""
    return signature[:at] + part + signature[at + len(part) :]


def assert_refused(signature: bytes, why: str) -> None:
    with pytest.raises(BadSignature, match=why):
        recover_sender(STATEMENT, canonicalize(signature))


def test_a_group_signs() -> None:
    """All keys' signature gives the group's sender; over another digest, and damaged anywhere, it is refused."""
    assert SIGNATURE == canonicalize(SIGNATURE)
    assert GROUP.sender == recover_sender(STATEMENT, SIGNATURE)
    assert GROUP.sender == keccak256(b"\x05" + b"".join(SIGNATURE[at : at + 48] for at in range(3, SIGNED, 144)))[12:]
    with pytest.raises(BadSignature, match="did not make"):
        recover_sender(Statement(keccak256(b"x"), 3), SIGNATURE)
    for at in range(3, len(SIGNATURE), 31):
        with pytest.raises(BadSignature):
            recover_sender(STATEMENT, canonicalize(replace(SIGNATURE, at, bytes([SIGNATURE[at] ^ 1]))))


def test_bounds() -> None:
    """1 to 56 keys, in ascending order without a twin, and not a byte more."""
    for count in (1, 56):
        group = BlsKeys([keccak256(bytes([index])) for index in range(count)])
        assert group.sender == recover_sender(STATEMENT, canonicalize(group.sign(STATEMENT.digest)))
    assert_refused(b"\x05" + bytes(8_000), "not 0")
    assert_refused(b"\x05\x00\x39" + bytes(8_000), "not 57")
    for damaged in (SIGNATURE[:-1], SIGNATURE + b"\x00", SIGNATURE[:SIGNED]):
        with pytest.raises(WrongLength):
            canonicalize(damaged)
    first, second = SIGNATURE[3:147], SIGNATURE[147:291]
    assert_refused(replace(SIGNATURE, 3, second + first), "ascending")
    assert_refused(replace(SIGNATURE, 3, first + first), "ascending")


def test_points() -> None:
    """Infinity in any encoding, points outside of the subgroup and encodings that are not canonical are refused."""
    for encoding in (INFINITY, b"\xe0" + bytes(95), b"\xc0" + bytes(94) + b"\x01"):
        assert_refused(replace(SIGNATURE, SIGNED, encoding), "the signature is")
        assert_refused(replace(SIGNATURE, 51, encoding), "a proof of possession is")
    single = BlsKeys([b"\x01" * 32]).sign(STATEMENT.digest)
    assert_refused(replace(single, 3, b"\xc0" + bytes(47)), "a BLS key is infinity")
    outside = next(encoding for encoding in map(encode_x, range(1, 99)) if is_outside(encoding))
    assert_refused(replace(single, 3, outside), "a BLS key is not a compressed point of the subgroup")
    assert_refused(replace(single, 3, b"\x9a" + b"\xff" * 47), "a BLS key is not")  # x >= p


def encode_x(x: int) -> bytes:
    return (x | 1 << 383).to_bytes(48, "big")


def is_outside(encoding: bytes) -> bool:
    """Whether this is a point of the curve, but not of the subgroup."""
    try:
        return not G1Point.from_compressed_bytes_unchecked(encoding).is_in_subgroup()
    except ValueError:
        return False


def test_a_rogue_key_is_refused() -> None:
    """A key that cancels another's makes a valid aggregate alone; it has no proof of possession."""
    mine, theirs = Scalar.from_be_bytes_mod_order(b"\x07" * 32), BlsKeys([b"\x01" * 32])
    honest = theirs.sign(STATEMENT.digest)
    rogue = G1Point() * mine - G1Point.from_compressed_bytes(honest[3:51])
    keys = sorted([(honest[3:51], honest[51:147]), (bytes(rogue.to_compressed_bytes()), honest[51:147])])
    message = bls.compute_message(STATEMENT.digest, bls.compute_sender([key for key, _ in keys]))
    whole = bytes((G2Point.hash_to_curve(message, bls.SIGNATURE_DST) * mine).to_compressed_bytes())
    assert_refused(b"\x05\x00\x02" + b"".join(key + proof for key, proof in keys) + whole, "proof of possession of key")


def test_keys_that_cancel() -> None:
    """Two keys whose sum is infinity, both with valid proofs, do not sign everything with nothing."""
    group = BlsKeys([b"\x00" * 31 + b"\x05", (ORDER - 5).to_bytes(32, "big")])
    signature = group.sign(STATEMENT.digest)
    assert signature.endswith(INFINITY)
    assert_refused(signature, "infinity")


def test_a_member_s_signature_is_his_own_alone() -> None:
    """What a key signs for a group is not a signature of that key by itself, nor the other way round."""
    alone = BlsKeys([b"\x01" * 32]).sign(STATEMENT.digest)
    pair = BlsKeys([b"\x01" * 32, b"\x02" * 32])
    assert pair.sender != recover_sender(STATEMENT, alone)
    message = bls.compute_message(STATEMENT.digest, pair.sender)
    share = G2Point.hash_to_curve(message, bls.SIGNATURE_DST) * Scalar.from_be_bytes_mod_order(b"\x01" * 32)
    assert_refused(replace(alone, 147, bytes(share.to_compressed_bytes())), "did not make")


def test_vectors() -> None:
    """Keys, proofs and aggregates of four other libraries come out the same."""
    path = WYCHEPROOF.parent / "bls-vectors.json"
    if not path.is_file():
        pytest.skip("third-party vectors are not there")
    vectors: dict[str, Any] = json.loads(path.read_text())
    assert (bls.SIGNATURE_DST, bls.PROOF_DST) == (vectors["dst"]["minPk"].encode(), vectors["dst"]["popMinPk"].encode())
    for signer in vectors["signers"]:
        secret, expected = int(signer["sk"], 16).to_bytes(32, "big"), signer["minPk"]
        group = BlsKeys([secret])
        signature = group.sign(STATEMENT.digest)
        assert bytes.fromhex(expected["pk"] + expected["pop"]) == signature[3:147]
        message = G2Point.hash_to_curve(bytes.fromhex(vectors["message"]), bls.SIGNATURE_DST)
        point = message * Scalar.from_be_bytes_mod_order(secret)
        assert bytes.fromhex(expected["sig"]) == bytes(point.to_compressed_bytes())
