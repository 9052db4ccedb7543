"""Cases of the contract suite: what the owner announces."""

from __future__ import annotations

import msgspec
import pytest

from microrollup.chain.block import compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.crypto.bls_shares import load_bls_key
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.errors import (
    AlreadyVoided,
    BadQuorum,
    CancelledTooLate,
    DuplicateAttester,
    ForcedSkipped,
    ForeignAttester,
    NotBuilder,
    NothingPending,
    NotOwner,
    SettlementError,
    TooFewAttestations,
    UnknownEntry,
    WrongRollupId,
    ZeroBuilder,
)
from microrollup.settlement.inbox import (
    ANNOUNCEMENTS,
    CANCEL_MARGIN_BLOCKS,
    CHANGE_DELAY_BLOCKS,
    VOID_AGE_BLOCKS,
)
from microrollup.settlement.protocol import Inbox
from microrollup.settlement.quorum import count_signers
from microrollup.settlement.quorum_errors import BadKey, FalseShare, UnknownPage, WrongKeysLength
from microrollup.settlement.verifiers import BLS, VerifierSet, sort_keys
from microrollup.testing.settlement_cases.parts import (
    STRANGER,
    SettlementCases,
    force_apart,
    settle,
    settle_with,
)
from microrollup.testing.settlement_harness import (
    BUILDER,
    OWNER,
    SettlementHarness,
    attest,
    extend,
    make_key,
    propose,
)

__all__ = ["OwnerCases"]


class OwnerCases(SettlementCases):
    """What the owner announces."""

    def test_void_takes_effect_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """An entry is voided from 21,600 blocks after the void's and 43,200 after its inclusion: the later counts."""
        young, old = force_apart(inbox, harness, 2)
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
        index = force_apart(inbox, harness, 1)[0].index
        ended = inbox.void(index, caller=OWNER)
        harness.advance_to(inbox, inbox.change_owner(STRANGER, caller=OWNER))
        assert not inbox.is_voided(index, ended)
        effective = inbox.void(index, caller=STRANGER)
        assert effective > ended
        assert not inbox.is_voided(index, effective - 1)
        assert inbox.is_voided(index, effective)

    def test_void_is_cancelled_in_time(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A void may be taken back, and announced again, until an hour before it takes effect."""
        index = force_apart(inbox, harness, 1)[0].index
        with pytest.raises(NothingPending):
            inbox.cancel_void(index, caller=OWNER)
        effective = inbox.void(index, caller=OWNER)
        with pytest.raises(NotOwner):
            inbox.cancel_void(index, caller=STRANGER)
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
        force_apart(inbox, harness, 2)
        with pytest.raises(NotOwner):
            inbox.void(0, caller=STRANGER)
        effective = inbox.void(0, caller=OWNER)
        with pytest.raises(AlreadyVoided):
            inbox.void(0, caller=OWNER)
        assert inbox.is_voided(0, effective)
        assert not inbox.is_voided(1, effective)

    def test_voided_entries_are_still_taken(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """A void changes what an entry does, not that it has its place: it must be taken like any other."""
        force_apart(inbox, harness, 1)
        harness.advance_to(inbox, inbox.void(0, caller=OWNER) + 1)
        with pytest.raises(ForcedSkipped):
            settle_with(inbox)
        assert 1 == settle_with(inbox, forced_count=1, forced_hash=inbox.get_queue_hash(1)).forced_count

    def test_verifiers_change_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The old set attests until the number that the change names, the new one from there on."""
        key = make_key("new verifier")
        new = VerifierSet((compute_address(key),), 1)
        with pytest.raises(NotOwner):
            inbox.change_verifiers(new, caller=STRANGER)
        old = inbox.get_verifiers(inbox.get_number())
        effective = inbox.change_verifiers(new, caller=OWNER)
        assert (old, new) == (inbox.get_verifiers(effective - 1), inbox.get_verifiers(effective))
        extend(inbox)  # puts what a based rollup has to take into the queue, before L1's number matters
        harness.advance_to(inbox, effective - 1)
        with pytest.raises(ForeignAttester):
            settle(inbox, propose(inbox, extend(inbox), keys=(key,)))
        assert 1 == settle_with(inbox).height
        harness.advance_to(inbox, effective)
        with pytest.raises(ForeignAttester):
            settle_with(inbox)
        assert 2 == settle(inbox, propose(inbox, extend(inbox), keys=(key,))).height

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
            settle(inbox, proposal)
        signers = [keys[key] for key in order[1:]]
        few = msgspec.structs.replace(proposal, attestations=attest(inbox, proposal.attestation, signers[:2]))
        with pytest.raises(TooFewAttestations):
            settle(inbox, few)
        shares = attest(inbox, proposal.attestation, signers)
        liar = msgspec.structs.replace(shares[1], signature=shares[0].signature)
        with pytest.raises(FalseShare) as caught:
            settle(inbox, msgspec.structs.replace(proposal, attestations=(shares[0], liar, shares[2])))
        assert order[2] == caught.value.key
        with pytest.raises(DuplicateAttester):
            settle(inbox, msgspec.structs.replace(proposal, attestations=(*shares, shares[0])))
        assert 1 == settle(inbox, msgspec.structs.replace(proposal, attestations=shares)).height
        settled = inbox.get_settled_at(1)
        assert settled is not None
        assert 3 == count_signers(inbox.get_verifiers(settled.l1_number), settled.signatures)
        inbox = harness.reopen_inbox(inbox)
        harness.advance_to(inbox, inbox.change_verifiers(before, caller=OWNER))
        assert 2 == settle(inbox, propose(inbox, extend(inbox))).height

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
        high = inbox.register_keys(order[2:], proofs[2:], sender=STRANGER)
        low = inbox.register_keys(order[:2], proofs[:2], sender=STRANGER)
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
            inbox.change_builder(STRANGER, caller=STRANGER)
        with pytest.raises(ZeroBuilder):
            inbox.change_builder(ZERO_ADDRESS, caller=OWNER)
        effective = inbox.change_builder(STRANGER, caller=OWNER)
        assert (BUILDER, STRANGER) == (inbox.get_builder(effective - 1), inbox.get_builder(effective))
        harness.advance_to(inbox, effective - 1)
        assert 1 == settle_with(inbox).height
        harness.advance_to(inbox, effective)
        proposal = propose(inbox, extend(inbox))
        with pytest.raises(NotBuilder):
            settle(inbox, proposal)
        assert 2 == settle(inbox, proposal, submitter=STRANGER).height

    def test_owner_changes_after_the_delay(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The old owner acts until the number that the change names; an inbox given to zero is nobody's."""
        with pytest.raises(NotOwner):
            inbox.change_owner(STRANGER, caller=STRANGER)
        effective = inbox.change_owner(STRANGER, caller=OWNER)
        harness.advance_to(inbox, effective)
        with pytest.raises(NotOwner):
            inbox.change_owner(OWNER, caller=OWNER)
        given_away = inbox.change_owner(ZERO_ADDRESS, caller=STRANGER)
        harness.advance_to(inbox, given_away)
        for caller in (STRANGER, OWNER, ZERO_ADDRESS):
            with pytest.raises(NotOwner):
                inbox.change_owner(caller, caller=caller)

    def test_former_owner_decides_nothing(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """What an owner announces on leaving never comes into force; nor does a second owner that it announces."""
        thief = make_key("thief")
        effective = inbox.change_owner(STRANGER, caller=OWNER)
        inbox.change_owner(OWNER, caller=OWNER)
        harness.advance_to(inbox, effective - 5)
        last = inbox.change_builder(compute_address(thief), caller=OWNER)
        last = max(last, inbox.change_verifiers(VerifierSet((compute_address(thief),), 1), caller=OWNER))
        genesis = inbox.get_genesis()
        harness.advance_to(inbox, last + 1)
        assert (STRANGER, BUILDER) == (inbox.get_owner(last), inbox.get_builder(last))
        assert VerifierSet(genesis.verifiers, genesis.quorum) == inbox.get_verifiers(last)
        with pytest.raises(ForeignAttester):
            settle(inbox, propose(inbox, extend(inbox), keys=(thief,)))
        assert 1 == settle_with(inbox).height

    def test_announcements_are_cancelled_in_time(self, inbox: Inbox, harness: SettlementHarness) -> None:
        """The newest change of a kind may be taken back until an hour before it takes effect; the others stay."""
        for kind in ANNOUNCEMENTS:
            with pytest.raises(NothingPending):
                inbox.cancel(kind, caller=OWNER)
        verifiers = inbox.get_verifiers(inbox.get_number())
        inbox.change_verifiers(VerifierSet(verifiers.addresses, 3), caller=OWNER)
        first = inbox.change_builder(STRANGER, caller=OWNER)
        harness.advance_to(inbox, inbox.get_number() + 5)
        second = inbox.change_builder(OWNER, caller=OWNER)
        with pytest.raises(NotOwner):
            inbox.cancel("builder", caller=STRANGER)
        assert second == inbox.cancel("builder", caller=OWNER)
        assert STRANGER == inbox.get_builder(second)
        inbox.cancel("verifiers", caller=OWNER)
        assert verifiers == inbox.get_verifiers(second)
        harness.advance_to(inbox, first - CANCEL_MARGIN_BLOCKS)
        with pytest.raises(CancelledTooLate):
            inbox.cancel("builder", caller=OWNER)
        assert (BUILDER, STRANGER) == (inbox.get_builder(first - 1), inbox.get_builder(first))

    def test_ids_depend_on_genesis(self, harness: SettlementHarness, inbox: Inbox, genesis: Genesis) -> None:
        """A batch for one rollup does not settle in the inbox of its twin with another salt."""
        twin = harness.create_inbox(msgspec.structs.replace(genesis, salt=keccak256(b"twin")), OWNER)
        assert compute_rollup_id(genesis) != compute_rollup_id(twin.get_genesis())
        with pytest.raises(WrongRollupId):
            settle(twin, propose(inbox, extend(inbox)))
