"""JSON-RPC to an L1 node: requests alone and in batches, tried again where that helps, with limits on each answer.

An answer is one plain JSON value, of bounded size and depth, that `answers` decodes by type. A node that takes smaller
batches than ours is asked in smaller ones, down to single requests; a node that is asked too often is left alone for as
long as it says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

import msgspec
import structlog

from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1TimedOut, L1Unreachable, WrongL1
from microrollup.settlement.ethereum.headers import split_headers
from microrollup.settlement.ethereum.http import (
    NoReplyError,
    Reply,
    ReplyTooLongError,
    exchange,
    find_secrets,
    hide_secrets,
    make_client,
    name_place,
)
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.pace import AdaptiveSize, Pace, Patience
from microrollup.settlement.ethereum.replies import (
    AgainError,
    find_batch_refusal,
    read_batch,
    read_reply,
    take_result,
)

__all__ = ["L1Transport", "MethodCall"]

MAX_BATCH: Final = 64
"""Requests in one HTTP request; most nodes allow a hundred or more."""

_BATCHES_BETWEEN_SIZES: Final = 32
"""So many batches are taken before a larger one is tried again."""

_THROTTLED_BATCH_SECONDS: Final = 1.0
"""Before a smaller batch, where the node names no pause."""

_SPLIT: Final = frozenset({"eth_getLogs"})
"""The caller asks for less after a time-out: the same again would take as long."""

MethodCall = tuple[str, list[Any]]
"""Method and parameters."""

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class _BatchRefusedError(Exception):
    """The node does not take so many requests at once; the text holds its words."""


class L1Transport:
    """A connection to one node. All methods belong to one event loop."""

    def __init__(self, options: EthereumOptions) -> None:
        self._options = options
        self.place: Final = name_place(options.url)
        self._client = make_client(split_headers(options.headers))
        self._secrets = find_secrets(options.url, options.headers)
        self._pace = Pace(self.place, options)
        self._batch = AdaptiveSize(MAX_BATCH, every=_BATCHES_BETWEEN_SIZES)
        self._ids = count(1)
        self.requests = 0
        """HTTP requests so far, for measurements."""

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, method: str, *params: Any) -> Any:
        """The result of one call.

        Raises `L1Unreachable`, `L1TimedOut`, `L1Throttled`, `L1Denied`, `L1BadAnswer` or `L1Refused`.
        """
        return await self._try(method, partial(self._ask_once, method, list(params)))

    async def confirm_chain(self, chain_id: int) -> None:
        """Raise `WrongL1` if the node is of another chain by now, as where another took over its name."""
        found = parse_quantity("eth_chainId", await self.ask("eth_chainId"))
        if found != chain_id:
            raise WrongL1(chain_id, found)

    async def confirm_block(self, number: int, block_hash: bytes) -> None:
        """Raise `L1BadAnswer` if another node has another block of this number; here there is no other."""

    async def ask_many(self, requests: Sequence[MethodCall]) -> list[Any]:
        """The results of several calls, in order, in as few HTTP requests as the node allows. Raises the same."""
        results: list[Any] = []
        while len(results) < len(requests):
            part = requests[len(results) : len(results) + self._batch.size]
            if len(part) == 1:
                results.append(await self.ask(part[0][0], *part[0][1]))
            else:
                try:
                    results += await self._try(part[0][0], partial(self._ask_batch, part))
                except (_BatchRefusedError, L1Unreachable) as error:
                    if isinstance(error, L1Unreachable) and not error.connected:
                        raise
                    self._batch.shrink(len(part))
                    _log.info("l1_smaller_batch", requests=self._batch.size, reason=str(error))
                    continue
            self._batch.note(len(part))
        return results

    async def _try(self, method: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What an attempt gives; after a pause it is made again where that may help."""
        patience = Patience(self._options)
        while True:
            await self._pace.wait()
            try:
                return await attempt()
            except AgainError as again:
                hopeless = again.cause == "long" or (again.cause == "slow" and method in _SPLIT)
                pause = None if hopeless else patience.find_pause(again)
                if again.cause == "throttled":
                    self._pace.hold(again.pause or pause or 0.0, str(again.error))
                elif pause is not None:
                    await self._pace.sleep(pause)
                if pause is None:
                    raise again.error from None

    async def _ask_once(self, method: str, params: list[Any]) -> Any:
        reply = await self._post(method, msgspec.json.encode(self._form(method, params)))
        return read_reply(self.place, method, reply)

    async def _ask_batch(self, requests: Sequence[MethodCall]) -> list[Any]:
        forms = [self._form(method, params) for method, params in requests]
        ids = [str(form["id"]) for form in forms]
        try:
            reply = await self._post(f"{len(forms)} requests", msgspec.json.encode(forms))
            answers = read_batch(self.place, requests[0][0], reply)
            refusal = answers if isinstance(answers, str) else find_batch_refusal(answers, set(ids))
            if isinstance(answers, str) or refusal is not None:
                raise _BatchRefusedError(refusal)
            by_id = {str(answer["id"]): answer for answer in answers}
            return [
                take_result(self.place, method, by_id[item], reply)
                for item, (method, _) in zip(ids, requests, strict=True)
            ]
        except AgainError as again:
            if again.cause == "busy":
                raise
            # What takes too long, or counts as too many requests, may pass where it is smaller.
            if again.cause == "throttled":
                pause = _THROTTLED_BATCH_SECONDS if again.pause is None else again.pause
                self._pace.hold(pause, str(again.error))
            raise _BatchRefusedError(str(again.error)) from None

    def _form(self, method: str, params: list[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    async def _post(self, method: str, body: bytes) -> Reply:
        self.requests += 1
        options = self._options
        try:
            reply = await exchange(
                self._client, options.url, body, seconds=options.timeout_seconds, limit=options.answer_bytes
            )
        except ReplyTooLongError:
            too_long = L1BadAnswer(method, f"longer than {options.answer_bytes} bytes")
            raise AgainError(too_long, "long") from None
        except NoReplyError as error:
            if error.timed_out:
                raise AgainError(L1TimedOut(self.place, str(error)), "slow") from None
            unreachable = L1Unreachable(self.place, str(error), connected=error.connected)
            raise AgainError(unreachable, "busy") from None
        return reply if reply.status == 200 else hide_secrets(reply, self._secrets)
