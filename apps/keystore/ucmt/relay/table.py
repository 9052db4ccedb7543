"""What a relayer's store says, as rows: one for each chain, account and nonce key."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from microrollup.codec.json import hex0x

from ...chains.store import ChainNote
from .store import ChainOutcome, RelayStore
from .updates import LoggedUpdate, Place

__all__ = ["describe_relay"]

_ORDER: Final = ("diverged", "refused", "sent", "pending", "done")
"""What a row says, if its updates differ: the first of these."""


def describe_relay(store: RelayStore) -> dict[str, Any]:
    """The whole store as JSON: `chains`, `rows`, and `updates` with the times of each."""
    updates = list(store.list_updates())
    chains, rows, details = [], [], []
    for note in store.list_chains():
        outcomes = store.list_outcomes(note.chain_id)
        counts = Counter(_get_status(outcomes, logged) for logged in updates)
        chains.append(_describe_chain(note, counts, len(updates)))
        groups: dict[tuple[Place, int], list[LoggedUpdate]] = {}
        for logged in updates:
            groups.setdefault((logged.place, logged.nonce_key), []).append(logged)
            details.append(_describe_update(note, logged, outcomes))
        rows += [_describe_row(note, place, key, line, outcomes) for (place, key), line in groups.items()]
    return {"chains": chains, "rows": rows, "updates": details}


def _get_status(outcomes: dict[int, ChainOutcome], logged: LoggedUpdate) -> str:
    outcome = outcomes.get(logged.index)
    return "pending" if outcome is None else outcome.status


def _describe_chain(note: ChainNote, counts: Counter[str], total: int) -> dict[str, Any]:
    return {
        "chainId": note.chain_id,
        "place": note.place,
        "updates": total,
        **{status: counts[status] for status in reversed(_ORDER)},
        "reorgs": note.reorgs,
        "spentWei": str(note.spent),
        "error": note.error,
    }


def _describe_row(
    note: ChainNote, place: Place, key: int, line: list[LoggedUpdate], outcomes: dict[int, ChainOutcome]
) -> dict[str, Any]:
    statuses = [_get_status(outcomes, logged) for logged in line]
    status = min(statuses, key=_ORDER.index)
    first = next((logged for logged, each in zip(line, statuses, strict=True) if each == status), line[-1])
    outcome = outcomes.get(first.index)
    return {
        "chainId": note.chain_id,
        "account": hex0x(place[1]),
        "refHash": hex0x(place[0]),
        "nonceKey": str(key),
        "status": status,
        "done": statuses.count("done"),
        "of": len(line),
        "sequence": str(first.sequence),
        "reason": "" if outcome is None else outcome.reason,
    }


def _describe_update(note: ChainNote, logged: LoggedUpdate, outcomes: dict[int, ChainOutcome]) -> dict[str, Any]:
    outcome = outcomes.get(logged.index, ChainOutcome("sent"))
    return {
        "chainId": note.chain_id,
        "message": hex0x(logged.message),
        "account": hex0x(logged.update.account),
        "nonce": str(logged.update.nonce),
        "height": logged.height,
        "status": _get_status(outcomes, logged),
        "reason": outcome.reason,
        "seen": round(logged.seen, 3),
        "sent": round(outcome.sent, 3),
        "done": round(outcome.done, 3),
        "transaction": hex0x(outcome.transaction) if outcome.transaction else None,
    }
