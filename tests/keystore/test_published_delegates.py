"""A delegate of the keystore in accounts that others have published: it spends, and becomes nothing more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from account_world import RECIPIENT, World, address_of, show
from apps.keystore.smart_account.module_calls import encode_install
from lent_account import LentAccount
from microrollup.crypto.keccak import keccak256
from plus_accounts import PlusKeystore, run_plus_world
from published_accounts import KINDS, ModuleAccount, encode_call, encode_module_execute

pytestmark = pytest.mark.slow

SAFE_HANDLER_SLOT = keccak256(b"fallback_manager.handler.address")
WRONG = {"AA24 signature error", "AA23 reverted"}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[World, PlusKeystore]]:
    """An L2 and Keystore+. modulekit's build of Kernel is larger than a contract may be."""
    with run_plus_world("--disable-code-size-limit") as made:
        yield made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_delegate_spends_and_changes_nothing(place: tuple[World, PlusKeystore], kind: type[ModuleAccount]) -> None:
    """Its transfer is done. To install a module of its own it calls the account, zero, or a Safe's adapter: refused."""
    lent = LentAccount(*place, kind, f"{kind.kind}, keeper")
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
