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

from microrollup.chain.record import Genesis
from microrollup.primitives import ZERO_ADDRESS
from microrollup.testing.settlement_cases.attestations import AttestationCases
from microrollup.testing.settlement_cases.based import BasedCases
from microrollup.testing.settlement_cases.creation import CreationCases
from microrollup.testing.settlement_cases.owner import OwnerCases
from microrollup.testing.settlement_cases.queue import QueueCases
from microrollup.testing.settlement_cases.settling import SettlingCases
from microrollup.testing.settlement_cases.time import TimeCases
from microrollup.testing.settlement_harness import SettlementHarness, make_genesis

__all__ = ["ABSENT", "BasedContract", "SettlementContract"]


class SettlementContract(CreationCases, SettlingCases, TimeCases, AttestationCases, QueueCases, OwnerCases, BasedCases):
    """Tests that every settlement backend passes."""


ABSENT: Final = {
    "test_only_builder_submits_at_first": "anybody submits, at once",
    "test_anybody_submits_after_silence": "anybody submits, at once",
    "test_builder_changes_after_the_delay": "there is no builder, ever",
    "test_former_owner_decides_nothing": "it announces a builder",
    "test_announcements_are_cancelled_in_time": "it announces a builder",
    "test_look_is_of_one_block": "it announces a builder and a void",
    "test_void_takes_effect_after_the_delay": "there are no voids",
    "test_void_ends_with_its_owner": "there are no voids",
    "test_void_is_cancelled_in_time": "there are no voids",
    "test_only_existing_entries_are_voided": "there are no voids",
    "test_voided_entries_are_still_taken": "there are no voids",
    "test_origin_is_recent": "an origin may be of any age",
    "test_refuses_oversized_batch": "nothing is published",
    "test_refuses_other_data": "nothing is published",
    "test_due_entries_must_be_taken": "verifiers judge how many entries are taken, the inbox wants one",
    "test_entries_after_the_origin_are_not_due": "verifiers judge how many entries are taken, the inbox wants one",
    "test_no_more_than_64_must_be_taken": "verifiers judge how many entries are taken, the inbox wants one",
}
"""Cases that do not exist in a based rollup, and why. What takes their place is in `settlement_cases.based`."""


class BasedContract(SettlementContract):
    """Tests that every settlement backend passes with an inbox whose genesis names no builder: all but `ABSENT`."""

    locals().update(dict.fromkeys(ABSENT))

    @pytest.fixture
    def genesis(self, harness: SettlementHarness) -> Genesis:
        """Of a based rollup."""
        return msgspec.structs.replace(make_genesis(*harness.get_start()), builder=ZERO_ADDRESS)
