"""What watched chains know, kept in a node's process: asked for only while somebody reads it, and not waited for long.

A thread of its own asks all chains at once. A chain's answers are kept for some seconds, one question at a time is
under way for each, and a chain that failed the last time is not waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from microrollup.errors import DecodeError, MicrorollupError, UsageError
from microrollup.settlement.ethereum.errors import L1Throttled, L1Unreachable
from microrollup.settlement.ethereum.loop import LoopThread

from .node import ChainNode
from .plan import AccountsPlan
from .standing import AccountCopy, read_copies
from .status import ChainStatus, read_chain
from .watched import WatchedChain

__all__ = ["NO_BOOK", "SILENT", "UNREAD", "UNSOUND", "ChainNews", "Survey"]

UNREAD: Final = "unread"
"""The chain has not answered yet."""
SILENT: Final = "silent"
"""The chain's node does not answer, or takes no more questions."""
UNSOUND: Final = "unsound"
"""The chain's node answers what cannot be, or refuses what every node takes."""
NO_BOOK: Final = "no book"
"""There is no address book of the chain, or none that can be read."""

_FRESH_SECONDS: Final = 5.0
_ROUND_SECONDS: Final = 4.0
"""In which a chain answers, or counts as silent."""
_PAUSE_SECONDS: Final = 0.5
"""Between two questions to one chain, whoever asks about what."""
_MAX_WANTED: Final = 64
"""Accounts of one question."""
_MAX_KEPT: Final = 1_024
"""Accounts of one chain whose copies are kept."""


class ChainNews(msgspec.Struct, frozen=True):
    """What is known of one chain, as of some seconds ago."""

    name: str
    failure: str
    """Empty, or one of this module's words."""
    seen: int
    """Seconds since 1970, by the clock of this machine; 0: never."""
    status: ChainStatus
    plan: AccountsPlan | None
    copies: dict[bytes, AccountCopy | None]
    """By the 32-byte keys that were asked for; None: no account there. A key that is not in it is not known yet."""


class Survey:
    """Chains that are asked about accounts. Any thread may use it."""

    def __init__(self, chains: Sequence[WatchedChain]) -> None:
        self._loop = LoopThread("chains")
        self._chains = [_Chain(chain) for chain in chains]

    def close(self) -> None:
        """Ask nobody any more."""
        self._loop.run(self._close())
        self._loop.close()

    async def _close(self) -> None:
        for chain in self._chains:
            await chain.close()

    def ask(self, keys: Sequence[bytes], seconds: float) -> list[ChainNews]:
        """What each chain knows of accounts, by their 32-byte keys; those that answer are waited for so long."""
        return self._loop.run(self._ask(keys, seconds))

    def ask_node(self, name: str, seconds: float, method: str, params: Sequence[Any]) -> Any:
        """One answer of a chain's node, within so many seconds. Raises `L1Error`s and `TimeoutError`."""
        return self._loop.run(self._ask_node(name, seconds, method, params))

    async def _ask_node(self, name: str, seconds: float, method: str, params: Sequence[Any]) -> Any:
        chain = next(chain for chain in self._chains if chain.name == name)
        async with asyncio.timeout(max(0.0, seconds)):
            return await chain.node.transport.ask(method, *params)

    async def _ask(self, keys: Sequence[bytes], seconds: float) -> list[ChainNews]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            rounds = [under_way for chain in self._chains if (under_way := chain.want(keys)) is not None]
            left = deadline - loop.time()
            if not rounds or left <= 0:
                return [chain.tell(keys) for chain in self._chains]
            await asyncio.wait(rounds, timeout=left)


class _Chain:
    """One of them. All methods belong to the loop."""

    def __init__(self, chain: WatchedChain) -> None:
        self._chain = chain
        self.name: Final = chain.name
        self._node: ChainNode | None = None
        self._status = ChainStatus("")
        self._plan: AccountsPlan | None = None
        self._failure = UNREAD
        self._seen, self._read_at = 0, float("-inf")
        self._copies: OrderedDict[bytes, tuple[AccountCopy | None, float]] = OrderedDict()
        self._wanted: dict[bytes, None] = {}
        self._round: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait([self._round])
        if self._node is not None:
            await self._node.close()

    def want(self, keys: Sequence[bytes]) -> asyncio.Task[None] | None:
        """Have the chain asked if that is due; the question that is under way, if it is worth waiting for."""
        oldest = asyncio.get_running_loop().time() - _FRESH_SECONDS
        is_fresh = self._read_at > oldest
        missing = [key for key in keys if key not in self._copies or self._copies[key][1] <= oldest]
        has_failed = self._failure not in ("", UNREAD)
        if self._round is None or self._round.done():
            if is_fresh and (has_failed or not missing):
                return None
            self._wanted = {}
            self._round = asyncio.create_task(self._run())
        room = _MAX_WANTED - len(self._wanted)
        self._wanted |= dict.fromkeys(missing[:room])
        return None if has_failed else self._round

    @property
    def node(self) -> ChainNode:
        """Made when it is first asked, by the loop that it belongs to."""
        if self._node is None:
            self._node = ChainNode(self._chain.options, None)
        return self._node

    def tell(self, keys: Sequence[bytes]) -> ChainNews:
        known = {key: self._copies[key][0] for key in keys if key in self._copies}
        return ChainNews(self.name, self._failure, self._seen, self._status, self._plan, known)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._read_at + _PAUSE_SECONDS - loop.time()))
        keys, self._wanted = list(self._wanted), {}
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await self._read(keys)
            self._failure, self._seen = "", int(time.time())
        except (TimeoutError, L1Unreachable, L1Throttled):
            self._failure = SILENT
        except (DecodeError, UsageError):
            self._failure = NO_BOOK
        except (MicrorollupError, OSError):
            self._failure = UNSOUND
        finally:
            self._read_at = loop.time()

    async def _read(self, keys: Sequence[bytes]) -> None:
        self._status, self._plan = await read_chain(self.node, self._chain.book)
        accounts = [self._plan.get_account(key) for key in keys]
        copies = await read_copies(self.node, accounts, self._status.number)
        now = asyncio.get_running_loop().time()
        for key, copy in zip(keys, copies, strict=True):
            self._copies[key] = (copy, now)
            self._copies.move_to_end(key)
        while len(self._copies) > _MAX_KEPT:
            self._copies.popitem(last=False)
