"""Nodes, accounts and other processes against the keeper: a round ends with an error of ours, and costs what it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from account_world import address_of
from apps.keystore.chains.keeper import ChainKeeper, KeeperPolicy
from apps.keystore.chains.l1_roots import L1Prover
from apps.keystore.chains.node import ChainNode
from apps.keystore.chains.serving_options import make_chain_options
from apps.keystore.chains.status import find_book
from apps.keystore.chains.store import ChainStore
from chains_world import KEY as KEY_OF_CHAINS
from chains_world import ChainsWorld
from delegating import delegate_by
from l1_proxy import L1Proxy, run_proxy
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MicrorollupError
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.options import EthereumOptions
from waiting import SECONDS

KEY: Final = load_private_key(keccak256(b"a keeper between hostile nodes"))
PAYER: Final = compute_address(KEY)
NAME: Final = keccak256(b"an account between hostile nodes")
BUDGET: Final = 10**17

GARBAGE: Final[tuple[Any, ...]] = (
    None, -1, 10**400, "", "0x", "0x_1", "0x" + "f" * 65, "0x" + "ab" * 200_000, "\ud800", [[]], {}, [0] * 10_000,
    {"status": "0x1", "blockNumber": "0x" + "f" * 64, "transactionHash": 7, "gasUsed": "0x", "blockHash": []},
)  # fmt: skip

CHANGING: Final = "0x435f52600160205261018 05ff3".replace(" ", "")
"""Answers every call with a copy whose root is the block's number, at height 1."""


@pytest.fixture(scope="module")
def nodes(chains: ChainsWorld) -> Iterator[tuple[L1Proxy, L1Proxy]]:
    """In front of an L2 and of L1."""
    with run_proxy(chains.first.anvil.url) as l2, run_proxy(chains.l1.anvil.url) as l1:
        yield l2, l1


@pytest.fixture
def paid(chains: ChainsWorld) -> None:
    """The keeper's key has a hundred ether."""
    chains.first.anvil.call("anvil_setBalance", hex0x(PAYER), hex(10**20))


def _make_options(url: str, settle_seconds: float) -> EthereumOptions:
    return replace(
        make_chain_options(100.0), url=url, timeout_seconds=30, retries=0, patience_seconds=1, poll_seconds=0.05,
        settle_seconds=settle_seconds, bump_seconds=0.5,
    )  # fmt: skip


def run_rounds(
    chains: ChainsWorld, l2: str, l1: str, directory: Path, count: int = 1, settle_seconds: float = 60, **policy: Any
) -> ChainKeeper:
    """Some rounds of a keeper. Raises what the last does."""

    async def run() -> ChainKeeper:
        node, prover = ChainNode(_make_options(l2, settle_seconds), KEY), L1Prover(_make_options(l1, settle_seconds))
        try:
            node.chain_id = await node.read_chain_id()
            with ChainStore(directory) as store:
                given = KeeperPolicy(BUDGET, **{"names": (NAME,), "root_seconds": 0, "push_seconds": 0, **policy})
                keeper = ChainKeeper(node, find_book(chains.book, node.chain_id), given, prover, store)
                for _ in range(count):
                    await keeper.run_round()
                return keeper
        finally:
            await node.close()
            await prover.close()

    return asyncio.run(asyncio.wait_for(run(), SECONDS))


def count_sent(chains: ChainsWorld) -> int:
    """Transactions of the keeper's."""
    return int(chains.first.anvil.call("eth_getTransactionCount", hex0x(PAYER), "latest"), 16)


@pytest.fixture
def account(chains: ChainsWorld, paid: None, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An account on the L2, which has a root."""
    address = chains.plan.get_account(NAME)
    if not chains.first.has_code(address):
        chains.settle()
        run_rounds(chains, chains.first.anvil.url, chains.l1.anvil.url, tmp_path_factory.mktemp("first"), names=())
        chains.create_accounts(chains.first, [NAME])
    return address


def test_garbage(chains: ChainsWorld, nodes: tuple[L1Proxy, L1Proxy], account: bytes, tmp_path: Path) -> None:
    """Each method of either node answers each piece of garbage while there is a root to bring, an account to push."""
    l2, l1 = nodes
    chains.settle()
    l2.seen.clear()
    l1.seen.clear()
    run_rounds(chains, l2.url, l1.url, tmp_path)
    asked = [(proxy, method) for proxy in nodes for method in sorted(proxy.seen)]
    assert {"eth_sendRawTransaction", "eth_getTransactionReceipt", "eth_getProof"} <= {method for _, method in asked}
    wrong = []
    for proxy, method in asked:
        for garbage in GARBAGE:
            proxy.rewrite[method] = lambda _, __, told=garbage: told
            try:
                run_rounds(chains, l2.url, l1.url, tmp_path, settle_seconds=1)
            except (MicrorollupError, OSError):
                pass
            except Exception as error:
                wrong.append((method, repr(garbage)[:40], repr(error)[:200]))
            finally:
                del proxy.rewrite[method]
        chains.settle()
    assert [] == wrong
    run_rounds(chains, l2.url, l1.url, tmp_path)


def test_an_account_that_is_due_whatever_is_pushed(chains: ChainsWorld, account: bytes, tmp_path: Path) -> None:
    """It tells another old copy in each block, and takes each push: one in `push_seconds` is all that it gets."""
    anvil, code = chains.first.anvil, chains.first.anvil.call("eth_getCode", hex0x(account), "latest")
    run_rounds(chains, anvil.url, chains.l1.anvil.url, tmp_path)
    try:
        anvil.call("anvil_setCode", hex0x(account), CHANGING)
        before = count_sent(chains)
        keeper = run_rounds(chains, anvil.url, chains.l1.anvil.url, tmp_path, 4, push_seconds=900, root_seconds=900)
        assert 1 == count_sent(chains) - before
        assert keeper.idle
    finally:
        anvil.call("anvil_setCode", hex0x(account), code)


def test_an_eoa_is_served_while_it_delegates_to_the_keystore(
    chains: ChainsWorld, account: bytes, tmp_path: Path
) -> None:
    """Not before, and not once it has gone over to code that answers as an account does."""
    anvil, name = chains.first.anvil, "an EOA that is kept fresh"
    funder, eoa = hex0x(compute_address(KEY_OF_CHAINS)), address_of(name)
    urls = chains.first.anvil.url, chains.l1.anvil.url
    hostile = bytes.fromhex("77" * 20)
    anvil.call("anvil_setCode", hex0x(hostile), CHANGING)
    run_rounds(chains, *urls, tmp_path, names=())
    served = []
    for delegate in (None, chains.plan.delegate, hostile, hostile):
        if delegate is not None:
            delegate_by(anvil, funder, name, delegate)
        before = count_sent(chains)
        keeper = run_rounds(chains, *urls, tmp_path, 2, names=(eoa,), root_seconds=900)
        served.append((keeper.counts.deployed, count_sent(chains) - before))
    assert [(0, 0), (1, 1), (0, 0), (0, 0)] == served


def test_a_nonce_that_another_process_takes(
    chains: ChainsWorld, nodes: tuple[L1Proxy, L1Proxy], account: bytes, tmp_path: Path
) -> None:
    """Between the note and the transaction: what the other has paid counts, and the next rounds go on."""
    l2, l1 = nodes
    chains.settle()

    def take() -> None:
        chains.first.impersonate(PAYER)
        chains.first.anvil.call("anvil_setBalance", hex0x(PAYER), hex(10**20))
        call = {"from": hex0x(PAYER), "to": hex0x(bytes(20)), "value": "0x1", "gas": hex(21_000)}
        chains.first.anvil.call("eth_sendTransaction", call)

    chains.first.anvil.call("anvil_setBalance", hex0x(PAYER), hex(10**20))
    l2.watch("eth_sendRawTransaction", 1, "before", take)
    for _ in range(3):
        with suppress(MicrorollupError):
            run_rounds(chains, l2.url, l1.url, tmp_path)
    keeper = run_rounds(chains, l2.url, l1.url, tmp_path, 2)
    assert chains.height == keeper.counts.height
    spent = 10**20 - int(chains.first.anvil.call("eth_getBalance", hex0x(PAYER), "latest"), 16)
    assert keeper.note.spent == spent > 0
    assert -1 == keeper.note.pending_nonce


def test_a_spike_of_fees(chains: ChainsWorld, account: bytes, tmp_path: Path) -> None:
    """Above `--max-fee` nothing is sent and nothing counts; below it the round goes on where it was."""
    anvil, urls = chains.first.anvil, (chains.first.anvil.url, chains.l1.anvil.url)
    chains.settle()
    anvil.call("anvil_setNextBlockBaseFeePerGas", hex(10**13))
    anvil.mine()
    before = count_sent(chains)
    with pytest.raises(MicrorollupError):
        run_rounds(chains, *urls, tmp_path)
    with ChainStore(tmp_path) as store:
        note = store.read_chain(10)
    assert note is not None
    assert (0, -1, before) == (note.spent, note.pending_nonce, count_sent(chains))
    anvil.call("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    anvil.mine()
    assert chains.height == run_rounds(chains, *urls, tmp_path).counts.height


def test_an_answer_of_any_size(
    chains: ChainsWorld, nodes: tuple[L1Proxy, L1Proxy], account: bytes, tmp_path: Path
) -> None:
    """What is longer than the command's limit is not read; the next node, or the next round, may answer."""
    l2, l1 = nodes
    assert make_chain_options(1.0).answer_bytes <= 8 << 20
    l2.replace_body = b'{"jsonrpc":"2.0","id":1,"result":[' + b"[]," * (3 << 20) + b"[]]}"
    try:
        with pytest.raises(L1BadAnswer, match="longer than"):
            run_rounds(chains, l2.url, l1.url, tmp_path)
    finally:
        l2.replace_body = None
