"""Creating an inbox on L1: where it will be, whoever creates it, and on an L1 that lacks the deployment proxy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import astuple

import microrollup.testing.anvil
from ethereum_harness import DEPLOYER, get_head
from ethereum_site import Site
from l1_fixtures import Anvil, find_tool
from microrollup.chain.block import compute_rollup_id
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.errors import WrongDomain
from microrollup.settlement.ethereum import create2
from microrollup.settlement.ethereum.contract import encode_creation
from microrollup.settlement.ethereum.create2 import DEPLOYER as DEPLOYMENT_PROXY
from microrollup.settlement.ethereum.deploy import bind_genesis, compute_inbox_address, deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.errors import NoDeployer, NoInbox, WrongL1
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.testing.settlement_harness import BUILDER, OWNER, STF_ID, make_genesis, make_key
from waiting import wait_for


def test_deployment(site: Site) -> None:
    """The inbox's address is in the signing domain before it exists, and so the genesis that it holds names it."""
    genesis = make_genesis(*get_head(site.anvil))
    plan = plan_inbox(genesis, OWNER, STF_ID)
    deployment = deploy_inbox(site.options, DEPLOYER, plan)
    assert compute_inbox_address(plan) == deployment.inbox
    assert bind_genesis(plan) == deployment.genesis
    assert deployment.inbox == deployment.genesis.domain.verifying_contract
    inbox = EthereumSettlement.open(msgspec.structs.replace(site.options, inbox=deployment.inbox))
    try:
        assert deployment.genesis == inbox.get_genesis()
        assert deployment.l1_number == inbox.get_settled().l1_number
        assert STF_ID == inbox.get_stf_id(inbox.get_number())
        assert 0 < deployment.gas_used < 5_000_000
    finally:
        inbox.close()


def test_deployment_refuses(site: Site) -> None:
    """Another chain, a foreign contract in the domain, and no builder are named before any gas is spent."""
    genesis = make_genesis(*get_head(site.anvil))
    replace = msgspec.structs.replace
    with pytest.raises(WrongL1):
        deploy_inbox(site.options, DEPLOYER, plan_inbox(replace(genesis, l1_chain_id=1), OWNER, STF_ID))
    foreign = replace(genesis, domain=replace(genesis.domain, verifying_contract=b"\x01" * 20))
    with pytest.raises(WrongDomain):
        deploy_inbox(site.options, DEPLOYER, plan_inbox(foreign, OWNER, STF_ID, keep_domain=True))


def test_an_inbox_that_is_there(site: Site) -> None:
    """Whoever else creates the planned inbox spoils nothing: there is one, the very same, and its creation is told."""
    plan = plan_inbox(make_genesis(*get_head(site.anvil)), OWNER, STF_ID)
    other = make_key("stranger")
    first = deploy_inbox(site.options, other, plan)
    site.anvil.mine(3)
    nonce = site.anvil.call("eth_getTransactionCount", f"0x{compute_address(DEPLOYER).hex()}", "latest")
    assert first == deploy_inbox(site.options, DEPLOYER, plan)
    assert nonce == site.anvil.call("eth_getTransactionCount", f"0x{compute_address(DEPLOYER).hex()}", "latest")


def test_an_inbox_that_comes_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where it is created between the look and the transaction, which the proxy then refuses."""
    from microrollup.settlement.ethereum import deploy

    plan = plan_inbox(make_genesis(*get_head(site.anvil)), OWNER, STF_ID)
    looks: list[object] = []
    look = deploy._find_inbox

    async def look_late(*arguments: Any) -> Any:
        looks.append(None)
        return None if len(looks) == 1 else await look(*arguments)

    first = deploy_inbox(site.options, make_key("stranger"), plan)
    monkeypatch.setattr(deploy, "_find_inbox", look_late)
    assert first == deploy_inbox(site.options, DEPLOYER, plan)
    assert 2 == len(looks)


def test_the_proxy_is_brought(site: Site) -> None:
    """On an L1 without the deployment proxy its keyless transaction brings it; other code at its address is refused."""
    proxy = f"0x{DEPLOYMENT_PROXY.hex()}"
    plan = plan_inbox(make_genesis(*get_head(site.anvil)), OWNER, STF_ID)
    code = site.anvil.call("eth_getCode", proxy, "latest")
    snapshot = site.anvil.call("evm_snapshot")
    site.anvil.call("anvil_setCode", proxy, "0x")
    site.anvil.call("anvil_setNonce", proxy, "0x0")
    assert compute_inbox_address(plan) == deploy_inbox(site.options, DEPLOYER, plan).inbox
    assert code == site.anvil.call("eth_getCode", proxy, "latest")
    site.anvil.call("evm_revert", snapshot)
    site.anvil.call("anvil_setCode", proxy, "0x00")
    with pytest.raises(NoDeployer, match="other code"):
        deploy_inbox(site.options, DEPLOYER, plan)
    site.anvil.call("anvil_setCode", proxy, code)


def test_the_keyless_transaction() -> None:
    """Its sender is whom the made-up signature recovers to, and that sender's first contract is the proxy."""
    import rlp
    from eth_account import Account

    sender = bytes.fromhex(Account.recover_transaction(create2._KEYLESS_TRANSACTION)[2:])
    assert create2._KEYLESS_SENDER == sender
    assert DEPLOYMENT_PROXY == keccak256(rlp.encode([sender, 0]))[12:]
    _nonce, price, gas, to, value, _init, *_signature = rlp.decode(bytes.fromhex(create2._KEYLESS_TRANSACTION[2:]))
    assert create2._KEYLESS_WEI == int.from_bytes(price, "big") * int.from_bytes(gas, "big")
    assert b"" == to == value


def test_an_address_is_what_the_inbox_is(site: Site) -> None:
    """Another owner, code, party or salt is another address; the deployer's key and its nonce have no part in it."""
    genesis = make_genesis(*get_head(site.anvil))
    replace = msgspec.structs.replace
    plans = [
        plan_inbox(genesis, OWNER, STF_ID),
        plan_inbox(genesis, BUILDER, STF_ID),
        plan_inbox(genesis, OWNER, bytes(32)),
        plan_inbox(genesis, OWNER, STF_ID, keep_domain=True),
        plan_inbox(replace(genesis, salt=bytes(32)), OWNER, STF_ID),
        plan_inbox(replace(genesis, builder=OWNER), OWNER, STF_ID),
        plan_inbox(replace(genesis, l1_chain_id=1), OWNER, STF_ID),
    ]
    assert len(plans) == len({compute_inbox_address(plan) for plan in plans})


def test_another_chain_has_nothing_there(site: Site) -> None:
    """On a chain with another parent nobody has the inbox's address: the proxy's very call creates nothing there, and
    whoever reads that chain is told so. On the inbox's own L1 the same call, sent by anybody, creates the inbox.
    """
    plan = plan_inbox(make_genesis(*get_head(site.anvil)), OWNER, STF_ID)
    inbox, call = compute_inbox_address(plan), compute_rollup_id(plan.genesis) + encode_creation(*astuple(plan))
    somebody = f"0x{compute_address(DEPLOYER).hex()}"
    sent = {"from": somebody, "to": f"0x{DEPLOYMENT_PROXY.hex()}", "data": f"0x{call.hex()}", "gas": hex(6_000_000)}

    def create(anvil: Anvil) -> tuple[int, bool]:
        transaction = anvil.call("eth_sendTransaction", sent)
        receipt: dict[str, str] = wait_for(lambda: anvil.call("eth_getTransactionReceipt", transaction))
        status = int(receipt["status"], 16)
        return status, anvil.call("eth_getCode", f"0x{inbox.hex()}", "latest") != "0x"

    options = msgspec.structs.replace(site.options, inbox=inbox)
    with microrollup.testing.anvil.run_anvil([find_tool("anvil")], chain_id=8453) as other:
        other.mine(3)
        assert (0, False) == create(other)
        with pytest.raises(NoInbox):
            EthereumSettlement.open(msgspec.structs.replace(options, url=other.url))
    assert (1, True) == create(site.anvil)
    EthereumSettlement.open(options).close()
