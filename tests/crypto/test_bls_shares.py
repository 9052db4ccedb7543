"""BLS signatures that add up: the vectors of four libraries, and all that is not a key, a proof or a signature."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.crypto.bls_shares import (
    BlsKey,
    add_signatures,
    compress_chain_key,
    compress_chain_signature,
    expand_key,
    expand_signature,
    is_possessed,
    is_share,
    is_sum,
    load_bls_key,
)
from microrollup.errors import BadSignature
from paths import VECTORS

DOCUMENT: dict[str, Any] = json.loads((VECTORS / "bls.json").read_text())
MESSAGE = bytes.fromhex(DOCUMENT["message"])
PRIME = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB


def read_keys() -> list[BlsKey]:
    """The keys of the vectors."""
    return [load_bls_key(int(signer["sk"], 16).to_bytes(32, "big")) for signer in DOCUMENT["signers"]]


KEYS = read_keys()


def test_four_libraries_agree() -> None:
    """Keys, signatures, proofs and their sum are what four other implementations give."""
    for key, signer in zip(KEYS, DOCUMENT["signers"], strict=True):
        expected = signer["minSig"]
        assert (expected["pk"], expected["sig"]) == (key.public.hex(), key.sign(MESSAGE).hex())
        assert expected["pop"] == key.prove_possession().hex()
        assert is_share(key.public, MESSAGE, key.sign(MESSAGE))
        assert is_possessed(key.public, key.prove_possession())
    total = add_signatures([key.sign(MESSAGE) for key in KEYS])
    aggregate = DOCUMENT["aggregate"]["sig1"]
    assert (aggregate["compressed"], aggregate["eip2537"]) == (total.hex(), expand_signature(total).hex())
    assert is_sum([key.public for key in KEYS], MESSAGE, expand_signature(total))
    assert not is_sum([key.public for key in KEYS[1:]], MESSAGE, expand_signature(total))
    assert not is_sum([key.public for key in KEYS], MESSAGE[1:], expand_signature(total))


def test_a_proof_is_not_a_signature() -> None:
    """What proves a key's possession signs no text, and a signature over the key proves nothing."""
    key = KEYS[0]
    assert not is_share(key.public, key.public, key.prove_possession())
    assert not is_possessed(key.public, key.sign(key.public))
    assert not is_possessed(key.public, KEYS[1].prove_possession())


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\xff" * 32, b"\1" * 31, b"\1" * 33])
def test_no_secrets(secret: bytes) -> None:
    """Zero, what is not below the order, and another length are refused."""
    with pytest.raises(ValueError, match=r"secret|serialised"):
        load_bls_key(secret)


def test_one_encoding() -> None:
    """Infinity, coordinates above the prime, bytes in the padding and other lengths are refused in each form."""
    key, signature = KEYS[0].public, KEYS[0].sign(MESSAGE)
    raw, chain = expand_key(key), expand_signature(signature)
    assert (key, signature) == (compress_chain_key(raw), compress_chain_signature(chain))
    x = int.from_bytes(raw[:48], "big") + PRIME
    bad_keys = [bytes(192), raw[:-1], raw + b"\0", b"\xff" * 192, raw[48:] + raw[:48]]
    if x < 1 << 384:
        bad_keys.append(x.to_bytes(48, "big") + raw[48:])
    for bad in bad_keys:
        with pytest.raises(BadSignature):
            compress_chain_key(bad)
    for bad in (bytes(128), chain[:-1], chain + b"\0", b"\1" + chain[1:], chain[:64] + b"\1" + chain[65:]):
        with pytest.raises(BadSignature):
            compress_chain_signature(bad)
    infinity = b"\xc0" + bytes(95)
    for bad in (infinity, bytes(96), key[:-1], key + b"\0", bytes((key[0] & 0x7F,)) + key[1:]):
        with pytest.raises(BadSignature):
            expand_key(bad)
        assert not is_share(bad, MESSAGE, signature)
        assert not is_possessed(bad, signature)
    for bad in (infinity[:48], b"", signature[:-1], signature + b"\0"):
        with pytest.raises(BadSignature):
            expand_signature(bad)
        assert not is_share(key, MESSAGE, bad)


def test_keys_that_cancel_each_other() -> None:
    """The sum of a key and its negative vouches for nothing, whatever is signed."""
    order = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
    one = load_bls_key((5).to_bytes(32, "big"))
    other = load_bls_key((order - 5).to_bytes(32, "big"))
    assert not is_sum([one.public, other.public], MESSAGE, bytes(128))
    assert not is_sum([one.public, other.public], MESSAGE, expand_signature(one.sign(MESSAGE)))
    assert not is_sum([], MESSAGE, bytes(128))


@given(st.binary(max_size=200))
def test_noise(noise: bytes) -> None:
    """Any bytes are refused with a typed error, or by a plain no."""
    assert not is_share(noise, MESSAGE, noise)
    assert not is_sum([KEYS[0].public], MESSAGE, noise)
    for read in (compress_chain_key, compress_chain_signature, expand_key, expand_signature):
        with pytest.raises(BadSignature):
            read(noise)
