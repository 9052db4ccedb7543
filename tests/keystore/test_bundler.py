"""Operations through a bundler of npm's, which simulates, estimates and, in its safe mode, traces them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from account_world import World, address_of
from apps.keystore.smart_account import (
    Configuration,
    Opening,
    configure_ecdsa,
    encode_init_code,
)
from bundled_world import BundledWorld
from bundlers import BundlerRefused
from microrollup.crypto.keccak import keccak256

TIMEKEEPER = bytes.fromhex("6a425060015f5260205ff3005f52600b6015f3")
"""Creation code of `TIMESTAMP, POP`, and a return of 1."""


def _prepare(world: World, name: str) -> tuple[Configuration, Opening, bytes, bytes]:
    """A registered key with one Ethereum key, its funded account, and what makes that account."""
    configuration = configure_ecdsa(address_of(name))
    key = world.keystore.register(configuration, name)
    world.mirror()
    opening = world.keystore.open(key, configuration, address_of(name))
    account = world.account_of(key)
    world.fund(account)
    return configuration, opening, account, encode_init_code(world.factory, key, opening.root)


@pytest.mark.parametrize("mode", ["unsafe", "safe"])
def test_deploys_and_acts(bundled: BundledWorld, mode: str) -> None:
    """The first operation makes the account, the second finds it there."""
    world, _, unsafe, safe = bundled
    bundler = safe if mode == "safe" else unsafe
    configuration, opening, account, init_code = _prepare(world, f"bundled, {mode}")
    for code in (init_code, b""):
        operation = bundler.estimate(
            world.sign(world.make_transfer(account, code), configuration, opening, f"bundled, {mode}")
        )
        bundler.send(world.sign(operation, configuration, opening, f"bundled, {mode}"))


def test_a_wrong_key(bundled: BundledWorld) -> None:
    """Both bundlers refuse a foreign key by their simulation."""
    world, _, unsafe, safe = bundled
    configuration, opening, account, init_code = _prepare(world, "refused")
    operation = world.make_transfer(account, init_code)
    for bundler in (unsafe, safe):
        with pytest.raises(BundlerRefused, match=r"(?i)signature"):
            bundler.submit(world.sign(operation, configuration, opening, "a stranger"))


def test_a_validator_that_breaks_a_rule(bundled: BundledWorld) -> None:
    """A validator that asks for the time, and then says yes, passes where nobody looks at its instructions."""
    world, _, unsafe, safe = bundled
    world.deploy(TIMEKEEPER)
    configuration = Configuration(keccak256(TIMEKEEPER), b"")
    key = world.keystore.register(configuration, "timekeeper")
    world.mirror()
    account = world.account_of(key)
    world.fund(account)
    opening = world.keystore.open(key, configuration, address_of("timekeeper"))
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    signed = world.sign(operation, configuration, opening, "anybody")
    with pytest.raises(BundlerRefused, match="banned opcode: TIMESTAMP"):
        safe.submit(signed)
    unsafe.send(signed)


def test_roots_that_come_after_the_estimate(bundled: BundledWorld) -> None:
    """Four roots arrive between estimate and inclusion: the proof's root is looked for among the replaced ones."""
    world, keystore, unsafe, _ = bundled
    configuration, opening, account, init_code = _prepare(world, "overtaken")
    key = init_code[24:56]
    unsafe.send(world.sign(world.make_transfer(account, init_code), configuration, opening, "overtaken"))
    for number in range(4):
        operation = unsafe.estimate(world.sign(world.make_transfer(account), configuration, opening, "overtaken"))
        keystore.register(configure_ecdsa(address_of(f"overtaking {number}")), f"overtaking {number}")
        world.mirror()
        world.push(account)
        unsafe.send(world.sign(operation, configuration, opening, "overtaken"))
    found = unsafe.estimate(world.sign(world.make_transfer(account), configuration, opening, "overtaken"))
    present = keystore.open(key, configuration, address_of("overtaken"))
    early = unsafe.estimate(world.sign(world.make_transfer(account), configuration, present, "overtaken"))
    assert early.verification_gas_limit <= found.verification_gas_limit
    late = replace(found, verification_gas_limit=early.verification_gas_limit)
    unsafe.send(world.sign(late, configuration, opening, "overtaken"))
