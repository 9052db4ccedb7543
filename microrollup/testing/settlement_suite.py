"""The contract suite of settlement backends: what an inbox takes, and each thing that it must not take, by error name.

Subclass `SettlementContract` in a test module and give it a fixture `harness` (a `SettlementHarness`):

    class TestMyBackend(SettlementContract):
        @pytest.fixture
        def harness(self, tmp_path): ...

Every accept stands next to its reject. Nothing here supposes that two transactions share an L1 block.
"""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from microrollup.chain.block import Header, compute_block_hash, compute_genesis_header, compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.crypto.bls_shares import load_bls_key
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES, MAX_FORCED_PER_BLOCK, ZERO_ADDRESS, ZERO_BYTES32
from microrollup.settlement.attestation import SignedAttestation, create_attestation, sign_attestation
from microrollup.settlement.batch import MAX_BATCH_BYTES, compute_blob_data_hash, decode_batch
from microrollup.settlement.errors import (
    AlreadyVoided,
    BadOrigin,
    BadQuorum,
    BatchTooLarge,
    CancelledTooLate,
    DuplicateAttester,
    ForcedSkipped,
    ForeignAttester,
    FutureTimestamp,
    HeaderOutOfRange,
    HeightGap,
    MalleableSignature,
    NotBuilder,
    NothingPending,
    NotOwner,
    PayloadTooLarge,
    SettlementError,
    StaleTimestamp,
    TooFewAttestations,
    UnknownEntry,
    WrongAttestation,
    WrongData,
    WrongForcedHash,
    WrongParent,
    WrongRollupId,
    WrongStfId,
    ZeroBuilder,
    ZeroCode,
)
from microrollup.settlement.forced import EMPTY_QUEUE_HASH, ForcedEntry, compute_queue_hash
from microrollup.settlement.inbox import (
    ANNOUNCEMENTS,
    BUILDER_SILENCE_BLOCKS,
    CANCEL_MARGIN_BLOCKS,
    CHANGE_DELAY_BLOCKS,
    MAX_ORIGIN_AGE_BLOCKS,
    VOID_AGE_BLOCKS,
)
from microrollup.settlement.protocol import Inbox, SettledHead
from microrollup.settlement.quorum import count_signers
from microrollup.settlement.quorum_errors import BadKey, FalseShare, UnknownPage, WrongKeysLength
from microrollup.settlement.verifiers import BLS, VerifierSet, sort_keys
from microrollup.testing.settlement_harness import (
    BUILDER,
    OWNER,
    STF_ID,
    VERIFIER_KEYS,
    Proposal,
    SettlementHarness,
    attest,
    extend,
    make_genesis,
    make_key,
    propose,
)

__all__ = ["SettlementContract"]

_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_STRANGER: Final = compute_address(make_key("stranger"))


def _settle(inbox: Inbox, proposal: Proposal, submitter: bytes = BUILDER) -> SettledHead:
    return inbox.settle(proposal.batch, proposal.header, proposal.attestations, submitter=submitter)


def _settle_with(inbox: Inbox, **changes: int | bytes) -> SettledHead:
    """Settle a block like the next one, but for `changes`, attested as it is."""
    return _settle(inbox, propose(inbox, extend(inbox, **changes)))


def _sign_differently(inbox: Inbox, proposal: Proposal, **changes: int | bytes) -> Proposal:
    """The proposal with attestations that say something else."""
    attestation = msgspec.structs.replace(proposal.attestation, **changes)
    return msgspec.structs.replace(proposal, attestations=attest(inbox, attestation))


class SettlementContract:
    """Tests that every settlement backend passes."""

    @pytest.fixture
    def genesis(self, harness: SettlementHarness) -> Genesis:
        return make_genesis(*harness.get_start())

    @pytest.fixture
    def inbox(self, harness: SettlementHarness, genesis: Genesis) -> Inbox:
        return harness.create_inbox(genesis, OWNER)

    # Creation.

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
        assert (OWNER, BUILDER) == (inbox.get_owner(number), inbox.get_builder(number))
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

    def test_refuses_genesis_without_builder(self, harness: SettlementHarness, genesis: Genesis) -> None:
        """The zero address cannot seal."""
        with pytest.raises(ZeroBuilder):
            harness.create_inbox(msgspec.structs.replace(genesis, builder=ZERO_ADDRESS), OWNER)

    def test_refuses_genesis_from_the_future(self, harness: SettlementHarness, genesis: Genesis) -> None:
        """Neither the genesis time nor the L1 start may lie ahead of the creation."""
        with pytest.raises(FutureTimestamp):
            harness.create_inbox(
                msgspec.structs.replace(genesis, genesis_time=genesis.genesis_time + 10_000_000), OWNER
            )
        with pytest.raises(BadOrigin):
            harness.create_inbox(msgspec.structs.replace(genesis, l1_start=genesis.l1_start + 1_000_000), OWNER)

    # Settling.

    def test_settles_in_order(self, inbox: Inbox) -> None:
        """A batch on the settled head becomes the head; each of its heights finds it with data and signatures."""
        first = extend(inbox)
        second = extend(inbox, height=2, parent_hash=compute_block_hash(first))
        proposal = propose(inbox, first, second)
        head = _settle(inbox, proposal)
        assert (2, compute_block_hash(second), second.state_root) == (head.height, head.block_hash, head.state_root)
        assert head == inbox.get_settled()
        settled = inbox.get_settled_at(1)
        assert settled is not None
        assert settled == inbox.get_settled_at(2)
        assert (1, second, proposal.batch) == (settled.first_height, settled.header, settled.batch)
        assert proposal.attestation == settled.attestation
        assert b"\0" + b"".join([signed.signature for signed in proposal.attestations]) == settled.signatures
        assert (BUILDER, head.l1_number) == (settled.submitter, settled.l1_number)
        assert [1, 2] == [block.open.height for block in decode_batch(settled.batch).blocks]
        third = _settle_with(inbox)
        assert (3, third) == (third.height, inbox.get_settled())

    def test_says_what_is_not_settled(self, inbox: Inbox) -> None:
        """Genesis came with no batch, and the height above the head is not there yet."""
        _settle_with(inbox)
        assert None is inbox.get_settled_at(0)
        assert None is inbox.get_settled_at(2)
        assert None is inbox.get_confirmations(2)

    def test_confirmations_count_l1_blocks(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """Depth is the number of L1 blocks since the settling one."""
        settled_in = _settle_with(inbox).l1_number
        harness.advance_to(inbox, settled_in + 5)
        assert 5 == inbox.get_confirmations(1)
        assert [] == inbox.poll_reorgs()

    def test_survives_reopening(self, harness: SettlementHarness, inbox: Inbox, genesis: Genesis) -> None:
        """Another process finds the same inbox."""
        index = inbox.force(b"payload", sender=_STRANGER)
        head, number = inbox.get_settled(), inbox.get_number()
        again = harness.reopen_inbox(inbox)
        assert (head, genesis) == (again.get_settled(), again.get_genesis())
        assert b"payload" == again.get_forced_entries(index, again.get_number(), 1)[0].payload
        assert number <= again.get_number()

    def test_refuses_same_batch_again(self, inbox: Inbox) -> None:
        """A resubmission after success is refused and changes nothing: the height is the cursor."""
        proposal = propose(inbox, extend(inbox))
        head = _settle(inbox, proposal)
        with pytest.raises(HeightGap):
            _settle(inbox, proposal)
        assert head == inbox.get_settled()

    def test_refuses_gap(self, inbox: Inbox) -> None:
        """Attestations that begin above or below the next height do not fit, nor does a header at the settled one."""
        proposal = propose(inbox, extend(inbox))
        for first_height in (0, 2):
            with pytest.raises(HeightGap):
                _settle(inbox, _sign_differently(inbox, proposal, first_height=first_height))
        with pytest.raises(HeightGap):
            _settle_with(inbox, height=0)

    def test_refuses_wrong_parent(self, inbox: Inbox) -> None:
        """Another history's batch for the same heights does not fit."""
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(WrongParent):
            _settle(inbox, _sign_differently(inbox, proposal, parent_hash=keccak256(b"other history")))
        assert 1 == _settle(inbox, proposal).height

    def test_refuses_other_rollup(self, inbox: Inbox) -> None:
        """Neither header nor attestation of another rollup fits."""
        proposal, other = propose(inbox, extend(inbox)), keccak256(b"other rollup")
        with pytest.raises(WrongRollupId):
            _settle(inbox, _sign_differently(inbox, proposal, rollup_id=other))
        with pytest.raises(WrongRollupId):
            _settle_with(inbox, rollup_id=other)

    def test_refuses_other_code(self, inbox: Inbox) -> None:
        """Blocks of another code than the inbox was created for do not settle, unless the owner announced it."""
        with pytest.raises(WrongStfId):
            _settle_with(inbox, stf_id=keccak256(b"other code"))
        assert 1 == _settle_with(inbox, stf_id=STF_ID).height

    def test_code_changes_at_its_origin(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """An announced code settles from its origin on; the old one does too, until a batch names the new one."""
        other = keccak256(b"other code")
        with pytest.raises(NotOwner):
            inbox.announce_code(other, caller=_STRANGER)
        with pytest.raises(ZeroCode):
            inbox.announce_code(ZERO_BYTES32, caller=OWNER)
        effective = inbox.announce_code(other, caller=OWNER)
        assert (STF_ID, other) == (inbox.get_stf_id(effective - 1), inbox.get_stf_id(effective))
        harness.advance_to(inbox, effective + 5)
        assert (STF_ID, other) == (inbox.look(effective - 1, 0).stf_id, inbox.look(effective, 0).stf_id)
        with pytest.raises(WrongStfId):
            _settle_with(inbox, stf_id=other, l1_origin=effective - 1)
        assert 1 == _settle_with(inbox, stf_id=STF_ID, l1_origin=effective).height
        assert 2 == _settle_with(inbox, stf_id=other, l1_origin=effective).height
        with pytest.raises(WrongStfId):
            _settle_with(inbox, stf_id=STF_ID, l1_origin=effective)
        assert 3 == _settle_with(inbox, stf_id=other, l1_origin=effective).height

    def test_refuses_oversized_batch(self, inbox: Inbox) -> None:
        """What cannot be the data of one transaction is refused before anything else is looked at."""
        proposal = msgspec.structs.replace(propose(inbox, extend(inbox)), batch=bytes(MAX_BATCH_BYTES + 1))
        with pytest.raises(BatchTooLarge):
            _settle(inbox, proposal)

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
        assert 1 == _settle(inbox, proposal).height
        settled = inbox.get_settled_at(1)
        assert settled is not None
        assert proposal.header == settled.header

    # The builder.

    def test_only_builder_submits_at_first(self, inbox: Inbox) -> None:
        """A stranger with a proper quorum is refused while the builder may still come."""
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(NotBuilder):
            _settle(inbox, proposal, submitter=_STRANGER)
        assert 1 == _settle(inbox, proposal).height

    def test_anybody_submits_after_silence(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """Once 7,200 L1 blocks went by without a batch anybody may submit; the quorum is still asked for."""
        last = inbox.get_settled().l1_number
        harness.advance_to(inbox, last + BUILDER_SILENCE_BLOCKS)
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(NotBuilder):
            _settle(inbox, proposal, submitter=_STRANGER)
        harness.advance_to(inbox, last + BUILDER_SILENCE_BLOCKS + 1)
        with pytest.raises(TooFewAttestations):
            _settle(inbox, msgspec.structs.replace(proposal, attestations=()), submitter=_STRANGER)
        assert 1 == _settle(inbox, proposal, submitter=_STRANGER).height
        with pytest.raises(NotBuilder):
            _settle(inbox, propose(inbox, extend(inbox)), submitter=_STRANGER)

    # Time.

    def test_timestamp_never_goes_back(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """A timestamp equal to the settled one is fine, a second less is not."""
        timestamp = _settle_with(inbox).timestamp
        harness.advance_to(inbox, inbox.get_number() + 1)
        with pytest.raises(StaleTimestamp):
            _settle_with(inbox, timestamp=timestamp - 1)
        assert timestamp == _settle_with(inbox, timestamp=timestamp).timestamp

    def test_timestamp_is_not_ahead_of_l1(self, inbox: Inbox) -> None:
        """A timestamp equal to L1's time is fine, an hour more is not."""
        with pytest.raises(FutureTimestamp):
            _settle_with(inbox, timestamp=inbox.get_time(inbox.get_number()) + 3600)
        time = inbox.get_time(inbox.get_number())
        assert time == _settle_with(inbox, timestamp=time).timestamp

    def test_origin_is_past(self, inbox: Inbox) -> None:
        """The block before the settling one can be the origin, the settling one cannot."""
        with pytest.raises(BadOrigin):
            _settle_with(inbox, l1_origin=inbox.get_number())
        number = inbox.get_number()
        assert number - 1 == _settle_with(inbox, l1_origin=number - 1).l1_origin

    def test_origin_is_recent(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """An origin 14,400 blocks back is taken, one more is not."""
        number = inbox.get_number() + MAX_ORIGIN_AGE_BLOCKS + 10
        harness.advance_to(inbox, number)
        with pytest.raises(BadOrigin):
            _settle_with(inbox, l1_origin=inbox.get_number() - MAX_ORIGIN_AGE_BLOCKS - 1)
        origin = inbox.get_number() - MAX_ORIGIN_AGE_BLOCKS
        assert origin == _settle_with(inbox, l1_origin=origin).l1_origin

    def test_origin_never_goes_back(self, harness: SettlementHarness, inbox: Inbox) -> None:
        """The settled origin can stay, not shrink."""
        harness.advance_to(inbox, inbox.get_number() + 5)
        origin = _settle_with(inbox).l1_origin
        with pytest.raises(BadOrigin):
            _settle_with(inbox, l1_origin=origin - 1)
        assert origin == _settle_with(inbox, l1_origin=origin).l1_origin

    def test_time_of_l1(self, inbox: Inbox) -> None:
        """Time ascends with the number, and a block to come has none."""
        number = inbox.get_number()
        assert inbox.get_time(number - 1) < inbox.get_time(number)
        with pytest.raises(BadOrigin):
            inbox.get_time(number + 1000)

    def test_look_is_of_one_block(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A look says of an origin what the single questions say: times, builder, and what is due and not taken."""
        entries = _force_apart(inbox, harness, 3)
        voided = inbox.void(1, caller=OWNER)
        inbox.change_builder(_STRANGER, caller=OWNER)
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
        assert _STRANGER == later.builder
        assert [False, True, False] == [forced.voided for forced in later.forced]

    def test_look_is_at_a_past_block(self, inbox: Inbox) -> None:
        """No block binds to the L1 block that is being made, nor to one before the first."""
        number = inbox.get_number()
        assert () == inbox.look(number - 1, 0).forced
        for origin in (number, number + 1_000, -1):
            with pytest.raises(BadOrigin):
                inbox.look(origin, 0)

    # Attestations.

    def test_quorum_is_enough(self, inbox: Inbox) -> None:
        """One of three verifiers is too few; two in any order are enough."""
        header = extend(inbox)
        with pytest.raises(TooFewAttestations):
            _settle(inbox, propose(inbox, header, keys=VERIFIER_KEYS[:1]))
        assert 1 == _settle(inbox, propose(inbox, header, keys=VERIFIER_KEYS[:0:-1])).height

    def test_all_may_attest(self, inbox: Inbox) -> None:
        """More than the quorum does no harm."""
        assert 1 == _settle(inbox, propose(inbox, extend(inbox), keys=VERIFIER_KEYS)).height

    def test_refuses_repeated_signature(self, inbox: Inbox) -> None:
        """One verifier's signature twice is not two of three."""
        with pytest.raises(DuplicateAttester):
            _settle(inbox, propose(inbox, extend(inbox), keys=(VERIFIER_KEYS[0], VERIFIER_KEYS[0])))

    def test_refuses_stranger(self, inbox: Inbox) -> None:
        """A key outside the set does not count, even beside a full quorum."""
        with pytest.raises(ForeignAttester):
            _settle(inbox, propose(inbox, extend(inbox), keys=(*VERIFIER_KEYS[:2], make_key("stranger"))))

    @pytest.mark.parametrize(("chain_offset", "other_inbox"), [(1, False), (0, True)])
    def test_refuses_other_domain(self, inbox: Inbox, chain_offset: int, other_inbox: bool) -> None:
        """Signatures for another chain or another inbox recover to strangers here."""
        proposal = propose(inbox, extend(inbox))
        chain_id = inbox.get_genesis().l1_chain_id + chain_offset
        address = keccak256(b"other inbox")[12:] if other_inbox else inbox.get_inbox()
        signed = [sign_attestation(key, proposal.attestation, chain_id, address) for key in VERIFIER_KEYS]
        with pytest.raises(ForeignAttester):
            inbox.settle(proposal.batch, proposal.header, signed, submitter=BUILDER)

    def test_refuses_other_forms_of_a_signature(self, inbox: Inbox) -> None:
        """High s, v 0 or 1, v 29, EIP-2098's 64 bytes, no bytes, and a point off the curve are not signatures here."""
        proposal = propose(inbox, extend(inbox))
        one, two = proposal.attestations
        good = two.signature
        high_s = (_ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
        compact = bytes([good[32] | (good[64] - 27) << 7]) + good[33:64]
        for bad in (
            good[:32] + high_s + bytes([55 - good[64]]),
            good[:64] + bytes([good[64] - 27]),
            good[:64] + b"\x1d",
            good[:32] + compact,
            good + b"\x00",
            b"",
            b"\xff" * 32 + good[32:],
            bytes(64) + b"\x1b",
        ):
            signed = (one, SignedAttestation(proposal.attestation, bad))
            with pytest.raises(MalleableSignature):
                inbox.settle(proposal.batch, proposal.header, signed, submitter=BUILDER)
        assert 1 == _settle(inbox, proposal).height

    def test_refuses_other_data(self, inbox: Inbox) -> None:
        """An attested header cannot be settled with other data than the attested."""
        header = extend(inbox)
        proposal = propose(inbox, header)
        longer = propose(inbox, header, extend(inbox, height=2)).batch
        for batch in (longer, proposal.batch + b"\x00", b""):
            with pytest.raises(WrongData):
                _settle(inbox, msgspec.structs.replace(proposal, batch=batch))

    def test_refuses_data_hash_of_blobs(self, inbox: Inbox) -> None:
        """Bytes attested as if they were blob hashes do not pass as calldata: the tag keeps them apart."""
        proposal = propose(inbox, extend(inbox))
        data_hash = compute_blob_data_hash([proposal.batch])
        with pytest.raises(WrongData):
            _settle(inbox, _sign_differently(inbox, proposal, data_hash=data_hash))

    @pytest.mark.parametrize("member", ["last_height", "block_hash", "state_root"])
    def test_refuses_attestation_of_another_header(self, inbox: Inbox, member: str) -> None:
        """What the verifiers attested and what the header says must be the same."""
        proposal = propose(inbox, extend(inbox))
        change = 7 if member == "last_height" else keccak256(b"other")
        with pytest.raises(WrongAttestation):
            _settle(inbox, _sign_differently(inbox, proposal, **{member: change}))

    @pytest.mark.parametrize("member", Header.__struct_fields__)
    def test_every_word_of_the_header_is_attested(self, inbox: Inbox, member: str) -> None:
        """Whatever word of an attested header is changed, the inbox refuses it."""
        proposal = propose(inbox, extend(inbox))
        value = getattr(proposal.header, member)
        other = value + 1 if isinstance(value, int) else keccak256(value)
        changed = msgspec.structs.replace(proposal.header, **{member: other})
        with pytest.raises(SettlementError):
            _settle(inbox, msgspec.structs.replace(proposal, header=changed))
        assert 0 == inbox.get_settled().height

    # Forced actions.

    def test_queue_is_a_hash_chain(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Entries come back as forced, in order, with the queue's hash over them."""
        start = inbox.get_number()
        assert [0, 1] == [inbox.force(payload, sender=_STRANGER) for payload in (b"", b"\x00" * 100)]
        harness.advance_to(inbox, inbox.get_number() + 1)
        end = inbox.get_number()
        entries = inbox.get_forced_entries(0, end, 10)
        assert [0, 1] == [entry.index for entry in entries]
        assert [b"", b"\x00" * 100] == [entry.payload for entry in entries]
        assert {_STRANGER} == {entry.sender for entry in entries}
        queue_hash = EMPTY_QUEUE_HASH
        for entry in entries:
            assert start <= entry.inclusion_block < end
            queue_hash = compute_queue_hash(queue_hash, entry.sender, entry.inclusion_block, entry.payload)
            assert queue_hash == inbox.get_queue_hash(entry.index + 1)
        with pytest.raises(UnknownEntry):
            inbox.get_queue_hash(3)

    def test_queue_is_read_up_to_a_block(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """What was included after a block is not seen from it; index and limit cut the answer."""
        entries = _force_apart(inbox, harness, 3)
        middle = entries[1].inclusion_block
        assert 0 == inbox.get_forced_count(entries[0].inclusion_block - 1)
        assert 2 == inbox.get_forced_count(middle)
        assert entries[:2] == inbox.get_forced_entries(0, middle, 10)
        assert entries[1:2] == inbox.get_forced_entries(1, middle + 100, 1)
        assert [] == inbox.get_forced_entries(2, middle, 10)

    def test_payload_is_bounded(self, inbox: Inbox) -> None:
        """The longest payload is taken, one byte more is not."""
        assert 0 == inbox.force(bytes(MAX_FORCED_PAYLOAD_BYTES), sender=_STRANGER)
        with pytest.raises(PayloadTooLarge):
            inbox.force(bytes(MAX_FORCED_PAYLOAD_BYTES + 1), sender=_STRANGER)

    def test_due_entries_must_be_taken(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """With two due entries, taking none or one is refused; taking both settles."""
        entries = _force_apart(inbox, harness, 2)
        assert 2 == len(entries)
        for count in (0, 1):
            with pytest.raises(ForcedSkipped):
                _settle_with(inbox, forced_count=count, forced_hash=inbox.get_queue_hash(count))
        head = _settle_with(inbox, forced_count=2, forced_hash=inbox.get_queue_hash(2))
        assert 2 == head.forced_count
        with pytest.raises(ForcedSkipped):
            _settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1))

    def test_entries_after_the_origin_are_not_due(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """An origin before an entry's block may leave it; the entry's own block may not."""
        entries = _force_apart(inbox, harness, 2)
        due = entries[1].inclusion_block
        one = inbox.get_queue_hash(1)
        with pytest.raises(ForcedSkipped):
            _settle_with(inbox, forced_count=1, forced_hash=one, l1_origin=due)
        assert 1 == _settle_with(inbox, forced_count=1, forced_hash=one, l1_origin=due - 1).forced_count

    def test_no_more_than_64_must_be_taken(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """With more due than a block takes, 64 are enough and 63 are not."""
        for _ in range(MAX_FORCED_PER_BLOCK + 2):
            inbox.force(b"", sender=_STRANGER)
        harness.advance_to(inbox, inbox.get_number() + 1)
        few, enough = MAX_FORCED_PER_BLOCK - 1, MAX_FORCED_PER_BLOCK
        with pytest.raises(ForcedSkipped):
            _settle_with(inbox, forced_count=few, forced_hash=inbox.get_queue_hash(few))
        assert enough == _settle_with(inbox, forced_count=enough, forced_hash=inbox.get_queue_hash(enough)).forced_count
        with pytest.raises(ForcedSkipped):
            _settle_with(inbox)

    def test_forced_count_never_goes_back(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Once taken is taken, even if the verifiers let entries be taken before they were due."""
        origin = inbox.get_settled().l1_origin
        _force_apart(inbox, harness, 2)
        two = inbox.get_queue_hash(2)
        assert 2 == _settle_with(inbox, forced_count=2, forced_hash=two, l1_origin=origin).forced_count
        with pytest.raises(ForcedSkipped):
            _settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1), l1_origin=origin)

    def test_forced_hash_is_the_queues(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Another payload than the queue's, or a count beyond it, is refused."""
        _force_apart(inbox, harness, 1)
        with pytest.raises(WrongForcedHash):
            _settle_with(inbox, forced_count=1, forced_hash=keccak256(b"other payload"))
        with pytest.raises(UnknownEntry):
            _settle_with(inbox, forced_count=2, forced_hash=inbox.get_queue_hash(1))
        assert 1 == _settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1)).forced_count

    # The owner.

    def test_void_takes_effect_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """An entry is voided from 21,600 blocks after the void's and 43,200 after its inclusion: the later counts."""
        young, old = _force_apart(inbox, harness, 2)
        effective = inbox.void(young.index, caller=OWNER)
        assert young.inclusion_block + VOID_AGE_BLOCKS == effective
        assert not inbox.is_voided(young.index, effective - 1)
        assert inbox.is_voided(young.index, effective)
        number = old.inclusion_block + CHANGE_DELAY_BLOCKS + 10
        harness.advance_to(inbox, number)
        effective = inbox.void(old.index, caller=OWNER)
        assert number + CHANGE_DELAY_BLOCKS <= effective <= inbox.get_number() + CHANGE_DELAY_BLOCKS
        assert not inbox.is_voided(old.index, effective - 1)
        assert inbox.is_voided(old.index, effective)

    def test_void_ends_with_its_owner(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A void counts for nothing if another owner takes office before it takes effect, who may void again."""
        index = _force_apart(inbox, harness, 1)[0].index
        ended = inbox.void(index, caller=OWNER)
        harness.advance_to(inbox, inbox.change_owner(_STRANGER, caller=OWNER))
        assert not inbox.is_voided(index, ended)
        effective = inbox.void(index, caller=_STRANGER)
        assert effective > ended
        assert not inbox.is_voided(index, effective - 1)
        assert inbox.is_voided(index, effective)

    def test_void_is_cancelled_in_time(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A void may be taken back, and announced again, until an hour before it takes effect."""
        index = _force_apart(inbox, harness, 1)[0].index
        with pytest.raises(NothingPending):
            inbox.cancel_void(index, caller=OWNER)
        effective = inbox.void(index, caller=OWNER)
        with pytest.raises(NotOwner):
            inbox.cancel_void(index, caller=_STRANGER)
        assert effective == inbox.cancel_void(index, caller=OWNER)
        assert not inbox.is_voided(index, effective)
        assert effective == inbox.void(index, caller=OWNER)
        harness.advance_to(inbox, effective - CANCEL_MARGIN_BLOCKS)
        with pytest.raises(CancelledTooLate):
            inbox.cancel_void(index, caller=OWNER)
        assert inbox.is_voided(index, effective)

    def test_only_existing_entries_are_voided(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The owner cannot void what is yet to come, nor move a void's date, nor can a stranger void."""
        with pytest.raises(UnknownEntry):
            inbox.void(0, caller=OWNER)
        with pytest.raises(UnknownEntry):
            inbox.is_voided(0, inbox.get_number())
        _force_apart(inbox, harness, 2)
        with pytest.raises(NotOwner):
            inbox.void(0, caller=_STRANGER)
        effective = inbox.void(0, caller=OWNER)
        with pytest.raises(AlreadyVoided):
            inbox.void(0, caller=OWNER)
        assert inbox.is_voided(0, effective)
        assert not inbox.is_voided(1, effective)

    def test_voided_entries_are_still_taken(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A void changes what an entry does, not that it has its place: it must be taken like any other."""
        _force_apart(inbox, harness, 1)
        harness.advance_to(inbox, inbox.void(0, caller=OWNER) + 1)
        with pytest.raises(ForcedSkipped):
            _settle_with(inbox)
        assert 1 == _settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1)).forced_count

    def test_verifiers_change_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The old set attests until the number that the change names, the new one from there on."""
        key = make_key("new verifier")
        new = VerifierSet((compute_address(key),), 1)
        with pytest.raises(NotOwner):
            inbox.change_verifiers(new, caller=_STRANGER)
        old = inbox.get_verifiers(inbox.get_number())
        effective = inbox.change_verifiers(new, caller=OWNER)
        assert (old, new) == (inbox.get_verifiers(effective - 1), inbox.get_verifiers(effective))
        harness.advance_to(inbox, effective - 1)
        with pytest.raises(ForeignAttester):
            _settle(inbox, propose(inbox, extend(inbox), keys=(key,)))
        assert 1 == _settle_with(inbox).height
        harness.advance_to(inbox, effective)
        with pytest.raises(ForeignAttester):
            _settle_with(inbox)
        assert 2 == _settle(inbox, propose(inbox, extend(inbox), keys=(key,))).height

    def test_verifiers_with_bls_keys_there_and_back(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """Addresses, then keys of BLS, then addresses: each batch by the set of its block; a false share is named."""
        keys = {key.public: key for key in [load_bls_key(bytes(31) + bytes((i,))) for i in range(1, 5)]}
        order = sort_keys(keys)
        page = inbox.register_keys(order, [keys[key].prove_possession() for key in order], sender=OWNER)
        before = inbox.get_verifiers(inbox.get_number())
        harness.advance_to(inbox, inbox.change_verifiers(VerifierSet((page,), 3, BLS), caller=OWNER))
        assert tuple(order) == inbox.get_verifiers(inbox.get_number()).members
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(SettlementError):
            _settle(inbox, proposal)
        signers = [keys[key] for key in order[1:]]
        few = msgspec.structs.replace(proposal, attestations=attest(inbox, proposal.attestation, signers[:2]))
        with pytest.raises(TooFewAttestations):
            _settle(inbox, few)
        shares = attest(inbox, proposal.attestation, signers)
        liar = msgspec.structs.replace(shares[1], signature=shares[0].signature)
        with pytest.raises(FalseShare) as caught:
            _settle(inbox, msgspec.structs.replace(proposal, attestations=(shares[0], liar, shares[2])))
        assert order[2] == caught.value.key
        with pytest.raises(DuplicateAttester):
            _settle(inbox, msgspec.structs.replace(proposal, attestations=(*shares, shares[0])))
        assert 1 == _settle(inbox, msgspec.structs.replace(proposal, attestations=shares)).height
        settled = inbox.get_settled_at(1)
        assert settled is not None
        assert 3 == count_signers(inbox.get_verifiers(settled.l1_number), settled.signatures)
        inbox = harness.reopen_inbox(inbox)
        harness.advance_to(inbox, inbox.change_verifiers(before, caller=OWNER))
        assert 2 == _settle(inbox, propose(inbox, extend(inbox))).height

    def test_refuses_bad_keys_and_pages(self, inbox: Inbox) -> None:
        """Keys without their proofs, twice or out of order make no page; a set names pages that exist, in order."""
        keys = {key.public: key for key in [load_bls_key(bytes(31) + bytes((i,))) for i in range(1, 4)]}
        order = sort_keys(keys)
        proofs = [keys[key].prove_possession() for key in order]
        for some, given in ((order, proofs[::-1]), (order[::-1], proofs[::-1]), (order[:1] * 2, proofs[:1] * 2)):
            with pytest.raises(BadKey):
                inbox.register_keys(some, given, sender=OWNER)
        for some, given in ((order, proofs[1:]), ([], [])):
            with pytest.raises(WrongKeysLength):
                inbox.register_keys(some, given, sender=OWNER)
        high = inbox.register_keys(order[2:], proofs[2:], sender=_STRANGER)
        low = inbox.register_keys(order[:2], proofs[:2], sender=_STRANGER)
        for pages in ((high, low), (low, low), (OWNER,)):
            with pytest.raises(UnknownPage):
                inbox.change_verifiers(VerifierSet(pages, 2, BLS), caller=OWNER)
        for quorum in (1, 4):
            with pytest.raises(BadQuorum):
                inbox.change_verifiers(VerifierSet((low, high), quorum, BLS), caller=OWNER)
        effective = inbox.change_verifiers(VerifierSet((low, high), 2, BLS), caller=OWNER)
        assert tuple(order) == inbox.get_verifiers(effective).members

    def test_refuses_bad_verifier_sets(self, inbox: Inbox, genesis: Genesis) -> None:
        """The owner is held to the same sets as the genesis."""
        with pytest.raises(BadQuorum):
            inbox.change_verifiers(VerifierSet(genesis.verifiers, 1), caller=OWNER)
        with pytest.raises(BadQuorum):
            inbox.change_verifiers(VerifierSet(genesis.verifiers[::-1], 2), caller=OWNER)

    def test_builder_changes_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The old builder submits until the number that the change names, the new one from there on."""
        with pytest.raises(NotOwner):
            inbox.change_builder(_STRANGER, caller=_STRANGER)
        with pytest.raises(ZeroBuilder):
            inbox.change_builder(ZERO_ADDRESS, caller=OWNER)
        effective = inbox.change_builder(_STRANGER, caller=OWNER)
        assert (BUILDER, _STRANGER) == (inbox.get_builder(effective - 1), inbox.get_builder(effective))
        harness.advance_to(inbox, effective - 1)
        assert 1 == _settle_with(inbox).height
        harness.advance_to(inbox, effective)
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(NotBuilder):
            _settle(inbox, proposal)
        assert 2 == _settle(inbox, proposal, submitter=_STRANGER).height

    def test_owner_changes_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The old owner acts until the number that the change names; an inbox given to zero is nobody's."""
        with pytest.raises(NotOwner):
            inbox.change_owner(_STRANGER, caller=_STRANGER)
        effective = inbox.change_owner(_STRANGER, caller=OWNER)
        harness.advance_to(inbox, effective)
        with pytest.raises(NotOwner):
            inbox.change_owner(OWNER, caller=OWNER)
        given_away = inbox.change_owner(ZERO_ADDRESS, caller=_STRANGER)
        harness.advance_to(inbox, given_away)
        for caller in (_STRANGER, OWNER, ZERO_ADDRESS):
            with pytest.raises(NotOwner):
                inbox.change_owner(caller, caller=caller)

    def test_former_owner_decides_nothing(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """What an owner announces on leaving never comes into force; nor does a second owner that it announces."""
        thief = make_key("thief")
        effective = inbox.change_owner(_STRANGER, caller=OWNER)
        inbox.change_owner(OWNER, caller=OWNER)
        harness.advance_to(inbox, effective - 5)
        last = inbox.change_builder(compute_address(thief), caller=OWNER)
        last = max(last, inbox.change_verifiers(VerifierSet((compute_address(thief),), 1), caller=OWNER))
        genesis = inbox.get_genesis()
        harness.advance_to(inbox, last + 1)
        assert (_STRANGER, BUILDER) == (inbox.get_owner(last), inbox.get_builder(last))
        assert VerifierSet(genesis.verifiers, genesis.quorum) == inbox.get_verifiers(last)
        with pytest.raises(ForeignAttester):
            _settle(inbox, propose(inbox, extend(inbox), keys=(thief,)))
        assert 1 == _settle_with(inbox).height

    def test_announcements_are_cancelled_in_time(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The newest change of a kind may be taken back until an hour before it takes effect; the others stay."""
        for kind in ANNOUNCEMENTS:
            with pytest.raises(NothingPending):
                inbox.cancel(kind, caller=OWNER)
        verifiers = inbox.get_verifiers(inbox.get_number())
        inbox.change_verifiers(VerifierSet(verifiers.addresses, 3), caller=OWNER)
        first = inbox.change_builder(_STRANGER, caller=OWNER)
        harness.advance_to(inbox, inbox.get_number() + 5)
        second = inbox.change_builder(OWNER, caller=OWNER)
        with pytest.raises(NotOwner):
            inbox.cancel("builder", caller=_STRANGER)
        assert second == inbox.cancel("builder", caller=OWNER)
        assert _STRANGER == inbox.get_builder(second)
        inbox.cancel("verifiers", caller=OWNER)
        assert verifiers == inbox.get_verifiers(second)
        harness.advance_to(inbox, first - CANCEL_MARGIN_BLOCKS)
        with pytest.raises(CancelledTooLate):
            inbox.cancel("builder", caller=OWNER)
        assert (BUILDER, _STRANGER) == (inbox.get_builder(first - 1), inbox.get_builder(first))

    def test_ids_depend_on_genesis(self, harness: SettlementHarness, inbox: Inbox, genesis: Genesis) -> None:
        """A batch for one rollup does not settle in the inbox of its twin with another salt."""
        twin = harness.create_inbox(msgspec.structs.replace(genesis, salt=keccak256(b"twin")), OWNER)
        assert compute_rollup_id(genesis) != compute_rollup_id(twin.get_genesis())
        with pytest.raises(WrongRollupId):
            _settle(twin, propose(inbox, extend(inbox)))


def _force_apart(inbox: Inbox, harness: SettlementHarness, count: int) -> list[ForcedEntry]:
    """Force `count` actions in L1 blocks of their own, all of them past at the end."""
    first = inbox.get_forced_count(inbox.get_number())
    for index in range(count):
        inbox.force(b"forced %d" % index, sender=_STRANGER)
        harness.advance_to(inbox, inbox.get_number() + 2)
    return inbox.get_forced_entries(first, inbox.get_number(), count)
