"""JSON-RPC to an L1 node: web3's HTTP provider with its retries, with limits on what an answer may be.

web3's own `eth` module is not used to read: it makes dictionaries of whatever a node says. Here an answer is one plain
JSON value, of bounded size and depth, that `answers` decodes by type.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

_limit = sys.getrecursionlimit()
from web3.providers import AsyncHTTPProvider  # noqa: E402  # importing it sets the recursion limit to 100,000 ...
from web3.providers.rpc.utils import ExceptionRetryConfiguration  # noqa: E402
from web3.types import RPCEndpoint  # noqa: E402

sys.setrecursionlimit(_limit)  # ... with which deeply nested JSON would end the process

from microrollup.codec.json_text import is_shallow  # noqa: E402
from microrollup.errors import UsageError  # noqa: E402
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Refused, L1Unreachable  # noqa: E402
from microrollup.settlement.ethereum.options import EthereumOptions  # noqa: E402

__all__ = ["MAX_ANSWER_BYTES", "Request", "Transport", "name_place"]

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""A range of full forced queues, with room; larger answers are cut off."""

MAX_BATCH: Final = 64
"""Requests in one HTTP request; nodes allow a hundred or more."""

_MAX_REVERT_BYTES: Final = 4096
_REVERTED: Final = 3
"""The code that nodes give with revert data."""

Request = tuple[str, list[Any]]
"""Method and parameters."""


class _BoundedResponse(aiohttp.ClientResponse):
    """Stops reading where no honest answer can end."""

    async def read(self) -> bytes:
        if self._body is None:
            chunks, size = [], 0
            async for chunk in self.content.iter_chunked(1 << 16):
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    self.close()
                    raise _TooLargeError
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body


class _TooLargeError(Exception):
    """An answer above the limit."""


class Transport:
    """A connection to one node. All methods belong to one event loop."""

    def __init__(self, options: EthereumOptions) -> None:
        self._options = options
        self.place: Final = name_place(options.url)
        retry = ExceptionRetryConfiguration(
            errors=(aiohttp.ClientError, OSError, TimeoutError), retries=max(1, options.retries)
        )
        self._provider = AsyncHTTPProvider(
            options.url,
            request_kwargs={"timeout": aiohttp.ClientTimeout(total=options.timeout_seconds)},
            exception_retry_configuration=retry,
        )
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0
        """HTTP requests so far, for measurements."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises `L1Unreachable`, `L1BadAnswer` or `L1Refused`."""
        answer = await self._post(method, self._provider.encode_rpc_request(RPCEndpoint(method), list(params)))
        return _take_result(method, answer)

    async def ask_many(self, requests: Sequence[Request]) -> list[Any]:
        """The results of several calls, in order, in as few HTTP requests as allowed. Raises the same."""
        results: list[Any] = []
        for at in range(0, len(requests), MAX_BATCH):
            results += await self._ask_batch(requests[at : at + MAX_BATCH])
        return results

    async def _ask_batch(self, requests: Sequence[Request]) -> list[Any]:
        if len(requests) == 1:
            method, params = requests[0]
            return [await self.ask(method, *params)]
        forms = [self._provider.form_request(RPCEndpoint(method), params) for method, params in requests]
        ids = [str(form.get("id")) for form in forms]
        answers = await self._post(requests[0][0], self._provider.encode_batch_request_dicts(forms))
        if not isinstance(answers, list) or len(answers) != len(forms):
            raise L1BadAnswer("batch", "not one answer a request")
        by_id = {str(answer.get("id")): answer for answer in answers if isinstance(answer, dict)}
        if set(by_id) != set(ids):
            raise L1BadAnswer("batch", "the answers' ids are not the requests'")
        return [_take_result(method, by_id[item]) for item, (method, _) in zip(ids, requests, strict=True)]

    async def _post(self, method: str, body: bytes) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(response_class=_BoundedResponse, raise_for_status=True)
            await self._provider.cache_async_session(self._session)
        self.requests += 1
        try:
            raw = await self._provider._make_request(RPCEndpoint(method), body)
        except _TooLargeError:
            raise L1BadAnswer(method, f"longer than {MAX_ANSWER_BYTES} bytes") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise L1Unreachable(self.place, f"{type(error).__name__} {_describe(error)}".strip()) from None
        return _parse(method, raw)


def name_place(url: str) -> str:
    """Scheme, host and port of a URL: what may be shown, since user names, paths and queries hold keys.

    Raises `UsageError` for what is no URL.
    """
    parts = urlsplit(url)
    try:
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise UsageError("a URL names a host, and a port from 1 to 65535 if any: http://host:8545") from None
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def _describe(error: Exception) -> str:
    """The reason, without the URL, which clients repeat in a form of their own and which may hold a key."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message}"
    return "" if isinstance(error, aiohttp.InvalidURL) else str(error)


def _parse(method: str, raw: bytes) -> Any:
    if not is_shallow(raw):
        raise L1BadAnswer(method, "nests too deep")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise L1BadAnswer(method, f"not JSON: {error}") from None


def _take_result(method: str, answer: Any) -> Any:
    if not isinstance(answer, dict):
        raise L1BadAnswer(method, "not a JSON-RPC answer")
    error = answer.get("error")
    if error is not None:
        raise _to_refusal(method, error)
    if "result" not in answer:
        raise L1BadAnswer(method, "neither result nor error")
    return answer["result"]


def _to_refusal(method: str, error: Any) -> L1Refused:
    if not isinstance(error, dict):
        return L1Refused(method, 0, str(error)[:1000], None)
    code, data = error.get("code"), error.get("data")
    reverted = None
    if isinstance(data, str) and len(data) <= 2 * _MAX_REVERT_BYTES + 2 and data.startswith("0x"):
        try:
            reverted = bytes.fromhex(data[2:])
        except ValueError:
            reverted = None
    elif code == _REVERTED:
        reverted = b""
    return L1Refused(method, code if isinstance(code, int) else 0, str(error.get("message"))[:1000], reverted)
