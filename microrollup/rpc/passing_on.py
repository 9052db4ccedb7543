"""A follower's way to its source: calls that are not for it to answer are passed on, and answered as the source does.

Nothing that the source answers is trusted: neither its form nor its size. An acknowledgement bears the builder's
signature.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

import httpx
import msgspec

from microrollup.rpc.budget import Budget
from microrollup.rpc.errors import ERRORS, SOURCE_UNAVAILABLE, ErrorResponse
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.proxies import FORWARDING, describe_client
from microrollup.rpc.rates import LOCAL
from microrollup.rpc.write_tokens import find_bearer

__all__ = ["VIA", "Passing", "read_via"]

VIA: Final = "x-microrollup-via"
"""The instances that have passed a call on, in order: one that finds itself there has been reached in a circle."""

_INSTANCE: Final = re.compile(r"[0-9a-z]{1,64}")
MAX_HOPS: Final = 8
SECONDS: Final = 40.0
"""So long the source may take: it may itself wait for a leader, or for lower nonces."""
CONNECT_SECONDS: Final = 5.0
_AT_ONCE: Final = 256

_OPEN: Final = "what was submitted may have been taken; submit it again, and a known action gets its first answer"


def read_via(text: str | None) -> tuple[str, ...]:
    """Who has passed a call on, as the header says; of a long list the end, which is as good a reason to refuse it.

    What cannot be an instance is left out.
    """
    named = [each.strip() for each in (text or "").split(",")[-MAX_HOPS:]]
    return tuple([each for each in named if _INSTANCE.fullmatch(each)])


class _ErrorForm(msgspec.Struct):
    code: int
    message: str = ""
    data: Any = None


class _AnswerForm(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"")
    error: _ErrorForm | None = None


_DECODER: Final = msgspec.json.Decoder(_AnswerForm)
_encode: Final = msgspec.json.Encoder().encode


class Passing:
    """Passes calls on to one source. One event loop uses it."""

    def __init__(self, url: str, instance: str, limits: RpcLimits) -> None:
        """`instance` is that of the node here."""
        self._url = url
        self._instance = instance
        self._limits = limits
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._answers = Budget(limits.answers_bytes)
        self._client: httpx.AsyncClient | None = None

    async def call(
        self, method: str, params: bytes, *, client: str, authorization: Sequence[str], via: Sequence[str]
    ) -> msgspec.Raw:
        """The result of a call at the source. `client` is who asks, `via` who has passed the call on before.

        Raises `ErrorResponse`: the source's own, or `SOURCE_UNAVAILABLE` where it gives none.
        """
        if self._instance in via or len(via) >= MAX_HOPS:
            raise _refuse("followers follow each other in a circle: none of them leads to a node that builds")
        headers = [
            (b"content-type", b"application/json"),
            (VIA.encode(), ", ".join([*via, self._instance]).encode()),
            *_name_client(client),
        ]
        if (bearer := find_bearer(authorization)) is not None:
            headers.append((b"authorization", bearer.encode()))
        body = _encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": msgspec.Raw(params)})
        raw = await self._post(body, headers)
        try:
            answer = _DECODER.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _refuse(f"the source's answer is not one of a node: {error}") from None
        if answer.error is not None:
            raise _read_error(answer.error)
        if not bytes(answer.result):
            raise _refuse("the source's answer holds neither a result nor an error")
        return answer.result

    async def _post(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        try:
            async with asyncio.timeout(SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise _refuse(f"{_AT_ONCE} calls wait for the source already: nothing was passed on") from None
        try:
            return await self._ask(body, headers)
        finally:
            self._slots.release()

    async def _ask(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        if self._client is None:
            timeout = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS)
            limits = httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE, keepalive_expiry=10)
            self._client = httpx.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False, trust_env=False)
        try:
            async with asyncio.timeout(SECONDS):
                return await self._read(self._client, body, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL) as error:
            raise _refuse(f"the source cannot be reached ({_describe(error)}): nothing was passed on") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise _refuse(f"the source gave no answer ({_describe(error)}): {_OPEN}") from None

    async def _read(self, client: httpx.AsyncClient, body: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with client.stream("POST", self._url, content=body, headers=headers) as response:
                async for chunk in response.aiter_raw(64 << 10):
                    if not self._answers.take(len(chunk)):
                        raise _refuse(f"too many answers of the source are being read: {_OPEN}")
                    size += len(chunk)
                    if size > self._limits.answer_bytes:
                        raise _refuse(f"the source's answer has more than {self._limits.answer_bytes} bytes: {_OPEN}")
                    chunks.append(chunk)
            return b"".join(chunks)
        finally:
            self._answers.give(size)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _name_client(client: str) -> list[tuple[bytes, bytes]]:
    """Who asks, in both headers, since a source reads the one that its operator names; a network as its first address.

    Of this machine's own callers nothing is said: they are the follower.
    """
    return [] if client == LOCAL else [describe_client(each, client.partition("/")[0]) for each in sorted(FORWARDING)]


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__


def _refuse(reason: str) -> ErrorResponse:
    return ErrorResponse(SOURCE_UNAVAILABLE, reason, {"reason": reason})


def _read_error(error: _ErrorForm) -> ErrorResponse:
    """The source's error, as one of this server's; a code that no node has is not passed on."""
    words = ERRORS.get(error.code)
    if words is None:
        return _refuse(f"the source answers with the unknown error {error.code}")
    detail = error.message[:1_000].removeprefix(words).removeprefix(": ")
    return ErrorResponse(error.code, detail, error.data if isinstance(error.data, dict) else None)
