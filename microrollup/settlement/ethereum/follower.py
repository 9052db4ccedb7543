"""Following L1: what is new since the last look, whether it continues what was known, and what a reorg took back.

A node's word is taken only where it fits: new blocks link to known ones by hash, events lie in those blocks and follow
from the ones before, and the contract's own counters must agree with the events at the very block. What does not fit is
refused whole (`L1BadAnswer`) and the view stays as it was.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog

from microrollup.settlement.ethereum.answers import L1Block, L1Log, parse_block, parse_bytes, parse_logs
from microrollup.settlement.ethereum.chain import BlockWindow, HashRule, verify_links
from microrollup.settlement.ethereum.contract import decode_result, encode_call
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Denied, L1Refused, L1Unreachable, NoInbox
from microrollup.settlement.ethereum.index import EventIndex
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.pace import AdaptiveSize
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.verifiers import MAX_VERIFIERS, VerifierRule, VerifierSet, compute_set_id

__all__ = ["Follower"]

_WINDOW_MARGIN: Final = 52
"""So many blocks more than the depth are kept with their hashes: a reorg that goes deeper reads everything again."""

_TRIES: Final = 4
"""A chain that moves while it is read is read again."""

_TIME_SPAN: Final = 128
"""Origins ascend, so a reader of one time asks for the next ones soon."""

_COUNTERS: Final = {
    "settled": ("(uint256,bytes32,bytes32,uint256,uint256,uint256,uint256,uint256)",),
    "queueLength": ("uint256",),
    "owner": ("address",),
    "builder": ("address",),
    "verifiers": ("(uint8,address[],uint256,(uint8,address,uint256)[])",),
    "codeAt": ("bytes32",),
}
"""Views of the contract, and what they return."""

_RANGES_BETWEEN_SIZES: Final = 8
"""So many ranges are read before a larger one is tried again."""

_MAX_COUNTER_BYTES: Final = 32 * (32 + MAX_VERIFIERS)
_WALK: Final = 16

_log = structlog.get_logger(__name__)


class Counters(NamedTuple):
    """What the contract says of itself, against which the events are held: a node may leave some of them out."""

    settled: bytes
    """Hash of the last settled block."""
    queue_length: int
    owner: bytes
    builder: bytes
    verifiers: bytes
    """The set's identity."""
    stf_id: bytes
    """The code for blocks with this origin."""


class Follower:
    """The view of one inbox on one L1. `sync` belongs to the event loop; `lock` guards `window` and `index`."""

    def __init__(self, transport: L1Transport, options: EthereumOptions, chain_id: int) -> None:
        self._transport = transport
        self._options = options
        self._chain_id = chain_id
        self._size = options.depth + _WINDOW_MARGIN
        self.lock = threading.RLock()
        self.window = BlockWindow(self._size)
        self._hashes = HashRule()
        self.index = EventIndex(options.inbox, chain_id)
        self.number = 0
        """The current block number as it was told, which never goes back."""
        self.replaced: list[int] = []
        """First numbers of what reorgs replaced, until they are asked for."""
        self._seen_at = time.monotonic()
        """When the newest block was seen first."""
        self._created: int | None = None
        self._doubtful = False
        """Events that were taken in are not all that there were: they are read again from the first one on."""
        self._takes_hashes = True
        self._range = AdaptiveSize(options.log_range, every=_RANGES_BETWEEN_SIZES)
        self._complaint = ""
        self._one_at_a_time = asyncio.Lock()

    async def sync(self) -> L1Block:
        """Take in what is new; gives the head. Raises `L1Unreachable`, `L1BadAnswer`, `L1Refused`, `NoInbox`."""
        async with self._one_at_a_time:
            for _ in range(_TRIES - 1):
                try:
                    return await self._sync_once()
                except L1BadAnswer as error:
                    _log.debug("l1_read_again", reason=str(error))
            return await self._sync_once()

    async def _sync_once(self) -> L1Block:
        latest = parse_block(await self._transport.ask("eth_getBlockByNumber", "latest", False))
        known = self.window.find_head()
        if known is not None and self._is_known(latest, known):
            if latest.hash != known.hash:
                await self._transport.confirm_chain(self._chain_id)
            return known
        if self._created is None:
            self._created = await self._read_created(latest)
        blocks, ancestor = await self._read_blocks(latest, known)
        self._hashes.check(blocks)
        if known is not None and ancestor < known.number:
            await self._transport.confirm_chain(self._chain_id)
        await self._confirm_origin(blocks)
        if known is not None and ancestor < known.number:
            await self._confirm_reorg(blocks, known, ancestor)
            if ancestor < self._created:
                self._created = await self._read_created(latest)
        if self._doubtful:
            _log.warning("l1_events_read_again", first=self._created)
        first = max(self._find_base(ancestor) + 1, self._created)
        logs = await self._read_logs(first, latest.number)
        _verify_log_blocks(logs, {block.number: block for block in blocks})
        counters = await self._read_counters(latest)
        self._take(blocks, known, ancestor, logs, counters)
        self._complaint = ""
        return latest

    def _is_known(self, latest: L1Block, known: L1Block) -> bool:
        """Nothing is new: the same head, or an older one of the same chain, by a node that lags (or lies).

        A head below all that is remembered is a lag: no reorg leads to a chain that is so much shorter.
        """
        if latest.hash == known.hash:
            return True
        same = self.window.get_block(latest.number)
        if latest.number >= self.window.lowest and (same is None or same.hash != latest.hash):
            return False
        self._complain("l1_head_went_back", known=known.number, told=latest.number)
        return True

    def _complain(self, event: str, **values: int) -> None:
        """Once per episode, not once a second."""
        if self._complaint != event:
            self._complaint = event
            _log.warning(event, **values)

    async def _read_created(self, latest: L1Block) -> int:
        place = f"0x{self._options.inbox.hex()}"
        requests: list[tuple[str, list[Any]]] = [
            ("eth_getCode", [place, hex(latest.number)]),
            ("eth_call", [{"to": place, "data": f"0x{encode_call('createdAt').hex()}"}, hex(latest.number)]),
        ]
        try:
            code, answer = await self._transport.ask_many(requests)
        except L1Refused as error:
            if error.data is None:  # not the contract's word but the node's
                raise
            raise NoInbox(self._options.inbox, str(error)) from None
        if code == "0x":
            raise NoInbox(self._options.inbox, "there is no contract")
        try:
            (created,) = decode_result("createdAt", ["uint256"], parse_bytes("createdAt", answer, 32))
        except L1BadAnswer as error:
            raise NoInbox(self._options.inbox, error.reason) from None
        if not 0 < created <= latest.number:
            raise NoInbox(self._options.inbox, f"it says that it was created in block {created}")
        return int(created)

    # Blocks.

    async def _read_blocks(self, latest: L1Block, known: L1Block | None) -> tuple[list[L1Block], int]:
        """New blocks up to the latest, linked, and the number of the newest known block that they leave in place.

        That is -1 if none is left in the window. After a long absence only the window's worth of new blocks is read.
        """
        lowest = max(0, latest.number - self._size + 1)
        if known is None or lowest > known.number + 1:
            blocks = await self._read_range(lowest, latest)
            if known is None:
                return blocks, -1
            return blocks, await self._find_ancestor(known)
        first = min(known.number + 1, latest.number)
        blocks = await self._read_range(first, latest)
        while blocks[0].number > 0:
            parent = self.window.get_block(blocks[0].number - 1)
            if parent is not None and parent.hash == blocks[0].parent_hash:
                verify_links([parent, *blocks])
                return blocks, parent.number
            if blocks[0].number <= max(self.window.lowest, lowest):
                break
            start = max(self.window.lowest, blocks[0].number - _WALK, 0)
            blocks = [*await self._read_numbers(range(start, blocks[0].number)), *blocks]
            verify_links(blocks)
            blocks = self._drop_known(blocks)
        return blocks, -1

    def _drop_known(self, blocks: list[L1Block]) -> list[L1Block]:
        """The blocks without those at the beginning that are in the window already."""
        for at, block in enumerate(blocks):
            same = self.window.get_block(block.number)
            if same is None or same.hash != block.hash:
                return blocks[at:]
        return blocks[-1:]

    async def _find_ancestor(self, known: L1Block) -> int:
        """The newest block of the window that is still in L1's chain, asked for by number."""
        for number in range(known.number, self.window.lowest - 1, -1):
            answer = await self._transport.ask("eth_getBlockByNumber", hex(number), False)
            mine = self.window.get_block(number)
            if answer is not None and mine is not None and parse_block(answer, number).hash == mine.hash:
                return number
        return -1

    async def _read_range(self, first: int, latest: L1Block) -> list[L1Block]:
        """Blocks `first ..= latest`, linked."""
        blocks = [*await self._read_numbers(range(first, latest.number)), latest]
        verify_links(blocks)
        return blocks

    async def _read_numbers(self, numbers: range) -> list[L1Block]:
        answers = await self._transport.ask_many([("eth_getBlockByNumber", [hex(n), False]) for n in numbers])
        return [parse_block(answer, number) for number, answer in zip(numbers, answers, strict=True)]

    async def _confirm_reorg(self, blocks: list[L1Block], known: L1Block, ancestor: int) -> None:
        """A node behind a balancer may speak of another chain for a moment; the head must be there when asked again."""
        newest = blocks[-1]
        again = parse_block(await self._transport.ask("eth_getBlockByNumber", hex(newest.number), False), newest.number)
        if again.hash != newest.hash:
            raise L1BadAnswer("blocks", f"block {newest.number} changes from one answer to the next")
        deep = known.number - ancestor > self._options.depth
        say = _log.error if deep else _log.warning
        say("l1_reorg", first=ancestor + 1, replaced=known.number - ancestor, deeper_than_buffer=deep)

    async def _confirm_origin(self, blocks: list[L1Block]) -> None:
        """What the next block may be built on is the same at all nodes that are asked."""
        number = blocks[-1].number - self._options.depth
        fresh = {block.number: block for block in blocks}
        origin = fresh.get(number) or self.window.get_block(number)
        if origin is not None:
            await self._transport.confirm_block(number, origin.hash)

    # Events.

    async def _read_logs(self, first: int, last: int) -> list[L1Log]:
        logs: list[L1Log] = []
        while first <= last:
            end = min(first + self._range.size - 1, last)
            asked = {"address": f"0x{self._options.inbox.hex()}", "fromBlock": hex(first), "toBlock": hex(end)}
            try:
                answer = await self._transport.ask("eth_getLogs", asked)
            except (L1Refused, L1BadAnswer, L1Unreachable) as error:
                if end == first or (isinstance(error, L1Unreachable) and not error.connected):
                    raise
                self._range.shrink(end - first + 1)  # nodes limit ranges and answers, each in words of its own
                _log.info("l1_smaller_range", blocks=self._range.size, reason=str(error))
                continue
            logs += parse_logs(answer, self._options.inbox, first, end)
            self._range.note(end - first + 1)
            first = end + 1
        return logs

    async def _read_counters(self, latest: L1Block) -> Counters:
        """What the contract itself says at this very block."""
        place = f"0x{self._options.inbox.hex()}"
        arguments = {"codeAt": (latest.number,)}
        data = [encode_call(name, *arguments.get(name, ())) for name in _COUNTERS]
        calls = [{"to": place, "data": f"0x{each.hex()}"} for each in data]
        answers = await self._call_at(latest, calls)
        head, count, owner, builder, verifiers, stf_id = [
            value
            for (name, types), answer in zip(_COUNTERS.items(), answers, strict=True)
            for value in decode_result(name, types, parse_bytes(name, answer, _MAX_COUNTER_BYTES))
        ]
        parties = bytes.fromhex(owner[2:]), bytes.fromhex(builder[2:]), compute_set_id(_read_set(verifiers))
        return Counters(head[1], count, *parties, stf_id)

    async def _call_at(self, block: L1Block, calls: list[dict[str, str]]) -> list[Any]:
        """What calls return in a block, named by its hash (EIP-1898).

        Where a node takes only numbers the block is looked at once more afterwards: it must have that hash still.
        """
        if self._takes_hashes:
            where = {"blockHash": f"0x{block.hash.hex()}"}
            with suppress(L1Refused):
                return await self._transport.ask_many([("eth_call", [call, where]) for call in calls])
        number = hex(block.number)
        look: tuple[str, list[Any]] = ("eth_getBlockByNumber", [number, False])
        try:
            *answers, again = await self._transport.ask_many(
                [*[("eth_call", [call, number]) for call in calls], look],
            )
        except L1Denied:
            raise
        except L1Refused as error:  # the block was replaced, or its state is gone already
            raise L1BadAnswer("eth_call", error.message) from None
        if parse_block(again, block.number).hash != block.hash:
            raise L1BadAnswer("blocks", f"block {block.number} changes from one answer to the next")
        if self._takes_hashes:
            _log.info("l1_called_by_number", number=block.number)
        self._takes_hashes = False
        return answers

    def _find_base(self, ancestor: int) -> int:
        """The block whose events, and all before, need not be read again."""
        return -1 if self._doubtful else ancestor

    def _take(
        self,
        blocks: list[L1Block],
        known: L1Block | None,
        ancestor: int,
        logs: list[L1Log],
        counters: Counters,
    ) -> None:
        """Everything at once, or nothing."""
        number = blocks[-1].number
        with self.lock:
            base = self._find_base(ancestor)
            is_same = known is not None and base == known.number and not logs
            fresh = self.index if is_same else self.index.fork(base)
            try:
                for log in logs:
                    fresh.apply(log)
            except L1BadAnswer:  # an event that fits none of the known may follow from one that was left out before
                self._doubtful = known is not None and not self._doubtful
                raise
            found = _count(fresh, number) if fresh.has_genesis() else None
            if found != counters:
                # An announcement counts long after its event, so it may be one of the old events that is missing.
                same = found is not None and (found.settled, found.queue_length) == counters[:2]
                self._doubtful = known is not None and same and not self._doubtful
                raise L1BadAnswer("logs", f"events are missing: the contract itself differs in block {number}")
            self.index, self._doubtful = fresh, False
            self.window.rewind(ancestor)
            self.window.extend(blocks)
            self._hashes.note(blocks)
            self.number = max(self.number, number + 1)
            self._seen_at = time.monotonic()
            if known is not None and ancestor < known.number:
                self.replaced.append(ancestor + 1)

    # Times.

    def get_head_age(self) -> float:
        """Seconds since the newest known block was made, by its time or since it was seen, whichever is longer."""
        with self.lock:
            head, seen_at = self.window.get_head(), self._seen_at
        return max(0.0, time.time() - head.time, time.monotonic() - seen_at)

    async def read_time(self, number: int) -> int:
        """The time of a block that is not in memory; its neighbours above come along."""
        last = min(number + _TIME_SPAN - 1, self.window.get_head().number)
        blocks = await self._read_numbers(range(number, last + 1))
        verify_links(blocks)
        self._hashes.check(blocks)
        lowest = self.window.get_block(self.window.lowest)
        if lowest is not None and last < lowest.number and blocks[-1].time >= lowest.time:
            raise L1BadAnswer("blocks", f"block {last} is not older than block {self.window.lowest}")
        with self.lock:
            self.window.note_times(blocks)
        return blocks[0].time


def _count(index: EventIndex, number: int) -> Counters:
    """The same by the events up to this block."""
    return Counters(
        index.get_head().block_hash,
        index.get_queue_length(),
        index.get_owner(number),
        index.get_builder(number),
        compute_set_id(index.get_verifiers(number)),
        index.get_stf_id(number),
    )


def _read_set(words: tuple[int, Sequence[str], int, Sequence[tuple[int, str, int]]]) -> VerifierSet:
    """A set as the contract returns it, without the keys of its pages."""
    kind, members, quorum, rules = words
    return VerifierSet(
        tuple([bytes.fromhex(member[2:]) for member in members]),
        quorum,
        kind,
        tuple([VerifierRule(kind, bytes.fromhex(verifier[2:]), weight) for kind, verifier, weight in rules]),
    )


def _verify_log_blocks(logs: list[L1Log], blocks: dict[int, L1Block]) -> None:
    for log in logs:
        block = blocks.get(log.number)
        if block is not None and block.hash != log.block_hash:
            raise L1BadAnswer("logs", f"an event of another block {log.number} than the one in L1's chain")
