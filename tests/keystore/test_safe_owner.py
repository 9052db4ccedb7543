"""A keystore account as an owner of a Safe: how it signs, what ends its signature, and what must not be done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from msgspec.structs import replace

from account_world import ETHER, RECIPIENT, World, address_of, make_key, run_world
from apps.keystore.smart_account import (
    Call,
    Configuration,
    Opening,
    compute_personal_sign_digest,
    configure_ecdsa,
    encode_execute,
    encode_init_code,
    encode_signature,
    sign_ecdsa,
)
from microrollup.testing.anvil import AnvilRefused
from published_accounts import Safe, ask, encode_call, send

GRACE_BLOCKS: Final = 80
HALF: Final = ETHER // 2


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An L2."""
    with run_world("--hardfork", "osaka") as made:
        yield made


class Owner:
    """A keystore account that is there."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.configuration = configure_ecdsa(address_of(name))
        self.key = world.keystore.register(self.configuration, name)
        world.mirror()
        self.account = world.account_of(self.key)
        world.fund(self.account)
        code = encode_init_code(world.factory, self.key, self.open().root)
        world.handle(world.sign(world.make_transfer(self.account, code), self.configuration, self.open(), name))

    def open(self) -> Opening:
        """What the keystore shows now."""
        return self.world.keystore.open(self.key, self.configuration, address_of(self.name))

    def sign(self, digest: bytes) -> bytes:
        """The key's own signature of what a contract asks about, which no proof is part of."""
        nested = compute_personal_sign_digest(self.account, self.world.chain_id, digest)
        return sign_ecdsa(make_key(self.name), nested)

    def act(self, target: bytes, data: bytes) -> None:
        """An operation of the account."""
        operation = replace(self.world.make_transfer(self.account), call_data=encode_execute(Call(target, 0, data)))
        self.world.handle(self.world.sign(operation, self.configuration, self.open(), self.name))


def encode_signatures(parts: dict[bytes, bytes]) -> bytes:
    """A Safe's signatures, by owner: 65 bytes, or whatever a contract takes; the owners ascend."""
    heads, tail = b"", b""
    start = 65 * len(parts)
    for owner in sorted(parts):
        if len(parts[owner]) == 65:
            heads += parts[owner]
            continue
        heads += owner.rjust(32, b"\0") + (start + len(tail)).to_bytes(32, "big") + b"\0"
        tail += len(parts[owner]).to_bytes(32, "big") + parts[owner]
    return heads + tail


def wrap(owner: Owner, configuration: Configuration, opening: Opening, signature: bytes) -> bytes:
    """As the account takes it; longer than 65 bytes."""
    return encode_signature(configuration, opening, signature)


def approve(owner: bytes) -> bytes:
    """What stands for the signature of an owner who has called `approveHash`."""
    return owner.rjust(32, b"\0") + bytes(32) + b"\1"


def is_taken(world: World, safe: Safe, value: int, signatures: bytes) -> bool:
    """Whether the Safe would send the value with these signatures."""
    try:
        answer = ask(world, safe.address, safe.encode_transaction(RECIPIENT, value, b"", signatures))
    except AnvilRefused:
        return False
    return int.from_bytes(answer, "big") == 1


def make_safe(world: World, owner: bytes, version: str) -> Safe:
    """Two of two: the account, and an Ethereum key."""
    safe = Safe(world, [owner, address_of("partner")], 2, version=version)
    world.fund(safe.address)
    return safe


def test_signs_for_a_safe(world: World) -> None:
    """Safe 1.5.0 asks the account by ERC-1271. A signature that waits needs a newer proof, and no second signature."""
    owner = Owner(world, "signer")
    safe = make_safe(world, owner.account, "1.5.0")
    digest = safe.compute_hash(RECIPIENT, HALF, b"")
    partner = sign_ecdsa(make_key("partner"), digest)
    signature, opening = owner.sign(digest), owner.open()
    whole = wrap(owner, owner.configuration, opening, signature)
    assert is_taken(world, safe, HALF, encode_signatures({owner.account: whole, address_of("partner"): partner}))
    forged = wrap(owner, owner.configuration, opening, sign_ecdsa(make_key("signer"), digest))
    assert not is_taken(world, safe, HALF, encode_signatures({owner.account: forged, address_of("partner"): partner}))

    world.keystore.register(configure_ecdsa(address_of("meanwhile")), "meanwhile")
    world.mirror()
    world.push(owner.account)
    world.anvil.mine(GRACE_BLOCKS)
    assert not is_taken(world, safe, HALF, encode_signatures({owner.account: whole, address_of("partner"): partner}))
    renewed = wrap(owner, owner.configuration, owner.open(), signature)
    signatures = encode_signatures({owner.account: renewed, address_of("partner"): partner})
    balance = world.get_balance(RECIPIENT)
    send(world, safe.address, safe.encode_transaction(RECIPIENT, HALF, b"", signatures))
    assert balance + HALF == world.get_balance(RECIPIENT)


def test_older_safes_ask_in_another_way(world: World) -> None:
    """Safe 1.4.1 asks contracts by a function that the account has not; but it can approve by an operation."""
    owner = Owner(world, "approver")
    safe = make_safe(world, owner.account, "1.4.1")
    digest = safe.compute_hash(RECIPIENT, HALF, b"")
    partner = sign_ecdsa(make_key("partner"), digest)
    whole = wrap(owner, owner.configuration, owner.open(), owner.sign(digest))
    assert not is_taken(world, safe, HALF, encode_signatures({owner.account: whole, address_of("partner"): partner}))
    owner.act(safe.address, encode_call("approveHash(bytes32)", digest))
    signatures = encode_signatures({owner.account: approve(owner.account), address_of("partner"): partner})
    balance = world.get_balance(RECIPIENT)
    send(world, safe.address, safe.encode_transaction(RECIPIENT, HALF, b"", signatures))
    assert balance + HALF == world.get_balance(RECIPIENT)


def test_what_must_not_be_done(world: World) -> None:
    """An account that is not deployed signs nothing for a Safe, which is locked until somebody deploys it."""
    configuration = configure_ecdsa(address_of("absent"))
    key = world.keystore.register(configuration, "absent")
    world.mirror()
    account = world.account_of(key)
    safe = make_safe(world, account, "1.5.0")
    digest = safe.compute_hash(RECIPIENT, HALF, b"")
    partner = sign_ecdsa(make_key("partner"), digest)
    nested = compute_personal_sign_digest(account, world.chain_id, digest)
    opening = world.keystore.open(key, configuration, address_of("absent"))
    whole = encode_signature(configuration, opening, sign_ecdsa(make_key("absent"), nested))
    signatures = encode_signatures({account: whole, address_of("partner"): partner})
    assert not world.has_code(account)
    assert not is_taken(world, safe, HALF, signatures)
    world.fund(account)
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    world.handle(world.sign(operation, configuration, opening, "absent"))
    assert is_taken(world, safe, HALF, signatures)


def test_an_old_root_locks_a_safe(world: World) -> None:
    """Seven days after L1 last showed the root, the account signs nothing, until a newer one is brought and pushed."""
    owner = Owner(world, "patient")
    safe = make_safe(world, owner.account, "1.5.0")
    digest = safe.compute_hash(RECIPIENT, HALF, b"")
    partner = sign_ecdsa(make_key("partner"), digest)
    whole = wrap(owner, owner.configuration, owner.open(), owner.sign(digest))
    signatures = encode_signatures({owner.account: whole, address_of("partner"): partner})
    world.anvil.call("evm_setNextBlockTimestamp", world.get_time() + 8 * 86_400)
    world.anvil.call("evm_mine")
    assert not is_taken(world, safe, HALF, signatures)
    world.mirror()
    world.push(owner.account)
    assert is_taken(world, safe, HALF, signatures)
