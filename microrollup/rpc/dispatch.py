"""From calls to answers: finds the method, decodes its params, runs it where it may take time, writes the answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import structlog

from microrollup.node.submission import Result
from microrollup.rpc import params as p
from microrollup.rpc.budget import Budget
from microrollup.rpc.decisions import Decisions
from microrollup.rpc.envelope import NULL_ID, Call, decode_calls, encode_error, encode_result
from microrollup.rpc.errors import (
    INTERNAL,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    METHOD_NOT_FOUND,
    RATE_EXCEEDED,
    RpcError,
    describe_error,
    to_rpc_error,
)
from microrollup.rpc.methods import Api, Method, acknowledge
from microrollup.rpc.rates import RateLimiter

__all__ = ["Caller", "Dispatcher", "SocketHandler", "make_rate_error"]

THREADS: Final = 8
"""Reading threads: more would only wait for each other."""

SIGNED_AT_ONCE: Final = 4
"""So few acknowledgements are signed in the event loop, 30 us each: the way to a thread and back takes longer."""

SocketHandler = Callable[[Any], Awaitable[Any]]
"""Answers the methods that need a WebSocket."""

_log = structlog.get_logger(__name__)


class Caller:
    """Who asks, for as long as it takes until the answer has been read."""

    __slots__ = ("client", "held", "socket")

    def __init__(self, client: str, socket: SocketHandler | None = None) -> None:
        """`client` is whose rate it counts against (see `name_client`); `socket` there is if it came over one."""
        self.client = client
        self.socket = socket
        self.held = 0
        """Bytes of answers that count against the budget of all."""


class Dispatcher:
    """Answers bodies of requests. One event loop uses it."""

    def __init__(self, api: Api, methods: dict[str, Method]) -> None:
        self._api = api
        self.methods = methods
        self._decoders = {
            method.params: (msgspec.json.Decoder(method.params), msgspec.structs.fields(method.params))
            for method in methods.values()
        }
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")
        self._slots = asyncio.Semaphore(api.limits.calls)
        self.rates = RateLimiter(api.limits)
        self.answers = Budget(api.limits.answers_bytes)
        self._decisions: Decisions[list[Result]] | None = None

    def close(self) -> None:
        """End the reading threads when they are done."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def answer(self, body: bytes, caller: Caller) -> bytes | None:
        """The answer to a body, single or batch; None if nothing in it wants one."""
        try:
            calls, is_batch = decode_calls(body, self._api.limits)
        except RpcError as error:
            return await self._answer_call(error, caller)
        if not is_batch:
            return await self._answer_call(calls[0], caller)
        answers = [answer for answer in await self._answer_batch(calls, caller) if answer is not None]
        return b"[" + b",".join(answers) + b"]" if answers else None

    async def _answer_batch(self, calls: list[Call | RpcError], caller: Caller) -> list[bytes | None]:
        """Calls that take actions are begun in order and answered together; the others take turns, and are refused once
        the answer is too large: a small request is not to make a huge one.
        """
        turn, size, limit = asyncio.Lock(), 0, self._api.limits.answer_bytes

        async def answer(call: Call | RpcError) -> bytes | None:
            nonlocal size
            if isinstance(call, RpcError) or ((method := self.methods.get(call.method)) and method.submits):
                return await self._answer_call(call, caller)
            async with turn:
                if size > limit and call.id is not None:
                    return encode_error(call.id, RpcError(LIMIT_EXCEEDED, f"the answer has {limit} bytes already"))
                answered = await self._answer_call(call, caller)
                size += len(answered or b"")
                return answered

        return await asyncio.gather(*[answer(call) for call in calls])

    async def _answer_call(self, call: Call | RpcError, caller: Caller) -> bytes | None:
        wait = self.rates.take(caller.client)
        if isinstance(call, RpcError):
            return encode_error(NULL_ID, make_rate_error(wait) if wait else call)
        method = self.methods.get(call.method)
        name = "unknown" if method is None else call.method
        try:
            if wait:
                raise make_rate_error(wait)
            if method is None:
                raise RpcError(METHOD_NOT_FOUND, call.method[:100])
            result = await self._run(method, call, caller)
            answer = None if call.id is None else self._hold(encode_result(call.id, result), caller)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            refusal = to_rpc_error(error)
            if refusal.code == INTERNAL:
                _log.error("rpc_internal_error", method=name, error=type(error).__name__, exc_info=error)
            self._api.node.metrics.note_call(name, str(refusal.code))
            return None if call.id is None else encode_error(call.id, refusal)
        self._api.node.metrics.note_call(name, "ok")
        return answer

    def _hold(self, answer: bytes, caller: Caller) -> bytes:
        """Count an answer until `release`; a call whose answer has no room is refused."""
        if not self.answers.take(len(answer)):
            raise RpcError(LIMIT_EXCEEDED, "too many answers wait to be read; try again later")
        caller.held += len(answer)
        return answer

    def release(self, caller: Caller) -> None:
        """Its answers have been read, or never will be."""
        self.answers.give(caller.held)
        caller.held = 0

    async def _run(self, method: Method, call: Call, caller: Caller) -> Any:
        params = self._decode_params(method, call)
        if method.socket_only:
            if caller.socket is None:
                raise RpcError(INVALID_REQUEST, f"{call.method} needs a WebSocket")
            return await caller.socket(params)
        if method.submits:
            if isinstance(params, p.SubmitManyParams):
                self.rates.overdraw(caller.client, min(len(params.actions), self._api.limits.batch_actions))
            return await self._submit(params)
        async with self._slots:
            handler = method.handler
            if handler is None:
                raise AssertionError(method.name)
            return await asyncio.get_running_loop().run_in_executor(self._executor, handler, self._api, params)

    def _decode_params(self, method: Method, call: Call) -> Any:
        """The params by name, or by position in the order of the fields. Raises `RpcError`."""
        decoder, fields = self._decoders[method.params]
        raw = b"{}" if call.params is None else bytes(call.params)
        try:
            if raw.startswith(b"["):
                values = msgspec.json.decode(raw, type=list[msgspec.Raw])
                if len(values) > len(fields):
                    raise RpcError(INVALID_PARAMS, f"at most {len(fields)} params")
                pairs = zip(fields, values, strict=False)
                raw = msgspec.json.encode({field.encode_name: value for field, value in pairs})
            return decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError) as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None

    async def _submit(self, params: Any) -> Any:
        """Hand actions to the node, wait until they are decided, and sign what is durable."""
        if isinstance(params, p.SubmitParams):
            (answer,) = await self._submit_lines([bytes(params.action)])
            if isinstance(answer, BaseException):
                raise answer
            return answer
        if len(params.actions) > self._api.limits.batch_actions:
            limit = self._api.limits.batch_actions
            raise RpcError(LIMIT_EXCEEDED, f"{len(params.actions)} actions, the limit is {limit}")
        return [
            {"error": describe_error(to_rpc_error(answer))} if isinstance(answer, BaseException) else {"ack": answer}
            for answer in await self._submit_lines([bytes(action) for action in params.actions])
        ]

    async def _submit_lines(self, lines: list[bytes]) -> list[dict[str, Any] | BaseException]:
        future = self._api.node.submit(lines)
        if self._decisions is None:
            self._decisions = Decisions()
        results = await self._decisions.wait(future)
        if len(results) <= SIGNED_AT_ONCE:
            return acknowledge(self._api, results)
        return await asyncio.get_running_loop().run_in_executor(self._executor, acknowledge, self._api, results)


def make_rate_error(wait: float) -> RpcError:
    """The answer to who has asked too much, with the seconds until there is room again."""
    wait_ms = math.ceil(1_000 * wait)
    return RpcError(RATE_EXCEEDED, f"too many calls from one address; again in {wait_ms} ms", {"retryAfterMs": wait_ms})
