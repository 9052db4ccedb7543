"""Inboxes on a real L1 for tests: deployed on anvil, which can be told to let three days pass."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from l1_fixtures import Anvil
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.settlement.ethereum.deploy import deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.testing.anvil import pass_blocks
from microrollup.testing.settlement_harness import STF_ID, make_key

DEPLOYER: Final = load_private_key(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))
"""The first of anvil's well-known accounts."""

KEYS: Final = tuple([make_key(name) for name in ("builder", "owner", "stranger")])


def get_head(anvil: Anvil) -> tuple[int, int]:
    """Number and time of the newest block."""
    return anvil.get_head()


def fund(anvil: Anvil, *keys: PrivateKey) -> None:
    """A thousand ether each."""
    for key in keys:
        anvil.call("anvil_setBalance", f"0x{compute_address(key).hex()}", hex(10**21))


class EthereumHarness:
    """A `SettlementHarness` over one anvil that only grows; `options` are what all inboxes have in common."""

    def __init__(self, anvil: Anvil, options: EthereumOptions) -> None:
        self.anvil = anvil
        self.options = options
        self.opened: list[EthereumSettlement] = []

    def create_inbox(self, genesis: Genesis, owner: bytes) -> EthereumSettlement:
        deployment = deploy_inbox(self.options, DEPLOYER, plan_inbox(genesis, owner, STF_ID, keep_domain=True))
        return self._open(msgspec.structs.replace(self.options, inbox=deployment.inbox))

    def _open(self, options: EthereumOptions) -> EthereumSettlement:
        inbox = EthereumSettlement.open(options, KEYS)
        self.opened.append(inbox)
        return inbox

    def reopen_inbox(self, inbox: Any) -> EthereumSettlement:
        inbox.close()
        return self._open(inbox._options)

    def get_start(self) -> tuple[int, int]:
        return get_head(self.anvil)

    def advance_to(self, inbox: Any, number: int) -> None:
        pass_blocks(self.anvil, max(0, number - inbox.get_number()))
        assert number == inbox.get_number()

    def close(self) -> None:
        for inbox in self.opened:
            inbox.close()
