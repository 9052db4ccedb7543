"""One chain's worker: where its accounts stand, what comes next, whether it may be sent, and sending it.

Rounds repeat: read the head and the accounts that are not at their newest root; mark what is done, what was taken back
by a reorg, and what has diverged; choose updates in the log's order, each account's in its own; simulate; send.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.answers import L1Block, L1Receipt
from microrollup.settlement.ethereum.errors import FeeTooHigh, TransactionRefused

from ...chains.errors import AnotherChain, CallReverts, OutOfBudget
from ...chains.purse import ChainPurse
from ...chains.store import ChainNote
from ...chains.watch import HeadWatch
from .book import ChainBook
from .chain import UpdateNode, encode_updates
from .store import ChainOutcome, RelayStore
from .updates import LoggedUpdate, Place, UpdateLine, UpdateLines

__all__ = ["ChainLimits", "ChainWorker"]

MAX_TRANSACTION_GAS: Final = 15_000_000
"""Below the 2^24 that a transaction may take (EIP-7825)."""

_OF_ORDER: Final = frozenset({"InvalidNonce", "InvalidProof"})
"""An update that reverts with these, though it should fit, is late, or the node's answers are of different blocks."""
_LONGEST_WAIT_ROUNDS: Final = 64

_log = structlog.get_logger(__name__)


class ChainLimits(msgspec.Struct, frozen=True):
    """What may be spent on a chain."""

    budget: int
    """Wei, for all transactions of the directory."""
    batch: int
    """Updates in a transaction."""
    accounts: frozenset[bytes] = frozenset()
    """Only these are served; all, if there are none."""


class ChainWorker:
    """Serves one chain, with one key; one round at a time."""

    def __init__(self, node: UpdateNode, book: ChainBook, lines: UpdateLines, limits: ChainLimits) -> None:
        self._node = node
        self._lines = lines
        self._limits = limits
        self._size = limits.batch
        self._has_refused = False
        self._round = 0
        self.book: Final = book
        self._watch = HeadWatch(node)
        self._purse = ChainPurse(node, limits.budget, book)
        self.idle = False
        """Whether the last round found nothing that could be sent, and nothing is left to be read."""

    @classmethod
    async def connect(cls, node: UpdateNode, store: RelayStore, lines: UpdateLines, limits: ChainLimits) -> ChainWorker:
        """A worker for the chain that a node is of. Raises `AnotherChain` and `L1Error`s."""
        chain_id = await node.read_chain_id()
        if chain_id >= 1 << 64:
            raise AnotherChain(node.place, chain_id, "an id above 64 bits")
        node.chain_id = chain_id
        note = replace(store.read_chain(chain_id) or ChainNote(chain_id, ""), place=node.place, error="")
        worker = cls(node, ChainBook(store, lines, note, limits.accounts), lines, limits)
        await worker._purse.settle()
        return worker

    def forget_refusals(self) -> None:
        """What was refused is tried again."""
        outcomes = self.book.outcomes.items()
        self.book.write({index: None for index, each in outcomes if each.status == "refused"})

    async def run_round(self) -> None:
        """One round. Raises `L1Error`s, after which the next may go well, and `RelayError`s."""
        self.idle = self._has_refused = False
        self.book.begin()
        self._round += 1
        head = await self._watch.read_head()
        await self._notice_reorg(head)
        await self._read(self.book.list_due(self._round, 2 * self._size), head.number)
        chosen = await self._vet(self._choose())
        chosen, gas = await self._simulate(chosen)
        if chosen:
            await self._send(chosen, gas)
        else:
            self.idle = not self._has_refused and not self.book.list_unread()
        if self._round == 1 or self.book.note.error:
            self.book.write({}, error="")

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _notice_reorg(self, head: L1Block) -> None:
        """Read all accounts again if the newest block that was seen is no longer there."""
        if await self._watch.notice_reorg(head):
            self.book.forget_stands()
            self.book.write({}, reorgs=self.book.note.reorgs + 1)

    async def _read(self, lines: Sequence[UpdateLine], number: int) -> None:
        """Read accounts at a block, and note what has changed."""
        hints = [self.book.get_stand(line.place).position for line in lines]
        self.book.take(lines, await self._node.read_standings(lines, hints, number) if lines else [])

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _choose(self) -> list[LoggedUpdate]:
        """The first updates in the log's order that fit, each account's in its own order, of one keystore."""
        waiting: list[LoggedUpdate] = []
        for line in self.book.list_open():
            stand = self.book.get_stand(line.place)
            if stand.fits and stand.resumes <= self._round:
                waiting += line.updates[stand.position : stand.position + self._size]
        waiting.sort(key=lambda logged: logged.index)
        if waiting and self.book.get_stand(waiting[0].place).is_alone:
            return [logged for logged in waiting if logged.place == waiting[0].place]
        return [logged for logged in waiting if not self.book.get_stand(logged.place).is_alone]

    async def _vet(self, waiting: Sequence[LoggedUpdate]) -> list[LoggedUpdate]:
        """Those that the chain's verifiers take. Others are refused, and nothing of their accounts follows."""
        if not waiting:
            return []
        addresses = sorted({address for logged in waiting for address in _list_contracts(logged)})
        codes = await self._node.hash_codes(addresses)
        chosen: list[LoggedUpdate] = []
        blocked: set[Place] = set()
        while waiting and len(chosen) < self._size:
            part, waiting = self._take(waiting, codes, blocked, self._size - len(chosen))
            if chosen:
                part = [logged for logged in part if logged.keystore == chosen[0].keystore]
            for logged, said in zip(part, await self._node.check_signatures(part) if part else [], strict=True):
                if logged.place in blocked:
                    continue
                if said:
                    self._refuse(logged, said, codes)
                    blocked.add(logged.place)
                else:
                    chosen.append(logged)
        return chosen

    def _take(
        self, waiting: Sequence[LoggedUpdate], codes: dict[bytes, bytes], blocked: set[Place], count: int
    ) -> tuple[list[LoggedUpdate], list[LoggedUpdate]]:
        """The next ones that were not refused under the present code and order, and the rest."""
        part: list[LoggedUpdate] = []
        for number, logged in enumerate(waiting):
            if len(part) == count:
                return part, list(waiting[number:])
            old = self.book.outcomes.get(logged.index)
            if old is not None and old.status == "refused":
                is_blocked = old.fingerprint == self._fingerprint(logged, codes)
                self.book.get_stand(logged.place).is_blocked = is_blocked
                if is_blocked:
                    blocked.add(logged.place)
            if logged.place not in blocked and (not part or part[0].keystore == logged.keystore):
                part.append(logged)
        return part, []

    def _fingerprint(self, logged: LoggedUpdate, codes: dict[bytes, bytes]) -> bytes:
        """Of the code that judges an update, and of its place."""
        position = self.book.get_stand(logged.place).position
        hashes = [codes.get(each, b"") for each in _list_contracts(logged)]
        return keccak256(b"".join([logged.message, position.to_bytes(8, "big"), *hashes]))

    def _refuse(self, logged: LoggedUpdate, reason: str, codes: dict[bytes, bytes]) -> None:
        self._has_refused = self.book.get_stand(logged.place).is_blocked = True
        _log.warning("relay_refused", chain=self.book.note.chain_id, update=logged.index, reason=reason)
        self.book.write({logged.index: ChainOutcome("refused", reason, self._fingerprint(logged, codes))})

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _simulate(self, chosen: Sequence[LoggedUpdate]) -> tuple[list[LoggedUpdate], int]:
        """What goes through together, and its gas. What reverts alone is refused, or tried again if it may be late."""
        if not chosen:
            return [], 0
        try:
            gas = await self._node.estimate(chosen)
        except CallReverts as error:
            if len(chosen) == 1:
                await self._note_revert(chosen[0], error.reason)
                return [], 0
        else:
            if gas <= MAX_TRANSACTION_GAS or len(chosen) == 1:
                return list(chosen), gas
            return await self._simulate(chosen[: len(chosen) // 2])
        firsts = list({logged.place: logged for logged in reversed(chosen)}.values())[::-1]
        if len(firsts) < len(chosen):
            return await self._simulate(firsts)
        half = len(chosen) // 2
        good = [*(await self._simulate(chosen[:half]))[0], *(await self._simulate(chosen[half:]))[0]]
        if not good:
            return [], 0
        try:
            return good, await self._node.estimate(good)
        except CallReverts:  # something has changed meanwhile: the next round reads it
            return [], 0

    async def _note_revert(self, logged: LoggedUpdate, reason: str) -> None:
        stand = self.book.get_stand(logged.place)
        if reason in _OF_ORDER:
            stand.tries += 1
            stand.resumes = self._round + min(1 << stand.tries, _LONGEST_WAIT_ROUNDS)
            _log.warning("relay_out_of_order", chain=self.book.note.chain_id, update=logged.index, reason=reason)
        else:
            self._refuse(logged, reason, await self._node.hash_codes(_list_contracts(logged)))

    async def _send(self, chosen: Sequence[LoggedUpdate], gas: int) -> None:
        max_fee = await self._purse.open(gas)
        now = time.time()
        sent = {logged.index: ChainOutcome("sent", sent=self._get_sent(logged, now)) for logged in chosen}
        self.book.write(dict(sent))
        _log.info("relay_sending", chain=self.book.note.chain_id, updates=len(chosen), gas=gas)
        try:
            receipt = await self._purse.send(chosen[0].keystore, encode_updates(chosen), gas, max_fee)
        except (FeeTooHigh, TransactionRefused, OutOfBudget):
            self.book.write(dict.fromkeys(sent))
            raise
        if receipt is None:
            return
        if receipt.succeeded:
            self._size = min(self._limits.batch, 2 * self._size)
            digest = receipt.transaction_hash
            self.book.write({index: replace(each, transaction=digest) for index, each in sent.items()})
        else:
            _log.warning("relay_reverted", chain=self.book.note.chain_id, updates=len(chosen))
            self._size = max(1, self._size // 2)
            self.book.write(dict.fromkeys(sent))
        await self._look_again(chosen, receipt)

    async def _look_again(self, chosen: Sequence[LoggedUpdate], receipt: L1Receipt) -> None:
        """After a transaction: what has become of its updates. Whose update was overtaken goes alone from now on, since
        he may do it again to make those fail that go with it.
        """
        head = await self._node.read_head()
        await self._notice_reorg(head)
        if head.number < receipt.number or not self.book.is_current:
            return  # the next round will know
        lines = list({logged.place: self._lines.by_place[logged.place] for logged in chosen}.values())
        before = {line.place: self.book.get_stand(line.place).position for line in lines}
        await self._read(lines, head.number)
        if not receipt.succeeded:
            for place, position in before.items():
                stand = self.book.get_stand(place)
                stand.is_alone = stand.is_alone or stand.position > position
            return
        left = [logged for logged in chosen if self._has_status(logged, "sent")]
        if left and await self._node.has_succeeded(receipt.transaction_hash):
            codes = await self._node.hash_codes(sorted({each for logged in left for each in _list_contracts(logged)}))
            for logged in left:
                self._refuse(logged, "included, and the root has not changed", codes)

    def _has_status(self, logged: LoggedUpdate, status: str) -> bool:
        outcome = self.book.outcomes.get(logged.index)
        return outcome is not None and outcome.status == status

    def _get_sent(self, logged: LoggedUpdate, now: float) -> float:
        """When it was sent first."""
        old = self.book.outcomes.get(logged.index)
        return old.sent if old is not None and old.sent else now


def _list_contracts(logged: LoggedUpdate) -> list[bytes]:
    """The keystore and the verifiers of an update."""
    given = logged.update
    nodes = [given.node, given.next_node] if given.next_node else [given.node]
    return [logged.keystore, *[node[:20] for node in nodes]]
