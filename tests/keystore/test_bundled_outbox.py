"""Operations by the outbox through a bundler: what the keystore names, and what it lends a key for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from account_world import RECIPIENT, address_of
from apps.keystore.plus.outbox import SetDelegate
from apps.keystore.smart_account import Configuration, UserOperation, configure_ecdsa
from bundled_world import BundledWorld
from bundlers import Bundler, BundlerRefused
from explaining import explain_twice
from lent_account import LentAccount
from microrollup.crypto.keccak import keccak256
from outbox_scene import OutboxScene
from published_accounts import KINDS, encode_module_execute

WRONG = "AA24 signature error"
OUTDATED = "AA22 expired or not due"
HOT = configure_ecdsa(address_of("hot"))


@pytest.fixture(scope="module")
def scene(bundled: BundledWorld) -> OutboxScene:
    """Alice's account on the L2."""
    return OutboxScene(bundled.world, bundled.keystore)


def set_delegate(scene: OutboxScene, chain_id: int, delegate: Configuration, until: int) -> None:
    """The account is lent, and the L2 hears of it."""
    action = SetDelegate(scene.key, chain_id, delegate.code_hash, keccak256(delegate.config), until)
    scene.keystore.act(action, scene.name)
    scene.bring()


def act_as_delegate(scene: OutboxScene, bundler: Bundler, chain_id: int) -> UserOperation:
    """The hot key's operation, estimated with its stub and done."""
    operation = scene.world.make_transfer(scene.account)
    estimated = bundler.estimate(scene.sign_as_delegate(operation, HOT, chain_id, stub=True))
    signed = scene.sign_as_delegate(estimated, HOT, chain_id)
    bundler.send(signed)
    return signed


def refuse(bundled: BundledWorld, operation: UserOperation, reason: str, cause: str = "taken") -> None:
    """Neither the entry point nor a bundler of either kind takes the operation; the cause is of what has no time."""
    assert reason == bundled.world.refuse(operation)
    assert cause == explain_twice(operation, bundled.world.anvil).cause
    for bundler in (bundled.unsafe, bundled.safe):
        with pytest.raises(BundlerRefused, match="expire" if reason == OUTDATED else r"(?i)signature"):
            bundler.submit(operation)


@pytest.mark.parametrize("mode", ["unsafe", "safe"])
def test_an_intent_alone(bundled: BundledWorld, scene: OutboxScene, mode: str) -> None:
    """Estimated before the keystore names it, since it names the limits too; then done without any signature."""
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    estimated = bundler.estimate(scene.stub_intent(scene.world.make_transfer(scene.account)))
    operation = scene.intend(estimated, 1 + bundler.safe)
    assert b"\x03" == operation.signature[:1]
    bundler.send(operation)
    again = replace(operation, nonce=scene.world.get_nonce(scene.account))
    refuse(bundled, again, WRONG, "other_operation")


@pytest.mark.parametrize("mode", ["unsafe", "safe"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_delegate(bundled: BundledWorld, scene: OutboxScene, mode: str, everywhere: bool) -> None:
    """A hot key of this chain, and one of every chain while this chain has no entry, act; as estimated."""
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    if everywhere:
        scene = OutboxScene(bundled.world, bundled.keystore, f"bob, {mode}")
    chain_id = 0 if everywhere else scene.world.chain_id
    set_delegate(scene, chain_id, HOT, scene.get_end())
    act_as_delegate(scene, bundler, chain_id)


@pytest.mark.parametrize("mode", ["unsafe", "safe"])
def test_a_delegate_of_another_account(bundled: BundledWorld, mode: str) -> None:
    """By the module, in OpenZeppelin's account: it asks that account alone which of its calls would change it."""
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    lent = LentAccount(bundled.world, bundled.keystore, KINDS[0], f"carol, {mode}")
    operation = bundler.estimate(lent.make(encode_module_execute(RECIPIENT, 1)))
    balance = bundled.world.get_balance(RECIPIENT)
    bundler.send(lent.sign(operation))
    assert balance + 1 == bundled.world.get_balance(RECIPIENT)


def test_a_delegate_replaced(bundled: BundledWorld, scene: OutboxScene) -> None:
    """Another one takes its place: by the new root it opens nothing, by the old one until its grace is over."""
    chain_id = scene.world.chain_id
    set_delegate(scene, chain_id, HOT, scene.get_end())
    operation = scene.sign_as_delegate(scene.world.make_transfer(scene.account), HOT, chain_id)
    assert "" == scene.world.refuse(operation)
    set_delegate(scene, chain_id, configure_ecdsa(address_of("warm")), scene.get_end())
    refuse(bundled, scene.sign_as_delegate(operation, HOT, chain_id), WRONG, "other_delegate")
    scene.world.anvil.mine(80)
    refuse(bundled, operation, OUTDATED)


def test_a_delegate_expired(bundled: BundledWorld, scene: OutboxScene) -> None:
    """At its own end, under a root that is still good."""
    chain_id = scene.world.chain_id
    set_delegate(scene, chain_id, HOT, scene.world.get_time() + 2_000)
    act_as_delegate(scene, bundled.unsafe, chain_id)
    operation = scene.sign_as_delegate(scene.world.make_transfer(scene.account), HOT, chain_id)
    scene.world.anvil.mine(100)
    refuse(bundled, operation, OUTDATED)


def test_a_delegate_of_another_chain(bundled: BundledWorld, scene: OutboxScene) -> None:
    """What is lent for one chain opens nothing on another, whose entry it is not."""
    other = scene.world.chain_id + 1
    set_delegate(scene, other, HOT, scene.get_end())
    refuse(
        bundled, scene.sign_as_delegate(scene.world.make_transfer(scene.account), HOT, other), WRONG, "other_delegate"
    )
