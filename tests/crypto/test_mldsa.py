"""Scheme 6: ML-DSA-44 over the digest, in the context of the domain."""

from __future__ import annotations

import json

import pytest

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import mldsa
from microrollup.crypto.signatures.openssl import verify_mldsa44
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength
from microrollup.testing.keys import MlDsaKey
from paths import WYCHEPROOF

KEY = MlDsaKey(b"\x06" * 32)
STATEMENT = Statement(keccak256(b"a digest"), 3, keccak256(b"a domain"))
SIGNATURE = KEY.sign_statement(STATEMENT)


def test_a_key_signs() -> None:
    """A signature gives its key's sender; of another digest, in another domain, or damaged, it is refused."""
    assert SIGNATURE == canonicalize(SIGNATURE)
    assert KEY.sender == recover_sender(STATEMENT, SIGNATURE)
    for other in (Statement(keccak256(b"x"), 3, STATEMENT.domain_separator), Statement(STATEMENT.digest, 3, bytes(32))):
        with pytest.raises(BadSignature):
            recover_sender(other, SIGNATURE)
    for at in (1, 1_312, 1_313, 3_000, 3_732):
        damaged = bytearray(SIGNATURE)
        damaged[at] ^= 1
        with pytest.raises(BadSignature):
            recover_sender(STATEMENT, bytes(damaged))


@pytest.mark.parametrize("length", [97, 2_048, 3_732, 3_734, 8_192])
def test_lengths(length: int) -> None:
    """Only 3,733 bytes are an ML-DSA-44 signature."""
    with pytest.raises(WrongLength):
        canonicalize((SIGNATURE + bytes(8_192))[:length])


def test_wycheproof() -> None:
    """What Wycheproof calls valid verifies, everything else does not."""
    path = WYCHEPROOF / "mldsa_44_verify_test.json"
    if not path.is_file():
        pytest.skip("third-party vectors are not there")
    results: dict[str, int] = {}
    for group in json.loads(path.read_text())["testGroups"]:
        key = bytes.fromhex(group["publicKey"])
        for case in group["tests"]:
            context, message = bytes.fromhex(case.get("ctx", "")), bytes.fromhex(case["msg"])
            signature = bytes.fromhex(case["sig"])
            accepted = (
                len(key) == mldsa.KEY_BYTES
                and len(signature) == mldsa.SIGNATURE_BYTES - 1 - mldsa.KEY_BYTES
                and verify_mldsa44(key, signature, message, context)
            )
            assert (case["result"] == "valid") is accepted, case["comment"]
            results[case["result"]] = results.get(case["result"], 0) + 1
    assert min(results["valid"], results["invalid"]) > 5
