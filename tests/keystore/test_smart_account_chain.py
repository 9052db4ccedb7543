"""Smart accounts on a real EVM: what Python computes is what the contracts do, from a real keystore's proofs."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from account_world import ENTRY_POINT_SALT, ETHER, RECIPIENT, VALIDATORS, World, address_of, make_key, run_world
from apps.keystore.accounts import compute_account_key
from apps.keystore.smart_account import (
    CACHED,
    Call,
    Configuration,
    Opening,
    UserOperation,
    compute_data,
    compute_implementation_address,
    compute_personal_sign_digest,
    compute_typed_data_digest,
    compute_validator_address,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    encode_execute_batch,
    encode_init_code,
    encode_p256,
    encode_push_root,
    encode_signature,
    encode_typed_data_signature,
    encode_webauthn,
    estimate_overhead,
    load_code_hash,
    recommend_verification_gas_limit,
    remember,
    sign_ecdsa,
    sign_multisig,
)
from contract_calls import Reverted
from microrollup.crypto.keccak import keccak256
from microrollup.testing.passkey import P256Key, Passkey

SIGNATURE_ERROR = "AA24 signature error"
OUTDATED = "AA22 expired or not due"
GRACE_SECONDS = 15 * 60


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An L2 on the newest rules, with the P-256 precompile."""
    with run_world("--hardfork", "osaka") as made:
        yield made


def create(world: World, key: bytes, configuration: Configuration, opening: Opening, name: str) -> bytes:
    """Have the account of a key made by its first operation."""
    account = world.account_of(key)
    world.fund(account)
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    world.handle(world.sign(operation, configuration, opening, name))
    return account


def test_addresses(world: World) -> None:
    """Validators, factory, implementation and accounts are where Python says before anything is there."""
    factory = world.call_contract(world.factory, "KeystoreAccountFactory")
    (implementation,) = factory.call("implementation")
    assert compute_implementation_address(world.factory) == bytes.fromhex(implementation[2:])
    for key in (keccak256(b"one key"), keccak256(b"another key")):
        assert (f"0x{world.account_of(key).hex()}",) == factory.call("getAccount", key)
    for validator in VALIDATORS:
        assert world.has_code(compute_validator_address(load_code_hash(validator)))
    assert not world.has_code(compute_validator_address(keccak256(ENTRY_POINT_SALT)))


@pytest.mark.parametrize("seed", range(4))
def test_operation_hash(world: World, seed: int) -> None:
    """The hash of any operation is the entry point's own; its signature is not in it."""
    draw = random.Random(seed)
    operation = UserOperation(
        draw.randbytes(20),
        draw.getrandbits(256),
        draw.randbytes(seed * 37),
        draw.randbytes(seed * 20) and b"\x01" + draw.randbytes(seed * 20),
        draw.getrandbits(128),
        draw.getrandbits(128),
        draw.getrandbits(256),
        draw.getrandbits(128),
        draw.getrandbits(128),
        draw.randbytes(seed * 60),
        draw.randbytes(seed * 65),
    )
    expected = world.ask_hash(operation)
    assert expected == world.compute_hash(operation)
    assert expected == world.compute_hash(replace(operation, signature=b"other"))
    assert expected != world.compute_hash(replace(operation, call_data=b"other"))


def test_life_of_an_account(world: World) -> None:
    """Made before it is registered, registered, rotated: each time the keystore's word is what counts."""
    first, second = configure_ecdsa(address_of("first")), configure_ecdsa(address_of("second"))
    vk = address_of("owner")
    key = compute_account_key(bytes(32), compute_data(first), vk)
    world.keystore.register(configure_ecdsa(address_of("somebody")), "somebody")
    world.mirror()
    balance = world.get_balance(RECIPIENT)
    account = create(world, key, first, world.keystore.open_first(first, vk), "first")
    assert balance + 1 == world.get_balance(RECIPIENT)
    absent = world.keystore.open_first(first, vk)

    assert key == world.keystore.register(first, "owner")
    world.mirror()
    present = world.keystore.open(key, first, vk)
    operation = world.make_transfer(account)
    assert SIGNATURE_ERROR == world.refuse(world.sign(operation, first, present, "first")), "the root was not pushed"
    world.push(account)
    assert "" == world.refuse(world.sign(operation, first, absent, "first")), "the root before, in its grace"
    world.handle(world.sign(operation, first, remember(present), "first"))
    world.handle(world.sign(world.make_transfer(account), first, CACHED, "first"))

    world.keystore.rotate(key, second, "owner")
    world.mirror()
    world.push(account)
    rotated = world.keystore.open(key, second, vk)
    world.handle(world.sign(world.make_transfer(account), second, rotated, "second"))
    world.anvil.mine(GRACE_SECONDS // 12 + 5)
    operation = world.make_transfer(account)
    assert OUTDATED == world.refuse(world.sign(operation, first, CACHED, "first"))
    assert OUTDATED == world.refuse(world.sign(operation, first, present, "first"))
    assert OUTDATED == world.refuse(world.sign(operation, first, absent, "first"))
    assert SIGNATURE_ERROR == world.refuse(world.sign(operation, second, rotated, "first"))
    world.handle(world.sign(operation, second, rotated, "second"))
    assert balance + 5 == world.get_balance(RECIPIENT)


def test_foreign_roots_do_not_fail_a_pending_deployment(world: World) -> None:
    """Others register twice between signing and inclusion: the operation still makes its account, within 15 minutes.

    The same operation whose `initCode` names no root is refused, as it is after the 15 minutes.
    """
    configuration, vk = configure_ecdsa(address_of("pending")), address_of("pending")
    key = compute_account_key(bytes(32), compute_data(configuration), vk)
    world.mirror()
    opening = world.keystore.open_first(configuration, vk)
    account = world.account_of(key)
    world.fund(account)
    named, unnamed = [
        world.sign(
            world.make_transfer(account, encode_init_code(world.factory, key, root)), configuration, opening, "pending"
        )
        for root in (opening.root, bytes(32))
    ]
    for name in ("a foreigner", "another foreigner"):
        world.keystore.register(configure_ecdsa(address_of(name)), name)
        world.mirror()
    assert SIGNATURE_ERROR == world.refuse(unnamed)
    snapshot = world.anvil.call("evm_snapshot")
    world.anvil.mine(GRACE_SECONDS // 12 + 5)
    assert OUTDATED == world.refuse(named)
    world.anvil.call("evm_revert", snapshot)
    balance = world.get_balance(RECIPIENT)
    world.handle(named)
    assert balance + 1 == world.get_balance(RECIPIENT)
    shown = world.call_contract(account, "KeystoreAccount").call("getRoots")
    assert not isinstance(shown, Reverted)
    assert world.keystore.get_root()[0] == shown[0]
    assert opening.root[:27] == shown[3][0][0]


def test_fifteen_minutes_hold_whatever_arrives(world: World) -> None:
    """Four roots pushed by strangers take nothing from an operation on its way; a fifth push is too soon."""
    configuration, vk = configure_ecdsa(address_of("crowded")), address_of("crowded")
    key = world.keystore.register(configuration, "crowded")
    world.mirror()
    opening = world.keystore.open(key, configuration, vk)
    account = create(world, key, configuration, opening, "crowded")
    operation = world.sign(world.make_transfer(account), configuration, opening, "crowded")
    for number in range(4):
        world.keystore.register(configure_ecdsa(address_of(f"crowd {number}")), f"crowd {number}")
        world.mirror()
        world.push(account)
    world.keystore.register(configure_ecdsa(address_of("crowd 4")), "crowd 4")
    world.mirror()
    contract = world.call_contract(account, "KeystoreAccount")
    answer = contract.call("pushRoot")
    assert isinstance(answer, Reverted)
    assert "TooSoon" == answer.name
    world.handle(operation)
    world.anvil.mine(GRACE_SECONDS // 12 + 5)
    world.push(account)
    assert SIGNATURE_ERROR == world.refuse(world.sign(world.make_transfer(account), configuration, opening, "crowded"))


def test_proof_is_exchanged_without_a_signature(world: World) -> None:
    """An operation that waited while roots went on gets a newer proof from whoever relays it."""
    configuration = configure_ecdsa(address_of("waiting"))
    key = world.keystore.register(configuration, "waiting")
    world.mirror()
    vk = address_of("waiting")
    account = create(world, key, configuration, world.keystore.open(key, configuration, vk), "waiting")
    operation = world.make_transfer(account)
    signature = sign_ecdsa(make_key("waiting"), world.compute_hash(operation))
    outdated = world.keystore.open(key, configuration, vk)
    for name in ("passing by", "passing too"):
        world.keystore.register(configure_ecdsa(address_of(name)), name)
        world.mirror()
        world.push(account)
    world.anvil.mine(GRACE_SECONDS // 12 + 5)
    assert OUTDATED == world.refuse(replace(operation, signature=encode_signature(configuration, outdated, signature)))
    opening = world.keystore.open(key, configuration, vk)
    world.handle(replace(operation, signature=encode_signature(configuration, opening, signature)))


def test_push_within_an_operation(world: World) -> None:
    """An account can renew its own copy in a batch."""
    configuration, vk = configure_ecdsa(address_of("batch")), address_of("batch")
    key = world.keystore.register(configuration, "batch")
    world.mirror()
    opening = world.keystore.open(key, configuration, vk)
    account = create(world, key, configuration, opening, "batch")
    world.keystore.register(configure_ecdsa(address_of("newer")), "newer")
    world.mirror()
    calls = [Call(RECIPIENT, 3), Call(account, 0, encode_push_root())]
    operation = replace(world.make_transfer(account), call_data=encode_execute_batch(calls))
    world.handle(world.sign(operation, configuration, opening, "batch"))
    root, height = world.keystore.get_root()
    shown = world.call_contract(account, "KeystoreAccount").call("getRoots")
    assert not isinstance(shown, Reverted)
    assert (root, height) == shown[:2]


def test_every_validator(world: World) -> None:
    """Multisig, P-256 and passkeys sign operations; one owner too few, or another key, does not."""
    p256, passkey = P256Key(keccak256(b"p256")), Passkey(keccak256(b"passkey"))
    owners = [make_key(name) for name in ("one", "two", "three")]
    multisig = configure_multisig(2, [address_of(name) for name in ("one", "two", "three")])
    cases = [
        (multisig, lambda h: sign_multisig(owners[:2], h), lambda h: sign_multisig(owners[:1] * 2, h)),
        (
            configure_p256(p256.point),
            lambda h: encode_p256(p256.sign(h)),
            lambda h: encode_p256(P256Key(keccak256(b"another")).sign(h)),
        ),
        (
            configure_webauthn(passkey.point),
            lambda h: encode_webauthn(passkey.sign(h)),
            lambda h: encode_webauthn(passkey.sign(keccak256(h))),
        ),
    ]
    for number, (configuration, good, bad) in enumerate(cases):
        name = f"validator {number}"
        key = world.keystore.register(configuration, name)
        world.mirror()
        opening = world.keystore.open(key, configuration, address_of(name))
        account = world.account_of(key)
        world.fund(account)
        operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
        digest = world.compute_hash(operation)
        refused = replace(operation, signature=encode_signature(configuration, opening, bad(digest)))
        assert SIGNATURE_ERROR == world.refuse(refused)
        world.handle(replace(operation, signature=encode_signature(configuration, opening, good(digest))))


def test_erc1271(world: World) -> None:
    """Texts and typed data, nested: taken by the account that they were signed for, not by its signer's other one."""
    configuration, vk = configure_ecdsa(address_of("signer")), address_of("signer")
    keys = [world.keystore.register(configuration, "signer", bytes(31) + bytes((salt,))) for salt in range(2)]
    world.mirror()
    openings = [world.keystore.open(key, configuration, vk) for key in keys]
    pairs = zip(keys, openings, strict=True)
    accounts = [create(world, key, configuration, opening, "signer") for key, opening in pairs]
    text, domain, contents = keccak256(b"a text"), keccak256(b"a domain"), keccak256(b"contents")
    typed_hash = keccak256(b"\x19\x01" + domain + contents)
    permit = "Permit(address spender,uint256 amount)"
    personal = sign_ecdsa(make_key("signer"), compute_personal_sign_digest(accounts[0], world.chain_id, text))
    digest = compute_typed_data_digest(accounts[0], world.chain_id, domain, contents, permit)
    typed = sign_ecdsa(make_key("signer"), digest)
    for index, magic in enumerate(("1626ba7e", "ffffffff")):
        contract = world.call_contract(accounts[index], "KeystoreAccount")
        encoded = encode_signature(configuration, openings[index], personal)
        assert (bytes.fromhex(magic),) == contract.call("isValidSignature", text, encoded)
        encoded = encode_signature(configuration, openings[index], typed)
        nested = encode_typed_data_signature(encoded, domain, contents, permit)
        assert (bytes.fromhex(magic),) == contract.call("isValidSignature", typed_hash, nested)


def test_recommended_gas_limit(world: World) -> None:
    """The recommended limit holds for making the account, for a proof of the root before it, for the deposit."""
    configuration, vk = configure_ecdsa(address_of("thrifty")), address_of("thrifty")
    key = compute_account_key(bytes(32), compute_data(configuration), vk)
    world.mirror()
    opening = world.keystore.open_first(configuration, vk)
    depth = len(world.keystore.prove(key).proof.siblings)
    account = world.account_of(key)
    world.anvil.call("anvil_setBalance", f"0x{account.hex()}", hex(ETHER))

    def limit(opening: Opening, *, creates: bool = False) -> int:
        return recommend_verification_gas_limit(opening.mode, depth, 20, validator_gas=6_000, creates=creates)

    made = replace(
        world.make_transfer(account, encode_init_code(world.factory, key, opening.root)),
        verification_gas_limit=limit(opening, creates=True),
    )
    signed = world.sign(made, configuration, opening, "thrifty")
    assert estimate_overhead(opening.mode, depth, 20).signature_bytes + 65 == len(signed.signature)
    world.handle(signed)
    world.keystore.register(configure_ecdsa(address_of("later")), "later")
    world.mirror()
    world.push(account)
    for fee, tried in enumerate((opening, remember(opening), CACHED, CACHED), 8):
        # each may cost more than the one before, so the account has to pay for its deposit
        operation = replace(
            world.make_transfer(account), verification_gas_limit=limit(tried), max_fee_per_gas=2**fee * 10**7
        )
        world.handle(world.sign(operation, configuration, tried, "thrifty"))
    starved = replace(world.make_transfer(account), verification_gas_limit=limit(opening) // 3)
    assert "" != world.refuse(world.sign(starved, configuration, opening, "thrifty"))
