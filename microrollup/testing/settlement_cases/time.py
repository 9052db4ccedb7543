"""Cases of the contract suite: timestamps and origins."""

from __future__ import annotations

import pytest

from microrollup.settlement.errors import (
    BadOrigin,
    FutureTimestamp,
    StaleTimestamp,
)
from microrollup.settlement.inbox import (
    CHANGE_DELAY_BLOCKS,
    MAX_ORIGIN_AGE_BLOCKS,
)
from microrollup.settlement.protocol import Inbox
from microrollup.testing.settlement_cases.parts import (
    STRANGER,
    SettlementCases,
    force_apart,
    settle_with,
)
from microrollup.testing.settlement_harness import (
    BUILDER,
    OWNER,
    SettlementHarness,
    extend,
)

__all__ = ["TimeCases"]


class TimeCases(SettlementCases):
    """Timestamps and origins."""

    def test_timestamp_never_goes_back(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """A timestamp equal to the settled one is fine, a second less is not."""
        timestamp = settle_with(inbox).timestamp
        harness.advance_to(inbox, inbox.get_number() + 1)
        with pytest.raises(StaleTimestamp):
            settle_with(inbox, timestamp=timestamp - 1)
        assert timestamp == settle_with(inbox, timestamp=timestamp).timestamp

    def test_timestamp_is_not_ahead_of_l1(self, inbox: Inbox) -> None:
        """A timestamp equal to L1's time is fine, an hour more is not."""
        with pytest.raises(FutureTimestamp):
            settle_with(inbox, timestamp=inbox.get_time(inbox.get_number()) + 3600)
        time = inbox.get_time(inbox.get_number())
        assert time == settle_with(inbox, timestamp=time).timestamp

    def test_origin_is_past(self, inbox: Inbox) -> None:
        """The block before the settling one can be the origin, the settling one cannot."""
        extend(inbox)  # puts what a based rollup has to take into the queue, before L1's number is looked at
        with pytest.raises(BadOrigin):
            settle_with(inbox, l1_origin=inbox.get_number())
        number = inbox.get_number()
        assert number - 1 == settle_with(inbox, l1_origin=number - 1).l1_origin

    def test_origin_is_recent(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """An origin 14,400 blocks back is taken, one more is not."""
        number = inbox.get_number() + MAX_ORIGIN_AGE_BLOCKS + 10
        harness.advance_to(inbox, number)
        with pytest.raises(BadOrigin):
            settle_with(inbox, l1_origin=inbox.get_number() - MAX_ORIGIN_AGE_BLOCKS - 1)
        origin = inbox.get_number() - MAX_ORIGIN_AGE_BLOCKS
        assert origin == settle_with(inbox, l1_origin=origin).l1_origin

    def test_origin_never_goes_back(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """The settled origin can stay, not shrink."""
        harness.advance_to(inbox, inbox.get_number() + 5)
        origin = settle_with(inbox).l1_origin
        with pytest.raises(BadOrigin):
            settle_with(inbox, l1_origin=origin - 1)
        assert origin == settle_with(inbox, l1_origin=origin).l1_origin

    def test_time_of_l1(self, inbox: Inbox) -> None:
        """Time ascends with the number, and a block to come has none."""
        number = inbox.get_number()
        assert inbox.get_time(number - 1) < inbox.get_time(number)
        with pytest.raises(BadOrigin):
            inbox.get_time(number + 1000)

    def test_look_is_of_one_block(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A look says of an origin what the single questions say: times, builder, and what is due and not taken."""
        entries = force_apart(inbox, harness, 3)
        voided = inbox.void(1, caller=OWNER)
        inbox.change_builder(STRANGER, caller=OWNER)
        harness.advance_to(inbox, inbox.get_number() + 2)
        origin = entries[1].inclusion_block
        look = inbox.look(origin, 1)
        assert [entries[1].index] == [forced.index for forced in look.forced]
        assert (inbox.get_number(), inbox.get_time(origin)) == (look.number, look.time)
        assert (inbox.get_time(look.number), BUILDER) == (look.now, look.builder)
        assert (entries[1].sender, entries[1].payload, False) == (
            look.forced[0].sender,
            look.forced[0].payload,
            look.forced[0].voided,
        )
        harness.advance_to(inbox, voided + CHANGE_DELAY_BLOCKS)
        later = inbox.look(inbox.get_number() - 1, 0)
        assert STRANGER == later.builder
        assert [False, True, False] == [forced.voided for forced in later.forced]

    def test_look_is_at_a_past_block(self, inbox: Inbox) -> None:
        """No block binds to the L1 block that is being made, nor to one before the first."""
        number = inbox.get_number()
        assert () == inbox.look(number - 1, 0).forced
        for origin in (number, number + 1_000, -1):
            with pytest.raises(BadOrigin):
                inbox.look(origin, 0)
