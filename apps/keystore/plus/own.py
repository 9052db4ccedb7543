"""What of the state concerns one sender: accounts, guardians, recoveries."""

from __future__ import annotations

from typing import Final, Literal

from microrollup import ZERO_BYTES32, View

from ..indexes import accounts_by_vk
from .guardians import ACCOUNT, SENDER
from .indexes import proposals_of, updates_by_vk, voices
from .own_answers import DueUpdate, OwnEntry, OwnPage, OwnPolicy, VoiceAnswer
from .policy import RecoveryProposal
from .reading import find_label
from .shown import show_account, show_policy, show_proposal
from .state import Plus
from .votes import OWNER

__all__ = ["list_held", "list_own_policies", "list_updates_due", "list_voices"]

_MAX_ACCOUNTS: Final = 25
"""Of a sender, whose recoveries and guardians are told."""
_MAX_ROWS: Final = 50


def list_held(view: View[Plus], sender: bytes, after: bytes, limit: int) -> OwnPage:
    """The accounts whose vk a 20-byte sender is."""
    rows, following = view.index(accounts_by_vk).page(prefix=(sender,), after=(sender, after), limit=limit)
    items = []
    for (_, key), _ in rows:
        found = view.state.keystore.accounts.get(key)
        if found is not None:
            each = show_account(view.state, key, found, find_label(view, key), view.timestamp)
            items.append(OwnEntry(key, each.name, each.state, each.code_hash, each.config_hash, each.careful))
    return OwnPage(items, None if following is None else following[1])


def _list_keys(view: View[Plus], sender: bytes) -> list[bytes]:
    return [each.key for each in list_held(view, sender, ZERO_BYTES32, _MAX_ACCOUNTS).items]


def list_updates_due(view: View[Plus], sender: bytes) -> list[DueUpdate]:
    """Updates that wait for a 20-byte sender."""
    rows, _ = view.index(updates_by_vk).page(prefix=(sender,), limit=_MAX_ROWS)
    found = []
    for (_, key), _ in rows:
        waiting = view.state.recovery.updates.get(key)
        if waiting is not None:
            found.append(DueUpdate(key, find_label(view, key), waiting.code_hash, waiting.config_hash))
    return found


def list_own_policies(view: View[Plus], sender: bytes) -> list[OwnPolicy]:
    """Policies of the sender's first 25 accounts."""
    recovery, now = view.state.recovery, view.timestamp
    found: list[OwnPolicy] = []
    for key in _list_keys(view, sender):
        present, pending = recovery.policies.get(key), recovery.pending_policies.get(key)
        shown = [] if present is None else [show_policy(present, 0, now)]
        if pending is not None:
            announced = show_policy(pending.policy, pending.effective, now)
            shown = [announced] if pending.effective <= now else [*shown, announced]
        name = find_label(view, key)
        for each in shown:
            votes = (each.threshold, each.count, each.mode)
            found.append(OwnPolicy(key, name, each.state, *votes, each.delay, each.effective))
    return found


def list_voices(view: View[Plus], sender: bytes, role: Literal["owner", "guardian", "next"]) -> list[VoiceAnswer]:
    """The proposals in which a 20-byte sender has a role, the newest first; of its first 25 accounts."""
    keys = _list_keys(view, sender) if role != "next" else []
    index = proposals_of if role == "owner" else voices
    ids = keys if role == "owner" else [bytes(12) + sender, *keys]
    found: dict[bytes, int] = {}
    for id_ in ids:
        rows = view.index(index).keys(prefix=(id_,), reverse=True)
        for (_, started, proposal), _ in zip(rows, range(_MAX_ROWS), strict=False):
            found[proposal] = started
    newest = sorted(found, key=lambda proposal: (found[proposal], proposal), reverse=True)[:_MAX_ROWS]
    shown = []
    for proposal in newest:
        value = view.state.recovery.proposals.get(proposal)
        if value is None:
            continue
        place = _find_voice(value, sender, keys) if role == "guardian" else OWNER
        if (role == "guardian" and place is None) or (role == "next" and value.vk != sender):
            continue
        shown.append(_show(view, proposal, value, OWNER if place is None else place))
    return shown


def _find_voice(value: RecoveryProposal, sender: bytes, keys: list[bytes]) -> int | None:
    """The place of the first guardian for whom the sender speaks; `keys` are its accounts."""
    for place, each in enumerate(value.guardians):
        if each.kind == SENDER and each.id == bytes(12) + sender:
            return place
        if each.kind == ACCOUNT and each.id in keys:
            return place
    return None


def _show(view: View[Plus], proposal: bytes, value: RecoveryProposal, place: int) -> VoiceAnswer:
    shown = show_proposal(view.state, proposal, value, find_label(view, value.key), view.timestamp)
    vote = "supports" if any(each.guardian == place for each in value.supports) else ""
    if any(each.guardian == place for each in value.cancels):
        vote = "cancels"
    return VoiceAnswer(
        proposal, shown.key, shown.name, shown.state, shown.supports, shown.threshold, shown.cancels,
        shown.cancels_needed, shown.until, shown.mode, place, vote, shown.vk,
    )  # fmt: skip
