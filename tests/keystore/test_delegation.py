"""An EOA that delegates to the keystore's code (EIP-7702): on a chain, through the entry point and a bundler."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from account_world import RECIPIENT, World, address_of, make_key, show
from apps.keystore.smart_account import (
    CACHED,
    ENTRY_POINT,
    EOA_MARKER,
    UserOperation,
    compute_eoa_delegate_address,
    compute_set_key_digest,
    compute_user_operation_hash,
    configure_ecdsa,
    encode_eoa_delegate_creation,
    encode_push_root,
    encode_set_key,
    encode_signature,
    encode_stub_signature,
    encode_user_operation_json,
    remember,
    sign_ecdsa,
)
from apps.keystore.smart_account.user_operation import decode_user_operation_json
from bundled_world import BundledWorld
from contract_calls import _send as send_transaction
from delegating import authorize, delegate_by, set_key_by
from explaining import explain_twice
from microrollup.errors import UsageError
from waiting import wait_for

DELEGATE = b"\x77" * 20
OPERATION = UserOperation(b"\x22" * 20, 0, b"\1\2\3", EOA_MARKER + b"\4\5")


def set_up(world: World, name: str, key: bytes) -> bytes:
    """Somebody else's transactions delegate the EOA of a name to the keystore's code, set its key, and bring a root."""
    delegate = world.deploy(encode_eoa_delegate_creation(world.roots))
    assert delegate == compute_eoa_delegate_address(world.roots)
    call = set_key_by(world.anvil, name, delegate, key)
    account = delegate_by(world.anvil, world.funder, name, delegate, call)
    send_transaction(world.anvil, {"from": world.funder, "to": show(account), "data": show(encode_push_root())})
    world.fund(account)
    return account


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["unsafe", "safe"])
def test_by_a_bundler(bundled: BundledWorld, mode: str) -> None:
    """An EOA with its address of before: estimated by a stub, included, cached, and with EIP-7702's marker."""
    world, keystore = bundled.world, bundled.keystore
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    name, owner = f"an EOA, {mode}", f"its key on the keystore, {mode}"
    configuration = configure_ecdsa(address_of(owner))
    key = keystore.register(configuration, owner)
    world.mirror()
    account = set_up(world, name, key)
    delegate = compute_eoa_delegate_address(world.roots)
    included = remember(keystore.open(key, configuration, address_of(owner)))
    for opening in (included, CACHED):
        stub = encode_stub_signature(configuration, opening)
        estimated = bundler.estimate(replace(world.make_transfer(account), signature=stub))
        bundler.send(world.sign(estimated, configuration, opening, owner))
    marked = world.make_transfer(account, EOA_MARKER)
    digest = compute_user_operation_hash(marked, ENTRY_POINT, world.chain_id, delegate)
    assert digest == world.ask_hash(marked)
    signature = encode_signature(configuration, CACHED, sign_ecdsa(make_key(owner), digest))
    assert "taken" == explain_twice(replace(marked, signature=signature), world.anvil).cause
    world.handle(replace(marked, signature=signature))
    by_itself = world.sign(world.make_transfer(account), configuration, included, name)
    assert "AA24 signature error" == world.refuse(by_itself)
    assert "wrong_key" == explain_twice(by_itself, world.anvil).cause


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["unsafe", "safe"])
def test_back_by_an_operation(bundled: BundledWorld, mode: str) -> None:
    """An EOA took back its delegation: the operation itself brings it again, with the key and root of before."""
    world, keystore = bundled.world, bundled.keystore
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    name, owner = f"an EOA that comes back, {mode}", f"the key of one that comes back, {mode}"
    configuration = configure_ecdsa(address_of(owner))
    key = keystore.register(configuration, owner)
    world.mirror()
    account, delegate = set_up(world, name, key), compute_eoa_delegate_address(world.roots)
    delegate_by(world.anvil, world.funder, name, bytes(20))
    opening = keystore.open(key, configuration, address_of(owner))
    operation = replace(world.make_transfer(account, EOA_MARKER), pre_verification_gas=150_000)
    digest = compute_user_operation_hash(operation, ENTRY_POINT, world.chain_id, delegate)
    signature = encode_signature(configuration, opening, sign_ecdsa(make_key(owner), digest))
    document = encode_user_operation_json(replace(operation, signature=signature))
    document["eip7702Auth"] = authorize(world.anvil, name, delegate)
    bundler.call("eth_sendUserOperation", document, show(ENTRY_POINT))
    balance = world.get_balance(RECIPIENT)
    bundler.call("debug_bundler_sendBundleNow")
    wait_for(lambda: world.get_balance(RECIPIENT) > balance, 60)
    assert world.has_code(account)


def test_marker() -> None:
    """The delegate stands in the hash for the marker, and bundlers are told it by its two bytes."""
    digest = compute_user_operation_hash(OPERATION, ENTRY_POINT, 1, DELEGATE)
    assert digest == compute_user_operation_hash(replace(OPERATION, init_code=DELEGATE + b"\4\5"), ENTRY_POINT, 1)
    for short in (b"\x77\x02", EOA_MARKER[:7]):
        bare = compute_user_operation_hash(replace(OPERATION, init_code=short), ENTRY_POINT, 1, DELEGATE)
        assert bare == compute_user_operation_hash(replace(OPERATION, init_code=DELEGATE), ENTRY_POINT, 1)
    with pytest.raises(UsageError):
        compute_user_operation_hash(OPERATION, ENTRY_POINT, 1)
    document = encode_user_operation_json(OPERATION)
    assert ("0x7702", "0x0405") == (document["factory"], document["factoryData"])
    assert OPERATION == decode_user_operation_json(document)


@pytest.mark.parametrize(
    ("key", "sequence", "signature"),
    [
        (bytes(32), 1, bytes(65)),
        (b"\1" * 31, 1, bytes(65)),
        (b"\1" * 32, 0, bytes(65)),
        (b"\1" * 32, 1 << 256, bytes(65)),
        (b"\1" * 32, 1, bytes(64)),
    ],
    ids=["zero", "short key", "sequence 0", "sequence too large", "short signature"],
)
def test_refused(key: bytes, sequence: int, signature: bytes) -> None:
    """What the contract would refuse anyway."""
    with pytest.raises(UsageError):
        encode_set_key(key, sequence, signature)


def test_digest_binds_everything() -> None:
    """Chain, account, delegate, key and sequence."""
    base: tuple[Any, ...] = (b"\1" * 20, DELEGATE, b"\3" * 32, 1, 1)
    other: tuple[Any, ...] = (b"\2" * 20, b"\2" * 20, b"\2" * 32, 2, 2)
    digests = {compute_set_key_digest(*base)}
    for place in range(5):
        digests.add(compute_set_key_digest(*base[:place], other[place], *base[place + 1 :]))
    assert 6 == len(digests)
    with pytest.raises(UsageError):
        compute_set_key_digest(b"\1" * 19, *base[1:])
