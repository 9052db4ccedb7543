"""Orders between Keystore+ on a real L1 and two L2s: `vault_world`, settlers, and the bridges' stand-ins between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

from eth_abi.abi import encode

from apps.keystore.accounts import compute_account_key
from apps.keystore.chains.plan import L1_BLOCK, L2_MESSENGER
from apps.keystore.order_calls import encode_settler_creation, encode_verdicts_creation
from apps.keystore.plus.config import Config, OrderSettler
from apps.keystore.plus.order_bridges import encode_origin_creation
from apps.keystore.plus.rollup import make_app
from apps.keystore.root_calls import encode_prove_root, encode_record_block_hash
from apps.keystore.root_proofs import RootProof
from apps.keystore.smart_account.configuration import load_creation_code
from apps.keystore.story import chain as story_chain
from apps.keystore.story.bridges import prove_inbox
from apps.keystore.story.exits import deliver, install_exit, install_l1_messenger, read_exit
from apps.keystore.story.stand_ins import install_l1_block, set_l1_block
from apps.keystore.transitions import Register
from apps.keystore.vault_calls import ETHER, UNREGISTERED, encode_deposit
from contract_calls import Contract
from kernel_fixtures import Chain, fast_directory, make_key
from l1_fixtures import Anvil, run_anvil
from microrollup.chain.block import compute_rollup_id
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.sequencer.sequencer import Sequenced
from vault_world import PACKAGE, World, raw

__all__ = ["CODE", "CONFIG", "SALT", "OrderWorld", "Side", "run_order_world"]

CODE, CONFIG, SALT = b"\x0c" * 32, b"\x0f" * 32, b"\x5a" * 32
CHAIN_IDS: Final = (10, 8453)
_FUNDS: Final = 10**18


class Side(story_chain.Chain):
    """An L2 with a settler and the keystore's roots."""

    def __init__(self, name: str, anvil: Anvil, l1: story_chain.Chain) -> None:
        super().__init__(name, anvil)
        self.l1 = l1
        self.l1_messenger = keccak256(f"the messenger of {name} on L1".encode())[12:]
        install_l1_block(anvil)
        install_exit(anvil)
        install_l1_messenger(l1.anvil, self.l1_messenger)
        address, _ = self.deploy(encode_settler_creation(L2_MESSENGER))
        self.settler = Contract(anvil, load_artifact("OpStackSettler", PACKAGE), f"0x{address.hex()}")
        self.roots = b""

    def mirror_at(self, inbox: bytes) -> None:
        """The keystore's roots of an inbox."""
        words = encode(["address", "address", "address"], [inbox, bytes(20), L1_BLOCK])
        self.roots, _ = self.deploy(load_creation_code("KeystoreRoots") + words)
        self.inbox = inbox

    def see_l1(self) -> RootProof:
        """The chain knows L1's newest block; the proof of what the inbox holds there."""
        block = self.l1.anvil.call("eth_getBlockByNumber", "latest", False)
        self.reach_time(int(block["timestamp"], 16))
        set_l1_block(self.anvil, block)
        self.send(self.roots, encode_record_block_hash())
        return prove_inbox(self.l1, self.inbox, block["number"])

    def mirror(self) -> RootProof:
        """The chain is shown what L1 holds now."""
        proof = self.see_l1()
        self.send(self.roots, encode_prove_root(proof))
        return proof

    def exit(self, receipt: dict[str, Any]) -> story_chain.Sent:
        """Seven days later: L1 executes what a transaction here has sent."""
        return deliver(self.l1, self.l1_messenger, read_exit(receipt))


class OrderWorld(World):
    """Keystore+ with accounts of alice and bob, who have ether, and two L2s."""

    l1: story_chain.Chain
    sides: tuple[Side, ...]
    verdicts: bytes

    def begin(self) -> None:
        """Accounts and their money."""
        for name in ("alice", "bob"):
            key, rollup_id = self.get_key(name), self.rollup_id
            self.to_vault(
                encode_deposit(ETHER, key, _FUNDS, raw(self.payer), rollup_id, UNREGISTERED), _FUNDS, self.payer
            )
        self.take_queue()
        for name in ("alice", "bob"):
            self.act(Register(CODE, CONFIG, SALT), name)
        self.settle()

    @property
    def own_rollup_id(self) -> bytes:
        """That of the ledger, which the functions know; the inbox has a genesis of its own."""
        return compute_rollup_id(self.chain.genesis)

    def get_key(self, name: str) -> bytes:
        """Of an account."""
        return compute_account_key(SALT, CODE + CONFIG, compute_address(make_key(name)))

    def keep_time(self) -> None:
        """The rollup's clock follows L1's."""
        self.chain.seconds = max(self.chain.seconds, float(self.anvil.get_head()[1]))

    def act(self, action: Any, name: str) -> str:
        """A signed action; "executed", or why not."""
        self.keep_time()
        (outcome,) = self.chain.submit(self.chain.signer.sign(action, name))
        assert isinstance(outcome, Sequenced), outcome
        return outcome.receipt.reason or "executed"

    def pass_time(self, seconds: int) -> None:
        """On all chains."""
        now = self.anvil.get_head()[1] + seconds
        for chain in (self.l1, *self.sides):
            chain.reach_time(now)
        self.keep_time()


@contextmanager
def run_order_world() -> Iterator[OrderWorld]:
    """Settlers first, then what L1 believes of them, then the vault, then the genesis with all of it."""
    with ExitStack() as stack:
        begin = 1_800_000_120
        first = stack.enter_context(run_anvil("--number", "100000", timestamp=begin))
        l1 = story_chain.Chain("L1", first)
        anvils = [stack.enter_context(run_anvil(timestamp=begin, chain_id=number)) for number in CHAIN_IDS]
        sides = tuple([Side(f"L2 {number}", each, l1) for number, each in zip(CHAIN_IDS, anvils, strict=True)])
        sources = []
        for side in sides:
            origin, _ = l1.deploy(encode_origin_creation("OpStackOrigin", side.l1_messenger, raw(side.settler.address)))
            sources.append((side.chain_id, origin))
        verdicts, _ = l1.deploy(encode_verdicts_creation(sources))
        maker = first.call("eth_accounts")[0]
        verifier = Contract.deploy(first, load_artifact("EscapeVerifier", PACKAGE), [], maker)
        code_hash = keccak256(raw(load_artifact("RollupInbox").bytecode))
        artifact = load_artifact("KeystoreVault", PACKAGE)
        vault = Contract.deploy(first, artifact, [maker, code_hash, verifier.address, verdicts], maker)
        settlers = tuple([OrderSettler(side.chain_id, raw(side.settler.address)) for side in sides])
        app = make_app(Config(vault=raw(vault.address), settlers=settlers))
        directory = stack.enter_context(fast_directory())
        chain = stack.enter_context(closing(Chain(directory, app)))
        world = OrderWorld(first, chain, vault)
        world.l1, world.sides, world.verdicts = l1, sides, verdicts
        for side in sides:
            side.mirror_at(raw(world.inbox.address))
        world.begin()
        yield world
