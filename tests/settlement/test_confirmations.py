"""The levels of blocks: four marks, what is told when they move, and L1's reorgs."""

from __future__ import annotations

import pytest

from microrollup.chain.answers.confirmations import Divergent
from microrollup.node.confirmations import ConfirmationEvent, Confirmations


@pytest.fixture
def told() -> list[ConfirmationEvent]:
    return []


@pytest.fixture
def confirmations(told: list[ConfirmationEvent]) -> Confirmations:
    """Five closed blocks above height 0."""
    made = Confirmations(0, 0, told.append)
    made.note_closed(5)
    told.clear()
    return made


def levels(confirmations: Confirmations) -> list[str]:
    return [confirmations.get_level(height) for height in range(1, 7)]


def test_marks_rise(confirmations: Confirmations, told: list[ConfirmationEvent]) -> None:
    """Each height passes each level once, in order, and the open block is at C0."""
    assert ["C1"] * 5 + ["C0"] == levels(confirmations)
    confirmations.note_verified(3)
    confirmations.note_available(2)
    confirmations.note_settled(1)
    assert ["C3B", "C3A", "C2", "C1", "C1", "C0"] == levels(confirmations)
    assert [(1, "C2"), (2, "C2"), (3, "C2"), (1, "C3A"), (2, "C3A"), (1, "C3B")] == [
        (each.height, each.level) for each in told
    ]
    told.clear()
    confirmations.note_verified(2)
    confirmations.note_available(1)
    confirmations.note_settled(1)
    assert [] == told


def test_settled_is_available_and_verified(confirmations: Confirmations, told: list[ConfirmationEvent]) -> None:
    """What L1 settled for good was attested by a quorum, whether this node heard of it or not."""
    confirmations.note_settled(2)
    assert ["C3B", "C3B", "C1"] == levels(confirmations)[:3]
    assert 2 == confirmations.verified
    assert [(1, "C3A"), (2, "C3A"), (1, "C3B"), (2, "C3B")] == [(each.height, each.level) for each in told]


def test_a_reorg_takes_batches_back(confirmations: Confirmations, told: list[ConfirmationEvent]) -> None:
    """Above the settled height that L1 is left with, blocks are only verified; they are told, and settle again."""
    confirmations.note_available(4)
    confirmations.note_settled(2)
    told.clear()
    confirmations.note_taken_back(3)
    assert ["C3B", "C3B", "C3A", "C2", "C1"] == levels(confirmations)[:5]
    assert [(4, "C2")] == [(each.height, each.level) for each in told]
    confirmations.note_taken_back(1)
    assert ["C3B", "C2", "C2", "C2", "C1"] == levels(confirmations)[:5]
    told.clear()
    confirmations.note_settled(3)
    assert [(2, "C3A"), (3, "C3A"), (2, "C3B"), (3, "C3B")] == [(each.height, each.level) for each in told]


def test_a_reorg_above_everything_is_silent(confirmations: Confirmations, told: list[ConfirmationEvent]) -> None:
    """A reorg that leaves all batches where they are changes no level."""
    confirmations.note_settled(2)
    told.clear()
    confirmations.note_taken_back(2)
    confirmations.note_taken_back(5)
    assert [] == told
    assert ["C3B", "C3B", "C1"] == levels(confirmations)[:3]


def test_who_resumes_misses_nothing(confirmations: Confirmations, told: list[ConfirmationEvent]) -> None:
    """Each notice names the lowest height that may still change, also after a reorg has lowered it."""
    confirmations.note_available(3)
    confirmations.note_settled(2)
    assert 3 == told[-1].resume
    confirmations.note_taken_back(0)
    assert 1 == told[-1].resume


def test_invalid_blocks(confirmations: Confirmations) -> None:
    """From the first wrong height on everything is invalid, but for what L1 holds."""
    confirmations.note_settled(2)
    confirmations.note_divergent(Divergent(2, None, "stateRoot", "0x00", "0x01"))
    assert ["C3B", "C3B", "C2X", "C2X", "C2X"] == levels(confirmations)[:5]


def test_what_is_told_of_invalid_blocks_is_what_is_answered(
    confirmations: Confirmations, told: list[ConfirmationEvent]
) -> None:
    """All that is not settled is told C2X from the invalid height on, and so is a block that closes after that."""
    confirmations.note_settled(2)
    told.clear()
    confirmations.note_divergent(Divergent(2, None, "stateRoot", "0x00", "0x01"))
    confirmations.note_closed(6)
    assert [(3, "C2X"), (4, "C2X"), (5, "C2X"), (6, "C1"), (6, "C2X")] == [(each.height, each.level) for each in told]
    assert ["C3B", "C3B", "C2X", "C2X", "C2X", "C2X"] == levels(confirmations)
