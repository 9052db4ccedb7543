"""Cases of the contract suite: what a quorum is, and what its signatures bind."""

from __future__ import annotations

import msgspec
import pytest

from microrollup.chain.block import Header
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.attestation import SignedAttestation, sign_attestation
from microrollup.settlement.batch import compute_blob_data_hash
from microrollup.settlement.errors import (
    DuplicateAttester,
    ForeignAttester,
    MalleableSignature,
    SettlementError,
    TooFewAttestations,
    WrongAttestation,
    WrongData,
)
from microrollup.settlement.protocol import Inbox
from microrollup.testing.settlement_cases.parts import (
    ORDER,
    SettlementCases,
    settle,
    sign_differently,
)
from microrollup.testing.settlement_harness import (
    BUILDER,
    VERIFIER_KEYS,
    extend,
    make_key,
    propose,
)

__all__ = ["AttestationCases"]


class AttestationCases(SettlementCases):
    """What a quorum is, and what its signatures bind."""

    def test_quorum_is_enough(self, inbox: Inbox) -> None:
        """One of three verifiers is too few; two in any order are enough."""
        header = extend(inbox)
        with pytest.raises(TooFewAttestations):
            settle(inbox, propose(inbox, header, keys=VERIFIER_KEYS[:1]))
        assert 1 == settle(inbox, propose(inbox, header, keys=VERIFIER_KEYS[:0:-1])).height

    def test_all_may_attest(self, inbox: Inbox) -> None:
        """More than the quorum does no harm."""
        assert 1 == settle(inbox, propose(inbox, extend(inbox), keys=VERIFIER_KEYS)).height

    def test_refuses_repeated_signature(self, inbox: Inbox) -> None:
        """One verifier's signature twice is not two of three."""
        with pytest.raises(DuplicateAttester):
            settle(inbox, propose(inbox, extend(inbox), keys=(VERIFIER_KEYS[0], VERIFIER_KEYS[0])))

    def test_refuses_stranger(self, inbox: Inbox) -> None:
        """A key outside the set does not count, even beside a full quorum."""
        with pytest.raises(ForeignAttester):
            settle(inbox, propose(inbox, extend(inbox), keys=(*VERIFIER_KEYS[:2], make_key("stranger"))))

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
        high_s = (ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
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
        assert 1 == settle(inbox, proposal).height

    def test_refuses_other_data(self, inbox: Inbox) -> None:
        """An attested header cannot be settled with other data than the attested."""
        header = extend(inbox)
        proposal = propose(inbox, header)
        longer = propose(inbox, header, extend(inbox, height=2)).batch
        for batch in (longer, proposal.batch + b"\x00", b""):
            with pytest.raises(WrongData):
                settle(inbox, msgspec.structs.replace(proposal, batch=batch))

    def test_refuses_data_hash_of_blobs(self, inbox: Inbox) -> None:
        """Bytes attested as if they were blob hashes do not pass as calldata: the tag keeps them apart."""
        proposal = propose(inbox, extend(inbox))
        data_hash = compute_blob_data_hash([proposal.batch])
        with pytest.raises(WrongData):
            settle(inbox, sign_differently(inbox, proposal, data_hash=data_hash))

    @pytest.mark.parametrize("member", ["last_height", "block_hash", "state_root"])
    def test_refuses_attestation_of_another_header(self, inbox: Inbox, member: str) -> None:
        """What the verifiers attested and what the header says must be the same."""
        proposal = propose(inbox, extend(inbox))
        change = 7 if member == "last_height" else keccak256(b"other")
        with pytest.raises(WrongAttestation):
            settle(inbox, sign_differently(inbox, proposal, **{member: change}))

    @pytest.mark.parametrize("member", Header.__struct_fields__)
    def test_every_word_of_the_header_is_attested(self, inbox: Inbox, member: str) -> None:
        """Whatever word of an attested header is changed, the inbox refuses it."""
        proposal = propose(inbox, extend(inbox))
        value = getattr(proposal.header, member)
        other = value + 1 if isinstance(value, int) else keccak256(value)
        changed = msgspec.structs.replace(proposal.header, **{member: other})
        with pytest.raises(SettlementError):
            settle(inbox, msgspec.structs.replace(proposal, header=changed))
        assert 0 == inbox.get_settled().height
