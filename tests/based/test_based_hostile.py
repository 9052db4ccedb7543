"""A based node whose L1 node lies: it learns less, or later, and derives in the end what an honest one has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import counting
from based_chain import DEPTH, BasedChain, run_based_chain
from l1_proxy import Rewrite, run_proxy
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES, MAX_FORCED_PER_BLOCK
from waiting import wait_for


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BasedChain]:
    with run_based_chain("counting:app", tmp_path_factory.mktemp("hostile")) as chain:
        yield chain


def hide_first(_: list[Any], result: Any) -> Any:
    return result[1:]


def hide_all(_: list[Any], result: Any) -> Any:
    return result[:0]


def change_hash(_: list[Any], result: Any) -> Any:
    return result and result | {"hash": "0x" + "ee" * 32}


def cut_parent(_: list[Any], result: Any) -> Any:
    return result and result | {"parentHash": "0x" + "dd" * 32}


def tell_later(_: list[Any], result: Any) -> Any:
    return result and result | {"timestamp": hex(int(result["timestamp"], 16) + 3_000)}


LIES: tuple[tuple[str, Rewrite], ...] = (
    ("eth_getLogs", hide_all),
    ("eth_getLogs", hide_first),
    ("eth_getBlockByNumber", change_hash),
    ("eth_getBlockByNumber", cut_parent),
    ("eth_getBlockByNumber", tell_later),
)


def test_a_lying_l1(chain: BasedChain) -> None:
    """Missing logs, gaps among them, headers against each other or their hashes: nothing ends or is taken back."""
    with run_proxy(chain.anvil.url) as proxy, chain.run(chain.data, "--l1-url", proxy.url) as caller:
        headers = chain.read_headers(caller)
        for method, rewrite in LIES:
            proxy.rewrite[method] = rewrite
            chain.force(counting.Add(1), counting.Add(2))
            chain.anvil.mine(DEPTH + 1)
            asked = proxy.seen.total()
            wait_for(lambda asked=asked: proxy.seen.total() > asked + 5)  # type: ignore[misc]
            proxy.rewrite.clear()
            chain.anvil.mine(1)
            before, headers = headers, chain.read_headers(caller)
            assert before == headers[: len(before)]
        assert caller.process.process.poll() is None  # type: ignore[attr-defined]
    assert headers == chain.derive(chain.root / "honest")


def test_a_flooded_queue(chain: BasedChain) -> None:
    """More entries than a block takes, of the longest payloads and of nothing, are blocks one after the other; what
    comes after them is executed.
    """
    with chain.run(chain.data) as caller:
        before = chain.read_headers(caller)
        garbage = [bytes((number % 5,)) * (MAX_FORCED_PAYLOAD_BYTES if number % 20 == 0 else 3) for number in range(90)]
        places = chain.force(*garbage, counting.Add(9))
        chain.anvil.mine(DEPTH + 1)
        after = chain.read_headers(caller)
        assert before == after[: len(before)]
        assert places[-1] + 1 == after[-1]["forcedCount"]
        assert all(header["actionCount"] <= MAX_FORCED_PER_BLOCK for header in after)
        newest = caller.call("getReceipt", seq=after[-1]["firstSeq"] + after[-1]["actionCount"] - 1)
        assert "executed" == newest["status"]
