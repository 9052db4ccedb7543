"""From calls to answers: finds the method, decodes its params, runs it where it may take time, writes the answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, assert_never

import msgspec
import structlog

from microrollup.chain.acknowledgement import AcknowledgementForm
from microrollup.chain.answers.actions import SubmitAnswer
from microrollup.codec.document import compile_form
from microrollup.node.errors import NeedsSource, NotRecorded
from microrollup.node.submission import Result
from microrollup.rpc import params as p
from microrollup.rpc.app_methods import run_app_method
from microrollup.rpc.budget import Budget
from microrollup.rpc.caller import Caller
from microrollup.rpc.decisions import Decisions
from microrollup.rpc.envelope import RpcRequest, decode_calls, encode_error, encode_result
from microrollup.rpc.errors import (
    INTERNAL,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    METHOD_NOT_FOUND,
    RATE_EXCEEDED,
    ErrorResponse,
    describe_error,
    to_rpc_error,
)
from microrollup.rpc.heights import Waits
from microrollup.rpc.method import ActionMethod, Api, AppMethod, Method, PlainMethod, QueryMethod, SocketMethod
from microrollup.rpc.methods import Acknowledged, acknowledge
from microrollup.rpc.news import News
from microrollup.rpc.passing_on import Passing
from microrollup.rpc.queries import STEPS_PER_CALL, run_query
from microrollup.rpc.rates import LOCAL, RateLimiter

__all__ = ["Dispatcher", "make_rate_error"]

THREADS: Final = 8
"""Reading threads: more would only wait for each other."""

NANOSECONDS_PER_CALL: Final = 1_000_000
"""So much time of a thread that an app's method takes counts as one call more."""

SIGNED_AT_ONCE: Final = 4
"""So few acknowledgements are signed in the event loop, 30 us each: the way to a thread and back takes longer."""

_SHOWN_CHARACTERS: Final = 100
_NEAR: Final = 0.75
"""How alike two names must be, of 1, for the one to be taken for a slip of the other."""

_log = structlog.get_logger(__name__)


class Dispatcher:
    """Answers bodies of requests. One event loop uses it."""

    def __init__(self, api: Api, methods: dict[str, Method], get_news: Callable[[], News]) -> None:
        self._api = api
        self.methods = methods
        self.limits = api.limits
        self._decoders = {
            method.params: (msgspec.json.Decoder(method.params), msgspec.structs.fields(method.params))
            for method in methods.values()
            if not isinstance(method, (QueryMethod, AppMethod))
        }
        self._forms = {name: compile_form(method.answer) for name, method in methods.items()}
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")
        self._slots = asyncio.Semaphore(api.limits.calls)
        self.rates = RateLimiter(api.limits)
        self.answers = Budget(api.limits.answers_bytes)
        self._decisions: Decisions[list[Result]] | None = None
        self._waits = Waits(api.node.confirmations, get_news, api.limits)
        source = api.node.source
        self.passing = None if source is None else Passing(source, api.node.instance, api.limits)

    def close(self) -> None:
        """End the reading threads when they are done."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def answer(self, body: bytes, caller: Caller) -> bytes | None:
        """The answer to a body, single or batch; None if nothing in it wants one."""
        try:
            calls, is_batch = decode_calls(body, self.limits)
        except ErrorResponse as error:
            return await self._answer_call(error, caller)
        if not is_batch:
            return await self._answer_call(calls[0], caller)
        answers = [answer for answer in await self._answer_batch(calls, caller) if answer is not None]
        return b"[" + b",".join(answers) + b"]" if answers else None

    async def _answer_batch(self, calls: list[RpcRequest | ErrorResponse], caller: Caller) -> list[bytes | None]:
        """Calls that take actions are begun in order and answered together; the others take turns, and are refused once
        the answer is too large: a small request is not to make a huge one.
        """
        turn, size, limit = asyncio.Lock(), 0, self.limits.answer_bytes

        async def answer(call: RpcRequest | ErrorResponse) -> bytes | None:
            nonlocal size
            if isinstance(call, ErrorResponse) or isinstance(self.methods.get(call.method), ActionMethod):
                return await self._answer_call(call, caller)
            async with turn:
                if size > limit and call.id is not None:
                    return encode_error(call.id, ErrorResponse(LIMIT_EXCEEDED, f"the answer has {limit} bytes already"))
                answered = await self._answer_call(call, caller)
                size += len(answered or b"")
                return answered

        return await asyncio.gather(*[answer(call) for call in calls])

    async def _answer_call(self, call: RpcRequest | ErrorResponse, caller: Caller) -> bytes | None:
        wait = self.rates.take(caller.client)
        if isinstance(call, ErrorResponse):
            return encode_error(msgspec.Raw(call.id), make_rate_error(wait) if wait else call)
        method = self.methods.get(call.method)
        name = "unknown" if method is None else call.method
        try:
            if wait:
                raise make_rate_error(wait)
            if method is None:
                raise ErrorResponse(METHOD_NOT_FOUND, self._describe_unknown(call.method))
            height = await self._waits.reach(_choose_min_height(method, call, caller), caller)
            caller.note_height(height)
            result = await self._run(method, call, caller)
            shown = None if call.min_height is None else height
            answer = None if call.id is None else self._hold(method, encode_result(call.id, result, shown), caller)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            refusal = self._note_failure(name, error)
            return None if call.id is None else encode_error(call.id, refusal)
        self._api.node.metrics.note_call(name, "ok")
        return answer

    async def run_method(self, method: AppMethod, params: bytes, caller: Caller) -> bytes:
        """The answer of a method of the app's own, as JSON; it counts until `release`. Raises `ErrorResponse`."""
        try:
            if wait := self.rates.take(caller.client):
                raise make_rate_error(wait)
            caller.note_height(await self._waits.reach(caller.min_height, caller))
            answer = bytes(await self._run_app(method, params, caller))
            self._hold(method, answer, caller)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            raise self._note_failure(method.name, error) from None
        self._api.node.metrics.note_call(method.name, "ok")
        return answer

    def _note_failure(self, name: str, error: BaseException) -> ErrorResponse:
        """What is answered for an error; one of ours is logged."""
        refusal = to_rpc_error(error)
        if refusal.code == INTERNAL:
            _log.error("rpc_internal_error", method=name, error=type(error).__name__, exc_info=error)
            self._api.node.metrics.note_fault()
        self._api.node.metrics.note_call(name, str(refusal.code))
        return refusal

    def _describe_unknown(self, name: str) -> str:
        """The name that was asked for, and the one that may have been meant."""
        name = name[:_SHOWN_CHARACTERS]
        meant = get_close_matches(f"rollup_{name.removeprefix('rollup_')}", self.methods, n=1, cutoff=_NEAR)
        return f"{name}; there is {meant[0]}" if meant else name

    def _hold(self, method: Method, answer: bytes, caller: Caller) -> bytes:
        """Count an answer until `release`; a call whose answer has no room is refused, unless actions were taken."""
        if isinstance(method, ActionMethod) or (isinstance(method, AppMethod) and caller.has_submitted):
            self.answers.overdraw(len(answer))
        elif not self.answers.take(len(answer)):
            raise ErrorResponse(LIMIT_EXCEEDED, "too many answers wait to be read; try again later")
        caller.held += len(answer)
        return answer

    def release(self, caller: Caller) -> None:
        """Its answers have been read, or never will be."""
        self.answers.give(caller.held)
        caller.held = 0

    async def _run(self, method: Method, call: RpcRequest, caller: Caller) -> Any:
        if isinstance(method, ActionMethod):
            caller.check_write()
        given = b"{}" if call.params is None else bytes(call.params)
        if isinstance(method, QueryMethod):
            return await self._query(method, call, caller)
        if isinstance(method, AppMethod):
            return await self._run_app(method, given, caller)
        params, write = self._decode_params(method, call), self._forms[call.method].write
        if isinstance(params, p.SubmitManyParams):
            self.rates.overdraw(caller.client, min(len(params.actions), self.limits.batch_actions))
        if self.passing is not None and _is_for_source(method):
            return await self._pass_on(self.passing, call.method, given, caller)
        match method:
            case SocketMethod():
                if caller.socket is None:
                    raise ErrorResponse(INVALID_REQUEST, f"{call.method} needs a WebSocket")
                return write(await caller.socket(params))
            case ActionMethod():
                return await self._submit(params, write, _name_budget(caller))
            case PlainMethod(handler=handler):
                try:
                    async with self._slots:
                        return await self._work(lambda: write(handler(self._api, params)))
                except NotRecorded:
                    if self.passing is None or method.at_source == "never":
                        raise
                    return await self._pass_on(self.passing, call.method, given, caller)
            case _:
                assert_never(method)

    async def _run_app(self, method: AppMethod, params: bytes, caller: Caller) -> msgspec.Raw:
        """What an app's method answers. The time of its thread is taken off the caller's rate, also where nobody waits
        for it any more.
        """
        loop, client = asyncio.get_running_loop(), _name_budget(caller)
        caller.has_submitted = False

        def begin_write() -> None:
            caller.check_write()
            caller.has_submitted = True

        def run() -> msgspec.Raw:
            started = time.thread_time_ns()
            try:
                return run_app_method(self._api, method.query, params, client, begin_write)
            finally:
                spent = (time.thread_time_ns() - started) // NANOSECONDS_PER_CALL
                with suppress(RuntimeError):  # the loop has ended, and nobody calls any more
                    loop.call_soon_threadsafe(self.rates.overdraw, caller.client, spent)

        try:
            async with self._slots:
                answer: msgspec.Raw = await self._work(run)
        except (NeedsSource, NotRecorded):
            if self.passing is None:
                raise
            answer = await self._pass_on(self.passing, method.name, params, caller)
        return answer

    async def _pass_on(self, passing: Passing, name: str, params: bytes, caller: Caller) -> msgspec.Raw:
        """The source's answer to a call that is not for a follower. It sees a token where it may ask for one."""
        shown = caller.authorization if isinstance(self.methods[name], (ActionMethod, AppMethod)) else ()
        return await passing.call(name, params, client=caller.client, authorization=shown, via=caller.via)

    async def _query(self, method: QueryMethod, call: RpcRequest, caller: Caller) -> Any:
        """Ask a reader process. What its steps cost is taken off the caller's rate afterwards."""
        if self._api.node.readers is None:
            raise ErrorResponse(METHOD_NOT_FOUND, call.method)
        params = b"{}" if call.params is None else bytes(call.params)
        reply, answer = await run_query(self._api.node.readers, method.query, params)
        self.rates.overdraw(caller.client, reply.steps // STEPS_PER_CALL)
        if isinstance(answer, ErrorResponse):
            raise answer
        return answer

    async def _work(self, function: Callable[[], Any]) -> Any:
        run = copy_context().run  # so that what the thread logs names the request
        return await asyncio.get_running_loop().run_in_executor(self._executor, run, function)

    def _decode_params(self, method: ActionMethod | PlainMethod | SocketMethod, call: RpcRequest) -> Any:
        """The params by name, or by position in the order of the fields. Raises `ErrorResponse`."""
        decoder, fields = self._decoders[method.params]
        raw = b"{}" if call.params is None else bytes(call.params)
        try:
            if raw.startswith(b"["):
                values = msgspec.json.decode(raw, type=list[msgspec.Raw])
                if len(values) > len(fields):
                    raise ErrorResponse(INVALID_PARAMS, f"at most {len(fields)} params")
                pairs = zip(fields, values, strict=False)
                raw = msgspec.json.encode({field.encode_name: value for field, value in pairs})
            return decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError) as error:
            raise ErrorResponse(INVALID_PARAMS, str(error)) from None

    async def _submit(
        self,
        params: p.SubmitParams | p.SubmitManyParams | p.EnvelopeParams,
        write: Callable[[Any], Any],
        client: str | None,
    ) -> Any:
        """Hand actions to the node, wait until they are decided, and sign what is durable."""
        match params:
            case p.SubmitParams(action=action):
                return await self._submit_lines([bytes(action)], client, lambda answers: write(_take_only(answers)))
            case p.EnvelopeParams(name=name, raw=raw):
                line = msgspec.json.encode({"envelope": name, "raw": raw})
                return await self._submit_lines([line], client, lambda answers: write(_take_only(answers)))
            case p.SubmitManyParams(actions=actions):
                limit = self.limits.batch_actions
                if len(actions) > limit:
                    raise ErrorResponse(LIMIT_EXCEEDED, f"{len(actions)} actions, the limit is {limit}")
                lines = [bytes(action) for action in actions]
                return await self._submit_lines(
                    lines, client, lambda answers: write([_tell_apart(each) for each in answers])
                )
            case _:
                assert_never(params)

    async def _submit_lines(
        self, lines: list[bytes], client: str | None, write: Callable[[list[Acknowledged]], Any]
    ) -> Any:
        if self._decisions is None:
            self._decisions = Decisions()
        waiter = self._decisions.expect()
        self._api.node.hand_in(lines, client, partial(self._decisions.tell, waiter))
        results = await waiter
        if len(results) <= SIGNED_AT_ONCE and self._api.node.signs_here:
            return write(acknowledge(self._api, results))
        return await self._work(lambda: write(acknowledge(self._api, results)))


def _is_for_source(method: Method) -> bool:
    """Whether a follower never answers it by itself."""
    return isinstance(method, ActionMethod) or (isinstance(method, PlainMethod) and method.at_source == "always")


def _choose_min_height(method: Method, call: RpcRequest, caller: Caller) -> int:
    """What a call's answer is to show at least; what takes actions waits for nothing."""
    return 0 if _is_for_source(method) else max(call.min_height or 0, caller.min_height)


def _name_budget(caller: Caller) -> str | None:
    """Whose share of the execution time what it hands in counts against; None for nobody's."""
    return None if caller.client == LOCAL else caller.client


def _take_only(answers: list[Acknowledged]) -> AcknowledgementForm:
    """The acknowledgement of one action. Raises why there is none."""
    (answer,) = answers
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _tell_apart(answer: Acknowledged) -> SubmitAnswer:
    if isinstance(answer, BaseException):
        return SubmitAnswer(error=describe_error(to_rpc_error(answer)))
    return SubmitAnswer(ack=answer)


def make_rate_error(wait: float) -> ErrorResponse:
    """The answer to who has asked too much, with the seconds until there is room again."""
    wait_ms = math.ceil(1_000 * wait)
    return ErrorResponse(
        RATE_EXCEEDED, f"too many calls from one address; again in {wait_ms} ms", {"retryAfterMs": wait_ms}
    )
