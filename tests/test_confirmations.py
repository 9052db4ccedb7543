"""The levels of heights, as they are announced and as they are answered."""

from microrollup.node.confirmations import Confirmations, Divergent


def make():
    told = []
    return Confirmations(3, 1, told.append), told


def test_marks_only_rise_and_are_told_once():
    """A height is told each level once, in order; what is beyond the newest block is not verified."""
    confirmations, told = make()
    confirmations.note_closed(4)
    confirmations.note_verified(9)
    confirmations.note_verified(2)
    confirmations.note_settled(3)
    assert [
        (4, "C1"), (2, "C2"), (3, "C2"), (4, "C2"), (2, "C3A"), (3, "C3A"), (2, "C3B"), (3, "C3B")
    ] == [(each.height, each.level) for each in told]  # fmt: skip
    assert ["C3B", "C3B", "C2", "C0"] == [confirmations.get_level(height) for height in (0, 3, 4, 5)]


def test_what_is_told_of_an_invalid_block_is_what_is_answered():
    """All that is not settled is told C2X from the invalid height on, and so is a block that closes after that."""
    confirmations, told = make()
    confirmations.note_divergent(Divergent(1, None, "stateRoot", "0x01", "0x02"))
    confirmations.note_closed(4)
    assert [(2, "C2X"), (3, "C2X"), (4, "C1"), (4, "C2X")] == [(each.height, each.level) for each in told]
    assert ["C3B", "C2X", "C2X", "C2X"] == [confirmations.get_level(height) for height in (1, 2, 3, 4)]
