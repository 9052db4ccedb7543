"""Why watched chains refuse an operation, or what an error of the entry point says: for readers of a node's pages."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from microrollup import require
from microrollup.codec.json import read_hex
from microrollup.codec.json_text import parse_json
from microrollup.errors import DecodeError, MicrorollupError, RefusedError, UsageError
from microrollup.settlement.ethereum.errors import L1Refused, L1Unreachable

from ..smart_account.answers import decode_failed_operation
from ..smart_account.explain import FindHeld, explain
from ..smart_account.user_operation import UserOperation, decode_user_operation_json
from .judging import STATES, describe_failure
from .reverts import name_keystore_error
from .survey import ChainNews, Survey

__all__ = ["ChainExplanation", "explain_error", "explain_everywhere", "read_operation"]

_SECONDS: Final = 6.0
"""Of all chains together."""
_PATIENCE_SECONDS: Final = 1.0
_MAX_QUESTIONS: Final = 48
"""To one chain about one operation; twenty are usual."""
_MAX_TEXT: Final = 32_768
_MAX_REASON: Final = 200
_BUSY: Final = threading.BoundedSemaphore(1)
"""One operation at a time: each costs the operator some questions to every chain."""

_RULES: Final = {
    "AA2": ("the sender or its signature", "show the operation itself instead of its error, which tells more"),
    "AA1": ("the account's creation by initCode", "check factory and key; an account that exists wants no initCode"),
    "AA3": ("the paymaster", "ask the sponsor, whose signature or deposit does not hold, or pay without one"),
    "AA4": ("gas and fees", "estimate anew with a stub signature of the same form"),
    "AA5": ("what the account or paymaster did after the call", "look at the inner error"),
    "AA9": ("what the bundler sends", "nothing that a wallet can mend: send it again, or by another bundler"),
}
"""By the beginning of the entry point's reason."""
_TOO_OLD: Final = "AA22"


class ChainExplanation(msgspec.Struct, frozen=True):
    """What one chain makes of an operation."""

    chain: str
    """Its name, by the operator; empty for an error, which is of no chain."""
    cause: str
    """A name of `explain.CAUSES`, a state of `judging.STATES`, or the entry point's or contract's own word."""
    what: str
    remedy: str


def read_operation(text: str) -> UserOperation:
    """An operation as bundlers take it, as JSON. Raises `UsageError`."""
    require(len(text) <= _MAX_TEXT, "an operation has at most 32,768 characters here")
    try:
        return decode_user_operation_json(parse_json(text.encode()))
    except RefusedError as error:
        raise UsageError(f"this is neither an operation, as JSON, nor an error, as hex digits: {error}") from None


def explain_error(text: str) -> ChainExplanation:
    """What the entry point, or a contract of the keystore, reverted with: 0x-hex. Raises `UsageError`."""
    require(len(text) <= _MAX_TEXT, "an error has at most 32,768 characters here")
    try:
        data = read_hex(text, "error")
    except (DecodeError, RefusedError) as error:
        raise UsageError(str(error)) from None
    name = name_keystore_error(data)
    if name is not None:
        return ChainExplanation("", name, f"a contract of the keystore reverts with {name}", "read its NatSpec")
    try:
        failed = decode_failed_operation(data)
    except DecodeError as error:
        raise UsageError(f"neither the entry point nor the keystore reverts so: {error}") from None
    about, remedy = _RULES.get(failed.reason[:3], ("a rule that this node does not know", "look it up by its number"))
    if failed.reason.startswith(_TOO_OLD):
        about, remedy = (
            "times",
            "the root that was shown is too old, or not due: bring a newer one and push it",
        )
    inner = name_keystore_error(failed.inner)
    what = f"operation {failed.index}: {failed.reason[:_MAX_REASON]}; it is about {about}"
    return ChainExplanation("", failed.reason[:4], what if inner is None else f"{what}; within it {inner}", remedy)


def explain_everywhere(survey: Survey, operation: UserOperation, find_held: FindHeld) -> list[ChainExplanation]:
    """What each watched chain makes of an operation. Rejected while another one is being explained."""
    require(_BUSY.acquire(blocking=False), "another operation is being explained: try again in some seconds")
    try:
        deadline = time.monotonic() + _SECONDS
        news = survey.ask([], _PATIENCE_SECONDS)
        with ThreadPoolExecutor(len(news), thread_name_prefix="explain") as pool:
            chain_ids = [each.status.chain_id for each in news if not each.failure]
            explainer = _Explainer(survey, operation, find_held, chain_ids, deadline)
            return list(pool.map(explainer.explain, news))
    finally:
        _BUSY.release()


class _Asked:
    """A chain's node, for one explanation. Calls raise `L1Error`s and `TimeoutError`."""

    def __init__(self, survey: Survey, name: str, deadline: float) -> None:
        self._survey, self._name, self._deadline = survey, name, deadline
        self._left = _MAX_QUESTIONS

    def call(self, method: str, *params: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise UsageError("too many questions")
        return self._survey.ask_node(self._name, self._deadline - time.monotonic(), method, params)


class _Explainer(msgspec.Struct, frozen=True):
    """One operation, to be explained on each chain."""

    survey: Survey
    operation: UserOperation
    find_held: FindHeld
    chain_ids: list[int]
    """For which it may have been signed instead."""
    deadline: float

    def explain(self, news: ChainNews) -> ChainExplanation:
        """On one chain. Raises nothing of what its node may do."""
        if news.failure or news.plan is None:
            state = describe_failure(news)
            return ChainExplanation(news.name, state, STATES[state], "ask again later, or the operator of this node")
        asked = _Asked(self.survey, news.name, self.deadline)
        entry_point = news.plan.entry_point
        try:
            found = explain(
                self.operation, asked, entry_point=entry_point, chain_ids=self.chain_ids, find_held=self.find_held
            )
        except (TimeoutError, L1Unreachable):
            return ChainExplanation(news.name, "no answer", STATES["no answer"], "ask again later")
        except L1Refused as refusal:
            what = f"what an account of the keystore answers is refused there: {refusal.message[:_MAX_REASON]}"
            return ChainExplanation(news.name, "no_account", what, "check sender, factory and key")
        except MicrorollupError:
            return ChainExplanation(news.name, "unsound", STATES["unsound"], "ask the operator of this node")
        return ChainExplanation(news.name, found.cause, found.what, found.remedy)
