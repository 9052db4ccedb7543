"""What queries of Keystore+ share: the size of a page, an account's label, proposals as they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from microrollup import Revert, View, require

from .answers import NameEntry, ProposalAnswer
from .indexes import labels
from .policy import RecoveryProposal
from .shown import describe_state, show_proposal
from .state import Plus

__all__ = ["find_label", "get_shown_proposal", "require_size", "show_name", "show_proposals", "take"]

_MAX_PAGE: Final = 200
"""Entries of a page; fewer where a query counts its steps."""


def require_size(limit: int) -> int:
    """The limit. Rejects one that no page has."""
    require(1 <= limit <= _MAX_PAGE, "a page has 1 to 200 entries")
    return limit


def take(keys: Iterable[Any], limit: int, skip: Any = None) -> tuple[list[Any], bool]:
    """The first keys but `skip`, and whether there are more."""
    found: list[Any] = []
    for key in keys:
        if key == skip:
            continue
        if len(found) == limit:
            return found, True
        found.append(key)
    return found, False


def find_label(view: View[Plus], key: bytes) -> str:
    """An account's label; empty: none."""
    label = view.index(labels).get(key)
    return "" if label is None else label


def get_shown_proposal(view: View[Plus], proposal: bytes) -> RecoveryProposal:
    """Rejects the query if there is none."""
    value = view.state.recovery.proposals.get(proposal)
    if value is None:
        raise Revert("no such proposal, or it has ended")
    return value


def show_name(view: View[Plus], label: str, key: bytes) -> NameEntry:
    """A label, and the account at its 32-byte key."""
    found = view.state.keystore.accounts[key]
    return NameEntry(label, key, found.vk, describe_state(view.state, key, view.timestamp))


def show_proposals(view: View[Plus], proposals: list[bytes]) -> list[ProposalAnswer]:
    """Proposals that there are, by their 32-byte ids."""
    shown = []
    for proposal in proposals:
        value = view.state.recovery.proposals[proposal]
        shown.append(show_proposal(view.state, proposal, value, find_label(view, value.key), view.timestamp))
    return shown
