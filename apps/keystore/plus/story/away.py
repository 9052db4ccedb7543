"""The acts on the L2: an operation that nobody signs there, and keys that are lent for a while."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256

from ...proofs import encode_proof
from ...smart_account import (
    CACHED,
    ENTRY_POINT,
    UserOperation,
    compute_user_operation_hash,
    encode_delegate_signature,
    encode_init_code,
    encode_intent_signature,
)
from ...story.acts import GRACE_SECONDS
from ...story.holder import Device
from ..outbox import Intend, SetDelegate
from .hub import DAY
from .stage import Stage

__all__ = ["SIGNATURE_ERROR", "act_by_intent", "bring_root", "lend_keys", "sign_as_delegate", "try_on_l2"]

SIGNATURE_ERROR: Final = "AA24 signature error"
_TAKEN: Final = "taken"
_SLOT: Final = 7
_GAS_LIMIT: Final = 1_000_000
"""For validation, which makes the account or opens two proofs, or both."""


def bring_root(stage: Stage, what: str) -> None:
    """Anybody proves L1's newest root to the L2, and renews Alice's account's copy of it."""
    layer = stage.layer
    with stage.telling.timed(f"{what}: anybody proves the root of L1", "L2 ingestion", layer.name) as figures:
        recorded, proven = layer.mirror_by_proof(stage.l1, stage.bridges.inbox)
        figures.gas, figures.bytes = recorded.gas + proven.gas, recorded.bytes + proven.bytes
    stage.telling.expect("the root of L1", layer.name, hex0x(stage.hub.read_root()), hex0x(layer.read_root()))
    if layer.has_code(stage.account):
        with stage.telling.timed(f"{what}: pushRoot", "L2 ingestion", layer.name) as figures:
            pushed = layer.push_root(stage.account)
            figures.gas, figures.bytes = pushed.gas, pushed.bytes


def _make_operation(stage: Stage) -> UserOperation:
    """One that pays a wei, not signed."""
    alice, layer = stage.cast.alice, stage.layer
    operation = layer.make_operation(alice.identity, alice.device, CACHED, 0)
    # The root in `initCode` could only be one before the newest; zero stands for none, so nothing depends on the proof.
    init_code = b"" if layer.has_code(stage.account) else encode_init_code(layer.factory, alice.key, bytes(32))
    return replace(operation, init_code=init_code, verification_gas_limit=_GAS_LIMIT, signature=b"")


def _hash(stage: Stage, operation: UserOperation) -> bytes:
    return compute_user_operation_hash(operation, ENTRY_POINT, stage.layer.chain_id)


def handle(stage: Stage, step: str, operation: UserOperation) -> None:
    """Have an operation done; told with its gas and its bytes."""
    layer = stage.layer
    before = layer.get_received()
    with stage.telling.timed(step, "use", layer.name) as figures:
        done = layer.handle(operation)
        figures.gas, figures.bytes = done.gas, done.bytes
    stage.telling.expect(step, layer.name, "done", "done" if layer.get_received() == before + 1 else "not done")


def try_on_l2(stage: Stage, what: str, expected: str, operation: UserOperation) -> None:
    """What a bundler is told of an operation."""
    stage.telling.expect(what, stage.layer.name, expected, stage.layer.refuse(operation) or _TAKEN)


def act_by_intent(stage: Stage) -> None:
    """Alice signs for the rollup, once; on the L2 there is no key, not even to make her account."""
    hub, layer, alice, tell = stage.hub, stage.layer, stage.cast.alice, stage.telling
    tell.begin("Intent", "Alice's account on the L2 is made and acts by what she has signed on the keystore.")
    layer.give_ether(stage.account)
    operation = _make_operation(stage)
    until = stage.l1.get_time() + DAY // 2
    action = Intend(alice.key, _SLOT, layer.chain_id, stage.account, _hash(stage, operation), until)
    hub.settle("settle the intent", hub.act("Alice intends an operation", action, alice.wallet))
    bring_root(stage, "the intent")
    shown, account = hub.prove("outbox.intents", (alice.key, _SLOT)), hub.prove("keystore.accounts", alice.key)
    proofs = encode_proof(True, account.proof), encode_proof(True, shown.proof)
    times = shown.stored.valid_after, shown.stored.valid_until
    signature = encode_intent_signature(_SLOT, *times, account.value, *proofs)
    try_on_l2(stage, "the operation without the intent", SIGNATURE_ERROR, replace(operation, signature=b"\x03" * 80))
    handle(stage, "a bundler brings it, without any key", replace(operation, signature=signature))


def sign_as_delegate(stage: Stage, signer: Device, shown_as: Device) -> UserOperation:
    """An operation that `signer` signs, with the proofs of the delegate `shown_as`, as L1 has them now."""
    hub, alice, chain_id = stage.hub, stage.cast.alice, stage.layer.chain_id
    operation = _make_operation(stage)
    shown, account = hub.prove("outbox.delegates", (alice.key, chain_id)), hub.prove("keystore.accounts", alice.key)
    proofs = encode_proof(True, account.proof), encode_proof(True, shown.proof)
    signature = signer.sign(_hash(stage, operation))
    until = shown.stored.valid_until
    whole = encode_delegate_signature(shown_as.configuration, signature, until, account.value, *proofs)
    return replace(operation, signature=whole)


def _lend(stage: Stage, helper: Device) -> None:
    hub, alice, configuration = stage.hub, stage.cast.alice, helper.configuration
    until = stage.l1.get_time() + 100 * DAY
    hashed = keccak256(configuration.config)
    action = SetDelegate(alice.key, stage.layer.chain_id, configuration.code_hash, hashed, until)
    hub.settle(f"settle {helper.name}", hub.act(f"Alice lends her account to {helper.name}", action, alice.wallet))
    bring_root(stage, helper.name)


def lend_keys(stage: Stage) -> None:
    """A delegate acts for her on this chain; another one replaces it."""
    layer, (first, second) = stage.layer, stage.cast.helpers
    stage.telling.begin("Delegates", "Alice lets a hot key act for her on this L2, and replaces it by another one.")
    _lend(stage, first)
    handle(stage, f"{first.name} acts", sign_as_delegate(stage, first, first))
    outdated = sign_as_delegate(stage, first, first)
    _lend(stage, second)
    layer.reach_time(layer.get_time() + GRACE_SECONDS + 60)
    try_on_l2(stage, f"{first.name}, with the old proof, 15 minutes later", "AA22 expired or not due", outdated)
    try_on_l2(stage, f"{first.name}, as {second.name}", SIGNATURE_ERROR, sign_as_delegate(stage, first, second))
    handle(stage, f"{second.name} acts", sign_as_delegate(stage, second, second))
