"""What a chain knows of an account, in words: what its node says, compared with the keystore's own blocks."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from microrollup.errors import NotRetained
from microrollup.node.errors import NotRecorded

from ..accounts import Account
from .standing import AccountCopy
from .survey import NO_BOOK, SILENT, UNREAD, UNSOUND, ChainNews

__all__ = ["STATES", "Judgement", "KeystoreHistory", "describe_copy", "describe_failure", "judge_chain"]

STATES: Final = {
    "current": "the account goes by the present keys",
    "ready": "no account is there yet; its first operation can show the present keys",
    "push": "the chain has a root with the present keys, the account not: push it",
    "older": "the chain has no root with the present keys yet: settle, and bring the root",
    "no root": "the chain knows no root yet: bring one",
    "ahead": "the chain shows a block that this node does not have yet",
    "unknown": "this node no longer keeps the state of the block that the chain goes by",
    "other root": "the chain shows a root that the keystore never had: believe neither its node nor this one",
    "wrong code": "contracts are missing, or are not those of the address book",
    "not read": "its node has not answered yet",
    "no answer": "its node does not answer",
    "unsound": "its node answers what cannot be",
    "no book": "the operator's node has no address book of it",
}
"""What a chain may be with regard to an account, and what that says."""

_FAILURES: Final = {UNREAD: "not read", SILENT: "no answer", UNSOUND: "unsound", NO_BOOK: "no book"}


class KeystoreHistory(Protocol):
    """What the keystore has at a height; None is the newest. Raises `NotRetained` and `NotRecorded`."""

    def get_root(self, height: int) -> bytes:
        """32 bytes."""
        ...

    def get_account(self, key: bytes, height: int | None) -> Account | None:
        """At a 32-byte key."""
        ...


class Judgement(msgspec.Struct, frozen=True):
    """What one chain knows of one account."""

    state: str
    """A word of `STATES`."""
    detail: str


def judge_chain(news: ChainNews, key: bytes, keystore: KeystoreHistory) -> Judgement:
    """Compare a chain with the keystore, with regard to the account of a 32-byte key."""
    if news.failure:
        return _say(describe_failure(news))
    status = news.status
    if status.missing or status.wrong:
        return Judgement("wrong code", _name_contracts(status.missing, status.wrong))
    latest = status.latest
    if key not in news.copies:
        return _say("not read")
    copy = news.copies[key]
    if latest is None or not any(latest.root):
        return _say("no root")
    newest = _compare(keystore, key, latest.root, latest.height)
    found = None if copy is None or not any(copy.root) else _compare(keystore, key, copy.root, copy.height)
    for each in (newest, found):
        if each == "other root":
            return _say(each)
    if found == "current":
        return _say("current")
    if newest == "current":
        return _say("push" if copy is not None else "ready")
    return _say(newest)


def describe_failure(news: ChainNews) -> str:
    """A word of `STATES` for a chain of which nothing is known."""
    return _FAILURES.get(news.failure, "not read")


def _compare(keystore: KeystoreHistory, key: bytes, root: bytes, height: int) -> str:
    """What a root, 32 bytes, of a height says of the account: a word of `STATES`."""
    try:
        if keystore.get_root(height) != root:
            return "other root"
    except NotRecorded:
        return "ahead"
    try:
        present = keystore.get_account(key, None)
        return "current" if keystore.get_account(key, height) == present else "older"
    except NotRetained:
        return "unknown"


def _say(state: str) -> Judgement:
    return Judgement(state, STATES[state])


def _name_contracts(missing: tuple[str, ...], wrong: tuple[str, ...]) -> str:
    said = [f"no {name}" for name in missing] + [f"other code: {name}" for name in wrong]
    return ", ".join(said)


def describe_copy(copy: AccountCopy | None) -> tuple[int | None, int | None]:
    """The height that an account goes by, and until which second; None without a copy."""
    return (None, None) if copy is None or not any(copy.root) else (copy.height, copy.valid_until)
