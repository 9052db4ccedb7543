"""Intents and delegates that Keystore+ made, on an L2 under the published entry point, by the rules of bundlers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from msgspec.structs import replace

from account_world import World, address_of, make_key
from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.proofs import encode_proof
from apps.keystore.smart_account import (
    ENTRY_POINT,
    ChainEntry,
    Configuration,
    UserOperation,
    compute_data,
    compute_implementation_address,
    compute_validator_address,
    configure_ecdsa,
    encode_delegate_signature,
    encode_init_code,
    encode_intent_signature,
    sign_ecdsa,
)
from apps.keystore.transitions import Register, Update
from erc7562 import Subject, find_violations, iterate_steps, list_accesses, list_targets
from microrollup.crypto.keccak import keccak256
from plus_accounts import PlusKeystore, run_plus_world

TRACE: Final = {"disableMemory": True, "disableStorage": True}
SALT: Final = bytes(32)
HOUR: Final = 3_600


class Scene:
    """An account of alice's on an L2, and her keystore."""

    def __init__(self, world: World, keystore: PlusKeystore) -> None:
        self.world, self.keystore = world, keystore
        self.configuration = configure_ecdsa(address_of("alice"))
        data = compute_data(self.configuration)
        self.key = compute_account_key(SALT, data, address_of("alice"))
        keystore.act(Register(data[:32], data[32:], SALT), "alice")
        self.account = world.account_of(self.key)
        world.fund(self.account)
        world.mirror()
        opening = keystore.open(self.key, self.configuration, address_of("alice"))
        operation = world.make_transfer(self.account, encode_init_code(world.factory, self.key, opening.root))
        world.handle(world.sign(operation, self.configuration, opening, "alice"))

    def bring(self) -> None:
        """The L2 hears of the newest root, and so does the account, whose ring of replaced ones has had its time."""
        self.world.anvil.mine(80)
        self.world.mirror()
        self.world.push(self.account)

    def get_end(self) -> int:
        """Two hours from now."""
        return self.world.get_time() + 2 * HOUR

    def intend(self, operation: UserOperation, slot: int) -> UserOperation:
        """Alice names the operation on the keystore; it needs no signature."""
        user_op_hash = self.world.compute_hash(operation)
        action = Intend(self.key, slot, self.world.chain_id, self.account, user_op_hash, self.get_end())
        self.keystore.act(action, "alice")
        self.bring()
        return self.open_intent(operation, slot)

    def open_intent(self, operation: UserOperation, slot: int) -> UserOperation:
        """The operation with what the keystore says of it now."""
        shown, account = self.keystore.show("outbox.intents", (self.key, slot)), self.keystore.prove(self.key)
        proofs = encode_proof(True, account.proof), encode_proof(True, shown.proof)
        times = shown.stored.valid_after, shown.stored.valid_until
        return replace(operation, signature=encode_intent_signature(slot, *times, account.value, *proofs))

    def sign_as_delegate(self, operation: UserOperation, delegate: Configuration, chain_id: int) -> UserOperation:
        """The operation, signed by the delegate of a chain, or of every chain (0)."""
        shown, account = self.keystore.show("outbox.delegates", (self.key, chain_id)), self.keystore.prove(self.key)
        entry = None
        if chain_id == 0:
            here = self.keystore.show("outbox.delegates", (self.key, self.world.chain_id))
            entry = ChainEntry(here.exists, encode_proof(here.exists, here.proof))
        signature = sign_ecdsa(make_key("hot"), self.world.compute_hash(operation))
        proofs = encode_proof(True, account.proof), encode_proof(True, shown.proof)
        whole = encode_delegate_signature(
            delegate, signature, shown.stored.valid_until, account.value, *proofs, entry=entry
        )
        return replace(operation, signature=whole)

    def judge(self, operation: UserOperation, code_hash: bytes | None) -> None:
        """Validation breaks no rule, reads the account's own storage, and touches the code that it must."""
        world = self.world
        answer = world.anvil.call("debug_traceCall", world.make_transaction(operation), "latest", TRACE)
        subject = Subject(ENTRY_POINT, operation.sender, b"", True, True, frozenset())
        steps = list(iterate_steps(answer["structLogs"], subject))
        codeless = frozenset(target for target in list_targets(steps) if not world.has_code(target))
        assert [] == find_violations(steps, subject._replace(codeless=codeless))
        accesses = list_accesses(steps)
        assert {self.account} == {access.address for access in accesses}
        assert not any(access.writes for access in accesses)
        code = {compute_implementation_address(world.factory)}
        if code_hash is not None:
            code.add(compute_validator_address(code_hash))
        assert code == {target for target in list_targets(steps) if world.has_code(target)} - {
            ENTRY_POINT, self.account
        }  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """An L2 whose traces can be read, and Keystore+."""
    with run_plus_world("--steps-tracing") as (world, keystore):
        yield Scene(world, keystore)


def test_an_intent_without_a_key(scene: Scene) -> None:
    """What alice named on the keystore happens on the L2 once, without a signature there; a rotation would end it."""
    operation = scene.intend(scene.world.make_transfer(scene.account), 7)
    scene.judge(operation, None)
    assert "AA24 signature error" == scene.world.refuse(replace(operation, call_gas_limit=100_001))
    scene.world.handle(operation)
    assert "AA25 invalid account nonce" == scene.world.refuse(operation)


def test_a_delegate_of_every_chain(scene: Scene) -> None:
    """A hot key for all chains acts here until this chain gets an entry that forbids it."""
    hot = configure_ecdsa(address_of("hot"))
    scene.keystore.act(SetDelegate(scene.key, 0, hot.code_hash, keccak256(hot.config), scene.get_end()), "alice")
    scene.bring()
    operation = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, 0)
    scene.judge(operation, hot.code_hash)
    scene.world.handle(operation)

    scene.keystore.act(SetDelegate(scene.key, scene.world.chain_id, bytes(32), bytes(32), scene.get_end()), "alice")
    scene.bring()
    refused = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, 0)
    assert "AA24 signature error" == scene.world.refuse(refused)


def test_a_delegate_of_this_chain_until_a_rotation(scene: Scene) -> None:
    """A delegate of one chain acts; then alice turns her key, and it opens nothing under the new root."""
    hot = configure_ecdsa(address_of("hot"))
    chain_id = scene.world.chain_id
    action = SetDelegate(scene.key, chain_id, hot.code_hash, keccak256(hot.config), scene.get_end())
    scene.keystore.act(action, "alice")
    scene.bring()
    operation = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, chain_id)
    scene.judge(operation, hot.code_hash)
    scene.world.handle(operation)

    other = compute_data(configure_ecdsa(address_of("other")))
    scene.keystore.act(Update(scene.key, other[:32], other[32:], address_of("alice")), "alice")
    scene.bring()
    refused = scene.sign_as_delegate(scene.world.make_transfer(scene.account), hot, chain_id)
    assert "AA24 signature error" == scene.world.refuse(refused)
