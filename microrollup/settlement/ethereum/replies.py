"""What a node's reply means: a result, an error that is final, or one that may be gone after a pause.

A JSON-RPC error is one whatever the HTTP status says; other bodies are read for the node's words. Nodes tell limits in
words of their own, so a rate is recognised by status, code or words, in this order.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import islice
from typing import Any, Final, Literal

from microrollup.codec.json_text import is_shallow
from microrollup.settlement.ethereum.errors import (
    L1BadAnswer,
    L1Denied,
    L1Error,
    L1Refused,
    L1Throttled,
    L1TimedOut,
    L1Unreachable,
    clip,
)
from microrollup.settlement.ethereum.http import Reply

__all__ = ["AgainError", "Cause", "find_batch_refusal", "parse_json", "read_batch", "read_reply", "take_result"]

Cause = Literal["throttled", "busy", "slow", "long"]
"""Asked too often; not able to answer now; not done in time; more than is read."""

_MAX_REVERT_BYTES: Final = 4096
_REVERTED: Final = 3
"""The code that nodes give with revert data."""

_REVERT_MEMBERS: Final = ("data", "result", "return", "originalError", "error")
"""Members of an error's data that hold what a call reverted with, in the order in which they are looked for."""

_SAID: Final = re.compile(r"0x([0-9a-f]{8}(?:[0-9a-f]{64}){0,120})(?![0-9a-z])", re.IGNORECASE)
"""A selector and words."""

_DECISIVE: Final = frozenset({_REVERTED, -32700, -32600, -32601, -32602})
"""Codes that say what is wrong with the request itself, so that no status makes it a matter of time."""

_LIMIT_EXCEEDED: Final = -32005
"""EIP-1474: of requests, or of what `eth_getLogs` would return."""

_TOO_MANY: Final = 429
_SLOW: Final = frozenset({408, 504, 524, 598})
_BUSY: Final = frozenset({500, 502, 503, 520, 521, 522, 523, 525, 530})
_GATEWAY: Final = frozenset({502, 503})

_RATE: Final = re.compile(
    r"rate.?limit|limit.{0,20}rate|too many requests|compute unit|throughput|throttl|request limit|quota|call rate"
    r"|(?:per|/) ?(?:second|minute)|exceed\w* .{0,60}capacity|capacity .{0,20}exceed|(?:retry|try again) in \d"
    r"|slow down",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(r"range|\bblocks?\b|\bresults?\b|\blogs?\b|response size", re.IGNORECASE)
"""What `eth_getLogs` is refused for for another reason than its rate; the caller then asks for less."""

_SECONDS: Final = re.compile(r"(?:retry|try again|again) in (\d{1,4}(?:\.\d+)?) ?(ms|s|m)?", re.IGNORECASE)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
_BATCH: Final = re.compile("batch", re.IGNORECASE)
_TITLE: Final = re.compile(rb"<title[^>]*>(.{1,300}?)</title>", re.IGNORECASE | re.DOTALL)


class AgainError(Exception):
    """The request may go better later; `error` is what it ends with if it does not."""

    def __init__(self, error: L1Error, cause: Cause, pause: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.cause: Cause = cause
        self.pause = pause
        """Seconds that the node asks for, if it does."""


def read_reply(place: str, method: str, reply: Reply) -> Any:
    """The result of one request. Raises `AgainError`, or what is final: `L1Refused`, `L1Denied`, `L1BadAnswer`."""
    answer = _try_parse(reply)
    if isinstance(answer, dict) and (reply.status < 300 or "result" in answer or isinstance(answer.get("error"), dict)):
        return take_result(place, method, answer, reply)
    if reply.status == 200:
        return take_result(place, method, parse_json(method, reply.body), reply)
    raise _to_denial(place, method, reply, answer)


def read_batch(place: str, method: str, reply: Reply) -> list[Any] | str:
    """The answers of a batch, unordered; or the node's words if it does not take the batch. Raises `AgainError`."""
    answer = _try_parse(reply)
    if isinstance(answer, list):
        return answer
    if isinstance(answer, dict):
        try:
            take_result(place, method, answer, reply)
        except (L1BadAnswer, L1Refused) as error:
            return getattr(error, "message", str(error))
        return "one answer to many requests"
    if reply.status == 200:
        return "not JSON"
    denial = _to_denial(place, method, reply, answer)
    if isinstance(denial, AgainError):
        raise denial
    return denial.message


def find_batch_refusal(answers: list[Any], ids: set[str]) -> str | None:
    """Why a list is not the answers to these requests, in the node's words if it has any; `None` if it is."""
    found = {str(answer.get("id")) for answer in answers if isinstance(answer, dict)}
    errors = [answer.get("error") for answer in answers if isinstance(answer, dict)]
    words = [str(error.get("message")) for error in errors if isinstance(error, dict)]
    about = next((text for text in words if _BATCH.search(text)), None)
    if about is not None:
        return clip(about)
    if len(answers) != len(ids) or found != ids:
        return clip(words[0]) if words else "not one answer per request"
    return None


def take_result(place: str, method: str, answer: Any, reply: Reply) -> Any:
    """The result in an answer. Raises like `read_reply`."""
    if not isinstance(answer, dict):
        raise L1BadAnswer(method, "not a JSON-RPC answer")
    error = answer.get("error")
    if error is not None:
        raise _to_refusal(place, method, error, reply)
    if "result" not in answer:
        raise L1BadAnswer(method, "neither result nor error")
    return answer["result"]


def _to_refusal(place: str, method: str, error: Any, reply: Reply) -> L1Error | AgainError:
    if not isinstance(error, dict):
        error = {"message": error}
    code = error.get("code")
    number = code if isinstance(code, int) else 0
    message, data = str(error.get("message"))[:1000], error.get("data")
    refusal = L1Refused(method, number, message, _find_revert(number, message, data))
    if refusal.data is not None:
        return refusal
    if _is_rate(method, number, message, reply.status):
        seconds = _find_seconds(message, data) if reply.retry_after is None else reply.retry_after
        return AgainError(L1Throttled(place, message, seconds), "throttled", seconds)
    if number in _DECISIVE:
        return refusal
    if reply.status in _SLOW:
        return AgainError(refusal, "slow", reply.retry_after)
    return AgainError(refusal, "busy", reply.retry_after) if reply.status in _GATEWAY else refusal


def _is_rate(method: str, code: int, message: str, status: int) -> bool:
    if _RATE.search(message) or code == _TOO_MANY:
        return True
    if code in _DECISIVE or (method == "eth_getLogs" and _RANGE.search(message)):
        return False
    return status == _TOO_MANY or (code == _LIMIT_EXCEEDED and method != "eth_getLogs")


def _find_seconds(message: str, data: Any) -> float | None:
    """The pause that a node names within an answer."""
    rate = data.get("rate") if isinstance(data, dict) else None
    named = rate.get("backoff_seconds") if isinstance(rate, dict) else None
    if isinstance(named, int | float) and not isinstance(named, bool) and 0 <= named <= 3600:
        return float(named)
    found = _SECONDS.search(message)
    return float(found[1]) * _UNITS[(found[2] or "").lower()] if found else None


def _find_revert(code: int, message: str, data: Any) -> bytes | None:
    """The bytes that a call reverted with, as nodes tell them: plain, after a word, within objects, among the words.

    Empty if the call reverted and the node does not say with what.
    """
    found = _search_revert(data, 4)
    if found:
        return found
    is_reverted = found is not None or code == _REVERTED or "revert" in message.lower()
    said = _SAID.search(message) if is_reverted else None
    if said is not None:
        return bytes.fromhex(said[1])
    return b"" if is_reverted else None


def _search_revert(data: Any, depth: int) -> bytes | None:
    if isinstance(data, str):
        text = data.removeprefix("Reverted ").strip()
        if text.startswith("0x") and len(text) <= 2 * _MAX_REVERT_BYTES + 2:
            with suppress(ValueError):
                return bytes.fromhex(text[2:])
    if not isinstance(data, dict) or depth == 0:
        return None
    for name in _REVERT_MEMBERS:
        if name in data:
            return _search_revert(data[name], depth - 1)
    inner = [value for value in islice(data.values(), 4) if isinstance(value, dict)]  # by the transaction's hash
    return _search_revert(inner[0], depth - 1) if len(inner) == 1 else None


def _to_denial(place: str, method: str, reply: Reply, answer: Any) -> L1Denied | AgainError:
    """What a status other than 200 says, where the body holds no JSON-RPC error."""
    words = _find_words(reply.body, answer)
    said = f"{reply.describe()}: {words}" if words else reply.describe()
    if _is_rate(method, 0, words, reply.status):
        seconds = _find_seconds(words, None) if reply.retry_after is None else reply.retry_after
        return AgainError(L1Throttled(place, said, seconds), "throttled", seconds)
    if reply.status in _SLOW:
        return AgainError(L1TimedOut(place, said), "slow", reply.retry_after)
    if reply.status in _BUSY:
        return AgainError(L1Unreachable(place, said), "busy", reply.retry_after)
    if reply.location:
        said = f"{said}, see {reply.location}"
    return L1Denied(place, method, reply.status, said)


def _find_words(body: bytes, answer: Any) -> str:
    """What a body says to people, in one line."""
    if isinstance(answer, dict):
        error = answer.get("error")
        inner = error.get("message") if isinstance(error, dict) else error
        said = inner or answer.get("message") or answer.get("detail") or ""
        return " ".join(clip(str(said)).split())
    title = _TITLE.search(body[:10_000])
    if title is None and body.lstrip()[:1] == b"<":
        return ""
    return " ".join(clip((title[1] if title else body[:1000]).decode(errors="replace")).split())


def _try_parse(reply: Reply) -> Any:
    try:
        return parse_json("", reply.body)
    except L1BadAnswer:
        return None


def parse_json(method: str, raw: bytes) -> Any:
    """A JSON value of bounded depth. Raises `L1BadAnswer`."""
    if not is_shallow(raw):
        raise L1BadAnswer(method, "nests too deep")
    try:
        value = json.loads(raw)
        if b"\\ud" in raw or b"\\uD" in raw:  # half a pair stands for no character, and nobody can write it again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise L1BadAnswer(method, f"not JSON: {error}") from None
    return value
