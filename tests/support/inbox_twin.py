"""A real inbox on a real L1, settled by hand: any state root, without a rollup behind it.

`python tests/support/inbox_twin.py` writes the storage proofs that the forge tests read.
"""

from __future__ import annotations

import json
from typing import Any, Final

from apps.keystore.root_proofs import STORAGE_SLOTS, RootProof, make_root_proof
from contract_calls import Contract
from l1_fixtures import Anvil, run_anvil
from microrollup.chain.block import Header, compute_block_hash, compute_genesis_header
from microrollup.chain.record import DomainConfig, Genesis
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.settlement.attestation import create_attestation, sign_attestation
from paths import FOUNDRY

FILE: Final = FOUNDRY / "keystore" / "fixtures" / "inbox.json"
CHAIN_ID: Final = 31337
START: Final = 1_700_000_004
"""The fixture's L1 begins then, so that a second run gives the same bytes."""

_VERIFIER: Final = PrivateKey(keccak256(b"verifier"))


class InboxTwin:
    """An inbox that this process built, attests and settles."""

    def __init__(self, anvil: Anvil, state_root: bytes, salt: bytes = bytes(32)) -> None:
        self.anvil = anvil
        anvil.mine()
        self.builder: str = anvil.call("eth_accounts")[0]
        latest = anvil.call("eth_getBlockByNumber", "latest", False)
        genesis = Genesis(
            format=1, name="twin", l1_chain_id=CHAIN_ID, genesis_time=int(latest["timestamp"], 16),
            state_root=state_root, metadata_root=bytes(32), builder=bytes.fromhex(self.builder[2:]),
            verifiers=(compute_address(_VERIFIER),), quorum=1, l1_start=int(latest["number"], 16) - 1, salt=salt,
            domain=DomainConfig("twin", "1", CHAIN_ID, bytes(20)),
        )  # fmt: skip
        self.header = compute_genesis_header(genesis)
        words = (
            genesis.name, genesis.l1_chain_id, genesis.genesis_time, genesis.state_root, genesis.metadata_root,
            genesis.builder, list(genesis.verifiers), genesis.quorum, genesis.l1_start, genesis.salt,
        )  # fmt: skip
        arguments = [words, ("twin", "1", CHAIN_ID, bytes(20)), bytes(20), EMPTY_HASH]
        self.contract = Contract.deploy(anvil, load_artifact("RollupInbox"), arguments, self.builder)
        self.address = self.contract.address
        self.settled_at = self._read_time()
        """L1's time when it took the newest root, in seconds."""

    def settle(self, state_root: bytes) -> None:
        """One more block with that state root, attested, its batch in the calldata."""
        parent, batch = self.header, b"batch"
        self.header = Header(
            rollup_id=parent.rollup_id, height=parent.height + 1, parent_hash=compute_block_hash(parent),
            timestamp=parent.timestamp, stf_id=EMPTY_HASH, l1_origin=parent.l1_origin, forced_count=0,
            forced_hash=bytes(32), first_seq=0, action_count=0, actions_root=bytes(32), receipts_root=bytes(32),
            state_root=state_root, metadata_root=bytes(32),
        )  # fmt: skip
        attestation = create_attestation(
            self.header.parent_hash, self.header.height, self.header, keccak256(b"\1" + batch)
        )
        signed = sign_attestation(_VERIFIER, attestation, CHAIN_ID, bytes.fromhex(self.address[2:]))
        words = tuple(getattr(self.header, name) for name in Header.__struct_fields__)
        claim = (self.header.height, self.header.parent_hash, attestation.data_hash)
        self.contract.send("settleCalldata", words, claim, b"\0" + signed.signature, batch, sender=self.builder)
        self.settled_at = self._read_time()

    def _read_time(self) -> int:
        return int(self.anvil.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def prove(self) -> tuple[dict[str, Any], RootProof]:
        """The newest L1 block, and what the inbox holds in it."""
        block = self.anvil.call("eth_getBlockByNumber", "latest", False)
        proof = self.anvil.call("eth_getProof", self.address, list(STORAGE_SLOTS), block["number"])
        return block, make_root_proof(block, proof)


def make_fixture() -> dict[str, Any]:
    """Proofs of one inbox at three heights, the first root shortened by the trie for its zeros, and of a stranger."""
    with run_anvil("--accounts", "300", timestamp=START) as anvil:
        inbox = InboxTwin(anvil, bytes(3) + keccak256(b"genesis")[3:])
        stranger = InboxTwin(anvil, keccak256(b"stranger"), salt=keccak256(b"salt"))
        cases: dict[str, Any] = {"inbox": inbox.address, "genesis": _describe(inbox), "stranger": _describe(stranger)}
        for name in ("first", "second"):
            inbox.settle(keccak256(name.encode()))
            cases[name] = _describe(inbox)
        anvil.mine(5)
        cases["idle"] = _describe(inbox)
    return cases


def _describe(twin: InboxTwin) -> dict[str, Any]:
    block, proof = twin.prove()
    return {
        "number": proof.number,
        "blockHash": block["hash"],
        "header": f"0x{proof.header.hex()}",
        "accountProof": [f"0x{node.hex()}" for node in proof.account_proof],
        "rootProof": [f"0x{node.hex()}" for node in proof.root_proof],
        "headProof": [f"0x{node.hex()}" for node in proof.head_proof],
        "root": f"0x{twin.header.state_root.hex()}",
        "height": twin.header.height,
        "l1Time": int(block["timestamp"], 16),
        "settledAt": twin.settled_at,
    }


def encode_fixture(cases: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(cases, indent=0) + "\n"


if __name__ == "__main__":
    FILE.write_text(encode_fixture(make_fixture()))
