"""The keystore's module in published accounts, through a bundler: estimated by a stub, and by ERC-7562's rules."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from account_world import address_of, make_key
from apps.keystore.smart_account import (
    configure_ecdsa,
    encode_signature,
    encode_stub_signature,
    load_creation_code,
    remember,
    sign_ecdsa,
)
from apps.keystore.smart_account.module_calls import encode_push_root_of
from bundled_world import BundledWorld
from published_accounts import KINDS, ModuleAccount, send


@pytest.mark.parametrize("mode", ["unsafe", "safe"])
@pytest.mark.parametrize("kind", KINDS[:2], ids=lambda kind: kind.kind)
def test_by_the_module(bundled: BundledWorld, kind: type[ModuleAccount], mode: str) -> None:
    """An account signs by the keystore and remembers what it was shown."""
    world, keystore = bundled.world, bundled.keystore
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    name = f"{kind.kind}, {mode}"
    configuration = configure_ecdsa(address_of(name))
    key = keystore.register(configuration, name)
    account = kind(world, f"{name}, owner")
    module = world.deploy(load_creation_code("KeystoreModule") + world.roots.rjust(32, b"\0"))
    account.install(module, key)
    world.mirror()
    send(world, module, encode_push_root_of(account.address))
    opening = remember(keystore.open(key, configuration, address_of(name)))
    operation = account.make_transfer(account.get_module_key(module))
    stub = encode_stub_signature(configuration, opening)
    estimated = bundler.estimate(replace(operation, signature=stub))
    signature = sign_ecdsa(make_key(name), account.compute_hash(estimated))
    bundler.send(replace(estimated, signature=encode_signature(configuration, opening, signature)))
