"""An account that is made after its updates were brought to the chain: its first operation is its newest node's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from account_world import ENTRY_POINT_ARTIFACT, ENTRY_POINT_SALT
from apps.keystore.smart_account import ENTRY_POINT, UserOperation, compute_user_operation_hash, encode_handle_ops
from apps.keystore.ucmt import compute_account_address, encode_account_signature
from apps.keystore.ucmt.command import main
from apps.keystore.ucmt.published import OWN_KEYSTORE
from apps.keystore.ucmt.relay.deploying import plan_contracts
from contract_calls import Contract, Reverted
from l1_fixtures import FOUNDRY
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.create2 import DEPLOYER
from ucmt_relay import ETHER, RELAYER, Log, RelayChain, count_statuses, relay_once, run_chain
from ucmt_world import PACKAGE, Node, User
from waiting import wait_for

pytestmark = pytest.mark.slow

RECIPIENT: Final = keccak256(b"a recipient")[12:]
EXECUTE: Final = keccak256(b"execute(address,uint256,bytes)")[:4]
CREATE: Final = keccak256(b"createAccount(bytes32,uint256)")[:4]


def show(raw: bytes) -> str:
    return "0x" + raw.hex()


def deploy_entry_point(chain: RelayChain) -> None:
    """The published one, by the deterministic deployment proxy."""
    published = json.loads((FOUNDRY / "node_modules" / ENTRY_POINT_ARTIFACT).read_text())["bytecode"]
    send(chain, DEPLOYER, ENTRY_POINT_SALT + bytes.fromhex(published[2:]))


def deploy_factory(chain: RelayChain) -> Contract:
    """The factory, by the same."""
    plan = plan_contracts()[-1]
    send(chain, DEPLOYER, bytes(32) + plan.code)
    return Contract(chain.anvil, load_artifact(plan.name, PACKAGE), show(plan.address))


def send(chain: RelayChain, to: bytes, data: bytes) -> dict[str, Any]:
    """A transaction of a funded account; its receipt."""
    sender = chain.anvil.call("eth_accounts")[2]
    call = {"from": sender, "to": show(to), "data": show(data), "gas": hex(12_000_000)}
    digest = chain.anvil.call("eth_sendTransaction", call)
    receipt: dict[str, Any] = wait_for(lambda: chain.anvil.call("eth_getTransactionReceipt", digest))
    return receipt


def make_operation(chain: RelayChain, user: User, factory: bytes, node: Node, proof: tuple[bytes, ...]) -> bytes:
    """Calldata of an operation that makes the account and sends one wei, signed by a node."""
    operation = UserOperation(
        user.account, 0, EXECUTE + RECIPIENT.rjust(32, b"\0") + (1).to_bytes(32, "big") + (96).to_bytes(32, "big")
        + bytes(32), factory + CREATE + user.ref_hash + bytes(32), verification_gas_limit=1_000_000,
        call_gas_limit=200_000, pre_verification_gas=100_000, max_fee_per_gas=10**9, max_priority_fee_per_gas=10**9,
    )  # fmt: skip
    digest = compute_user_operation_hash(operation, ENTRY_POINT, chain.chain_id)
    signature = encode_account_signature(proof, node.bytes, node.sign(digest))
    return encode_handle_ops([replace(operation, signature=signature)], RECIPIENT[::-1])


def test_the_first_operation_is_the_newest_nodes(tmp_path: Path) -> None:
    """The factory's address for the first root; two updates arrive; then the account is made by the node of the second
    one, and not by the one that its address was made of.
    """
    with run_chain(1009) as chain:
        deploy_entry_point(chain)
        factory = deploy_factory(chain)
        user = User("made later")
        first, first_proof = user.node, user.tree.prove(0)
        (implementation,) = factory.call("implementation")
        place = bytes.fromhex(factory.address[2:])
        user.account = compute_account_address(place, bytes.fromhex(implementation[2:]), user.ref_hash)
        answer = factory.call("getAddress", user.ref_hash, 0)
        assert not isinstance(answer, Reverted)
        assert user.account == bytes.fromhex(answer[0][2:])
        chain.anvil.call("anvil_setBalance", show(user.account), hex(ETHER))
        log = Log(tmp_path)
        log.add(user.rotate(), user.rotate())
        assert {"done": 2} == count_statuses(relay_once(log, tmp_path / "relay", [chain.url]), 1009)
        assert "0x" == chain.anvil.call("eth_getCode", show(user.account), "latest")
        old = make_operation(chain, user, place, first, first_proof)
        assert "0x0" == send(chain, ENTRY_POINT, old)["status"]
        new = make_operation(chain, user, place, user.node, user.tree.prove(0))
        assert "0x1" == send(chain, ENTRY_POINT, new)["status"]
        assert "0x1" == chain.anvil.call("eth_getBalance", show(RECIPIENT), "latest")
        assert "0x" != chain.anvil.call("eth_getCode", show(user.account), "latest")


def test_deploying_brings_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a chain without anything, then again, then with an entry point; at the addresses that the rollup knows."""
    key = tmp_path / "relayer.key"
    key.write_text(RELAYER.secret.hex())

    def deploy(*arguments: str) -> Any:
        assert 0 == main(["deploy", *arguments, "--json"])
        return json.loads(capsys.readouterr().out)

    with run_chain(1010, deploy=False) as chain:
        chain.anvil.call("anvil_setCode", show(DEPLOYER), "0x")
        arguments = ("--chain", chain.url, "--key", str(key))
        document = deploy(*arguments)
        assert document["contracts"]["UserConfigKeystore"] == show(OWN_KEYSTORE)
        (outcome,) = document["chains"]
        assert {1010, "deployed", "needs the entry point"} == set(outcome.values())
        deploy_entry_point(chain)
        (outcome,) = deploy(*arguments)["chains"]
        assert (1010, 5, "deployed") == (
            outcome["chainId"], list(outcome.values()).count("there"), outcome["UcmtAccountFactory"]
        )  # fmt: skip
        for address in document["contracts"].values():
            code = chain.anvil.call("eth_getCode", address, "latest")
            assert len(code) > 1_000
            assert address[2:] not in code  # nothing in it depends on where it is
            assert all(
                0 == int(chain.anvil.call("eth_getStorageAt", address, hex(slot), "latest"), 16) for slot in range(4)
            )
    assert document["contracts"] == deploy()["contracts"]
    assert 2 == main(["deploy", "--key", str(key)])
