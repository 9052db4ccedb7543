"""Cases of the contract suite: an inbox whose genesis names no builder.

These do not exist there: who may submit and when (anybody may, at once), the age of an origin (any from the settled one
on), data in blobs or calldata (none), due entries that a batch has to take (one at least; verifiers judge how many),
a builder that changes, and voids.
"""

from __future__ import annotations

import msgspec
import pytest

from microrollup.chain.block import Header
from microrollup.chain.record import Genesis
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.attestation import create_attestation
from microrollup.settlement.batch import BASED_DATA_HASH
from microrollup.settlement.errors import (
    BadOrigin,
    Based,
    ForcedSkipped,
    UnknownEntry,
    WrongData,
    WrongForcedHash,
)
from microrollup.settlement.forced import EMPTY_QUEUE_HASH
from microrollup.settlement.inbox import (
    MAX_ORIGIN_AGE_BLOCKS,
)
from microrollup.settlement.protocol import Inbox
from microrollup.testing.settlement_cases.parts import (
    STRANGER,
    SettlementCases,
    force_apart,
    settle,
    sign_differently,
)
from microrollup.testing.settlement_harness import (
    OWNER,
    Proposal,
    SettlementHarness,
    attest,
    extend,
)

__all__ = ["BasedCases"]


class BasedCases(SettlementCases):
    """A based rollup."""

    @pytest.fixture
    def based(self, harness: SettlementHarness, genesis: Genesis) -> Inbox:
        inbox = harness.create_inbox(msgspec.structs.replace(genesis, builder=ZERO_ADDRESS), OWNER)
        force_apart(inbox, harness, 3)
        return inbox

    def test_anybody_settles_a_based_rollup(self, based: Inbox) -> None:
        """A stranger, at once, without data, and the next one after it; each takes entries of the queue."""
        for taken in (2, 3):
            proposal = _propose(based, taken)
            head = settle(based, proposal, STRANGER)
            assert (proposal.header.height, taken) == (head.height, based.get_settled().forced_count)
            settled = based.get_settled_at(head.height)
            assert settled is not None
            assert (b"", STRANGER) == (settled.batch, settled.submitter)

    def test_a_based_rollup_publishes_nothing(self, based: Inbox) -> None:
        """Data hash `keccak256(0x04)`, whatever is asked about; other words were not signed."""
        assert BASED_DATA_HASH == based.compute_data_hash(b"") == based.compute_data_hash(b"data")
        proposal = _propose(based, 1)
        with pytest.raises(Based):
            settle(based, msgspec.structs.replace(proposal, batch=b"data"), STRANGER)
        with pytest.raises(WrongData):
            settle(based, sign_differently(based, proposal, data_hash=keccak256(b"\x01")), STRANGER)

    def test_a_based_rollup_takes_the_queue_as_it_is(self, based: Inbox) -> None:
        """One entry at least, none that is not there, in their order."""
        header = _propose(based, 1).header
        for changes, error in (
            ({"forced_count": 0, "forced_hash": EMPTY_QUEUE_HASH}, ForcedSkipped),
            ({"forced_count": 4}, UnknownEntry),
            ({"forced_hash": keccak256(b"another queue")}, WrongForcedHash),
        ):
            with pytest.raises(error):
                settle(based, _attest_based(based, msgspec.structs.replace(header, **changes)), STRANGER)

    def test_a_based_rollup_waits_as_long_as_it_likes(self, based: Inbox, harness: SettlementHarness) -> None:
        """No origin is too old; one that is not past is refused."""
        header = _propose(based, 3).header
        harness.advance_to(based, based.get_number() + 2 * MAX_ORIGIN_AGE_BLOCKS)
        with pytest.raises(BadOrigin):
            settle(based, _attest_based(based, msgspec.structs.replace(header, l1_origin=based.get_number())), STRANGER)
        settle(based, _attest_based(based, header), STRANGER)

    def test_a_based_rollup_has_neither_builder_nor_voids(self, based: Inbox) -> None:
        """Not for its owner either, who announces verifiers and code all the same."""
        with pytest.raises(Based):
            based.change_builder(STRANGER, caller=OWNER)
        with pytest.raises(Based):
            based.void(0, caller=OWNER)
        assert based.announce_code(keccak256(b"code"), caller=OWNER) > based.get_number()


def _propose(inbox: Inbox, taken: int) -> Proposal:
    return _attest_based(inbox, extend(inbox, forced_count=taken, forced_hash=inbox.get_queue_hash(taken)))


def _attest_based(inbox: Inbox, header: Header) -> Proposal:
    settled = inbox.get_settled()
    attestation = create_attestation(settled.block_hash, settled.height + 1, header, BASED_DATA_HASH)
    return Proposal(b"", header, attestation, attest(inbox, attestation))
