"""Validation of the keystore's accounts keeps to ERC-7562, in every mode; and the rules would notice if it did not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from account_world import World, address_of, run_world
from apps.keystore.accounts import compute_account_key
from apps.keystore.smart_account import (
    CACHED,
    ENTRY_POINT,
    Configuration,
    UserOperation,
    compute_data,
    compute_implementation_address,
    compute_validator_address,
    configure_ecdsa,
    configure_p256,
    configure_webauthn,
    encode_init_code,
    encode_p256,
    encode_signature,
    encode_webauthn,
    remember,
)
from erc7562 import Step, Subject, find_violations, iterate_steps, list_accesses, list_targets
from microrollup.crypto.keccak import keccak256
from microrollup.testing.passkey import P256Key, Passkey

TRACE = {"disableMemory": True, "disableStorage": True}
YES = "600160005260206000f3"
"""Runtime code that returns one word, 1."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An L2 with the P-256 precompile, as bundlers' rules know it."""
    with run_world("--hardfork", "osaka", "--steps-tracing") as made:
        yield made


def trace(world: World, operation: UserOperation, *, staked: bool = True) -> tuple[list[Step], Subject]:
    """The steps of an operation's validation, and whom they are judged against."""
    answer: dict[str, Any] = world.anvil.call("debug_traceCall", world.make_transaction(operation), "latest", TRACE)
    factory = operation.init_code[:20]
    subject = Subject(ENTRY_POINT, operation.sender, factory, staked, not factory, frozenset())
    steps = list(iterate_steps(answer["structLogs"], subject))
    codeless = frozenset(target for target in list_targets(steps) if not world.has_code(target))
    return steps, subject._replace(codeless=codeless)


def judge(world: World, operation: UserOperation, *, staked: bool = True) -> list[str]:
    """What an operation's validation breaks."""
    return find_violations(*trace(world, operation, staked=staked))


def prepare(world: World, name: str) -> tuple[bytes, bytes, Configuration]:
    """A key that is not registered, its funded address, its first configuration."""
    configuration = configure_ecdsa(address_of(name))
    key = compute_account_key(bytes(32), compute_data(configuration), address_of(name))
    world.mirror()
    world.fund(world.account_of(key))
    return key, world.account_of(key), configuration


def test_deployment(world: World) -> None:
    """An operation that makes its account: the copy of the root is the one thing that needs the factory's stake."""
    key, account, configuration = prepare(world, "made")
    opening = world.keystore.open_first(configuration, address_of("made"))
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    operation = world.sign(operation, configuration, opening, "made")
    steps, subject = trace(world, operation)
    assert [] == find_violations(steps, subject)
    accesses = list_accesses(steps)
    assert {"factory", "account"} == {step.phase for step in steps}
    assert {account, world.roots} == {access.address for access in accesses}
    read = {access.address for access in accesses if not access.writes and access.phase == "factory"}
    assert {world.roots} == read - {account}
    assert {account} == {access.address for access in accesses if access.writes}
    assert {account} == {access.address for access in accesses if access.phase == "account"}
    assert {f"STO read of {world.roots.hex()} by factory"} == set(judge(world, operation, staked=False))


def test_deployment_after_a_foreign_root(world: World) -> None:
    """A new account that puts the signed root into its ring keeps to the rules too, and asks for no time."""
    key, account, configuration = prepare(world, "made late")
    opening = world.keystore.open_first(configuration, address_of("made late"))
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    operation = world.sign(operation, configuration, opening, "made late")
    world.keystore.register(configure_ecdsa(address_of("foreign")), "foreign")
    world.mirror()
    steps, subject = trace(world, operation)
    assert [] == find_violations(steps, subject)
    accesses = list_accesses(steps)
    assert {account} == {access.address for access in accesses if access.writes}
    assert 3 == len({access.slot for access in accesses if access.writes}), "root, times, one word of the ring"
    world.handle(operation)


@pytest.mark.parametrize("mode", ["exclusion", "inclusion", "previous root", "remembered", "cached"])
def test_each_mode(world: World, mode: str) -> None:
    """Validation reads and writes the account's own storage, and nothing else's; no rule is broken."""
    key, account, configuration = prepare(world, mode)
    opening = world.keystore.open_first(configuration, address_of(mode))
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    world.handle(world.sign(operation, configuration, opening, mode))
    if mode in ("inclusion", "remembered", "cached"):
        assert key == world.keystore.register(configuration, mode)
        opening = world.keystore.open(key, configuration, address_of(mode))
    elif mode == "previous root":
        world.keystore.register(configure_ecdsa(address_of("other")), "other")
    world.mirror()
    world.push(account)
    if mode == "cached":
        operation = world.sign(world.make_transfer(account), configuration, remember(opening), mode)
        world.handle(operation)
        opening = CACHED
    elif mode == "remembered":
        opening = remember(opening)
    operation = world.sign(world.make_transfer(account), configuration, opening, mode)
    steps, subject = trace(world, operation)
    assert [] == find_violations(steps, subject)
    accesses = list_accesses(steps)
    assert {account} == {access.address for access in accesses}
    assert (mode == "remembered") is any(access.writes for access in accesses)
    code = {compute_implementation_address(world.factory), compute_validator_address(configuration.code_hash)}
    assert code == {target for target in list_targets(steps) if world.has_code(target)} - {ENTRY_POINT, account}
    assert {"account"} == {step.phase for step in steps}
    expected = {"exclusion": 2, "inclusion": 2, "previous root": 3, "remembered": 3, "cached": 1}
    assert expected[mode] == len({access.slot for access in accesses})
    world.handle(operation)


@pytest.mark.parametrize("kind", ["P-256", "passkey"])
def test_p256_by_precompile(world: World, kind: str) -> None:
    """With the precompile, P-256 keys and passkeys keep to the rules too."""
    p256, passkey = P256Key(keccak256(b"p256")), Passkey(keccak256(b"passkey"))
    configuration = configure_p256(p256.point) if kind == "P-256" else configure_webauthn(passkey.point)
    key = world.keystore.register(configuration, kind)
    world.mirror()
    opening = world.keystore.open(key, configuration, address_of(kind))
    account = world.account_of(key)
    world.fund(account)
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    digest = world.compute_hash(operation)
    signature = encode_p256(p256.sign(digest)) if kind == "P-256" else encode_webauthn(passkey.sign(digest))
    operation = replace(operation, signature=encode_signature(configuration, opening, signature))
    assert [] == judge(world, operation)
    world.handle(operation)


@pytest.mark.parametrize(
    ("name", "code", "rules"),
    [
        ("says yes", YES, {}),
        ("asks the time", "4250" + YES, {"OP-011"}),
        ("asks for gas", "5a50" + YES, {"OP-012"}),
        ("asks for a balance", "4750" + YES, {"OP-080"}),
        ("reads its storage", "60005450" + YES, {"STO"}),
        ("reads its transient storage", "60005c50" + YES, {"STO"}),
        ("reads code that is not there", "611234" + "3b50" + YES, {"OP-041"}),
        ("calls what is not there", "6000600060006000611234" + "5afa50" + YES, {"OP-041"}),
        ("calls the entry point", "6000600060006000" + "73" + ENTRY_POINT.hex() + "611000fa50" + YES, {"OP-052"}),
    ],
)
def test_validators_that_break_the_rules(world: World, name: str, code: str, rules: set[str]) -> None:
    """A validator that a bundler would not run is found out, rule by rule, though the account itself takes its yes."""
    runtime = bytes.fromhex(code)
    creation_code = bytes.fromhex(f"60{len(runtime):02x}600c60003960{len(runtime):02x}6000f3") + runtime
    world.deploy(creation_code)
    configuration = Configuration(keccak256(creation_code), b"")
    key = world.keystore.register(configuration, name)
    world.mirror()
    account = world.account_of(key)
    world.fund(account)
    opening = world.keystore.open(key, configuration, address_of(name))
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    operation = replace(operation, signature=encode_signature(configuration, opening, b""))
    assert set(rules) == {violation.split()[0] for violation in judge(world, operation)}
    assert "" == world.refuse(operation)


def test_a_copy_elsewhere_would_not_do(world: World) -> None:
    """Reading the roots' contract itself while validating, as the design could have it, breaks the rules."""
    roots_read = keccak256(b"latest()")[:4].hex()
    code = "63" + roots_read + "60e01b600052" + "6060600060046000" + "73" + world.roots.hex() + "5afa50" + YES
    runtime = bytes.fromhex(code)
    creation_code = bytes.fromhex(f"60{len(runtime):02x}600c60003960{len(runtime):02x}6000f3") + runtime
    world.deploy(creation_code)
    configuration = Configuration(keccak256(creation_code), b"")
    key = world.keystore.register(configuration, "elsewhere")
    world.mirror()
    account = world.account_of(key)
    world.fund(account)
    opening = world.keystore.open(key, configuration, address_of("elsewhere"))
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    operation = replace(operation, signature=encode_signature(configuration, opening, b""))
    assert {f"STO read of {world.roots.hex()} by account"} == set(judge(world, operation))
