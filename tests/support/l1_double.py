"""A double of an L1 provider: a real node that refuses as providers do, each with limits and words of its own."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from email.message import Message
from random import Random
from typing import Any, Final, Literal

import msgspec
import pytest

from l1_proxy import HttpAnswer, L1Proxy
from microrollup.settlement.ethereum.pace import Pace

__all__ = ["FEE_METHODS", "STATUSES", "FakeTime", "L1Double", "Persona", "draw_personas"]

STATUSES: Final = (200, 400, 403, 413, 429, 500, 503, 504)
FEE_METHODS: Final = frozenset({"eth_blobBaseFee", "eth_feeHistory", "eth_config", "eth_maxPriorityFeePerGas"})

Form = Literal["object", "list", "each", "text", "html", "none"]
"""One JSON-RPC error; a list with one; one per request; words; a page; the connection is cut off."""

_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602
_SERVER = -32000

_OPTIONAL: dict[str, dict[str, Any]] = {
    "eth_getTransactionByHash": {"accessList": None, "yParity": None, "maxFeePerBlobGas": None},
    "eth_getTransactionReceipt": {"contractAddress": None, "blobGasUsed": None, "root": None, "to": None},
    "eth_getBlockByNumber": {"withdrawals": None, "totalDifficulty": None, "extraData": None},
}


class Persona(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a provider refuses, and how it says so."""

    status: int = 200
    """HTTP status of single answers that are JSON-RPC errors, and of words."""
    max_batch: int | None = None
    batch_form: Form = "object"
    max_range: int | None = None
    """Blocks of `eth_getLogs`."""
    range_form: Form = "object"
    throttle_every: int | None = None
    """So many HTTP requests are answered, and the next one is not."""
    throttle_form: Form = "object"
    throttle_status: int = 200
    throttle_words: str = "Your app has exceeded its compute units per second capacity"
    retry_after: str | None = None
    missing: frozenset[str] = frozenset()
    """Methods that it does not have."""
    has_eip_1898: bool = True
    writes_nulls: bool = False
    """Optional members of answers are there, and null; so is `error` beside a result."""
    item_every: int | None = None
    """In a batch each so-many-th call is throttled, as JSON-RPC errors beside the results of the others."""
    batch_status: int = 200
    """HTTP status of a batch's answers, results and all, if one of them is an error."""
    shuffles: bool = False
    """The answers of a batch come in another order, and their ids as strings."""
    header: tuple[str, str] | None = None
    """Name and value without which nothing is answered."""


def draw_personas(count: int, seed: int) -> list[Persona]:
    """Combinations of everything; each status in its turn."""
    random = Random(seed)
    personas = []
    for number in range(count):
        max_batch, batch_form = random.choice(
            [(1, "object"), (2, "list"), (3, "each"), (20, "text"), (2, "none"), (None, "object")]
        )
        max_range, range_form = random.choice([(None, "object"), (50, "object"), (50, "text"), (40, "html")])
        every, form, status = random.choice(
            [(None, "object", 200), (9, "object", 200), (9, "each", 429), (9, "text", 429)]
        )
        personas.append(
            Persona(
                status=STATUSES[number % len(STATUSES)],
                max_batch=max_batch,
                batch_form=batch_form,  # type: ignore[arg-type]
                max_range=max_range,
                range_form=range_form,  # type: ignore[arg-type]
                throttle_every=every,
                throttle_form=form,  # type: ignore[arg-type]
                throttle_status=status,
                retry_after=random.choice([None, "1", "2"]),
                missing=random.choice([frozenset(), FEE_METHODS, frozenset({"eth_blobBaseFee"})]),
                has_eip_1898=random.random() < 0.5,
                writes_nulls=random.random() < 0.5,
                item_every=random.choice([None, 2, 5]) if max_batch is not None else 3,
                batch_status=random.choice([200, 207, 429, 500]),
                shuffles=random.random() < 0.5,
            )
        )
    return personas


class FakeTime:
    """Pauses of the transport that are kept at once, and remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(Pace, "sleep", staticmethod(self.sleep))
        monkeypatch.setattr(Pace, "clock", staticmethod(self.clock))

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class L1Double(L1Proxy):
    """The node at `target`, as this persona serves it."""

    def __init__(self, target: str, persona: Persona) -> None:
        super().__init__(target)
        self.persona = persona
        self.refusals: list[str] = []
        """What was refused, for tests that ask whether it was at all."""
        self.throttle_next: Counter[str] = Counter()
        """How many calls of a method are throttled before the node gets them."""
        self._count = 0

    def reply(self, body: bytes, headers: Message) -> HttpAnswer | None:
        persona, request = self.persona, json.loads(body)
        if persona.header is not None and headers.get(persona.header[0]) != persona.header[1]:
            self.refusals.append("header")
            return 401, {}, b'{"message": "no key in ' + repr(headers.get(persona.header[0])).encode() + b'"}'
        self._count += 1
        calls = request if isinstance(request, list) else [request]
        if persona.throttle_every is not None and self._count % (persona.throttle_every + 1) == 0:
            self.refusals.append("throttle")
            more = {} if persona.retry_after is None else {"retry-after": persona.retry_after}
            return self._refuse(
                request, persona.throttle_form, 429, persona.throttle_words, persona.throttle_status, more
            )
        if isinstance(request, list) and persona.max_batch is not None and len(request) > persona.max_batch:
            self.refusals.append("batch")
            words = f"batch of more than {persona.max_batch} requests is not allowed on your plan"
            return self._refuse(request, persona.batch_form, -32600, words, persona.status)
        if any(self._is_too_wide(call) for call in calls):
            self.refusals.append("range")
            words = f"eth_getLogs is limited to {persona.max_range} blocks per query on your plan"
            return self._refuse(request, persona.range_form, -32005, words, persona.status)
        errors = {call["id"]: error for call in calls if (error := self._find_error(call)) is not None}
        if persona.item_every is not None and isinstance(request, list):
            self.refusals.append("items")
            late = [call["id"] for call in calls[persona.item_every - 1 :: persona.item_every]]
            errors |= {id_: _make_error(id_, 429, persona.throttle_words) for id_ in late if id_ not in errors}
        passed = [call for call in calls if call["id"] not in errors]
        answers = dict(errors)
        if passed:
            raw = self.answer(json.dumps(passed).encode())
            if raw is None:
                return None
            found = json.loads(raw)
            if not isinstance(found, list):
                return 200, {}, raw
            answers |= {item["id"]: item for item in found}
        told = [self._tell(call, answers[call["id"]]) for call in calls]
        if isinstance(request, list):
            if persona.shuffles:
                told = [answer | {"id": str(answer["id"])} for answer in reversed(told)]
            return persona.batch_status if errors else 200, {}, json.dumps(told).encode()
        return persona.status if "result" not in told[0] else 200, {}, json.dumps(told[0]).encode()

    def _is_too_wide(self, call: dict[str, Any]) -> bool:
        if self.persona.max_range is None or call["method"] != "eth_getLogs":
            return False
        asked = call["params"][0]
        return int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) >= self.persona.max_range

    def _find_error(self, call: dict[str, Any]) -> dict[str, Any] | None:
        if self.throttle_next[call["method"]] > 0:
            self.throttle_next[call["method"]] -= 1
            return _make_error(call["id"], 429, self.persona.throttle_words)
        if call["method"] in self.persona.missing:
            self.refusals.append(call["method"])
            words = f"the method {call['method']} does not exist/is not available"
            return _make_error(call["id"], _METHOD_NOT_FOUND, words)
        if not self.persona.has_eip_1898 and isinstance(call["params"][-1:], list):
            last = call["params"][-1] if call["params"] else None
            if call["method"] == "eth_call" and isinstance(last, dict) and "blockHash" in last:
                self.refusals.append("blockHash")
                return _make_error(call["id"], _INVALID_PARAMS, "invalid argument 1: hex string expected")
        return None

    def _tell(self, call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if not self.persona.writes_nulls or "result" not in answer:
            return answer
        result = answer["result"]
        if isinstance(result, dict):
            optional = _OPTIONAL.get(call["method"], {})
            result = {**result, **{name: value for name, value in optional.items() if not result.get(name)}}
            if not result.get("blobVersionedHashes"):
                result["blobVersionedHashes"] = None
            result["logs"] = [log | {"removed": None} for log in result["logs"]] if "logs" in result else None
        elif call["method"] == "eth_getLogs":
            result = [log | {"removed": None} for log in result]
        return answer | {"result": result, "error": None}

    def _refuse(
        self,
        request: Any,
        form: Form,
        code: int,
        words: str,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> HttpAnswer | None:
        """A whole HTTP request is refused."""
        more = headers or {}
        if form == "none":
            return None
        if form in {"text", "html"}:
            page = f"<html><head><title>{words}</title></head></html>" if form == "html" else words
            kind = {"content-type": "text/html" if form == "html" else "text/plain"}
            return max(status, 400), more | kind, page.encode()
        if form == "each" and isinstance(request, list):
            items = [_make_error(call["id"], code, words) for call in request]
            return 200, more, json.dumps(items).encode()
        ids = request["id"] if isinstance(request, dict) else None
        error = _make_error(ids, code, words)
        return status, more, json.dumps([error] if form == "list" and isinstance(request, list) else error).encode()


def _make_error(id_: Any, code: int, words: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": words}}
