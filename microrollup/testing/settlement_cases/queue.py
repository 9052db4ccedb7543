"""Cases of the contract suite: the queue of forced actions."""

from __future__ import annotations

import pytest

from microrollup.crypto.keccak import keccak256
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES, MAX_FORCED_PER_BLOCK
from microrollup.settlement.errors import (
    ForcedSkipped,
    PayloadTooLarge,
    UnknownEntry,
    WrongForcedHash,
)
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, compute_queue_hash
from microrollup.settlement.protocol import Inbox
from microrollup.testing.settlement_cases.parts import (
    STRANGER,
    SettlementCases,
    force_apart,
    settle_with,
)
from microrollup.testing.settlement_harness import (
    SettlementHarness,
)

__all__ = ["QueueCases"]


class QueueCases(SettlementCases):
    """The queue of forced actions."""

    def test_queue_is_a_hash_chain(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Entries come back as forced, in order, with the queue's hash over them."""
        start = inbox.get_number()
        assert [0, 1] == [inbox.force(payload, sender=STRANGER) for payload in (b"", b"\x00" * 100)]
        harness.advance_to(inbox, inbox.get_number() + 1)
        end = inbox.get_number()
        entries = inbox.get_forced_entries(0, end, 10)
        assert [0, 1] == [entry.index for entry in entries]
        assert [b"", b"\x00" * 100] == [entry.payload for entry in entries]
        assert {STRANGER} == {entry.sender for entry in entries}
        queue_hash = EMPTY_QUEUE_HASH
        for entry in entries:
            assert start <= entry.inclusion_block < end
            queue_hash = compute_queue_hash(queue_hash, entry.sender, entry.inclusion_block, entry.payload)
            assert queue_hash == inbox.get_queue_hash(entry.index + 1)
        with pytest.raises(UnknownEntry):
            inbox.get_queue_hash(3)

    def test_queue_is_read_up_to_a_block(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """What was included after a block is not seen from it; index and limit cut the answer."""
        entries = force_apart(inbox, harness, 3)
        middle = entries[1].inclusion_block
        assert 0 == inbox.get_forced_count(entries[0].inclusion_block - 1)
        assert 2 == inbox.get_forced_count(middle)
        assert entries[:2] == inbox.get_forced_entries(0, middle, 10)
        assert entries[1:2] == inbox.get_forced_entries(1, middle + 100, 1)
        assert [] == inbox.get_forced_entries(2, middle, 10)

    def test_payload_is_bounded(self, inbox: Inbox) -> None:
        """The longest payload is taken, one byte more is not."""
        assert 0 == inbox.force(bytes(MAX_FORCED_PAYLOAD_BYTES), sender=STRANGER)
        with pytest.raises(PayloadTooLarge):
            inbox.force(bytes(MAX_FORCED_PAYLOAD_BYTES + 1), sender=STRANGER)

    def test_due_entries_must_be_taken(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """With two due entries, taking none or one is refused; taking both settles."""
        entries = force_apart(inbox, harness, 2)
        assert 2 == len(entries)
        for count in (0, 1):
            with pytest.raises(ForcedSkipped):
                settle_with(inbox, forced_count=count, forced_hash=inbox.get_queue_hash(count))
        head = settle_with(inbox, forced_count=2, forced_hash=inbox.get_queue_hash(2))
        assert 2 == head.forced_count
        with pytest.raises(ForcedSkipped):
            settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1))

    def test_entries_after_the_origin_are_not_due(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """An origin before an entry's block may leave it; the entry's own block may not."""
        entries = force_apart(inbox, harness, 2)
        due = entries[1].inclusion_block
        one = inbox.get_queue_hash(1)
        with pytest.raises(ForcedSkipped):
            settle_with(inbox, forced_count=1, forced_hash=one, l1_origin=due)
        assert 1 == settle_with(inbox, forced_count=1, forced_hash=one, l1_origin=due - 1).forced_count

    def test_no_more_than_64_must_be_taken(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """With more due than a block takes, 64 are enough and 63 are not."""
        for _ in range(MAX_FORCED_PER_BLOCK + 2):
            inbox.force(b"", sender=STRANGER)
        harness.advance_to(inbox, inbox.get_number() + 1)
        few, enough = MAX_FORCED_PER_BLOCK - 1, MAX_FORCED_PER_BLOCK
        with pytest.raises(ForcedSkipped):
            settle_with(inbox, forced_count=few, forced_hash=inbox.get_queue_hash(few))
        assert enough == settle_with(inbox, forced_count=enough, forced_hash=inbox.get_queue_hash(enough)).forced_count
        with pytest.raises(ForcedSkipped):
            settle_with(inbox)

    def test_forced_count_never_goes_back(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Once taken is taken, even if the verifiers let entries be taken before they were due."""
        origin = inbox.get_settled().l1_origin
        force_apart(inbox, harness, 2)
        two = inbox.get_queue_hash(2)
        assert 2 == settle_with(inbox, forced_count=2, forced_hash=two, l1_origin=origin).forced_count
        with pytest.raises(ForcedSkipped):
            settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1), l1_origin=origin)

    def test_forced_hash_is_the_queues(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Another payload than the queue's, or a count beyond it, is refused."""
        force_apart(inbox, harness, 1)
        with pytest.raises(WrongForcedHash):
            settle_with(inbox, forced_count=1, forced_hash=keccak256(b"other payload"))
        with pytest.raises(UnknownEntry):
            settle_with(inbox, forced_count=2, forced_hash=inbox.get_queue_hash(1))
        assert 1 == settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1)).forced_count
