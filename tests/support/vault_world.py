"""A vault on a real L1 with Keystore+ behind it: a builder in this process settles what its ledger has."""

from __future__ import annotations

from typing import Any, Final

from eth_abi.abi import decode, encode

from apps.keystore.proofs import encode_proof
from apps.keystore.smart_account import DEPLOYER, compute_create2_address
from contract_calls import Contract, Reverted
from kernel_fixtures import Chain
from l1_fixtures import Anvil
from microrollup.chain.block import Header, compute_block_hash, compute_genesis_header, compute_rollup_id
from microrollup.chain.record import DomainConfig, Genesis
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.ledger.reading import StateProof, prove_state
from microrollup.settlement.attestation import create_attestation, sign_attestation
from waiting import wait_for

__all__ = ["CHAIN_ID", "PACKAGE", "World", "pack", "raw"]

PACKAGE: Final = "apps.keystore.contracts"
CHAIN_ID: Final = 31337
ATTESTER: Final = PrivateKey(keccak256(b"attester"))
SILENCE: Final = 86_400
QUEUE_SLOT: Final = 9
"""Of the inbox's queue, whose entries have two words each."""


def raw(address: str) -> bytes:
    """An address as bytes."""
    return bytes.fromhex(address[2:])


class World:
    """L1 with vault and inbox, and a builder who settles what its ledger has."""

    def __init__(self, anvil: Anvil, chain: Chain, vault: Contract) -> None:
        self.anvil, self.chain, self.vault = anvil, chain, vault
        self.builder: str = anvil.call("eth_accounts")[0]
        self.payer: str = anvil.call("eth_accounts")[1]
        self.taken = 0
        anvil.mine()
        latest = anvil.call("eth_getBlockByNumber", "latest", False)
        state_root = chain.ledger.get_header(0).state_root
        genesis = Genesis(
            format=1, name="keystore-plus", l1_chain_id=CHAIN_ID, genesis_time=int(latest["timestamp"], 16),
            state_root=state_root, metadata_root=bytes(32), builder=raw(self.builder),
            verifiers=(compute_address(ATTESTER),), quorum=1, l1_start=int(latest["number"], 16) - 1, salt=bytes(32),
            domain=DomainConfig("keystore-plus", "1", CHAIN_ID, bytes(20)),
        )  # fmt: skip
        self.header = compute_genesis_header(genesis)
        self.rollup_id = compute_rollup_id(genesis)
        words = (
            genesis.name, genesis.l1_chain_id, genesis.genesis_time, genesis.state_root, genesis.metadata_root,
            genesis.builder, list(genesis.verifiers), genesis.quorum, genesis.l1_start, genesis.salt,
        )  # fmt: skip
        domain = ("keystore-plus", "1", CHAIN_ID, bytes(20))
        artifact = load_artifact("RollupInbox")
        constructor = next(entry for entry in artifact.abi if entry["type"] == "constructor")
        types = ["(string,uint256,uint256,bytes32,bytes32,address,address[],uint256,uint256,bytes32)"]
        types += ["(string,string,uint256,address)", "address", "bytes32"]
        assert len(types) == len(constructor["inputs"])
        code = raw(artifact.bytecode)
        creation = code + encode(types, [words, domain, bytes(20), EMPTY_HASH])
        self.send(f"0x{DEPLOYER.hex()}", self.rollup_id + creation)
        address = compute_create2_address(DEPLOYER, self.rollup_id, keccak256(creation))
        self.inbox = Contract(anvil, artifact, f"0x{address.hex()}")
        vault.send("bind", code, words, domain, bytes(20), EMPTY_HASH, sender=self.builder)

    def send(self, to: str, data: bytes, value: int = 0, sender: str = "") -> dict[str, Any]:
        """A transaction, mined."""
        transaction = {"from": sender or self.builder, "to": to, "data": f"0x{data.hex()}", "value": hex(value)}
        digest = self.anvil.call("eth_sendTransaction", {**transaction, "gas": hex(16_000_000)})
        receipt: dict[str, Any] = wait_for(lambda: self.anvil.call("eth_getTransactionReceipt", digest))
        assert "0x1" == receipt["status"], receipt
        return receipt

    def to_vault(self, data: bytes, value: int = 0, sender: str = "") -> dict[str, Any]:
        """A transaction to the vault, mined."""
        return self.send(self.vault.address, data, value, sender)

    def judge(self, data: bytes) -> Reverted | bytes:
        """What the vault would say."""
        return self.vault._call({"to": self.vault.address, "data": f"0x{data.hex()}"}, {})

    def take_queue(self) -> None:
        """The rollup takes from L1's queue what it has not, in the name of those who forced it."""
        logs = self.anvil.call("eth_getLogs", {"address": self.inbox.address, "fromBlock": "0x0"})
        selector = "0x" + keccak256(b"ActionForced(uint256,address,uint256,bytes,bytes32)").hex()
        forced = [log for log in logs if log["topics"][0] == selector]
        for log in forced[self.taken :]:
            _, payload, _ = decode(["uint256", "bytes", "bytes32"], raw(log["data"]))
            self.chain.l1.force(payload, sender=raw(log["topics"][2])[12:])
        self.taken = len(forced)
        self.chain.advance(2)

    def settle(self) -> bytes:
        """Close the rollup's block, settle its root on L1, and record it. Gives the root."""
        return self.settle_root(self.chain.close_block(allow_empty=True).state_root)

    def settle_root(self, root: bytes) -> bytes:
        """Settle a root that the ledger has or had."""
        self.anvil.mine()
        number, time = self.anvil.get_head()
        (queue_hash,) = self.inbox.call("queueHash", self.taken)  # type: ignore[misc]
        parent = self.header
        self.header = Header(
            rollup_id=self.rollup_id, height=parent.height + 1, parent_hash=compute_block_hash(parent),
            timestamp=time, stf_id=EMPTY_HASH, l1_origin=number, forced_count=self.taken, forced_hash=queue_hash,
            first_seq=0, action_count=0, actions_root=bytes(32), receipts_root=bytes(32), state_root=root,
            metadata_root=bytes(32),
        )  # fmt: skip
        data_hash = keccak256(b"\1batch")
        attestation = create_attestation(self.header.parent_hash, self.header.height, self.header, data_hash)
        signed = sign_attestation(ATTESTER, attestation, CHAIN_ID, raw(self.inbox.address))
        words = tuple(getattr(self.header, name) for name in Header.__struct_fields__)
        claim = (self.header.height, self.header.parent_hash, data_hash)
        self.inbox.send("settleCalldata", words, claim, b"\0" + signed.signature, b"batch", sender=self.builder)
        self.vault.send("checkpoint", sender=self.builder)
        return root

    def fall_silent(self) -> None:
        """Let the newest entry of the queue be 12 days old: anvil would mine so many blocks for minutes."""
        index = self.taken
        since = self.anvil.get_head()[0] - SILENCE
        slot = int.from_bytes(keccak256(QUEUE_SLOT.to_bytes(32, "big")), "big") + 2 * index + 1
        self.anvil.call("anvil_setStorageAt", self.inbox.address, f"0x{slot:064x}", f"0x{since:064x}")
        assert (since, 0) == self.inbox.call("entry", index)

    def prove(self, field: str, key: Any) -> StateProof:
        """What the ledger shows at its newest block."""
        found = self.chain.rollup.state_type.get_field(field)
        return prove_state(self.chain.ledger.environment, self.chain.ledger.tree, found, found.encode_key(key))

    def get_balance(self, address: str) -> int:
        """Wei."""
        return int(self.anvil.call("eth_getBalance", address, "latest"), 16)


def pack(shown: StateProof) -> bytes:
    """The proof as contracts take it."""
    return encode_proof(shown.exists, shown.proof)
