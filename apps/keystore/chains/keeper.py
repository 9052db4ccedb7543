"""One chain's keeper: brings the keystore's newest root, and pushes it to accounts, within a budget.

Where everything stands is asked of the chain in every round; only what was spent is kept. So a kill, a reorg and
whatever others bring meanwhile change nothing but what the next round finds to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from microrollup.errors import UsageError
from microrollup.settlement.ethereum.answers import L1Block

from ..root_calls import LatestRoot, encode_prove_root, encode_read_inbox, encode_record_block_hash
from ..smart_account import encode_push_root
from .book import AddressBook
from .errors import CallReverts, WrongCode
from .l1_roots import InboxHead, L1Prover, RootPath, find_root_path, read_inbox, read_known_l1
from .node import ChainNode, make_call
from .purse import ChainPurse
from .pushing import MAX_PUSHES, encode_pushes
from .standing import AccountCopy, read_copies, read_latest
from .store import ChainNote, ChainStore
from .watch import HeadWatch

__all__ = ["ChainCounts", "ChainKeeper", "KeeperPolicy"]

_AT_ONCE: Final = 200
"""Accounts that are read with one question."""
_LONGEST_WAIT_ROUNDS: Final = 64

_log = structlog.get_logger(__name__)


class KeeperPolicy(msgspec.Struct, frozen=True):
    """What is kept fresh, how often, and for how much."""

    budget: int
    """Wei a chain, for all transactions of the directory."""
    names: tuple[bytes, ...] = ()
    """Accounts (20 bytes) and keys (32) whose copies are renewed; each on every chain where it is deployed."""
    root_seconds: int = 300
    """The least time between two roots of a chain, by L1's time of showing."""
    push_seconds: int = 900
    """The same of an account: four replaced roots serve for 15 minutes each, and no fifth is taken meanwhile."""
    refresh_seconds: int = 3 * 86_400
    """A root that has not changed is shown and pushed again after so long: accounts believe one for 7 days."""
    batch: int = 50
    """Accounts in a transaction."""

    def is_due(self, is_same: bool, since: int, least: int) -> bool:
        """Whether something is to be renewed that was shown `since` seconds before what there is now."""
        return since >= (self.refresh_seconds if is_same else least)


class ChainCounts(msgspec.Struct):
    """What a keeper has seen and done on a chain since it started."""

    roots: int = 0
    pushes: int = 0
    """Accounts that had a newer copy after a transaction of ours."""
    due: int = 0
    """Accounts that were to be renewed when the last round looked."""
    held: int = 0
    """Of them, those whose push reverts now."""
    deployed: int = 0
    height: int = 0
    shown_age: int = 0
    """Seconds, by the chain's time, since L1 was last shown to hold the newest root."""
    path: RootPath = "none"
    """How roots come here: from the inbox, by a proof, or by nothing that this process does."""
    is_up: bool = False
    """Whether the last round that ended came to its end."""


class ChainKeeper:
    """Serves one chain with one key."""

    def __init__(
        self, node: ChainNode, book: AddressBook, policy: KeeperPolicy, l1: L1Prover | None, store: ChainStore
    ) -> None:
        self._node = node
        self._policy = policy
        self.budget: Final = policy.budget
        self._l1 = l1
        self._store = store
        self._plan = book.make_plan()
        self._book = book
        self._accounts = list(dict.fromkeys([self._plan.get_account(name) for name in policy.names]))
        self._foreign = [name for name in self._accounts if name in set(policy.names)]
        """Addresses that are not made of a key: whatever is there says what it likes, so its code is looked at."""
        self._path: RootPath = "none"
        self._watch = HeadWatch(node)
        self._round = 0
        self._resumes: dict[bytes, tuple[int, int]] = {}
        """Account -> tries in vain, and the round from which on it is tried again."""
        self._pushed: dict[bytes, int] = {}
        """Account -> the chain's time of our last push: an account that tells another copy each time costs no more."""
        known = store.read_chain(node.chain_id) or ChainNote(node.chain_id, "")
        self.note = replace(known, place=node.place, error="")
        self._purse = ChainPurse(node, policy.budget, self)
        self.counts: Final = ChainCounts()
        self.idle = False

    def change_note(self, **changes: object) -> None:
        """What is known of the chain, on disk first."""
        changed = replace(self.note, **changes)
        self._store.write_note(changed)
        self.note = changed

    async def check_code(self) -> None:
        """Raises `WrongCode` unless the roots' contract and the factory have the code that the address book says."""
        for name in ("KeystoreRoots", "KeystoreAccountFactory"):
            entry = self._book.contracts[name]
            (found,) = (await self._node.hash_codes([bytes.fromhex(entry.address[2:])])).values()
            if f"0x{found.hex()}" != entry.code_hash:
                said = f"0x{found.hex()}" if found else ""
                raise WrongCode(self._node.chain_id, name, entry.address, said, entry.code_hash)

    async def run_round(self) -> None:
        """One round. Raises `L1Error`s, after which the next may go well, and `RelayError`s."""
        self.idle = False
        self._round += 1
        head = await self._watch.read_head()
        if await self._watch.notice_reorg(head):
            self._resumes, self._pushed = {}, {}
            self.change_note(reorgs=self.note.reorgs + 1)
        if self._round == 1 or self.note.error:
            await self.check_code()
        await self._purse.settle()
        self._path = self.counts.path = await find_root_path(self._node, self._plan.inbox)
        latest = await read_latest(self._node, self._plan.roots, head.number)
        found = await self._read_inbox(head)
        brought = found is not None and self._is_root_due(latest, found) and await self._bring(head)
        if brought:
            head = await self._node.read_head()
            latest = await read_latest(self._node, self._plan.roots, head.number)
        self.counts.height, self.counts.shown_age = latest.height, max(0, head.time - latest.shown_at)
        pushed = bool(any(latest.root)) and await self._push_due(latest, head)
        self.idle, self.counts.is_up = not brought and not pushed, True
        if self._round == 1 or self.note.error:
            self.change_note(error="")

    # --- roots -------------------------------------------------------------------------------------------------------

    async def _read_inbox(self, head: L1Block) -> InboxHead | None:
        """What the inbox holds as far as this chain can know; None where only a bridge brings roots."""
        if self._path == "inbox":
            return await read_inbox(self._node.transport, self._plan.inbox, head)
        if self._path == "none":
            return None
        return await self._get_l1().read_inbox(self._plan.inbox, *await read_known_l1(self._node, head.number))

    def _get_l1(self) -> L1Prover:
        if self._l1 is None:
            raise UsageError(f"chain {self._node.chain_id} takes storage proofs: give L1's node with --l1")
        return self._l1

    def _is_root_due(self, latest: LatestRoot, found: InboxHead) -> bool:
        if not any(found.root) or found.height < latest.height or found.time <= latest.shown_at:
            return False
        return self._policy.is_due(found.root == latest.root, found.time - latest.shown_at, self._policy.root_seconds)

    async def _bring(self, head: L1Block) -> bool:
        """Whether the chain has taken a root."""
        if self._path == "inbox":
            if not await self._send(self._plan.roots, encode_read_inbox(), "root"):
                return False
        elif not await self._prove(head):
            return False
        self.counts.roots += 1
        return True

    async def _prove(self, head: L1Block) -> bool:
        """Whether the chain has taken a storage proof.

        A chain knows an L1 block for some seconds only, so its hash is kept first. That is paid for only if a proof
        against it is taken now: else whatever is wrong would cost something in each round.
        """
        l1, roots = self._get_l1(), self._plan.roots
        known = await read_known_l1(self._node, head.number)
        data = encode_prove_root(await l1.prove(self._plan.inbox, *known))
        reasons: dict[int, str] = {}
        (answer,) = await self._node.ask_calls([make_call(roots, data, head.number)], reasons)
        if answer is None:
            raise CallReverts(f"the chain takes no proof of L1 block {known[0]}: {reasons[0]}")
        number = await self._send(roots, encode_record_block_hash(), "block_hash")
        if not number:
            return False
        recorded = await read_known_l1(self._node, number)
        if recorded != known:
            data = encode_prove_root(await l1.prove(self._plan.inbox, *recorded))
        return bool(await self._send(roots, data, "root"))

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def _push_due(self, latest: LatestRoot, head: L1Block) -> bool:
        """Whether a transaction with pushes was included."""
        copies = await self._read_copies(head.number)
        self.counts.deployed = len(copies)
        due = [account for account, copy in copies.items() if self._is_push_due(account, copy, latest, head.time)]
        ready = [account for account in due if self._resumes.get(account, (0, 0))[1] <= self._round]
        chosen = await self._vet(ready[: min(self._policy.batch, MAX_PUSHES)])
        self.counts.due, self.counts.held = len(due), len(due) - len(ready)
        if not chosen:
            return len(ready) > self._policy.batch
        number = await self._send(None, encode_pushes(chosen), "push")
        if not number:
            return False
        after = await self._read_copies(number, chosen)
        for account in chosen:
            self._pushed[account] = head.time
            if account in after and after[account] != copies[account]:
                self._resumes.pop(account, None)
                self.counts.pushes += 1
                self.counts.due -= 1
            else:
                self._hold(account)
        return True

    def _is_push_due(self, account: bytes, copy: AccountCopy, latest: LatestRoot, time: int) -> bool:
        if account in self._pushed and time < self._pushed[account] + self._policy.push_seconds:
            return False
        if latest.height < copy.height or latest.shown_at <= copy.shown_at:
            return latest.root != copy.root and latest.height > copy.height
        return self._policy.is_due(copy.root == latest.root, latest.shown_at - copy.shown_at, self._policy.push_seconds)

    async def _read_copies(self, number: int, accounts: Sequence[bytes] = ()) -> dict[bytes, AccountCopy]:
        """Of those accounts that are deployed, and are the keystore's."""
        others = await self._find_others()
        wanted = [account for account in accounts or self._accounts if account not in others]
        copies: dict[bytes, AccountCopy] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            found = await read_copies(self._node, part, number)
            copies |= {account: copy for account, copy in zip(part, found, strict=True) if copy is not None}
        return copies

    async def _find_others(self) -> set[bytes]:
        """Addresses that have other code than accounts of the keystore now; an EOA's changes with each transaction."""
        others: set[bytes] = set()
        for start in range(0, len(self._foreign), _AT_ONCE):
            part = self._foreign[start : start + _AT_ONCE]
            codes = await self._node.read_codes(part)
            others |= {name for name, code in zip(part, codes, strict=True) if not self._plan.is_account(code)}
        return others

    async def _vet(self, accounts: Sequence[bytes]) -> list[bytes]:
        """Those whose push goes through now; the others are held back for some rounds."""
        reasons: dict[int, str] = {}
        calls = [make_call(account, encode_push_root(), None) for account in accounts]
        answers = await self._node.ask_calls(calls, reasons) if calls else []
        for account, answer in zip(accounts, answers, strict=True):
            if answer is None:
                self._hold(account)
        for place, reason in reasons.items():
            _log.warning(
                "keeper_push_reverts", chain=self._node.chain_id, account=f"0x{accounts[place].hex()}", reason=reason
            )
        return [account for account, answer in zip(accounts, answers, strict=True) if answer is not None]

    def _hold(self, account: bytes) -> None:
        tries = self._resumes.get(account, (0, 0))[0] + 1
        self._resumes[account] = (tries, self._round + min(1 << min(tries, 10), _LONGEST_WAIT_ROUNDS))

    async def _send(self, to: bytes | None, data: bytes, what: str) -> int:
        """The number of the block that has taken it; 0 if it did not succeed, or something else came first."""
        gas = await self._node.estimate_call(to, data)
        max_fee = await self._purse.open(gas)
        _log.info("keeper_sending", chain=self._node.chain_id, what=what, gas=gas)
        receipt = await self._purse.send(to, data, gas, max_fee)
        if receipt is not None and receipt.succeeded:
            return receipt.number
        _log.warning("keeper_not_taken", chain=self._node.chain_id, what=what)
        return 0
