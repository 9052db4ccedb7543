"""JSON-RPC 2.0 over HTTP, with retries.

Every method may be asked twice: reads change nothing, and an action that is known already is answered with its first
acknowledgement. So whatever may pass by itself (no connection, a busy node, a proxy's 503) is tried again with the same
bytes until the time is up.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from microrollup.client.errors import BadAnswer, NodeBusy, RateExceeded, Unreachable, make_rpc_error
from microrollup.errors import RefusedError, UsageError
from microrollup.execution.authentication import parse_json_fast

if TYPE_CHECKING:
    import httpx

__all__ = ["MAX_ANSWER_BYTES", "Transport", "read_answer"]

MAX_ANSWER_BYTES: Final = 64 << 20
"""A hundred full blocks in hex are larger; ask for fewer."""

_ATTEMPT_SECONDS: Final = 10.0
"""An answer that is not there by then is taken for lost."""

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 2.0
"""Who waits for a first answer is told after that long."""
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
_HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_jitter: Final = SystemRandom()


class _TryAgain(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Transport:
    """Calls the methods of one node."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        token: str | None = None,
        http: httpx.AsyncClient | None = None,
        on_silence: Callable[[float], None] | None = None,
    ) -> None:
        """`timeout` in seconds is for a whole call, retries included; `http` may bring a proxy or certificates. `token`
        goes with each call as a bearer's (RFC 6750).

        `on_silence` is called, with the seconds that are left, if the node has answered nothing after two seconds.
        """
        import httpx  # noqa: PLC0415  # takes 50 ms, which who only declares an app does not pay

        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url!r} is not an address of a node: it begins with http:// or https://")
        try:
            parsed = httpx.URL(url.rstrip("/") + "/")
        except httpx.InvalidURL as error:
            raise UsageError(f"{url!r} is not an address of a node: {error}") from None
        if not parsed.host:
            raise UsageError(f"{url!r} is not an address of a node: it names no host")
        self.url: Final = str(parsed)
        if token is not None and not _TOKEN.fullmatch(token):
            raise UsageError("the token is not made of letters, digits and -._~+/ (RFC 6750)")
        self.timeout: Final = timeout
        self._headers = _HEADERS if token is None else {**_HEADERS, "authorization": f"Bearer {token}"}
        self._http = http or httpx.AsyncClient(verify=parsed.scheme == "https")  # no roots are loaded for plain HTTP
        self._owned = http is None
        self._on_silence = on_silence
        """None once the node has answered, or that was said."""
        self._ids = itertools.count(1)
        self._never_sent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
        self._lost = (httpx.RequestError, TimeoutError)

    async def call(self, method: str, params: dict[str, Any], *, timeout: float | None = None) -> Any:
        """The result of a method.

        Raises `Unreachable`, `BadAnswer`, or the class of `RpcError` that the node's code stands for.
        """
        number = next(self._ids)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        seconds = self.timeout if timeout is None else timeout
        with self._watch_silence(seconds):
            return await self._call(body, number, time.monotonic() + seconds)

    @contextmanager
    def _watch_silence(self, seconds: float) -> Iterator[None]:
        """Say once that there is no answer yet."""
        if self._on_silence is None or seconds <= _SILENCE_SECONDS:
            yield
            return
        timer = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self._tell_silence, seconds - _SILENCE_SECONDS)
        try:
            yield
        finally:
            timer.cancel()

    def _tell_silence(self, left: float) -> None:
        if self._on_silence is not None:
            told, self._on_silence = self._on_silence, None
            told(left)

    async def _call(self, body: bytes, number: int, deadline: float) -> Any:
        """Ask until there is an answer or the time is up."""
        pause, unanswered, reason = _FIRST_PAUSE_SECONDS, 0, "there was no time to try"
        busy: NodeBusy | None = None
        while (left := deadline - time.monotonic()) > 0:
            least = 0.0
            try:
                raw = await self._post(body, min(left, _ATTEMPT_SECONDS))
                self._on_silence = None
                return read_answer(raw, number, unanswered=unanswered)
            except _TryAgain as error:
                unanswered += 1
                reason, busy = error.reason, None
            except NodeBusy as error:
                busy = error
                least = error.retry_after if isinstance(error, RateExceeded) else 0.0
            except self._never_sent as error:
                reason, busy = _explain(error), None
            except self._lost as error:
                unanswered += 1
                reason, busy = _explain(error), None
            rest = max(least, pause * _jitter.uniform(0.5, 1.0))
            await asyncio.sleep(min(rest, max(0.0, deadline - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        if busy is not None:
            raise busy
        raise Unreachable(self.url, reason, unanswered)

    async def _post(self, body: bytes, timeout: float) -> bytes:
        """One attempt: the bytes of an answer that may be one."""
        parts: list[bytes] = []
        size = 0
        async with (
            asyncio.timeout(timeout),
            self._http.stream("POST", self.url, content=body, headers=self._headers, timeout=timeout) as response,
        ):
            async for part in response.aiter_bytes():
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise BadAnswer(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
                parts.append(part)
        raw = b"".join(parts)
        status = response.status_code
        if raw[:1] == b"{":
            return raw
        if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR:
            raise _TryAgain(f"HTTP status {status}")
        raise BadAnswer(f"HTTP status {status} with a body that is not a JSON object")

    async def close(self) -> None:
        """Close the connections, unless they were given."""
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def read_answer(raw: bytes, number: int, *, unanswered: int = 0) -> Any:
    """The result in an answer's bytes. Raises `BadAnswer`, or what the node's error stands for."""
    try:
        answer = parse_json_fast(raw)
    except RefusedError as error:
        raise BadAnswer(f"an answer that is not JSON: {error.detail}") from None
    if not isinstance(answer, dict) or answer.get("jsonrpc") != "2.0":
        raise BadAnswer("an answer that is not of JSON-RPC 2.0")
    if "error" in answer:
        raise make_rpc_error(answer["error"], unanswered=unanswered)
    if answer.get("id") != number or "result" not in answer:
        raise BadAnswer("an answer to another call")
    return answer["result"]


def _explain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
