"""Several L1 nodes: one that fails is left for another, in reading and sending; one of another chain is not used."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from ethereum_harness import pass_blocks
from ethereum_site import make_site, settle, settle_next
from l1_double import L1Double, Persona
from l1_fixtures import CHAIN_ID, Anvil, run_anvil
from l1_proxy import run_proxy
from microrollup.settlement.ethereum.errors import L1Unreachable, WrongL1
from microrollup.settlement.ethereum.failover import RETURN_SECONDS, FailoverTransport, open_transport
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.requirements import find_abilities
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.testing.settlement_harness import OWNER, extend, propose

NOWHERE = "http://127.0.0.1:1"


class Everything(Counter[str]):
    """Each method, without end."""

    def __getitem__(self, _: str) -> int:
        return 1

    def get(self, _: str, default: int | None = None) -> int:
        del default
        return 1

    def __contains__(self, _: object) -> bool:
        return True


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_settling_goes_on_over_another_node(anvil: Anvil) -> None:
    """The node in use goes away between two batches, and between the questions of one: all settles once."""
    double = L1Double(anvil.url, Persona())
    with make_site(anvil, double, da="calldata", fallbacks=(anvil.url,), retries=1) as site, capture_logs() as logs:
        pass_blocks(anvil, 60)
        inbox = site.open()
        assert 1 == settle(inbox, propose(inbox, extend(inbox))).height
        assert [] == [each for each in logs if each["event"] == "l1_node_changed"]
        double.fail |= {"eth_sendRawTransaction": 1_000, "eth_getTransactionReceipt": 1_000}
        assert 2 == settle_next(inbox, l1_origin=inbox.get_settled().l1_origin).height
        double.fail = Everything()
        assert 3 == settle_next(inbox, l1_origin=inbox.get_settled().l1_origin).height
        assert 0 == inbox.force(b"payload", sender=OWNER)
        assert 3 == site.open().get_settled().height
        assert (3, 3) == (site.count_settled(), site.count_nonces())
        assert [anvil.url] == list({each["place"] for each in logs if each["event"] == "l1_node_changed"})


def test_the_first_node_is_taken_again(anvil: Anvil) -> None:
    """After a minute the nodes above are tried again, and not before."""
    double = L1Double(anvil.url, Persona())
    clock = Clock()

    async def run() -> None:
        options = EthereumOptions(double.url, fallbacks=(NOWHERE, anvil.url), retries=1)
        transport = FailoverTransport(options, clock)
        assert isinstance(open_transport(options), FailoverTransport)
        number = await transport.ask("eth_blockNumber")
        asked = double.seen["eth_blockNumber"]
        double.fail["eth_blockNumber"] = 100
        assert number == await transport.ask("eth_blockNumber")
        double.fail.clear()
        clock.now = RETURN_SECONDS - 1
        failed = double.seen["eth_blockNumber"]
        assert failed > asked
        assert [number, number] == await transport.ask_many([("eth_blockNumber", []), ("eth_blockNumber", [])])
        assert failed == double.seen["eth_blockNumber"]
        clock.now = RETURN_SECONDS
        assert number == await transport.ask("eth_blockNumber")
        assert failed + 1 == double.seen["eth_blockNumber"]
        await transport.close()

    with run_proxy(anvil.url, double):
        asyncio.run(run())


def test_a_node_of_another_chain_is_not_used(anvil: Anvil) -> None:
    """It would answer; its chain is asked for first. If nobody else is left the first reason is told."""
    with run_proxy(anvil.url) as other:
        other.rewrite["eth_chainId"] = lambda _params, _answer: "0x7"

        async def run() -> None:
            double = L1Double(anvil.url, Persona())
            with run_proxy(anvil.url, double):
                transport = FailoverTransport(EthereumOptions(double.url, fallbacks=(other.url,), retries=1))
                await transport.ask("eth_blockNumber")
                double.fail = Everything()
                with pytest.raises(L1Unreachable):
                    await transport.ask("eth_blockNumber")
                with pytest.raises(WrongL1):
                    await transport._check(1)
                await transport.close()

        asyncio.run(run())


def test_nodes_that_disagree(anvil: Anvil) -> None:
    """Nothing is built on a block of which two nodes tell different hashes; one that is silent does not count."""
    other = L1Double(anvil.url, Persona())

    def lie(_: Any, block: Any) -> Any:
        return block and block | {"hash": "0x" + "ab" * 32}

    with run_proxy(anvil.url, other), make_site(anvil, da="calldata", fallbacks=(other.url,), retries=1) as site:
        pass_blocks(anvil, 20)
        inbox = site.open()
        number = inbox.get_number()
        for rewrite, follows in ((lie, False), (lambda *_: None, True), (lambda *_: [], True)):
            anvil.mine(1)
            other.rewrite["eth_getBlockByNumber"] = rewrite
            with capture_logs() as logs:
                assert (number + 1 if follows else number) == inbox.get_number()
            reasons = [each["reason"] for each in logs if each["event"] == "l1_not_followed"]
            assert [] == reasons if follows else "different blocks" in reasons[0]
            other.rewrite.clear()
            number = inbox.get_number()
        asked = other.seen.total()
        anvil.mine(1)
        assert number + 1 == inbox.get_number()
        assert asked == other.seen.total(), "it has not answered lately"


def test_nobody_answers() -> None:
    """The error is the first node's; its place is named."""

    async def run() -> None:
        transport = FailoverTransport(EthereumOptions(NOWHERE, fallbacks=("http://127.0.0.1:2",), retries=1))
        with pytest.raises(L1Unreachable, match=r"127\.0\.0\.1:1"):
            await transport.ask("eth_blockNumber")
        with pytest.raises(L1Unreachable):
            await transport.ask_many([("eth_blockNumber", [])])
        assert [] == await transport.ask_many([])
        await transport.close()

    asyncio.run(run())


def test_what_a_node_can_do(anvil: Anvil) -> None:
    """Named one by one: anvil can all; a provider without methods and hashes is said to lack just these."""

    async def ask(url: str) -> dict[str, bool]:
        transport = L1Transport(EthereumOptions(url))
        try:
            return await find_abilities(transport)
        finally:
            await transport.close()

    everything = asyncio.run(ask(anvil.url))
    assert {"cancun": True, "callsByHash": True, "proofs": True, "blockOverrides": True} == everything
    with run_proxy(anvil.url, L1Double(anvil.url, Persona(missing=frozenset({"eth_getProof"})))) as double:
        assert everything | {"proofs": False} == asyncio.run(ask(double.url))


@pytest.mark.parametrize("ahead", [False, True])
def test_a_node_that_changes_its_chain(anvil: Anvil, ahead: bool) -> None:
    """Its name is given to a node of another chain while the rollup runs, one that is shorter or longer: the next one
    is asked, and no reorg is told. Alone, it is said which chain it is of.
    """
    first, second = L1Double(anvil.url, Persona()), L1Double(anvil.url, Persona())
    with (
        run_anvil(chain_id=CHAIN_ID + 1) as other,
        run_proxy(anvil.url, second),
        make_site(anvil, first, da="calldata", fallbacks=(second.url,), retries=1) as site,
    ):
        pass_blocks(anvil, 20)
        inbox, alone = site.open(), site.open(fallbacks=())
        other.mine(anvil.get_head()[0] + 80 if ahead else 3)
        for changed in (first, second):
            changed.target = other.url
            anvil.mine(1)
            number = anvil.get_head()[0] + 1
            with capture_logs() as logs:
                inbox.get_number()
                assert number == inbox.get_number()
            assert [] == [each for each in logs if each["event"] == "l1_reorg"]
            with capture_logs() as logs:
                assert (number if changed is second else number - 1) == alone.get_number()
            reasons = [each["reason"] for each in logs if each["event"] == "l1_not_followed"]
            assert [changed is first] == [f"of chain {CHAIN_ID + 1}" in each for each in reasons or [""]]
            changed.target = anvil.url
