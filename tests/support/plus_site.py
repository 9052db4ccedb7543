"""Keystore+ on a real L1 for tests: an inbox and a vault that know each other, Axiom's bridge if asked, a builder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from apps.keystore.plus.config import Config
from apps.keystore.plus.deploying import deploy_plus, plan_vault
from apps.keystore.plus.state import Plus
from apps.keystore.proofs import encode_proof
from contract_calls import GAS, Contract
from l1_fixtures import Anvil, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.deployment.directory import open_rollup
from microrollup.execution.authentication import Authenticator
from microrollup.keys.files import builder_key_path, make_key
from microrollup.ledger.reading import StateProof, prove_state
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.place import EthereumPlace
from microrollup.testing.anvil import DEV_KEYS, pass_blocks
from microrollup.testing.signing import sign_action
from plus_world import ETHER, SENDERS
from waiting import wait_for

PAYER, VERIFIER = load_private_key(bytes.fromhex(DEV_KEYS[0])), load_private_key(keccak256(b"a verifier"))
MAKER = f"0x{compute_address(PAYER).hex()}"
PACKAGE = "apps.keystore.contracts"
BRIDGE_FEES = (1_000, 5_000, 6_000)
"""Wei: of a deposit, a withdrawal, an update."""


class PlusSite:
    """A rollup of Keystore+ whose inbox and vault know each other, and who builds and settles it."""

    def __init__(self, anvil: Anvil, directory: Path, stack: ExitStack, *, bridge: bool) -> None:
        self.anvil = anvil
        place = EthereumPlace(anvil.url, "0x" + "00" * 20, "calldata", depth=1)
        config = Config(vault=plan_vault(directory, compute_address(PAYER)))
        self.sequencer_address = bytes(12) + compute_address(make_key(builder_key_path(directory)))
        if bridge:
            arguments = [f"0x{config.vault.hex()}", self.sequencer_address, MAKER, *BRIDGE_FEES]
            self.bridge = Contract.deploy(anvil, load_artifact("AxiomBridge", PACKAGE), arguments, MAKER)
            config = replace(config, bridge=bytes.fromhex(self.bridge.address[2:]))
        made = deploy_plus(
            config, directory, place, PAYER, verifiers=(compute_address(VERIFIER),), quorum=1, fund=10**19
        )  # fmt: skip
        self.app = made.app
        self.vault = Contract(anvil, load_artifact("KeystoreVault", PACKAGE), f"0x{config.vault.hex()}")
        self.node = stack.enter_context(open_rollup(directory, self.app))
        self.sequencer: Sequencer[None] = Sequencer(self.node.ledger, self.node.key, self.node.l1, block_size=100)
        stack.callback(self.sequencer.close)
        genesis = self.node.ledger.genesis
        self.rollup_id = made.custody.rollup_id
        self.authenticator = Authenticator(self.app.action_types, genesis.domain)

    @property
    def state(self) -> Plus:
        state = self.node.ledger.state.app
        assert isinstance(state, Plus)
        return state

    def deposit(self, key: bytes, amount: int) -> None:
        data = self.vault.encode("deposit", ETHER, key, amount, MAKER, self.rollup_id, b"\x01")
        self.pay(self.vault.address, data, amount)

    def pay(self, to: str, data: str, value: int) -> dict[str, Any]:
        """A transaction with ether, mined; its receipt."""
        transaction = {"from": MAKER, "to": to, "data": data, "value": hex(value), "gas": hex(GAS)}
        digest = self.anvil.call("eth_sendTransaction", transaction)
        receipt: dict[str, Any] = wait_for(lambda: self.anvil.call("eth_getTransactionReceipt", digest))
        assert "0x1" == receipt["status"]
        return receipt

    def sign(self, sender: bytes, action: Action) -> str:
        """The reason of its receipt."""
        nonce = self.node.ledger.state.nonces.get(sender, 0)
        line = sign_action(self.app, action, nonce, SENDERS.keys[sender], self.node.ledger.genesis.domain)
        ((_, outcome),) = self.sequencer.submit([(None, self.authenticator.authenticate_line(line))])
        return str(outcome.receipt.reason)  # type: ignore[union-attr]

    def pass_blocks(self, count: int) -> None:
        """Let L1 pass, until the node has seen it, and close a block at the newest origin."""
        pass_blocks(self.anvil, count)
        newest, _ = self.anvil.get_head()
        wait_for(lambda: self.node.l1.get_number() >= newest - 1)
        self.sequencer.close_block(allow_empty=True)

    def settle(self) -> bytes:
        """Close a block, settle what is open, and have the vault record the root."""
        ledger, l1 = self.node.ledger, self.node.l1
        self.sequencer.close_block(allow_empty=True)
        head = l1.get_settled()
        blocks = [ledger.get_block(height) for height in range(head.height + 1, ledger.checkpoint.height + 1)]
        batch = encode_batch(self.rollup_id, [block for block in blocks if block is not None])
        attestation = create_attestation(head.block_hash, head.height + 1, ledger.header, l1.compute_data_hash(batch))
        signed = sign_attestation(VERIFIER, attestation, ledger.genesis.l1_chain_id, l1.get_inbox())
        l1.settle(batch, ledger.header, [signed], submitter=compute_address(self.node.key))
        self.vault.send("checkpoint", sender=MAKER)
        return ledger.header.state_root

    def prove(self, name: str, key: Any) -> bytes:
        found = self.find(name, key)
        return encode_proof(found.exists, found.proof)

    def find(self, name: str, key: Any) -> StateProof:
        field = self.app.state_type.get_field(name)
        return prove_state(self.node.ledger.environment, self.node.ledger.tree, field, field.encode_key(key))

    def get_balance(self, address: bytes) -> int:
        return int(self.anvil.call("eth_getBalance", f"0x{address.hex()}", "latest"), 16)


@contextmanager
def run_site(directory: Path, *, bridge: bool = False) -> Iterator[PlusSite]:
    with run_anvil() as anvil, ExitStack() as stack:
        yield PlusSite(anvil, directory, stack, bridge=bridge)
