"""The rollup and everybody's way to it: the node, the client, the inbox and the vault on L1, and L1's time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.client import ActionRefused, SyncClient
from microrollup.client.state import ProvenValue
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_state
from microrollup.errors import MicrorollupError
from microrollup.ledger.reading import StateProof, get_field, prove_state
from microrollup.settlement.ethereum.contract import compute_topic
from microrollup.settlement.place import EthereumPlace
from microrollup.testing.signing import sign_action

from ...story.chain import Chain, Sent
from ...story.telling import Figures, Telling
from ...vault_calls import ETHER, encode_deposit
from ..config import Config, OrderSettler, PriceCap
from ..deploying import Custody, deploy_plus, plan_vault
from ..module_file import keep_module
from .cast import Cast
from .process import NodeProcess, run_microrollup, wait_until

__all__ = ["DAY", "DEPTH", "HOUR", "MODULE", "PlusHub"]

MODULE: Final = "story_of_the_hub"
DEPTH: Final = 1
HOUR: Final = 3_600
DAY: Final = 24 * HOUR
_PRICE_CAP: Final = 10**13
_FUNDS: Final = 10**19
_ZERO_INBOX: Final = "0x" + "00" * 20


class PlusHub:
    """A Keystore+ in a directory, from its deployment until its operator is gone; then what anybody rebuilds."""

    def __init__(self, directory: Path, l1: Chain, telling: Telling) -> None:
        self.directory = directory
        self.l1 = l1
        self.telling = telling
        self.data = directory / "node"
        self.store = self.data
        """Where proofs are made from once there is no node."""
        self.place = EthereumPlace(l1.anvil.url, _ZERO_INBOX, "calldata", DEPTH)
        self.app: MicroRollup
        self.custody: Custody
        self.client: SyncClient
        self._node: NodeProcess | None = None
        self._last: SignedAcknowledgement | None = None
        self._settled_after = 0

    # Beginning and end.

    def deploy(self, cast: Cast, payer: PrivateKey, maker: bytes, settler: OrderSettler, verdicts: bytes) -> int:
        """Vault, inbox, and the module that names them; the gas of it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = Config(
            vault=plan_vault(self.data, maker, verdicts=verdicts),
            settlers=(settler,),
            parent_node=cast.parent_node,
            collector=cast.collector.key,
            price_caps=(PriceCap(ETHER, _PRICE_CAP),),
        )
        keep_module(self.directory / f"{MODULE}.py", config)
        deployed = deploy_plus(config, self.data, self.place, payer, fund=_FUNDS, verdicts=verdicts)
        self.app, self.place, self.custody = deployed.app, deployed.place, deployed.custody
        return deployed.gas_used

    def start(self) -> None:
        """The node, a verifier beside it, and a client that knows which rollup it means."""
        self._node = NodeProcess(MODULE, self.directory, self.data, "--clock", "l1")
        self.client = SyncClient(self._node.url, self.app, rollup_id=self.custody.rollup_id)

    def vanish(self) -> None:
        """The operator is gone, with its data and keys."""
        if self._node is not None:
            self.client.close()
            self._node.kill()
            shutil.rmtree(self.data)

    def close(self) -> None:
        """End what runs."""
        if self._node is not None:
            self._node.stop()

    def rebuild(self) -> dict[str, Any]:
        """Anybody derives everything from L1's calldata, into a store that proofs are made from; the report."""
        directory = self.directory / "anybody"
        self.store = directory / "store"
        l1 = ["--from-l1", self.place.url, "--inbox", self.place.inbox, "--l1-depth", DEPTH]
        return run_microrollup(self.directory, "verify", MODULE, *l1, "--data", directory, "--workers", 0)

    @property
    def gateway(self) -> str:
        """Where the node answers what the ENS resolver asks, as the resolver names it to clients."""
        if self._node is None:
            raise MicrorollupError("there is no node")
        return f"{self._node.url}/ens/{{sender}}/{{data}}.json"

    # Actions.

    def act(self, step: str, action: Action, key: PrivateKey) -> SignedAcknowledgement:
        """A signed action that must be executed; its acknowledgement. Told with its bytes and its latency."""
        with self.telling.timed(step, "authentication") as figures:
            figures.bytes = self._measure(action, key)
            self._last = ack = self.client.submit(action, key)
        self.telling.expect(step, "", "executed", ack.status if not ack.reason else f"{ack.status}: {ack.reason}")
        return ack

    def refuse(self, what: str, expected: str, action: Action, key: PrivateKey) -> None:
        """An action that must not be executed: the reason of its rejection, or of the node's refusal."""
        try:
            ack = self.client.submit(action, key)
        except ActionRefused as refused:
            found = f"{refused.refusal}: {refused.detail}"
        else:
            found = f"{ack.status}: {ack.reason}" if ack.reason else str(ack.status)
        self.telling.expect(what, "", expected, found)

    def _measure(self, action: Action, key: PrivateKey) -> int:
        return len(sign_action(self.app, action, 0, key, self.app.make_domain()))

    def get(self, field: str, key: Any) -> Any:
        """What a block holds that has all actions so far, by the node's word; None if there is nothing."""
        if self._last is not None:
            self.client.wait(self._last, "C1")
        return self.client.get_state(field, key).value

    def get_balance(self, key: bytes) -> int:
        """Wei of an account in the rollup."""
        return self.get("vault.balances", key) or 0

    # L1.

    def deposit(self, step: str, key: bytes, wei: int) -> Sent:
        """Pay in on L1; returns when the account has it."""
        data = encode_deposit(ETHER, key, wei, self.l1.funder, self.custody.rollup_id)
        before = self.get_balance(key)
        with self.telling.timed(step, "settlement", "L1") as figures:
            sent = self.l1.send(self.custody.vault, data, value=wei)
            figures.gas, figures.bytes = sent.gas, sent.bytes
            self.l1.anvil.mine(DEPTH + 1)
            wait_until("a deposit is credited", lambda: self.get_balance(key) == before + wei)
        return sent

    def settle(self, step: str, ack: SignedAcknowledgement) -> None:
        """Wait until L1 holds the action's block; tell what the batches took since the last time."""
        with self.telling.timed(step, "settlement", "L1") as figures:
            self.client.wait(ack, "C3A")
            self._count_batches(figures)
        self.telling.expect(step, "L1", "C3A", "C3A")

    def _count_batches(self, figures: Figures) -> None:
        anvil = self.l1.anvil
        number = int(anvil.call("eth_blockNumber"), 16)
        asked = {
            "address": self.place.inbox,
            "fromBlock": hex(self._settled_after + 1),
            "toBlock": hex(number),
            "topics": [f"0x{compute_topic('BatchSettled').hex()}"],
        }
        hashes = dict.fromkeys([log["transactionHash"] for log in anvil.call("eth_getLogs", asked)])
        self._settled_after = number
        receipts = [anvil.call("eth_getTransactionReceipt", each) for each in hashes]
        figures.gas = sum(int(receipt["gasUsed"], 16) for receipt in receipts)
        inputs = [anvil.call("eth_getTransactionByHash", each)["input"] for each in hashes]
        figures.bytes = sum(len(each) // 2 - 1 for each in inputs)

    def pass_time(self, seconds: int) -> None:
        """Let L1's clock go on, and the node's blocks with it."""
        anvil = self.l1.anvil
        self.l1.reach_time(self.l1.get_time() + seconds)
        anvil.mine(DEPTH)
        number = anvil.get_head()[0]
        wait_until("the node sees L1 go on", lambda: self._has_followed(number - DEPTH))

    def _has_followed(self, origin: int) -> bool:
        """Whether the node's next action is of a block bound to this L1 block or a newer one: none is open earlier."""
        status = self.client.call("status")
        header = self.client.call("getHeader")
        closed = int(header["firstSeq"]) + int(header["actionCount"])
        return bool(status["l1"]["origin"] >= origin and closed == int(status["acknowledged"]))

    def read_root(self) -> bytes:
        """The inbox's own word."""
        slot: str = self.l1.anvil.call("eth_getStorageAt", self.place.inbox, "0x0", "latest")
        return bytes.fromhex(slot[2:])

    # Proofs.

    def prove(self, field: str, key: Any) -> ProvenValue:
        """Under the root that L1 holds."""
        return self.client.get_proof(field, key, state_root=self.read_root())

    def prove_rebuilt(self, field: str, key: Any) -> StateProof:
        """The same from the store that was rebuilt."""
        described = get_field(self.app, field)
        with open_state(self.store, self.app) as (environment, tree):
            return prove_state(environment, tree, described, described.encode_key(key))
