"""Intents and delegates that Keystore+ made, on an L2 under the published entry point, by the rules of bundlers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from msgspec.structs import replace

from account_world import address_of
from apps.keystore.plus.outbox import SetDelegate
from apps.keystore.smart_account import (
    ENTRY_POINT,
    UserOperation,
    compute_data,
    compute_implementation_address,
    compute_validator_address,
    configure_ecdsa,
)
from apps.keystore.transitions import Update
from erc7562 import Subject, find_violations, iterate_steps, list_accesses, list_targets
from microrollup.crypto.keccak import keccak256
from outbox_scene import OutboxScene
from plus_accounts import run_plus_world

TRACE: Final = {"disableMemory": True, "disableStorage": True}
SALT: Final = bytes(32)
HOUR: Final = 3_600


def judge(scene: OutboxScene, operation: UserOperation, code_hash: bytes | None) -> None:
    """Validation breaks no rule, reads the account's own storage, and touches the code that it must."""
    world = scene.world
    answer = world.anvil.call("debug_traceCall", world.make_transaction(operation), "latest", TRACE)
    subject = Subject(ENTRY_POINT, operation.sender, b"", True, True, frozenset())
    steps = list(iterate_steps(answer["structLogs"], subject))
    codeless = frozenset(target for target in list_targets(steps) if not world.has_code(target))
    assert [] == find_violations(steps, subject._replace(codeless=codeless))
    accesses = list_accesses(steps)
    assert {scene.account} == {access.address for access in accesses}
    assert not any(access.writes for access in accesses)
    code = {compute_implementation_address(world.factory)}
    if code_hash is not None:
        code.add(compute_validator_address(code_hash))
    assert code == {target for target in list_targets(steps) if world.has_code(target)} - {
        ENTRY_POINT, scene.account
    }  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Iterator[OutboxScene]:
    """An L2 whose traces can be read, and Keystore+."""
    with run_plus_world("--steps-tracing") as (world, keystore):
        yield OutboxScene(world, keystore)


def test_an_intent_without_a_key(scene: OutboxScene) -> None:
    """What alice named on the keystore happens on the L2 once, without a signature there; a rotation would end it."""
    operation = scene.intend(scene.world.make_transfer(scene.account), 7)
    judge(scene, operation, None)
    assert "AA24 signature error" == scene.world.refuse(replace(operation, call_gas_limit=100_001))
    scene.world.handle(operation)
    assert "AA25 invalid account nonce" == scene.world.refuse(operation)


def test_a_delegate_of_every_chain(scene: OutboxScene) -> None:
    """A hot key for all chains acts here until this chain gets an entry that forbids it."""
    hot = configure_ecdsa(address_of("hot"))
    scene.keystore.act(SetDelegate(scene.key, 0, hot.code_hash, keccak256(hot.config), scene.get_end()), "alice")
    scene.bring()
    operation = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, 0)
    judge(scene, operation, hot.code_hash)
    scene.world.handle(operation)

    scene.keystore.act(SetDelegate(scene.key, scene.world.chain_id, bytes(32), bytes(32), scene.get_end()), "alice")
    scene.bring()
    refused = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, 0)
    assert "AA24 signature error" == scene.world.refuse(refused)


def test_a_delegate_of_this_chain_until_a_rotation(scene: OutboxScene) -> None:
    """A delegate of one chain acts; then alice turns her key, and it opens nothing under the new root."""
    hot = configure_ecdsa(address_of("hot"))
    chain_id = scene.world.chain_id
    action = SetDelegate(scene.key, chain_id, hot.code_hash, keccak256(hot.config), scene.get_end())
    scene.keystore.act(action, "alice")
    scene.bring()
    operation = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, chain_id)
    judge(scene, operation, hot.code_hash)
    scene.world.handle(operation)

    other = compute_data(configure_ecdsa(address_of("other")))
    scene.keystore.act(Update(scene.key, other[:32], other[32:], address_of("alice")), "alice")
    scene.bring()
    refused = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, chain_id)
    assert "AA24 signature error" == scene.world.refuse(refused)
