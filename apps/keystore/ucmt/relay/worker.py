"""One chain's worker: where its accounts stand, what comes next, whether it may be sent, and sending it.

Rounds repeat: read the head and the accounts that are not at their newest root; mark what is done, what was taken back
by a reorg, and what has diverged; choose updates in the log's order, each account's in its own; simulate; send.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.answers import L1Block
from microrollup.settlement.ethereum.errors import FeeTooHigh, TransactionRefused
from microrollup.settlement.ethereum.sender import SupersededError

from .chain import ChainNode, ChainStanding
from .errors import AnotherChain, CallReverts, OutOfBudget
from .store import ChainNote, ChainOutcome, RelayStore
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


class _Stand:
    """What is known of an account on the chain."""

    def __init__(self) -> None:
        self.position = 0
        """How many of its updates the chain has."""
        self.is_read = False
        self.fits = False
        """Whether the chain's root and nonces are those of the position."""
        self.tries = 0
        self.resumes = 0
        """The round from which on it is tried again."""


class ChainWorker:
    """Serves one chain, with one key; one round at a time."""

    def __init__(self, node: ChainNode, store: RelayStore, lines: UpdateLines, limits: ChainLimits) -> None:
        self._node = node
        self._store = store
        self._lines = lines
        self._limits = limits
        self._size = limits.batch
        self._stands: dict[Place, _Stand] = {}
        self._anchor: L1Block | None = None
        self.note = ChainNote(0, node.place)
        self.outcomes: dict[int, ChainOutcome] = {}
        self._has_refused = False
        self._generation = 0
        self._round = 0
        self.idle = False
        """Whether the last round found nothing that could be sent."""

    async def connect(self, taken: Iterable[int], *, forget_refusals: bool = False) -> None:
        """Ask for the chain's id, once. Raises `AnotherChain` for an id that another worker has, and `L1Error`s."""
        chain_id = await self._node.read_chain_id()
        self._generation = self._lines.generation
        if chain_id in taken or chain_id >= 1 << 64:
            raise AnotherChain(self._node.place, 0, chain_id)
        self._node.chain_id = chain_id
        self.note = replace(
            self._store.read_chain(chain_id) or ChainNote(chain_id, ""), place=self._node.place, error=""
        )
        self.outcomes = self._store.list_outcomes(chain_id)
        if forget_refusals:
            self._write({index: None for index, each in self.outcomes.items() if each.status == "refused"})
        await self._settle_costs()

    def forget_log(self) -> None:
        """The log has changed: everything is read again."""
        self._stands, self.outcomes = {}, {}

    async def run_round(self) -> None:
        """One round. Raises `L1Error`s, after which the next may go well, and `RelayError`s."""
        self.idle = self._has_refused = False
        self._generation = self._lines.generation
        self._round += 1
        found = await self._node.read_chain_id()
        if found != self.note.chain_id:
            raise AnotherChain(self._node.place, self.note.chain_id, found)
        head = await self._node.read_head()
        await self._notice_reorg(head)
        await self._read(self._list_open(), head.number)
        chosen = await self._vet(self._choose())
        chosen, gas = await self._simulate(chosen)
        if chosen:
            await self._send(chosen, gas)
        else:
            self.idle = not self._has_refused
        if self.note.error:
            self._write({}, error="")

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _notice_reorg(self, head: L1Block) -> None:
        """Read all accounts again if the newest block that was seen is no longer there."""
        anchor, self._anchor = self._anchor, head
        if anchor is None or anchor.hash == head.hash:
            return
        if await self._node.read_block_hash(anchor.number) != anchor.hash:
            _log.warning("relay_reorg", chain=self.note.chain_id, block=anchor.number)
            self._stands = {}
            self._write({}, reorgs=self.note.reorgs + 1)

    def _list_open(self) -> list[UpdateLine]:
        """Accounts that were not read yet, or that have updates which the chain does not have."""
        wanted = self._limits.accounts
        return [
            line
            for place, line in self._lines.by_place.items()
            if not wanted or place[1] in wanted
            if (stand := self._get_stand(place)).position < len(line.updates) or not stand.is_read
        ]

    def _get_stand(self, place: Place) -> _Stand:
        return self._stands.setdefault(place, _Stand())

    async def _read(self, lines: Sequence[UpdateLine], number: int) -> set[Place]:
        """Read accounts at a block, and note what has changed; which were read."""
        changes: dict[int, ChainOutcome | None] = {}
        read: set[Place] = set()
        standings = await self._node.read_standings(lines, number) if lines else []
        for line, standing in zip(lines, standings, strict=True):
            if standing is not None and len(standing.counts) != len(line.keys):
                continue  # the log has brought another key since
            self._place(line, standing, changes)
            read.add(line.place)
        if changes:
            self._write(changes)
        return read

    def _place(self, line: UpdateLine, standing: ChainStanding | None, changes: dict[int, ChainOutcome | None]) -> None:
        stand = self._get_stand(line.place)
        before, reason = stand.position, ""
        if standing is None:
            position = 0  # without a contract nothing has arrived; sending says why
        else:
            position = min(sum(standing.counts.values()), len(line.updates))
            expected = line.count(position)
            if standing.counts != expected or standing.root != line.get_root(position):
                position = _count_certain(line, standing, self.outcomes)
                reason = (
                    f"the chain has the root 0x{standing.root.hex()} and other nonces"
                    if standing.counts != expected
                    else f"the chain has the root 0x{standing.root.hex()}"
                )
        stand.position, stand.is_read, stand.fits = position, True, not reason
        if position != before:
            stand.tries = stand.resumes = 0
        now = time.time()
        for place, logged in enumerate(line.updates):
            old = self.outcomes.get(logged.index)
            if place < position:
                if old is None or old.status != "done":
                    changes[logged.index] = replace(old or ChainOutcome("done"), status="done", reason="", done=now)
            elif reason:
                if old is None or old.status != "diverged":
                    changes[logged.index] = ChainOutcome("diverged", reason)
                    _log.warning("relay_diverged", chain=self.note.chain_id, update=logged.index, reason=reason)
            elif old is not None and old.status in ("done", "diverged"):
                changes[logged.index] = None

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _choose(self) -> list[LoggedUpdate]:
        """The first updates in the log's order that fit, each account's in its own order, of one keystore."""
        waiting: list[LoggedUpdate] = []
        for line in self._list_open():
            stand = self._get_stand(line.place)
            if stand.fits and stand.resumes <= self._round:
                waiting += line.updates[stand.position : stand.position + self._size]
        waiting.sort(key=lambda logged: logged.index)
        return waiting

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
            old = self.outcomes.get(logged.index)
            if old is not None and old.status == "refused" and old.fingerprint == self._fingerprint(logged, codes):
                blocked.add(logged.place)
            if logged.place not in blocked and (not part or part[0].keystore == logged.keystore):
                part.append(logged)
        return part, []

    def _fingerprint(self, logged: LoggedUpdate, codes: dict[bytes, bytes]) -> bytes:
        """Of the code that judges an update, and of its place."""
        position = self._get_stand(logged.place).position
        hashes = [codes.get(each, b"") for each in _list_contracts(logged)]
        return keccak256(b"".join([logged.message, position.to_bytes(8, "big"), *hashes]))

    def _refuse(self, logged: LoggedUpdate, reason: str, codes: dict[bytes, bytes]) -> None:
        self._has_refused = True
        _log.warning("relay_refused", chain=self.note.chain_id, update=logged.index, reason=reason)
        self._write({logged.index: ChainOutcome("refused", reason, self._fingerprint(logged, codes))})

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
        stand = self._get_stand(logged.place)
        if reason in _OF_ORDER:
            stand.tries += 1
            stand.resumes = self._round + min(1 << stand.tries, _LONGEST_WAIT_ROUNDS)
            _log.warning("relay_out_of_order", chain=self.note.chain_id, update=logged.index, reason=reason)
        else:
            self._refuse(logged, reason, await self._node.hash_codes(_list_contracts(logged)))

    async def _send(self, chosen: Sequence[LoggedUpdate], gas: int) -> None:
        nonce, balance = await self._node.read_account()
        left = self._limits.budget - self.note.spent
        max_fee = min(self._node.options.max_fee_per_gas, left // gas)
        if max_fee <= 0:
            raise OutOfBudget(self._limits.budget, self.note.spent)
        now, before = time.time(), self.note
        sent = {logged.index: ChainOutcome("sent", sent=self._get_sent(logged, now)) for logged in chosen}
        if before.pending_nonce != nonce:
            self._write({}, pending_nonce=nonce, pending_balance=balance)
        self._write(dict(sent))
        _log.info("relay_sending", chain=self.note.chain_id, updates=len(chosen), gas=gas)
        try:
            receipt = await self._node.send(chosen, gas, max_fee)
        except SupersededError:  # an earlier transaction of ours, or of somebody else who has the key
            await self._settle_costs()
            return
        except (FeeTooHigh, TransactionRefused) as error:
            self._write(dict.fromkeys(sent), pending_nonce=before.pending_nonce, pending_balance=before.pending_balance)
            if isinstance(error, FeeTooHigh) and max_fee < self._node.options.max_fee_per_gas:
                raise OutOfBudget(self._limits.budget, self.note.spent) from None
            raise
        await self._settle_costs()
        if not receipt.succeeded:
            _log.warning("relay_reverted", chain=self.note.chain_id, updates=len(chosen))
            self._size = max(1, self._size // 2)
            self._write(dict.fromkeys(sent))
            return
        self._size = min(self._limits.batch, 2 * self._size)
        self._write({index: replace(each, transaction=receipt.transaction_hash) for index, each in sent.items()})
        if self._lines.generation != self._generation:
            return
        lines = list({logged.place: self._lines.by_place[logged.place] for logged in chosen}.values())
        read = await self._read(lines, receipt.number)
        for logged in chosen:
            if logged.place in read and self.outcomes.get(logged.index, ChainOutcome("sent")).status == "sent":
                codes = await self._node.hash_codes(_list_contracts(logged))
                self._refuse(logged, "included, and the root has not changed", codes)

    def _get_sent(self, logged: LoggedUpdate, now: float) -> float:
        """When it was sent first."""
        old = self.outcomes.get(logged.index)
        return old.sent if old is not None and old.sent else now

    async def _settle_costs(self) -> None:
        """Count what the transaction that was sent has cost, once its nonce is used: by the key's balance, so that
        whatever a chain charges is in it. Ether that the key gets meanwhile makes it less.
        """
        if self.note.pending_nonce < 0:
            return
        nonce, balance = await self._node.read_account()
        if nonce > self.note.pending_nonce:
            cost = max(0, self.note.pending_balance - balance)
            self._write({}, spent=self.note.spent + cost, pending_nonce=-1, pending_balance=0)

    def _write(self, changes: dict[int, ChainOutcome | None], **note: object) -> None:
        """On disk first, then here. Outcomes of a log that was forgotten during the round are nobody's."""
        if self._lines.generation != self._generation:
            changes = {}
        changed = replace(self.note, **note)
        self._store.write_chain(changed, changes)
        self.note = changed
        for index, outcome in changes.items():
            if outcome is None:
                self.outcomes.pop(index, None)
            else:
                self.outcomes[index] = outcome

    def fail(self, error: Exception) -> None:
        """Note why a round did not come to its end."""
        text = str(error)[:300]
        if self.note.chain_id and text != self.note.error:
            self._write({}, error=text)
        _log.warning("relay_chain_waits", chain=self.note.chain_id, place=self.note.place, reason=text)


def _count_certain(line: UpdateLine, standing: ChainStanding, outcomes: dict[int, ChainOutcome]) -> int:
    """Of an account that has diverged: how many of its first updates the chain is known to have taken."""
    count = 0
    for logged in line.updates:
        old = outcomes.get(logged.index)
        if old is None or old.status != "done" or logged.sequence >= standing.counts[logged.nonce_key]:
            break
        count += 1
    return count


def _list_contracts(logged: LoggedUpdate) -> list[bytes]:
    """The keystore and the verifiers of an update."""
    given = logged.update
    nodes = [given.node, given.next_node] if given.next_node else [given.node]
    return [logged.keystore, *[node[:20] for node in nodes]]
