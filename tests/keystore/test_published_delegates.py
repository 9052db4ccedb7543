"""A delegate of the keystore in accounts that others have published: it spends, and becomes nothing more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from account_world import RECIPIENT, World, address_of, make_key, show
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
from apps.keystore.smart_account.module_calls import encode_install, encode_push_root_of
from apps.keystore.transitions import Register
from microrollup.crypto.keccak import keccak256
from plus_accounts import PlusKeystore, run_plus_world
from published_accounts import KINDS, ModuleAccount, encode_call, encode_module_execute, send

pytestmark = pytest.mark.slow

SALT = bytes(32)
HOUR = 3_600
SAFE_HANDLER_SLOT = keccak256(b"fallback_manager.handler.address")
HOT = configure_ecdsa(address_of("hot"))
WRONG = {"AA24 signature error", "AA23 reverted"}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[World, PlusKeystore]]:
    """An L2 and Keystore+. modulekit's build of Kernel is larger than a contract may be."""
    with run_plus_world("--disable-code-size-limit") as made:
        yield made


class Lent:
    """An account of one kind whose keystore lends it to a hot key on this chain."""

    def __init__(self, world: World, keystore: PlusKeystore, kind: type[ModuleAccount]) -> None:
        self.world, self.keystore = world, keystore
        name = f"{kind.kind}, keeper"
        data = compute_data(configure_ecdsa(address_of(name)))
        self.key = compute_account_key(SALT, data, address_of(name))
        keystore.act(Register(data[:32], data[32:], SALT), name)
        until = world.get_time() + 2 * HOUR
        keystore.act(SetDelegate(self.key, world.chain_id, HOT.code_hash, keccak256(HOT.config), until), name)
        self.account = kind(world, f"{kind.kind}, owner")
        self.module = world.deploy(load_creation_code("KeystoreModule") + world.roots.rjust(32, b"\0"))
        self.account.install(self.module, self.key)
        world.mirror()
        send(world, self.module, encode_push_root_of(self.account.address))

    def make(self, call_data: bytes) -> UserOperation:
        """An operation of the delegate's."""
        operation = self.account.make_operation(call_data, self.account.get_module_key(self.module))
        place = (self.key, self.world.chain_id)
        shown, owner = self.keystore.show("outbox.delegates", place), self.keystore.prove(self.key)
        signature = encode_delegate_signature(
            HOT, sign_ecdsa(make_key("hot"), self.account.compute_hash(operation)), shown.stored.valid_until,
            owner.value, encode_proof(True, owner.proof), encode_proof(True, shown.proof),
        )  # fmt: skip
        return replace(operation, signature=signature)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_delegate_spends_and_changes_nothing(place: tuple[World, PlusKeystore], kind: type[ModuleAccount]) -> None:
    """Its transfer is done. To install a module of its own it calls the account, zero, or a Safe's adapter: refused."""
    lent = Lent(*place, kind)
    address = lent.account.address
    lent.account.handle(lent.make(encode_module_execute(RECIPIENT, 1)))
    thief = encode_install(address_of("a module of the thief"), bytes(32))
    targets = {address: thief, bytes(20): thief, lent.module: encode_call("onUninstall(bytes)", b"")}
    handler = lent.world.anvil.call("eth_getStorageAt", show(address), show(SAFE_HANDLER_SLOT), "latest")
    if kind.kind == "Safe":
        # The adapter takes the last 20 bytes for who called the Safe.
        targets[bytes.fromhex(handler[26:])] = thief + address
    for target, data in targets.items():
        assert lent.account.refuse(lent.make(encode_module_execute(target, 0, data))) in WRONG
