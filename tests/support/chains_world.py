"""An L1 with an inbox and two OP-stack L2s, on which the keystore's commands work."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

from account_world import ENTRY_POINT_ARTIFACT
from apps.keystore.chains.group import main
from apps.keystore.chains.plan import AccountsPlan, plan_contracts
from apps.keystore.smart_account import DEPLOYER
from apps.keystore.story.chain import Chain
from apps.keystore.story.entry_point import encode_entry_point_deployment, load_entry_point
from apps.keystore.story.stand_ins import install_l1_block, set_l1_block
from l1_fixtures import FOUNDRY, install_foundry, run_anvil
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.deploy import deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.testing.anvil import DEV_KEYS
from microrollup.testing.settlement_harness import OWNER, STF_ID, make_genesis
from waiting import wait_for

__all__ = ["CHAIN_IDS", "ChainsWorld", "run_chains_world", "run_command"]

CHAIN_IDS: Final = (31337, 10, 8453)
KEY: Final = load_private_key(bytes.fromhex(DEV_KEYS[0]))


def run_command(*arguments: object) -> tuple[int, dict[str, Any]]:
    """The exit code of a command of the keystore's, and its answer."""
    said = io.StringIO()
    with redirect_stdout(said):
        code = main([*map(str, arguments), "--json"])
    return code, json.loads(said.getvalue() or "{}")


class ChainsWorld:
    """All of it, and a directory for a key and address books. The keystore's roots are written into the inbox."""

    def __init__(self, directory: Path, chains: Sequence[Chain]) -> None:
        self.directory = directory
        self.l1, self.first, self.second = self.chains = tuple(chains)
        self.key_file = directory / "key"
        self.key_file.write_text(DEV_KEYS[0])
        self.book = directory / "deployments"
        options = EthereumOptions(self.l1.anvil.url, da="calldata")
        head = self.l1.anvil.call("eth_getBlockByNumber", "latest", False)
        genesis = make_genesis(int(head["number"], 16), int(head["timestamp"], 16))
        self.inbox = deploy_inbox(options, KEY, plan_inbox(genesis, OWNER, STF_ID)).inbox
        entry_point = encode_entry_point_deployment(load_entry_point(FOUNDRY / "node_modules" / ENTRY_POINT_ARTIFACT))
        for chain in self.chains:
            chain.send(DEPLOYER, entry_point)
        for chain in self.chains[1:]:
            install_l1_block(chain.anvil)
        self.height = 0
        self.settle()

    @property
    def urls(self) -> list[str]:
        """Of all chains, L1 first."""
        return [chain.anvil.url for chain in self.chains]

    @property
    def plan(self) -> AccountsPlan:
        """Where everything is."""
        return plan_contracts(self.inbox, compute_address(KEY))

    def settle(self) -> bytes:
        """L1 takes another root, and the L2s see that L1 block: the root."""
        root = self.settle_on_l1()
        self.show_l1()
        return root

    def settle_on_l1(self, root: bytes | None = None, height: int | None = None) -> bytes:
        """L1 takes another root, of 32 bytes, or one that nobody has: the root."""
        self.height = self.height + 1 if height is None else height
        root = keccak256(b"root %d" % self.height) if root is None else root
        time = self.l1.get_time()
        head = time << 216 | int(self.l1.anvil.call("eth_blockNumber"), 16) << 176 | self.height
        for slot, word in ((0, root), (1, head.to_bytes(32, "big"))):
            self.l1.anvil.call("anvil_setStorageAt", hex0x(self.inbox), f"0x{slot:064x}", hex0x(word))
        self.l1.anvil.mine()
        return root

    def create_accounts(self, chain: Chain, keys: Sequence[bytes]) -> None:
        """By the entry point's helper, which alone may."""
        creator = chain.ask(self.plan.factory, keccak256(b"senderCreator()")[:4])[12:]
        chain.impersonate(creator)
        for key in keys:
            data = keccak256(b"createAccount(bytes32,bytes32)")[:4] + key + bytes(32)
            call = {"from": hex0x(creator), "to": hex0x(self.plan.factory), "data": hex0x(data), "gas": hex(1_000_000)}
            chain.anvil.call("eth_sendTransaction", call)
        wait_for(lambda: chain.has_code(self.plan.get_account(keys[-1])))

    def show_l1(self) -> None:
        """The L2s see L1's newest block."""
        block = self.l1.anvil.call("eth_getBlockByNumber", "latest", False)
        for chain in self.chains[1:]:
            chain.reach_time(int(block["timestamp"], 16) + 12)
            set_l1_block(chain.anvil, block)

    def deploy(self, *more: object) -> tuple[int, dict[str, Any]]:
        """`deploy-l2` to all chains."""
        chains = [word for url in self.urls for word in ("--chain", url)]
        return run_command(
            "deploy-l2", *chains, "--key", self.key_file, "--inbox", hex0x(self.inbox), "--book", self.book, *more
        )

    def ask_status(self, name: bytes, *urls: str) -> tuple[int, list[dict[str, Any]]]:
        """`status` of an account or a key on chains, all if none is named."""
        chains = [word for url in urls or self.urls for word in ("--chains", url)]
        code, document = run_command("status", hex0x(name), *chains, "--book", self.book)
        return code, document["chains"]


@contextmanager
def run_chains_world(directory: Path) -> Iterator[ChainsWorld]:
    """Start all of it."""
    install_foundry()
    with ExitStack() as stack:
        chains = [
            Chain(f"chain {chain_id}", stack.enter_context(run_anvil("--hardfork", "osaka", chain_id=chain_id)))
            for chain_id in CHAIN_IDS
        ]
        yield ChainsWorld(directory, chains)
