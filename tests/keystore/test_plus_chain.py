"""Keystore+ with its vault on a real L1: a deposit is credited, a withdrawal claimed, a rejected deposit reclaimed, and
after an escape the rollup moves no more money.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from apps.keystore.plus.config import Config
from apps.keystore.plus.deploying import deploy_plus, plan_vault
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import StartRecovery, SupportRecovery, compute_proposal_id
from apps.keystore.plus.state import Plus
from apps.keystore.plus.vault import Transfer, Withdraw, compute_withdrawal_id
from apps.keystore.proofs import encode_proof
from apps.keystore.transitions import Register
from contract_calls import GAS, Contract, Reverted
from l1_fixtures import Anvil, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.deployment.directory import open_rollup
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.reading import prove_state
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.place import EthereumPlace
from microrollup.testing.anvil import DEV_KEYS, pass_blocks
from microrollup.testing.signing import sign_action
from plus_world import ALICE, BOB, CAROL, CODE, CONFIG, DAVE, DAY, ETHER, SALT, SENDERS, A, B, C
from waiting import wait_for

pytestmark = pytest.mark.slow

PAYER, VERIFIER = load_private_key(bytes.fromhex(DEV_KEYS[0])), load_private_key(keccak256(b"a verifier"))
MAKER = f"0x{compute_address(PAYER).hex()}"
PACKAGE = "apps.keystore.contracts"
SILENCE = 86_400


class World:
    """A rollup of Keystore+ whose inbox and vault know each other, and who builds and settles it."""

    def __init__(self, anvil: Anvil, directory: Path, stack: ExitStack) -> None:
        self.anvil = anvil
        place = EthereumPlace(anvil.url, "0x" + "00" * 20, "calldata", depth=1)
        config = Config(vault=plan_vault(directory, compute_address(PAYER)))
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
        transaction = {"from": MAKER, "to": self.vault.address, "data": data, "value": hex(amount), "gas": hex(GAS)}
        digest = self.anvil.call("eth_sendTransaction", transaction)
        receipt = wait_for(lambda: self.anvil.call("eth_getTransactionReceipt", digest))
        assert "0x1" == receipt["status"]

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
        field = self.app.state_type.get_field(name)
        found = prove_state(self.node.ledger.environment, self.node.ledger.tree, field, field.encode_key(key))
        return encode_proof(found.exists, found.proof)

    def get_balance(self, address: bytes) -> int:
        return int(self.anvil.call("eth_getBalance", f"0x{address.hex()}", "latest"), 16)


@contextmanager
def run_world(directory: Path) -> Iterator[World]:
    with run_anvil() as anvil, ExitStack() as stack:
        yield World(anvil, directory, stack)


def lock_carol(world: World) -> None:
    """Bob, her guardian, recovers Carol's account for Dave, in mode 1."""
    guardians = [Guardian(0, bytes(12) + BOB)]
    policy = SetRecovery(C, compute_guardians_hash(SALT, guardians), 1, 1, DAY, 1)
    assert [""] * 2 == [world.sign(CAROL, Register(CODE, CONFIG, SALT)), world.sign(CAROL, policy)]
    world.pass_blocks(2 * DAY // 12 + 10)
    start = StartRecovery(C, CODE, CONFIG, DAVE, SALT, guardians)
    assert "" == world.sign(BOB, start)
    (proposal,) = world.state.recovery.proposals.keys()
    in_force = Policy(policy.guardians_hash, 1, 1, DAY, 1, 1)
    assert proposal == compute_proposal_id(world.rollup_id, start, in_force, 0)
    assert "" == world.sign(BOB, SupportRecovery(proposal, 0))


def test_money_comes_in_and_goes_out(tmp_path: Path) -> None:
    """What the contracts read in the tree is what the functions wrote: deposits, withdrawals, balances, the freeze."""
    with run_world(tmp_path / "rollup") as world:
        world.deposit(A, 1_000)
        world.deposit(C, 400)
        world.deposit(bytes(32), 77)  # no account has this key: rejected, and reclaimed below
        world.pass_blocks(60)
        assert {A: 1_000, C: 400} == dict(world.state.vault.balances.items())
        assert [""] * 4 == [
            world.sign(ALICE, Register(CODE, CONFIG, SALT)), world.sign(BOB, Register(CODE, CONFIG, SALT)),
            world.sign(ALICE, Transfer(A, B, ETHER, 300)), world.sign(ALICE, Withdraw(A, ETHER, 200, b"\x0e" * 20)),
        ]  # fmt: skip
        lock_carol(world)
        root = world.settle()
        place = compute_withdrawal_id(A, 0)
        claim = (root, place, ETHER, b"\x0e" * 20, 200, world.prove("vault.withdrawals", place))
        world.vault.send("claim", *claim, sender=MAKER)
        assert 200 == world.get_balance(b"\x0e" * 20)
        again = world.vault.call("claim", *claim)
        assert isinstance(again, Reverted)
        assert "AlreadyPaid" == again.name
        absent = world.prove("deposits.deposits", 2)
        paid = (ETHER, 77, MAKER, 2)
        world.vault.send("reclaim", 2, paid, root, absent, sender=MAKER)
        credited = world.vault.call("reclaim", 0, (ETHER, 1_000, MAKER, 0), root, world.prove("deposits.deposits", 0))
        assert isinstance(credited, Reverted)
        assert 1_200 == world.get_balance(bytes.fromhex(world.vault.address[2:]))

        # The builder stops; an entry waits for twelve days; Bob takes his money at the root that was settled last.
        world.deposit(B, 5)
        pass_blocks(world.anvil, SILENCE + 100)
        opening = (CODE + CONFIG, BOB, False, bytes(32), world.prove("keystore.accounts", B))
        escape = (B, ETHER, b"\x0b" * 20, 300, opening, world.prove("vault.balances", B), b"\x00")
        world.anvil.call("anvil_impersonateAccount", f"0x{BOB.hex()}")
        world.anvil.call("anvil_setBalance", f"0x{BOB.hex()}", hex(10**20))
        world.vault.send("escape", *escape, sender=f"0x{BOB.hex()}")
        assert 300 == world.get_balance(b"\x0b" * 20)

        # Carol's account is locked by a recovery: her key opens nothing, the next one everything.
        opening = (bytes(32) + keccak256(DAVE), CAROL, False, bytes(32), world.prove("keystore.accounts", C))
        escape = (C, ETHER, b"\x0c" * 20, 400, opening, world.prove("vault.balances", C), b"\x00")
        refused = world.vault.call("escape", *escape, sender=f"0x{CAROL.hex()}")
        assert isinstance(refused, Reverted)
        assert "NotAuthorized" == refused.name
        assert () == world.vault.call("escape", *escape, sender=f"0x{DAVE.hex()}")

        # The builder returns: the vault's word stops all money in the rollup.
        world.pass_blocks(60)
        assert world.state.vault.frozen
        assert "the vault is frozen" == world.sign(BOB, Transfer(B, A, ETHER, 1))
