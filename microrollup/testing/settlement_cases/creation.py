"""Cases of the contract suite: how an inbox begins."""

from __future__ import annotations

import msgspec
import pytest

from microrollup.chain.block import compute_block_hash, compute_genesis_header
from microrollup.chain.record import Genesis
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.errors import (
    BadOrigin,
    BadQuorum,
    FutureTimestamp,
)
from microrollup.settlement.forced import EMPTY_QUEUE_HASH
from microrollup.settlement.protocol import Inbox
from microrollup.settlement.verifiers import VerifierSet
from microrollup.testing.settlement_cases.parts import (
    SettlementCases,
)
from microrollup.testing.settlement_harness import (
    OWNER,
    STF_ID,
    SettlementHarness,
)

__all__ = ["CreationCases"]


class CreationCases(SettlementCases):
    """How an inbox begins."""

    def test_new_inbox_stands_at_genesis(self, inbox: Inbox, genesis: Genesis) -> None:
        """The constructor recomputes rollup id and genesis hash, and the inbox starts there."""
        header = compute_genesis_header(genesis)
        head = inbox.get_settled()
        assert genesis == inbox.get_genesis()
        assert (0, compute_block_hash(header)) == (head.height, head.block_hash)
        assert (genesis.state_root, genesis.genesis_time) == (head.state_root, head.timestamp)
        assert (0, genesis.l1_start) == (head.forced_count, head.l1_origin)
        assert EMPTY_QUEUE_HASH == inbox.get_queue_hash(0)
        number = inbox.get_number()
        assert (OWNER, genesis.builder) == (inbox.get_owner(number), inbox.get_builder(number))
        assert VerifierSet(genesis.verifiers, 2) == inbox.get_verifiers(number)
        assert STF_ID == inbox.get_stf_id(number) == inbox.look(number - 1, 0).stf_id

    @pytest.mark.parametrize("quorum", [0, 1, 4])
    def test_refuses_quorum_that_is_no_majority(
        self, harness: SettlementHarness, genesis: Genesis, quorum: int
    ) -> None:
        """With 2m <= n two disjoint quorums exist, with m > n none does: neither can be a genesis."""
        with pytest.raises(BadQuorum):
            harness.create_inbox(msgspec.structs.replace(genesis, quorum=quorum), OWNER)

    def test_refuses_verifiers_out_of_order(self, harness: SettlementHarness, genesis: Genesis) -> None:
        """Addresses ascend strictly, so none occurs twice; zero, which a failed recovery could give, is refused."""
        first, second, third = genesis.verifiers
        for verifiers in [(second, first, third), (first, first, third), (ZERO_ADDRESS, first, second), ()]:
            with pytest.raises(BadQuorum):
                harness.create_inbox(msgspec.structs.replace(genesis, verifiers=verifiers), OWNER)

    def test_half_is_no_quorum(self, harness: SettlementHarness, genesis: Genesis) -> None:
        """One of two is not more than half; two of two are."""
        pair = msgspec.structs.replace(genesis, verifiers=genesis.verifiers[:2])
        with pytest.raises(BadQuorum):
            harness.create_inbox(msgspec.structs.replace(pair, quorum=1), OWNER)
        assert 0 == harness.create_inbox(pair, OWNER).get_settled().height

    def test_refuses_genesis_from_the_future(self, harness: SettlementHarness, genesis: Genesis) -> None:
        """Neither the genesis time nor the L1 start may lie ahead of the creation."""
        with pytest.raises(FutureTimestamp):
            harness.create_inbox(
                msgspec.structs.replace(genesis, genesis_time=genesis.genesis_time + 10_000_000), OWNER
            )
        with pytest.raises(BadOrigin):
            harness.create_inbox(msgspec.structs.replace(genesis, l1_start=genesis.l1_start + 1_000_000), OWNER)
