"""An account that others have published, with the keystore's module, whose keystore lends it to a hot key."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from account_world import World, address_of, make_key
from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.outbox import SetDelegate
from apps.keystore.proofs import encode_proof
from apps.keystore.smart_account import (
    UserOperation,
    compute_data,
    configure_ecdsa,
    encode_delegate_signature,
    load_creation_code,
    sign_ecdsa,
)
from apps.keystore.smart_account.module_calls import encode_push_root_of
from apps.keystore.transitions import Register
from microrollup.crypto.keccak import keccak256
from plus_accounts import PlusKeystore
from published_accounts import ModuleAccount, send

__all__ = ["LentAccount"]

_SALT: Final = bytes(32)
_HOUR: Final = 3_600
_HOT: Final = configure_ecdsa(address_of("hot"))


class LentAccount:
    """One kind of account, on one chain, and its delegate of that chain."""

    def __init__(self, world: World, keystore: PlusKeystore, kind: type[ModuleAccount], name: str) -> None:
        self.world, self.keystore = world, keystore
        data = compute_data(configure_ecdsa(address_of(name)))
        self.key = compute_account_key(_SALT, data, address_of(name))
        keystore.act(Register(data[:32], data[32:], _SALT), name)
        until = world.get_time() + 2 * _HOUR
        keystore.act(SetDelegate(self.key, world.chain_id, _HOT.code_hash, keccak256(_HOT.config), until), name)
        self.account = kind(world, f"{name}, owner")
        self.module = world.deploy(load_creation_code("KeystoreModule") + world.roots.rjust(32, b"\0"))
        self.account.install(self.module, self.key)
        world.mirror()
        send(world, self.module, encode_push_root_of(self.account.address))

    def make(self, call_data: bytes) -> UserOperation:
        """An operation of the delegate's, signed."""
        return self.sign(self.account.make_operation(call_data, self.account.get_module_key(self.module)))

    def sign(self, operation: UserOperation) -> UserOperation:
        """The operation with the delegate's signature and what the keystore shows of both."""
        shown = self.keystore.show("outbox.delegates", (self.key, self.world.chain_id))
        owner = self.keystore.prove(self.key)
        signature = encode_delegate_signature(
            _HOT, sign_ecdsa(make_key("hot"), self.account.compute_hash(operation)), shown.stored.valid_until,
            owner.value, encode_proof(True, owner.proof), encode_proof(True, shown.proof),
        )  # fmt: skip
        return replace(operation, signature=signature)
