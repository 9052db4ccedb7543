"""What the cases share: an inbox, and batches that it takes or not."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import compute_address
from microrollup.settlement.forced import ForcedEntry
from microrollup.settlement.protocol import Inbox, SettledHead
from microrollup.testing.settlement_harness import (
    BUILDER,
    OWNER,
    Proposal,
    SettlementHarness,
    attest,
    extend,
    make_genesis,
    make_key,
    propose,
)

__all__ = ["ORDER", "STRANGER", "SettlementCases", "force_apart", "settle", "settle_with", "sign_differently"]

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
STRANGER: Final = compute_address(make_key("stranger"))


def settle(inbox: Inbox, proposal: Proposal, submitter: bytes = BUILDER) -> SettledHead:
    """Hand in a proposal."""
    return inbox.settle(proposal.batch, proposal.header, proposal.attestations, submitter=submitter)


def settle_with(inbox: Inbox, **changes: int | bytes) -> SettledHead:
    """Settle a block like the next one, but for `changes`, attested as it is."""
    return settle(inbox, propose(inbox, extend(inbox, **changes)))


def sign_differently(inbox: Inbox, proposal: Proposal, **changes: int | bytes) -> Proposal:
    """The proposal with attestations that say something else."""
    attestation = msgspec.structs.replace(proposal.attestation, **changes)
    return msgspec.structs.replace(proposal, attestations=attest(inbox, attestation))


class SettlementCases:
    """Cases about an inbox of the harness."""

    @pytest.fixture
    def genesis(self, harness: SettlementHarness) -> Genesis:
        return make_genesis(*harness.get_start())

    @pytest.fixture
    def inbox(self, harness: SettlementHarness, genesis: Genesis) -> Inbox:
        return harness.create_inbox(genesis, OWNER)


def force_apart(inbox: Inbox, harness: SettlementHarness, count: int) -> list[ForcedEntry]:
    """Force `count` actions in L1 blocks of their own, all of them past at the end."""
    first = inbox.get_forced_count(inbox.get_number())
    for index in range(count):
        inbox.force(b"forced %d" % index, sender=STRANGER)
        harness.advance_to(inbox, inbox.get_number() + 2)
    return inbox.get_forced_entries(first, inbox.get_number(), count)
