"""The thief's fastest play against guardians of each mode: the table in the documents, and bounds beyond it."""

from __future__ import annotations

import pytest

from paths import ROOT
from plus_world import FRANK, D
from thief import LIMIT, MONEY, play_guardians, play_money, play_takeover, render_thief

PAGE = ROOT / "microrollup" / "docs" / "guides" / "keystore" / "plus.md"


def test_the_table_of_the_documents_is_played() -> None:
    """Hour by hour; `python tests/support/thief.py` prints it."""
    assert render_thief() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("noticed", [0, 1, 20, 60])
def test_a_lock_and_a_controller_bound_the_loss(noticed: int) -> None:
    """To twice the limit for the first two periods, and the limit for each that follows until the guardians agree."""
    loot = play_money(1, D, noticed)
    assert 0 < loot.total <= LIMIT * (1 + (noticed + 23) // 24)
    assert (FRANK, noticed) == (loot.theft.vk, loot.theft.locked)
    assert loot.theft.recovered in range(noticed + 120, noticed + 132)


def test_without_a_rule_nothing_is_left() -> None:
    """A recovery gives the account back, and no money that has left."""
    for mode in (0, 1):
        assert [(0, MONEY)] == play_money(mode, None).taken


def test_a_thief_who_is_there_is_never_out_where_he_may_veto() -> None:
    """The owner's word is his."""
    theft = play_takeover(0, careful=True)
    assert (None, theft.proposals) == (theft.recovered, theft.vetoes)
    assert FRANK != theft.vk


def test_guardians_who_sleep_longer_than_the_delay_are_replaced() -> None:
    """Not before it, by any mode."""
    for mode in (0, 1):
        assert [None, 120] == [play_guardians(mode, noticed) for noticed in (108, 121)]
