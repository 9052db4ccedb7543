"""The validator of BLS keys on a real EVM, beside the library that the kernel verifies scheme 5 with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from apps.keystore.smart_account import configure_bls, encode_bls
from apps.keystore.smart_account.stub import _BLS
from contract_calls import Contract, Reverted
from l1_fixtures import Anvil, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.bls_points import load_curve
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.bls import PROOF_DST, SIGNATURE_DST
from microrollup.errors import UsageError
from waiting import wait_for

PACKAGE: Final = "apps.keystore.contracts"
HASH: Final = keccak256(b"what is signed")
PRIME: Final = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB


def make_key(number: int) -> tuple[Any, bytes]:
    """A scalar, and its compressed key."""
    curve = load_curve()
    scalar = curve.Scalar(number)
    return scalar, bytes((curve.G1Point() * scalar).to_compressed_bytes())


def sign(scalar: Any, text: bytes, dst: bytes = SIGNATURE_DST) -> bytes:
    return bytes((load_curve().G2Point.hash_to_curve(text, dst) * scalar).to_compressed_bytes())


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil("--hardfork", "prague") as running:
        yield running


@pytest.fixture(scope="module")
def validator(anvil: Anvil) -> Contract:
    sender = anvil.call("eth_accounts")[0]
    return Contract.deploy(anvil, load_artifact("BlsValidator", PACKAGE), [], sender)


def says(validator: Contract, text: bytes, signature: bytes, config: bytes) -> bool:
    """What it says; it never reverts."""
    answer = validator.call("validate", text, signature, config)
    assert not isinstance(answer, Reverted)
    return bool(answer[0])


@pytest.mark.parametrize("number", [1, 2, 7, 2**200 + 1])
def test_a_key_signs(validator: Contract, number: int) -> None:
    """What the library signs is good, over this hash, for this key, and for no other."""
    scalar, key = make_key(number)
    config, signature = configure_bls(key).config, encode_bls(sign(scalar, HASH))
    assert says(validator, HASH, signature, config)
    assert not says(validator, keccak256(HASH), signature, config)
    assert not says(validator, HASH, encode_bls(sign(scalar, HASH, PROOF_DST)), config)
    assert not says(validator, HASH, signature, configure_bls(make_key(number + 1)[1]).config)


def test_two_keys_sign_as_one(validator: Contract) -> None:
    """Sums of keys and of signatures; one of them alone is nothing."""
    curve = load_curve()
    (one, first), (other, second) = make_key(11), make_key(12)
    total = curve.G1Point.from_compressed_bytes(first) + curve.G1Point.from_compressed_bytes(second)
    config = configure_bls(bytes(total.to_compressed_bytes())).config
    shares = [curve.G2Point.from_compressed_bytes(sign(scalar, HASH)) for scalar in (one, other)]
    whole = bytes((shares[0] + shares[1]).to_compressed_bytes())
    assert says(validator, HASH, encode_bls(whole), config)
    assert not says(validator, HASH, encode_bls(sign(one, HASH)), config)


def test_what_is_no_signature(validator: Contract) -> None:
    """Infinity on either side, other lengths, other forms of a number, points off the curve or outside of the subgroup:
    each is a no and not a revert.
    """
    scalar, key = make_key(5)
    config, signature = configure_bls(key).config, encode_bls(sign(scalar, HASH))
    assert not says(validator, HASH, bytes(192), bytes(96))
    assert not says(validator, HASH, bytes(192), config)
    assert not says(validator, HASH, signature, bytes(96))
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64) + signature):
        assert not says(validator, HASH, wrong, config)
    for wrong in (b"", config[:-1], config + b"\0", key):
        assert not says(validator, HASH, signature, wrong)
    x = int.from_bytes(config[:48], "big") + PRIME
    assert not says(validator, HASH, signature, x.to_bytes(48, "big") + config[48:])
    for at in range(0, 192, 31):
        assert not says(validator, HASH, signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :], config)
    for at in range(0, 96, 31):
        assert not says(validator, HASH, signature, config[:at] + bytes([config[at] ^ 1]) + config[at + 1 :])
    assert not says(validator, HASH, signature, find_outside())


def find_outside() -> bytes:
    """A point of G1's curve, y² = x³ + 4, outside of the subgroup: most of its points are."""
    for x in range(1, 50):
        square = (x**3 + 4) % PRIME
        y = pow(square, (PRIME + 1) // 4, PRIME)
        raw = x.to_bytes(48, "big") + y.to_bytes(48, "big")
        if y * y % PRIME == square:
            try:
                load_curve().G1Point.from_xy_bytes_be(raw)
            except ValueError:
                return raw
    raise AssertionError


def test_gas(anvil: Anvil, validator: Contract) -> None:
    """A validation takes some 210,000 gas, the stub as much as a true signature; a point that is none takes at most
    310,000 more, since the precompile burns what it is given. With too little gas it reverts silently: a no would lower
    estimates.
    """
    scalar, key = make_key(9)
    config, signature = configure_bls(key).config, encode_bls(sign(scalar, HASH))
    taken = [count_gas(anvil, validator, each, config) for each in (signature, _BLS, b"\x01" * 192)]
    assert 190_000 < taken[0] < 230_000
    assert abs(taken[0] - taken[1]) < 2_000
    assert taken[2] < taken[0] + 310_000
    for gas in range(60_000, 400_000, 20_000):
        answer = validator.call("validate", HASH, signature, config, gas=hex(gas))
        assert answer in ((True,), Reverted("", {})), gas


def count_gas(anvil: Anvil, validator: Contract, signature: bytes, config: bytes) -> int:
    call = {"to": validator.address, "data": validator.encode("validate", HASH, signature, config), "gas": hex(10**6)}
    digest = anvil.call("eth_sendTransaction", call | {"from": anvil.call("eth_accounts")[0]})
    return int(wait_for(lambda: anvil.call("eth_getTransactionReceipt", digest))["gasUsed"], 16)


def test_by_the_interfaces_of_others(anvil: Anvil, validator: Contract) -> None:
    """ERC-7780 and ERC-7913, as the other validators are."""
    scalar, key = make_key(3)
    config, signature = configure_bls(key).config, encode_bls(sign(scalar, HASH))
    artifact, sender = load_artifact("StatelessValidator", PACKAGE), anvil.call("eth_accounts")[0]
    stateless = Contract.deploy(anvil, artifact, [validator.address], sender)
    assert (True,) == stateless.call("validateSignatureWithData", HASH, signature, config)
    assert (False,) == stateless.call("validateSignatureWithData", keccak256(HASH), signature, config)
    assert (keccak256(b"verify(bytes,bytes32,bytes)")[:4],) == stateless.call("verify", config, HASH, signature)
    assert (b"\xff" * 4,) == stateless.call("verify", config, keccak256(HASH), signature)
    assert (b"\xff" * 4,) == stateless.call("verify", b"", HASH, signature)


def test_before_prague_everything_is_a_no() -> None:
    """Without the precompiles nothing is signed by anybody."""
    scalar, key = make_key(3)
    with run_anvil("--hardfork", "cancun") as old:
        contract = Contract.deploy(old, load_artifact("BlsValidator", PACKAGE), [], old.call("eth_accounts")[0])
        assert not says(contract, HASH, encode_bls(sign(scalar, HASH)), configure_bls(key).config)


@pytest.mark.parametrize("raw", [b"", bytes(48), b"\xc0" + bytes(47), b"\xff" * 48, bytes(96)])
def test_what_is_no_key(raw: bytes) -> None:
    with pytest.raises(UsageError):
        configure_bls(raw)
    with pytest.raises(UsageError):
        encode_bls(raw)
