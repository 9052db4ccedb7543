"""What may be spent on a chain: every transaction's cost is counted on disk, also that of one that a kill cut off."""

from __future__ import annotations

from typing import Final, Protocol

from microrollup.settlement.ethereum.answers import L1Receipt
from microrollup.settlement.ethereum.errors import FeeTooHigh, TransactionRefused
from microrollup.settlement.ethereum.sender import SupersededError

from .errors import OutOfBudget
from .node import ChainNode
from .store import ChainNote

__all__ = ["ChainPurse", "NoteKeeper"]


class NoteKeeper(Protocol):
    """Where a chain's note is."""

    @property
    def note(self) -> ChainNote:
        """As it is on disk."""
        ...

    def change_note(self, **changes: object) -> None:
        """On disk first."""
        ...


class ChainPurse:
    """Of one chain and one key."""

    def __init__(self, node: ChainNode, budget: int, notes: NoteKeeper) -> None:
        self._node = node
        self._notes = notes
        self._before = (-1, 0)
        self.budget: Final = budget
        """Wei, for all transactions of the directory."""

    async def settle(self) -> None:
        """Count what the transaction that was sent has cost, once its nonce is used: by the key's balance, so that
        whatever a chain charges is in it. Ether that the key gets meanwhile makes it less.
        """
        note = self._notes.note
        if note.pending_nonce < 0:
            return
        nonce, balance = await self._node.read_account()
        if nonce > note.pending_nonce:
            cost = max(0, note.pending_balance - balance)
            self._notes.change_note(spent=note.spent + cost, pending_nonce=-1, pending_balance=0)

    async def open(self, gas: int) -> int:
        """The most wei that a unit of so much gas may cost; what the key has is noted. Raises `OutOfBudget`."""
        nonce, balance = await self._node.read_account()
        note = self._notes.note
        max_fee = min(self._node.options.max_fee_per_gas, (self.budget - note.spent) // gas)
        if max_fee <= 0:
            raise OutOfBudget(self.budget, note.spent)
        self._before = (note.pending_nonce, note.pending_balance)
        if note.pending_nonce != nonce:
            self._notes.change_note(pending_nonce=nonce, pending_balance=balance)
        return max_fee

    async def send(self, to: bytes | None, data: bytes, gas: int, max_fee: int) -> L1Receipt | None:
        """Send one transaction, and count its cost. None: another one of this key's came first.

        Raises `OutOfBudget` where the chain asks for more than the budget has, and `L1Error`s.
        """
        try:
            receipt = await self._node.send_call(to, data, gas, max_fee)
        except SupersededError:  # an earlier transaction of ours, or of somebody else who has the key
            await self.settle()
            return None
        except (FeeTooHigh, TransactionRefused) as error:  # nothing was sent
            self._notes.change_note(pending_nonce=self._before[0], pending_balance=self._before[1])
            if isinstance(error, FeeTooHigh) and max_fee < self._node.options.max_fee_per_gas:
                raise OutOfBudget(self.budget, self._notes.note.spent) from None
            raise
        await self.settle()
        return receipt
