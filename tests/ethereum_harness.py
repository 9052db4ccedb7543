"""Inboxes on a real L1 for tests: deployed on anvil, which can be told to let three days pass."""

from __future__ import annotations

import copy
import gzip
import json
from typing import Any, Final

import msgspec
from l1_fixtures import Anvil

from microrollup.crypto import PrivateKey, compute_address, load_private_key
from microrollup.record import Genesis
from microrollup.settlement.ethereum.deploy import deploy_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.testing.settlement_harness import make_key

DEPLOYER: Final = load_private_key(
    bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
)
"""The first of anvil's well-known accounts."""

KEYS: Final = tuple([make_key(name) for name in ("builder", "owner", "stranger")])
_SECONDS: Final = 12
_MINED: Final = 70
"""Blocks that are really mined after a jump: more than the window that a follower keeps."""


def get_head(anvil: Anvil) -> tuple[int, int]:
    """Number and time of the newest block."""
    block = anvil.call("eth_getBlockByNumber", "latest", False)
    return int(block["number"], 16), int(block["timestamp"], 16)


def fund(anvil: Anvil, *keys: PrivateKey) -> None:
    """A thousand ether each."""
    for key in keys:
        anvil.call("anvil_setBalance", f"0x{compute_address(key).hex()}", hex(10**21))


def pass_blocks(anvil: Anvil, count: int) -> None:
    """Let L1 pass by so many blocks.

    anvil mines them in quadratic time (10,000 take a minute), so long ways are jumped: its state is dumped, its newest
    block gets a higher number, and the state is loaded again. In between there are no blocks.
    """
    if count > 3 * _MINED:
        _jump(anvil, count - _MINED)
        count = _MINED
    if count:
        anvil.mine(count)


def _jump(anvil: Anvil, count: int) -> None:
    state: Any = json.loads(gzip.decompress(bytes.fromhex(anvil.call("anvil_dumpState")[2:])))
    newest = max(state["blocks"], key=lambda block: int(block["header"]["number"], 16))
    block = copy.deepcopy(newest) | {"transactions": []}
    header = block["header"]
    number, time = int(header["number"], 16) + count, int(header["timestamp"], 16) + _SECONDS * count
    header |= {"number": hex(number), "timestamp": hex(time)}
    state |= {"blocks": [block], "transactions": [], "historical_states": None, "accounts": {}}  # what it has, stays
    state["block"] |= {"number": hex(number), "timestamp": hex(time)}
    state["best_block_number"] = number
    assert anvil.call("anvil_loadState", f"0x{gzip.compress(json.dumps(state).encode(), 1).hex()}")
    anvil.call("evm_setNextBlockTimestamp", hex(time + _SECONDS))


class EthereumHarness:
    """A `SettlementHarness` over one anvil that only grows; `options` are what all inboxes have in common."""

    def __init__(self, anvil: Anvil, options: EthereumOptions) -> None:
        self.anvil = anvil
        self.options = options
        self.opened: list[EthereumSettlement] = []

    def create_inbox(self, genesis: Genesis, owner: bytes) -> EthereumSettlement:
        deployment = deploy_inbox(self.options, DEPLOYER, genesis, owner, keep_domain=True)
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
