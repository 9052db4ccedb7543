"""Nodes of a based rollup through reorgs of a real L1: whatever happened to them meanwhile, they end in one history."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import counting
from based_chain import ANYBODY, BasedChain, run_based_chain
from microrollup.crypto.ecdsa import compute_address
from node_fixtures import Caller
from waiting import wait_for

REORG = 8
"""Blocks that L1 takes back: more than nodes keep behind its head."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BasedChain]:
    with run_based_chain("counting:app", tmp_path_factory.mktemp("reorg")) as chain:
        yield chain


def fork(chain: BasedChain, *, first: int) -> None:
    """L1 takes back its last blocks, and goes on with others, in which other actions are queued."""
    chain.anvil.call("anvil_reorg", REORG, [])
    chain.force(counting.Add(first))
    chain.anvil.mine(1)
    chain.force(counting.Add(first + 1), counting.Add(first + 2))
    chain.anvil.mine(REORG + 3)


def find_l1(chain: BasedChain, header: dict[str, Any]) -> str:
    """The L1 block that a header is bound to, by number: its time says which one it is."""
    block = chain.anvil.call("eth_getBlockByNumber", hex(int(header["l1Origin"])), False)
    assert int(block["timestamp"], 16) == int(header["timestamp"])
    return str(block["hash"])


def show_state(caller: Caller) -> Any:
    return caller.call("getState", field="total")["value"]


def test_two_nodes_and_a_reorg(chain: BasedChain, tmp_path: Path) -> None:
    """One serves all the time, one is away while L1 changes, one is killed in the midst of it, a fourth begins later.
    All have the same header at every height, and the same state.
    """
    directories = [chain.data, *[tmp_path / name for name in ("away", "killed", "later")]]
    with ExitStack() as stack:
        chain.force(counting.Add(1), counting.Add(2))
        chain.anvil.mine(REORG)  # these stay
        chain.force(counting.Add(3), b"?", counting.Add(4))
        chain.anvil.mine(3)
        served = stack.enter_context(chain.run(directories[0]))
        before = chain.read_headers(served)
        assert before == chain.derive(directories[1])
        killed = chain.start(directories[2])
        stack.callback(killed.close)
        port = int(killed.read()["url"].rpartition(":")[2])
        caller = stack.enter_context(closing(Caller(None, port)))  # type: ignore[arg-type]
        caller.process = killed  # type: ignore[attr-defined]
        assert before == chain.read_headers(caller)
        fork(chain, first=10)
        wait_for(lambda: chain.ask(caller)["height"]["latest"] != len(before) or killed.process.poll() is not None)
        killed.stop(signal.SIGKILL)  # it may be taking blocks back, or building others
        wait_for(lambda: chain.read_headers(served)[: len(before)] != before)
        after = chain.read_headers(served)
        kept = [ours for ours, theirs in zip(before, after, strict=False) if ours == theirs]
        assert 2 <= len(kept) < len(before)
        assert after[: len(kept)] == kept
        for header in after:
            find_l1(chain, header)
        state = show_state(served)
        for directory in directories[1:]:
            with chain.run(directory) as other:
                assert after == chain.read_headers(other)
                assert state == show_state(other)


def test_l1_that_turns_round_and_round(chain: BasedChain) -> None:
    """A node follows five reorgs in a row and stays in one process; each time it has what L1 has."""
    with chain.run(chain.data) as caller:
        chain.read_headers(caller)
        for number in range(5):
            fork(chain, first=100 * number)
            headers = chain.read_headers(caller)
            assert headers[-1]["forcedCount"] == chain.l1.get_forced_count(chain.l1.get_number())
        assert caller.process.process.poll() is None  # type: ignore[attr-defined]


def test_a_snapshot_that_is_reverted(chain: BasedChain) -> None:
    """L1 goes back to what it was, and for a while has fewer blocks than the node: it waits, and takes nothing back
    before L1 is as long again.
    """
    with chain.run(chain.data) as caller:
        before = chain.read_headers(caller)
        snapshot = chain.anvil.call("evm_snapshot")
        chain.force(counting.Add(7))
        chain.anvil.mine(6)
        longer = chain.read_headers(caller)
        assert len(before) + 1 == len(longer)
        chain.anvil.call("evm_revert", snapshot)
        chain.anvil.call("anvil_setNonce", f"0x{compute_address(ANYBODY).hex()}", hex(1_000))
        chain.anvil.mine(12)
        wait_for(lambda: chain.ask(caller)["height"]["latest"] == len(before))
        chain.force(counting.Add(8))
        chain.anvil.mine(6)
        headers = chain.read_headers(caller)
        assert before == headers[: len(before)]
        assert (len(longer), False) == (len(headers), longer[-1] == headers[-1])
