"""The keystore's module in accounts that others have published: one rotation reaches them on every chain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from account_world import Keystore, World, address_of, make_key
from apps.keystore.smart_account import (
    Configuration,
    Opening,
    UserOperation,
    configure_ecdsa,
    encode_signature,
    load_creation_code,
    sign_ecdsa,
)
from apps.keystore.smart_account.module_calls import encode_push_root_of
from kernel_fixtures import fast_directory
from l1_fixtures import run_anvil
from published_accounts import KINDS, ModuleAccount, send

GRACE_BLOCKS = 80
"""Of 12 seconds: the time of a replaced root is over."""


@pytest.fixture(scope="module")
def worlds() -> Iterator[tuple[World, World]]:
    """Two L2s of one keystore. modulekit's build of Kernel is larger than a contract may be."""
    limit = "--disable-code-size-limit"
    with fast_directory() as directory, run_anvil(limit) as first, run_anvil(limit, chain_id=4242) as second:
        keystore = Keystore(directory)
        try:
            yield World(first, keystore), World(second, keystore)
        finally:
            keystore.chain.close()


def bring(account: ModuleAccount, module: bytes) -> None:
    """The chain hears of the newest root, and somebody pushes it for the account."""
    account.world.mirror()
    send(account.world, module, encode_push_root_of(account.address))


def sign(
    account: ModuleAccount, module: bytes, configuration: Configuration, opening: Opening, name: str
) -> UserOperation:
    """A transfer by the module, signed by the key of a name."""
    operation = account.make_transfer(account.get_module_key(module))
    signature = sign_ecdsa(make_key(name), account.compute_hash(operation))
    return replace(operation, signature=encode_signature(configuration, opening, signature))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_installed_rotated_on_two_chains(worlds: tuple[World, World], kind: type[ModuleAccount]) -> None:
    """The first owner installs the module; the keystore's key acts on both chains, after one Update the next one."""
    keystore, name = worlds[0].keystore, kind.kind
    old, new = f"{name}, old", f"{name}, new"
    configuration = configure_ecdsa(address_of(old))
    key = keystore.register(configuration, name)
    accounts = [kind(world, f"{name}, owner") for world in worlds]
    assert accounts[0].world.chain_id != accounts[1].world.chain_id
    (module,) = {world.deploy(load_creation_code("KeystoreModule") + world.roots.rjust(32, b"\0")) for world in worlds}
    opening = keystore.open(key, configuration, address_of(name))
    for account in accounts:
        account.install(module, key)
        bring(account, module)
        assert "" != account.refuse(sign(account, module, configuration, opening, new))
        account.handle(sign(account, module, configuration, opening, old))

    rotated = configure_ecdsa(address_of(new))
    keystore.rotate(key, rotated, name)
    after = keystore.open(key, rotated, address_of(name))
    for account in accounts:
        bring(account, module)
        account.world.anvil.mine(GRACE_BLOCKS)
        assert "" != account.refuse(sign(account, module, configuration, opening, old))
        assert "" != account.refuse(sign(account, module, rotated, after, old))
        account.handle(sign(account, module, rotated, after, new))
