"""One long run: 200 updates of 50 accounts to three chains, with what goes wrong on the way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest

from apps.keystore.ucmt import RootUpdate, compute_update_message
from apps.keystore.ucmt.envelope import HEAD
from l1_proxy import L1Proxy, run_proxy
from microrollup.chain.export import encode_block
from microrollup.settlement.batch import decode_batch
from microrollup.verifier.http_source import HttpSource
from node_fixtures import Caller, Site
from ucmt_relay import RELAYER, RelayChain, RelayProcess, count_statuses, run_chain
from ucmt_world import KINDS, User, encode_raw
from waiting import wait_for

pytestmark = pytest.mark.slow

ACCOUNTS: Final = 50
UPDATES: Final = 200
CHAINS: Final = (2001, 2002, 2003)


class FailingProxy(L1Proxy):
    """A chain's node that does not answer for a while."""

    is_down = False

    def answer(self, body: bytes) -> bytes | None:
        return None if self.is_down else super().answer(body)


def make_updates() -> tuple[list[User], list[RootUpdate]]:
    """Four of each account, of different kinds and nonce keys, in a random order that keeps each account's own."""
    draw = random.Random("run")
    users = [User(f"run {number}", KINDS[number % 4] if number < 12 else "ecdsa") for number in range(ACCOUNTS)]
    turns = [user for user in users for _ in range(UPDATES // ACCOUNTS)]
    draw.shuffle(turns)
    updates = [user.rotate(key=draw.choice((0, 0, 0, 7, 2**192 - 1)), keep=draw.random() < 0.2) for user in turns]
    return users, updates


def submit(caller: Caller, updates: list[RootUpdate]) -> None:
    lines = [b'{"envelope":"ucmt","raw":"0x%s"}' % encode_raw(update).hex().encode() for update in updates]
    for first in range(0, len(lines), 20):
        for answer in caller.submit(*lines[first : first + 20]):
            assert "executed" == answer["ack"]["status"], answer


def wait_until(process: RelayProcess, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What the store says once it fits."""

    def look() -> dict[str, Any] | None:
        assert process.process.poll() is None, process.process.stderr and process.process.stderr.read()
        document = process.read()
        return document if document["chains"] and condition(document) else None

    found = wait_for(look)
    assert found is not None
    return found


def get_counts(document: dict[str, Any], chain_id: int) -> Counter[str]:
    if chain_id not in [chain["chainId"] for chain in document["chains"]]:
        return Counter()
    return Counter(count_statuses(document, chain_id))


def wait_for_a_higher_fee(chain: RelayChain) -> None:
    """A transaction that no block takes is replaced by a dearer one of the same nonce."""

    def list_pool() -> list[tuple[int, int]]:
        pool = chain.anvil.call("txpool_content")["pending"]
        found = [each for by_nonce in pool.values() for each in by_nonce.values()]
        return [(int(each["nonce"], 16), int(each["maxFeePerGas"], 16)) for each in found]

    ((nonce, fee),) = wait_for(list_pool)
    wait_for(lambda: any(each == nonce and higher >= fee * 1.1 for each, higher in list_pool()))


def check_chain(chain: RelayChain, users: list[User], updates: list[RootUpdate]) -> None:
    """Each update once, none in vain, each account's in order, and the accounts at their newest roots."""
    events = chain.list_events()
    assert all(success for *_, success in events)
    expected = {user.account: [] for user in users}
    for update in updates:
        expected[update.account].append((update.next_hash, update.nonce))
    seen = {user.account: [] for user in users}
    for _, account, root, nonce, _ in events:
        seen[account].append((root, nonce))
    assert expected == seen
    assert [user.tree.root for user in users] == [chain.read_root(user) for user in users]


def check_published(places: list[bytes], users: list[User]) -> None:
    """Of all nodes only those that have signed are to be found."""
    everything = b"\n".join(places)
    for user in users:
        assert user.node.bytes[20:] in everything
        assert not any(node.bytes[20:] in everything for node in user.hidden)


def read_rollup(caller: Caller) -> list[bytes]:
    """What a node gives away: blocks, the batch for L1, entries of the state, receipts."""
    source = HttpSource(caller.url)
    blocks = list(source.read_blocks())
    batches = [batch for raw in source.read_batches(1) for batch in [decode_batch(raw)]]
    said = [caller.call("getEntries", field=name, limit=100) for name in ("roots", "nonces", "keystores")]
    return [*map(encode_block, blocks), repr(batches).encode(), repr(said).encode()]


def test_two_hundred_updates(tmp_path: Path) -> None:
    """A worker is killed, a chain is down for a while, a fee is too low, a chain is reorganised."""
    users, updates = make_updates()
    assert UPDATES == len({compute_update_message(update) for update in updates})
    key = tmp_path / "relayer.key"
    key.write_text(RELAYER.secret.hex())
    site = Site(tmp_path, "apps.keystore.ucmt:app")
    with ExitStack() as stack:
        first, second, third = chains = [stack.enter_context(run_chain(chain_id)) for chain_id in CHAINS]
        caller = stack.enter_context(site.serve(verifiers=1))
        proxy: Any = stack.enter_context(run_proxy(second.url, FailingProxy(second.url)))
        third.anvil.call("evm_setAutomine", False)
        submit(caller, updates[:120])
        options = (
            caller.url, tmp_path / "relay", [first.url, proxy.url, third.url], key,
            "--poll", 0.1, "--bump", 0.5, "--batch", 8, "--json",
        )  # fmt: skip
        process = stack.enter_context(closing(RelayProcess(*options)))
        wait_until(process, lambda document: 16 <= get_counts(document, 2001)["done"])
        process.kill()
        process = stack.enter_context(closing(RelayProcess(*options)))
        wait_until(process, lambda document: 40 <= get_counts(document, 2002)["done"])
        proxy.is_down = True
        wait_for_a_higher_fee(third)
        third.anvil.call("evm_setAutomine", True)
        third.anvil.mine()
        submit(caller, updates[120:])
        document = wait_until(
            process, lambda document: UPDATES == get_counts(document, 2001)["done"] and document["chains"][1]["error"]
        )
        down = document["chains"][1]
        assert down["done"] < UPDATES
        assert "no answer" in down["error"]
        proxy.is_down = False
        first.anvil.call("anvil_reorg", 3, [])
        document = wait_until(process, lambda document: all(
            UPDATES == get_counts(document, chain_id)["done"] for chain_id in CHAINS
        ) and document["chains"][0]["reorgs"] == 1)  # fmt: skip
        code, document = process.stop()
        assert 0 == code
        assert [""] * 3 == [chain["error"] for chain in document["chains"]]
        for chain in chains:
            check_chain(chain, users, updates)
            ours = [raw for raw in chain.list_inputs() if raw[:4] == HEAD[:4]]
            assert len(ours) < UPDATES // 2
        identity = {"name": "ucmt", "hash": "0x" + compute_update_message(updates[-1]).hex()}
        wait_for(lambda: caller.call("getConfirmation", **identity)["level"].startswith("C3"))
        calldata = [raw for chain in chains for raw in chain.list_inputs()]
        store = [(tmp_path / "relay" / "data.mdb").read_bytes()]
        check_published([*calldata, *store, *read_rollup(caller)], users)
