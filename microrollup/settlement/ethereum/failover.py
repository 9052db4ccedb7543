"""Several L1 nodes of one chain: the first that answers is asked, the others while it fails.

Which node answers may change between two questions. That is safe because no node is believed anyway: what is taken over
links by hash to what is known, and a transaction is looked for by its hash. A node of another chain is never used, and
what blocks are built on has one hash at all nodes that answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from microrollup.settlement.ethereum.answers import parse_block, parse_quantity
from microrollup.settlement.ethereum.errors import (
    L1BadAnswer,
    L1Denied,
    L1Error,
    L1Throttled,
    L1TimedOut,
    L1Unreachable,
    WrongL1,
)
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport, MethodCall

__all__ = ["FailoverTransport", "open_transport"]

RETURN_SECONDS: Final = 60.0
"""So long another node is asked before the ones above it are tried again."""

_PATIENCE_SECONDS: Final = 2.0
"""What a node that is asked too often gets, where there is another to ask."""

_FAILURES: Final = (L1Unreachable, L1Throttled, L1Denied, L1BadAnswer, WrongL1)
_SMALLER: Final = frozenset({"eth_getLogs"})
"""What is too much at once is asked for in parts, of the same node."""

T = TypeVar("T")

_log = structlog.get_logger(__name__)


def open_transport(options: EthereumOptions) -> L1Transport:
    """To one node, or to several."""
    return FailoverTransport(options) if options.fallbacks else L1Transport(options)


class FailoverTransport(L1Transport):
    """Asks as `L1Transport` does. All methods belong to one event loop."""

    def __init__(self, options: EthereumOptions, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(options)
        alone = msgspec.structs.replace(
            options, fallbacks=(), patience_seconds=min(options.patience_seconds, _PATIENCE_SECONDS)
        )
        others = [msgspec.structs.replace(alone, url=url, headers=()) for url in options.fallbacks]
        self._nodes: Final = [L1Transport(each) for each in (alone, *others)]
        self._clock = clock
        self._current = 0
        self._return_at = 0.0
        self._chain_id: int | None = None
        self._checked: set[int] = set()
        self._silent_until: dict[int, float] = {}
        """Nodes that did not say which block they have; what is built on does not wait for them every time."""

    async def close(self) -> None:
        await super().close()
        for node in self._nodes:
            await node.close()

    async def ask(self, method: str, *params: Any) -> Any:
        return await self._try_nodes(method, lambda node: node.ask(method, *params))

    async def ask_many(self, requests: Sequence[MethodCall]) -> list[Any]:
        if not requests:
            return []
        return await self._try_nodes(requests[0][0], lambda node: node.ask_many(requests))

    async def confirm_chain(self, chain_id: int) -> None:
        """All are asked for their chain again before they are used again."""
        self._chain_id = chain_id
        self._checked.clear()
        await self.ask("eth_chainId")

    async def confirm_block(self, number: int, block_hash: bytes) -> None:
        """The node in use is asked as well: the block may be from one that was in use a moment ago."""
        now = self._clock()
        asked = [index for index in range(len(self._nodes)) if now >= self._silent_until.get(index, now)]
        found = await asyncio.gather(*[self._is_other(index, number, block_hash) for index in asked])
        differ = [index for index, other in zip(asked, found, strict=True) if other]
        if differ:
            places = " and ".join([self._nodes[index].place for index in dict.fromkeys((self._current, *differ))])
            raise L1BadAnswer("blocks", f"different blocks {number} at {places}")

    async def _is_other(self, index: int, number: int, block_hash: bytes) -> bool:
        """Whether a node says so; not if it does not know, does not answer soon or is of another chain by now."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._check(index)
                answer = await self._nodes[index].ask("eth_getBlockByNumber", hex(number), False)
                if answer is None or parse_block(answer, number).hash == block_hash:
                    return False
                self._checked.discard(index)
                await self._check(index)
                return True
        except (L1Error, TimeoutError):
            self._silent_until[index] = self._clock() + RETURN_SECONDS
            return False

    async def _try_nodes(self, method: str, work: Callable[[L1Transport], Awaitable[T]]) -> T:
        first: L1Error | None = None
        for index in self._order():
            node = self._nodes[index]
            try:
                await self._check(index)
                found = await work(node)
            except _FAILURES as error:
                if method in _SMALLER and isinstance(error, L1TimedOut | L1BadAnswer):
                    raise
                first = first or error
                if index == self._current:
                    _log.warning("l1_node_failed", place=node.place, method=method, reason=str(error))
            else:
                self._use(index)
                self.requests = sum(each.requests for each in self._nodes)
                return found
        raise first or L1Unreachable(self.place, "no node is named", connected=False)

    def _order(self) -> list[int]:
        """From the one in use on, then those above it; from the first one when it is time to go back."""
        start = 0 if self._clock() >= self._return_at else self._current
        return [*range(start, len(self._nodes)), *range(start)]

    def _use(self, index: int) -> None:
        if index != self._current:
            _log.warning("l1_node_changed", place=self._nodes[index].place)
        self._current = index
        if index == 0:
            self._return_at = 0.0
        elif self._clock() >= self._return_at:
            self._return_at = self._clock() + RETURN_SECONDS

    async def _check(self, index: int) -> None:
        """Before a node is used for the first time: it is of the chain that the first one was of."""
        if index in self._checked:
            return
        node = self._nodes[index]
        found = parse_quantity("eth_chainId", await node.ask("eth_chainId"))
        if self._chain_id is None:
            self._chain_id = found
        if found != self._chain_id:
            raise WrongL1(self._chain_id, found)
        self._checked.add(index)
