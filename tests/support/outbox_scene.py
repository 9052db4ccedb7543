"""An account on an L2, and what its keystore's outbox says: intents and delegates."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from account_world import World, address_of, make_key
from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.outbox import Intend
from apps.keystore.proofs import encode_proof
from apps.keystore.smart_account import (
    ChainEntry,
    Configuration,
    UserOperation,
    compute_data,
    configure_ecdsa,
    encode_delegate_signature,
    encode_init_code,
    encode_intent_signature,
    encode_stub_delegate_signature,
    encode_stub_intent_signature,
    sign_ecdsa,
)
from apps.keystore.transitions import Register
from plus_accounts import PlusKeystore

__all__ = ["OutboxScene"]

_SALT: Final = bytes(32)
_HOUR: Final = 3_600


class OutboxScene:
    """Somebody's account on an L2, and the keystore."""

    def __init__(self, world: World, keystore: PlusKeystore, name: str = "alice") -> None:
        self.world, self.keystore, self.name = world, keystore, name
        self.configuration = configure_ecdsa(address_of(name))
        data = compute_data(self.configuration)
        self.key = compute_account_key(_SALT, data, address_of(name))
        keystore.act(Register(data[:32], data[32:], _SALT), name)
        self.account = world.account_of(self.key)
        world.fund(self.account)
        world.mirror()
        opening = keystore.open(self.key, self.configuration, address_of(name))
        operation = world.make_transfer(self.account, encode_init_code(world.factory, self.key, opening.root))
        world.handle(world.sign(operation, self.configuration, opening, name))

    def bring(self) -> None:
        """The L2 hears of the newest root, and so does the account, whose ring of replaced ones has had its time."""
        self.world.anvil.mine(80)
        self.world.mirror()
        self.world.push(self.account)

    def get_end(self) -> int:
        """Two hours from now."""
        return self.world.get_time() + 2 * _HOUR

    def intend(self, operation: UserOperation, slot: int) -> UserOperation:
        """They name the operation on the keystore; it needs no signature."""
        user_op_hash = self.world.compute_hash(operation)
        action = Intend(self.key, slot, self.world.chain_id, self.account, user_op_hash, self.get_end())
        self.keystore.act(action, self.name)
        self.bring()
        return self.open_intent(operation, slot)

    def open_intent(self, operation: UserOperation, slot: int) -> UserOperation:
        """The operation with what the keystore says of it now."""
        shown, account = self.keystore.show("outbox.intents", (self.key, slot)), self.keystore.prove(self.key)
        proofs = encode_proof(True, account.proof), encode_proof(True, shown.proof)
        times = shown.stored.valid_after, shown.stored.valid_until
        return replace(operation, signature=encode_intent_signature(slot, *times, account.value, *proofs))

    def stub_intent(self, operation: UserOperation) -> UserOperation:
        """The operation with what stands for an intent in an estimate."""
        account = self.keystore.prove(self.key)
        stub = encode_stub_intent_signature(account.value, encode_proof(True, account.proof))
        return replace(operation, signature=stub)

    def sign_as_delegate(
        self, operation: UserOperation, delegate: Configuration, chain_id: int, *, stub: bool = False
    ) -> UserOperation:
        """The operation, signed by the delegate of a chain, or of every chain (0), or with a stub for an estimate."""
        shown, account = self.keystore.show("outbox.delegates", (self.key, chain_id)), self.keystore.prove(self.key)
        entry = None
        if chain_id == 0:
            here = self.keystore.show("outbox.delegates", (self.key, self.world.chain_id))
            entry = ChainEntry(here.exists, encode_proof(here.exists, here.proof))
        parts = (
            shown.stored.valid_until,
            account.value,
            encode_proof(True, account.proof),
            encode_proof(True, shown.proof),
        )
        if stub:
            return replace(operation, signature=encode_stub_delegate_signature(delegate, *parts, entry=entry))
        signature = sign_ecdsa(make_key("hot"), self.world.compute_hash(operation))
        return replace(operation, signature=encode_delegate_signature(delegate, signature, *parts, entry=entry))
