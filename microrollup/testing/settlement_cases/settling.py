"""Cases of the contract suite: batches in order, and who hands them in."""

from __future__ import annotations

import msgspec
import pytest

from microrollup.chain.block import Header, compute_block_hash
from microrollup.chain.record import Genesis
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_BYTES32
from microrollup.settlement.attestation import create_attestation
from microrollup.settlement.batch import MAX_BATCH_BYTES, decode_batch
from microrollup.settlement.errors import (
    BatchTooLarge,
    HeaderOutOfRange,
    HeightGap,
    NotBuilder,
    NotOwner,
    TooFewAttestations,
    WrongParent,
    WrongRollupId,
    WrongStfId,
    ZeroCode,
)
from microrollup.settlement.inbox import (
    BUILDER_SILENCE_BLOCKS,
)
from microrollup.settlement.protocol import Inbox
from microrollup.testing.settlement_cases.parts import (
    STRANGER,
    SettlementCases,
    settle,
    settle_with,
    sign_differently,
)
from microrollup.testing.settlement_harness import (
    BUILDER,
    OWNER,
    STF_ID,
    SettlementHarness,
    attest,
    extend,
    propose,
)

__all__ = ["SettlingCases"]


class SettlingCases(SettlementCases):
    """Batches in order, and who hands them in."""

    def test_settles_in_order(self, inbox: Inbox) -> None:
        """A batch on the settled head becomes the head; each of its heights finds it with data and signatures."""
        first = extend(inbox)
        second = extend(inbox, height=2, parent_hash=compute_block_hash(first))
        proposal = propose(inbox, first, second)
        head = settle(inbox, proposal)
        assert (2, compute_block_hash(second), second.state_root) == (head.height, head.block_hash, head.state_root)
        assert head == inbox.get_settled()
        settled = inbox.get_settled_at(1)
        assert settled is not None
        assert settled == inbox.get_settled_at(2)
        assert (1, second, proposal.batch) == (settled.first_height, settled.header, settled.batch)
        assert proposal.attestation == settled.attestation
        assert b"\0" + b"".join([signed.signature for signed in proposal.attestations]) == settled.signatures
        assert (BUILDER, head.l1_number) == (settled.submitter, settled.l1_number)
        if settled.batch:  # a based rollup publishes none
            assert [1, 2] == [block.open.height for block in decode_batch(settled.batch).blocks]
        third = settle_with(inbox)
        assert (3, third) == (third.height, inbox.get_settled())

    def test_says_what_is_not_settled(self, inbox: Inbox) -> None:
        """Genesis came with no batch, and the height above the head is not there yet."""
        settle_with(inbox)
        assert None is inbox.get_settled_at(0)
        assert None is inbox.get_settled_at(2)
        assert None is inbox.get_confirmations(2)

    def test_confirmations_count_l1_blocks(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """Depth is the number of L1 blocks since the settling one."""
        settled_in = settle_with(inbox).l1_number
        harness.advance_to(inbox, settled_in + 5)
        assert 5 == inbox.get_confirmations(1)
        assert [] == inbox.poll_reorgs()

    def test_survives_reopening(self, harness: SettlementHarness, inbox: Inbox, genesis: Genesis) -> None:
        """Another process finds the same inbox."""
        index = inbox.force(b"payload", sender=STRANGER)
        head, number = inbox.get_settled(), inbox.get_number()
        again = harness.reopen_inbox(inbox)
        assert (head, genesis) == (again.get_settled(), again.get_genesis())
        assert b"payload" == again.get_forced_entries(index, again.get_number(), 1)[0].payload
        assert number <= again.get_number()

    def test_refuses_same_batch_again(self, inbox: Inbox) -> None:
        """A resubmission after success is refused and changes nothing: the height is the cursor."""
        proposal = propose(inbox, extend(inbox))
        head = settle(inbox, proposal)
        with pytest.raises(HeightGap):
            settle(inbox, proposal)
        assert head == inbox.get_settled()

    def test_refuses_gap(self, inbox: Inbox) -> None:
        """Attestations that begin above or below the next height do not fit, nor does a header at the settled one."""
        proposal = propose(inbox, extend(inbox))
        for first_height in (0, 2):
            with pytest.raises(HeightGap):
                settle(inbox, sign_differently(inbox, proposal, first_height=first_height))
        with pytest.raises(HeightGap):
            settle_with(inbox, height=0)

    def test_refuses_wrong_parent(self, inbox: Inbox) -> None:
        """Another history's batch for the same heights does not fit."""
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(WrongParent):
            settle(inbox, sign_differently(inbox, proposal, parent_hash=keccak256(b"other history")))
        assert 1 == settle(inbox, proposal).height

    def test_refuses_other_rollup(self, inbox: Inbox) -> None:
        """Neither header nor attestation of another rollup fits."""
        proposal, other = propose(inbox, extend(inbox)), keccak256(b"other rollup")
        with pytest.raises(WrongRollupId):
            settle(inbox, sign_differently(inbox, proposal, rollup_id=other))
        with pytest.raises(WrongRollupId):
            settle_with(inbox, rollup_id=other)

    def test_refuses_other_code(self, inbox: Inbox) -> None:
        """Blocks of another code than the inbox was created for do not settle, unless the owner announced it."""
        with pytest.raises(WrongStfId):
            settle_with(inbox, stf_id=keccak256(b"other code"))
        assert 1 == settle_with(inbox, stf_id=STF_ID).height

    def test_code_changes_at_its_origin(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """An announced code settles from its origin on; the old one does too, until a batch names the new one."""
        other = keccak256(b"other code")
        with pytest.raises(NotOwner):
            inbox.announce_code(other, caller=STRANGER)
        with pytest.raises(ZeroCode):
            inbox.announce_code(ZERO_BYTES32, caller=OWNER)
        effective = inbox.announce_code(other, caller=OWNER)
        assert (STF_ID, other) == (inbox.get_stf_id(effective - 1), inbox.get_stf_id(effective))
        harness.advance_to(inbox, effective + 5)
        assert (STF_ID, other) == (inbox.look(effective - 1, 0).stf_id, inbox.look(effective, 0).stf_id)
        with pytest.raises(WrongStfId):
            settle_with(inbox, stf_id=other, l1_origin=effective - 1)
        assert 1 == settle_with(inbox, stf_id=STF_ID, l1_origin=effective).height
        assert 2 == settle_with(inbox, stf_id=other, l1_origin=effective).height
        with pytest.raises(WrongStfId):
            settle_with(inbox, stf_id=STF_ID, l1_origin=effective)
        assert 3 == settle_with(inbox, stf_id=other, l1_origin=effective).height

    def test_refuses_oversized_batch(self, inbox: Inbox) -> None:
        """What cannot be the data of one transaction is refused before anything else is looked at."""
        proposal = msgspec.structs.replace(propose(inbox, extend(inbox)), batch=bytes(MAX_BATCH_BYTES + 1))
        with pytest.raises(BatchTooLarge):
            settle(inbox, proposal)

    @pytest.mark.parametrize(
        ("word", "member"), [item for item in enumerate(Header.__annotations__.items()) if item[1][1] == "Uint64"]
    )
    def test_numbers_of_the_header_have_64_bits(self, inbox: Inbox, word: int, member: tuple[str, str]) -> None:
        """A number from 2^64 on is refused by its word's index: no reader could decode what was settled."""
        proposal = propose(inbox, extend(inbox))
        for value in (1 << 64, (1 << 256) - 1):
            wide = msgspec.structs.replace(proposal.header, **{member[0]: value})
            said = proposal.attestation
            attestation = create_attestation(said.parent_hash, said.first_height, wide, said.data_hash)
            with pytest.raises(HeaderOutOfRange) as caught:
                inbox.settle(proposal.batch, wide, attest(inbox, attestation), submitter=BUILDER)
            assert word == caught.value.word
        assert 0 == inbox.get_settled().height

    def test_greatest_numbers_settle(self, inbox: Inbox) -> None:
        """What no other rule bounds may be 2^64 - 1, and comes back as it was."""
        greatest = (1 << 64) - 1
        proposal = propose(inbox, extend(inbox, first_seq=greatest, action_count=greatest))
        assert 1 == settle(inbox, proposal).height
        settled = inbox.get_settled_at(1)
        assert settled is not None
        assert proposal.header == settled.header

    def test_only_builder_submits_at_first(self, inbox: Inbox) -> None:
        """A stranger with a proper quorum is refused while the builder may still come."""
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(NotBuilder):
            settle(inbox, proposal, submitter=STRANGER)
        assert 1 == settle(inbox, proposal).height

    def test_anybody_submits_after_silence(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """Once 7,200 L1 blocks went by without a batch anybody may submit; the quorum is still asked for."""
        last = inbox.get_settled().l1_number
        harness.advance_to(inbox, last + BUILDER_SILENCE_BLOCKS)
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(NotBuilder):
            settle(inbox, proposal, submitter=STRANGER)
        harness.advance_to(inbox, last + BUILDER_SILENCE_BLOCKS + 1)
        with pytest.raises(TooFewAttestations):
            settle(inbox, msgspec.structs.replace(proposal, attestations=()), submitter=STRANGER)
        assert 1 == settle(inbox, proposal, submitter=STRANGER).height
        with pytest.raises(NotBuilder):
            settle(inbox, propose(inbox, extend(inbox)), submitter=STRANGER)
