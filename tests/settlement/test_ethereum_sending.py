"""Sending to L1 when things go wrong: settled once, whatever is lost, doubled, dropped, stuck or replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ethereum_harness import KEYS
from ethereum_site import Running, Site, make_site, run_site, settle, settle_next
from l1_fixtures import Anvil
from l1_proxy import JsonRpcError
from microrollup.chain.block import compute_block_hash
from microrollup.errors import UsageError
from microrollup.settlement.errors import HeightGap, WrongData
from microrollup.settlement.ethereum.errors import (
    FeeTooHigh,
    L1Unreachable,
    TransactionPending,
    TransactionRefused,
)
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.testing.settlement_harness import BUILDER, attest, extend, propose
from waiting import wait_for


@pytest.fixture(params=["blobs", "calldata"])
def site(request: Any, anvil: Anvil) -> Iterator[Site]:
    with make_site(anvil, da=request.param) as site:
        yield site


def read_cap(transaction: dict[str, Any]) -> int:
    return int(transaction["maxFeePerGas"], 16)


def test_stuck_transaction_gets_a_higher_fee(site: Site) -> None:
    """A transaction that no block takes is replaced at the same nonce, with fees as pools ask; one is included."""
    inbox = site.open(bump_seconds=0.4)
    proposal = propose(inbox, extend(inbox))
    site.anvil.call("evm_setAutomine", False)
    running = Running(lambda: settle(inbox, proposal))
    (first,) = wait_for(site.list_pool).values()
    (second,) = wait_for(lambda: [t for t in site.list_pool().values() if read_cap(t) > read_cap(first)])
    assert first["nonce"] == second["nonce"]
    assert read_cap(second) >= read_cap(first) * (2 if site.options.da == "blobs" else 1.1)
    site.anvil.mine()
    assert 1 == running.finish().height
    assert (1, 1, {}) == (site.count_settled(), site.count_nonces(), site.list_pool())


def test_fee_cap_holds(blob_site: Site) -> None:
    """No replacement pays more than the caps; the call ends by time, and a later one finds the transaction settled."""
    inbox = blob_site.open(bump_seconds=0.2, settle_seconds=2, max_priority_fee_per_gas=10**9)
    proposal = propose(inbox, extend(inbox))
    blob_site.anvil.call("evm_setAutomine", False)
    with pytest.raises(TransactionPending):
        settle(inbox, proposal)
    (stuck,) = blob_site.list_pool().values()
    assert 10**9 == int(stuck["maxPriorityFeePerGas"], 16)
    blob_site.anvil.mine()
    assert 1 == inbox.get_settled().height
    with pytest.raises(HeightGap):
        settle(inbox, proposal)


def test_fee_above_the_cap_is_not_paid(blob_site: Site) -> None:
    """Where L1's base fee is above the cap nothing is sent, and the error says which cap."""
    inbox = blob_site.open(max_fee_per_gas=10)
    with pytest.raises(FeeTooHigh):
        settle_next(inbox)
    assert {} == blob_site.list_pool()


def test_dropped_transaction_is_sent_again(site: Site) -> None:
    """A pool that forgets a transaction gets it again, the very same."""
    inbox = site.open()
    proposal = propose(inbox, extend(inbox))
    site.anvil.call("evm_setAutomine", False)
    running = Running(lambda: settle(inbox, proposal))
    (first,) = wait_for(site.list_pool).values()
    site.anvil.call("anvil_dropTransaction", first["hash"])
    (second,) = wait_for(site.list_pool).values()
    assert first["hash"] == second["hash"]
    site.anvil.mine()
    assert 1 == running.finish().height
    assert (1, 1) == (site.count_settled(), site.count_nonces())


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_timeout_after_success(site: Site, lost: int) -> None:
    """The node takes the transaction, but its answer never comes: it is found by its hash, and not sent as another."""
    inbox = site.open()
    site.proxy.lose["eth_sendRawTransaction"] = lost
    assert 1 == settle_next(inbox).height
    assert (1, 1) == (site.count_settled(), site.count_nonces())


def test_request_that_never_arrived(site: Site) -> None:
    """Nor need the transaction have arrived: what the node does not know it gets again."""
    inbox = site.open()
    site.proxy.fail["eth_sendRawTransaction"] = 2
    assert 1 == settle_next(inbox).height
    assert (1, 1) == (site.count_settled(), site.count_nonces())


def test_lost_receipts(site: Site) -> None:
    """Answers about a receipt get lost while the transaction is included."""
    inbox = site.open()
    site.proxy.lose["eth_getTransactionReceipt"] = 4
    assert 1 == settle_next(inbox).height
    assert (1, 1) == (site.count_settled(), site.count_nonces())


def test_receipts_that_never_come(site: Site) -> None:
    """A forced action whose receipt no node shows is found in the queue, and is not forced again; the same bytes forced
    once more by another call are another entry.
    """
    inbox = site.open()
    site.proxy.rewrite["eth_getTransactionReceipt"] = lambda _, __: None
    assert 0 == inbox.force(b"payload", sender=BUILDER)
    assert (1, 1) == (inbox.get_forced_count(1 << 40), site.count_nonces())
    assert 1 == inbox.force(b"payload", sender=BUILDER)
    assert (2, 2) == (inbox.get_forced_count(1 << 40), site.count_nonces())


def test_duplicate(site: Site) -> None:
    """Everything that is sent arrives twice: the second is "already known", which is a success."""
    inbox = site.open()
    site.proxy.double.add("eth_sendRawTransaction")
    assert [1, 2] == [settle_next(inbox).height, settle_next(inbox).height]
    assert (2, 2) == (site.count_settled(), site.count_nonces())


def test_unreachable_while_settling(site: Site) -> None:
    """Without an L1 settling fails with its name, reads go on, and the same call works later."""
    inbox = site.open(retries=1)
    proposal = propose(inbox, extend(inbox))
    number = inbox.get_number()
    site.proxy.fail["eth_getBlockByNumber"] = 1_000
    with pytest.raises(L1Unreachable):
        settle(inbox, proposal)
    assert (number, 0) == (inbox.get_number(), inbox.get_settled().height)
    site.proxy.fail.clear()
    assert 1 == settle(inbox, proposal).height


def test_crash_with_a_transaction_in_the_pool(site: Site) -> None:
    """A process dies after sending. The next one has a longer batch: it takes the same nonce, and one settles."""
    first = site.open(settle_seconds=0.5)
    header = extend(first)
    proposal = propose(first, header)
    site.anvil.call("evm_setAutomine", False)
    with pytest.raises(TransactionPending):
        settle(first, proposal)
    (old,) = site.list_pool().values()
    first.close()
    second = site.open()
    longer = propose(second, header, extend(second, height=2, parent_hash=compute_block_hash(header)))
    running = Running(lambda: settle(second, longer))
    wait_for(lambda: [t for t in site.list_pool().values() if t["hash"] != old["hash"]])
    assert 1 == len(site.list_pool())
    site.anvil.mine()
    assert 2 == running.finish().height
    assert (1, 1, {}) == (site.count_settled(), site.count_nonces(), site.list_pool())


def test_crash_with_a_transaction_that_is_included_later(site: Site) -> None:
    """The dead process's transaction is included while the next one waits to replace it: its batch is settled."""
    first = site.open(settle_seconds=0.5)
    header = extend(first)
    proposal = propose(first, header)
    site.anvil.call("evm_setAutomine", False)
    with pytest.raises(TransactionPending):
        settle(first, proposal)
    first.close()
    # The caps forbid every replacement, so the new one can only wait for the old one.
    second = site.open(max_priority_fee_per_gas=10**9)
    longer = propose(second, header, extend(second, height=2, parent_hash=compute_block_hash(header)))
    site.proxy.seen.clear()
    running = Running(lambda: settle(second, longer))
    wait_for(lambda: site.proxy.seen["eth_getTransactionCount"] > 2)
    site.anvil.mine()
    with pytest.raises(HeightGap):
        running.finish()
    assert (1, 1) == (second.get_settled().height, site.count_settled())


def test_same_batch_after_a_crash(site: Site) -> None:
    """With the same batch the next process finds its own transaction in the pool, and success when it is included."""
    first = site.open(settle_seconds=0.5)
    proposal = propose(first, extend(first))
    site.anvil.call("evm_setAutomine", False)
    with pytest.raises(TransactionPending):
        settle(first, proposal)
    first.close()
    second = site.open()
    site.proxy.seen.clear()
    running = Running(lambda: settle(second, proposal))
    wait_for(lambda: site.proxy.seen["eth_getTransactionCount"] > 2)
    site.anvil.mine()
    assert 1 == running.finish().height
    assert (1, 1) == (site.count_settled(), site.count_nonces())


def test_foreign_transaction_takes_the_nonce(blob_site: Site) -> None:
    """Somebody uses the key beside us: our transaction can never be included, and only then another nonce is taken."""
    inbox = blob_site.open()
    proposal = propose(inbox, extend(inbox))
    blob_site.anvil.call("evm_setAutomine", False)
    running = Running(lambda: settle(inbox, proposal))
    (ours,) = wait_for(blob_site.list_pool).values()
    blob_site.anvil.call("anvil_dropTransaction", ours["hash"])
    blob_site.proxy.fail["eth_sendRawTransaction"] = 1_000
    blob_site.anvil.call("anvil_impersonateAccount", f"0x{BUILDER.hex()}")
    blob_site.anvil.call(
        "eth_sendTransaction", {"from": f"0x{BUILDER.hex()}", "to": f"0x{BUILDER.hex()}", "nonce": ours["nonce"]}
    )
    blob_site.anvil.mine()
    blob_site.proxy.fail.clear()
    blob_site.anvil.call("evm_setAutomine", True)
    assert 1 == running.finish().height
    assert (1, 2) == (blob_site.count_settled(), blob_site.count_nonces())


@pytest.mark.parametrize(("fork", "kind"), [("prague", "blobs"), ("osaka", "cells")])
def test_both_kinds_of_proofs(fork: str, kind: str) -> None:
    """The kind of proofs follows the node's fork, as it says; if it says wrong things a batch settles all the same."""
    with run_site("--hardfork", fork) as site:
        inbox = site.open()
        assert 1 == settle_next(inbox).height
        assert inbox.get_settled_at(1) is not None
        assert kind == inbox._publisher._sender._proof_kind
        for answer in (None, [1], {"current": {"precompiles": 7}}):
            site.proxy.rewrite["eth_config"] = lambda _, __, answer=answer: answer
            again = site.open()
            settle_next(again)
            assert "cells" == again._publisher._sender._proof_kind


def test_refused_proofs_are_changed(blob_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that refuses one kind of proofs gets the other; a node that refuses both has the last word."""
    from microrollup.settlement.ethereum import sender as sender_module
    from microrollup.settlement.ethereum.errors import L1Refused

    inbox = blob_site.open()
    honest = sender_module._Attempt._broadcast
    refused = ["cells"]

    async def broadcast(self: Any, signed: Any) -> L1Refused | None:
        if self._sender._proof_kind in refused:
            return L1Refused("eth_sendRawTransaction", -32000, "unexpected blob sidecar version", None)
        return await honest(self, signed)

    monkeypatch.setattr(sender_module._Attempt, "_broadcast", broadcast)
    assert 1 == settle_next(inbox).height
    assert "blobs" == inbox._publisher._sender._proof_kind
    refused.append("blobs")
    with pytest.raises(TransactionRefused):
        settle_next(inbox)


def test_batch_that_blobs_cannot_give_back(blob_site: Site) -> None:
    """Bytes that are no zlib stream, or that go on after it, are refused although a quorum attested them."""
    inbox = blob_site.open()
    proposal = propose(inbox, extend(inbox))
    for batch in (b"no stream" * 20_000, proposal.batch + b"\x00"):
        attestation = msgspec.structs.replace(proposal.attestation, data_hash=inbox.compute_data_hash(batch))
        changed = msgspec.structs.replace(proposal, batch=batch, attestations=attest(inbox, attestation))
        with pytest.raises(WrongData):
            settle(inbox, changed)
    assert 1 == settle(inbox, proposal).height


def test_other_kind_pending(site: Site) -> None:
    """A node that holds another kind of this account's transactions is waited for, not given up."""

    def refuse(_: Any, __: Any) -> Any:
        raise JsonRpcError(-32000, "address already reserved")

    site.proxy.rewrite["eth_sendRawTransaction"] = refuse
    assert 1 == settle_next(site.open()).height
    assert (1, 1) == (site.count_settled(), site.count_nonces())


def test_no_funds(blob_site: Site) -> None:
    """An empty account is told at once, in the node's words."""
    blob_site.anvil.call("anvil_setBalance", f"0x{BUILDER.hex()}", "0x1")
    with pytest.raises(TransactionRefused, match=r"(?i)funds|balance"):
        settle_next(blob_site.open())


def test_missing_key(blob_site: Site) -> None:
    """Reading needs no key, sending does; what the inbox would refuse is said first."""
    inbox = EthereumSettlement.open(blob_site.options, ())
    try:
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(UsageError, match="no key"):
            settle(inbox, proposal)
        with pytest.raises(HeightGap):
            settle(inbox, msgspec.structs.replace(proposal, header=extend(inbox, height=0)))
    finally:
        inbox.close()


def test_requests_of_one_settle(site: Site) -> None:
    """A batch costs a bounded number of HTTP requests, and a question that memory answers costs none."""
    inbox = site.open(poll_seconds=60)
    settle_next(inbox)
    proposal = propose(inbox, extend(inbox))
    before = inbox._transport.requests
    settle(inbox, proposal)
    used = inbox._transport.requests - before
    assert used <= 24, used
    before = inbox._transport.requests
    for _ in range(100):
        inbox.get_number(), inbox.get_settled(), inbox.get_builder(5), inbox.get_forced_entries(0, 9, 9)
        inbox.get_time(inbox.get_number() - 1), inbox.get_confirmations(1), inbox.get_origin()
    assert before == inbox._transport.requests


def test_keys_of_the_tests() -> None:
    """The harness's builder is among the keys: otherwise every test above would fail for a reason of its own."""
    from microrollup.crypto.ecdsa import compute_address

    assert BUILDER in {compute_address(key) for key in KEYS}
