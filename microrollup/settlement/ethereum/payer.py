"""Asking L1 what the payer of batches has, and what a batch costs at present fees."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.blob_fee import read_blob_fee
from microrollup.settlement.ethereum.costs import TransactionCost, read_cost
from microrollup.settlement.ethereum.da import DA_KINDS
from microrollup.settlement.ethereum.errors import L1TimedOut
from microrollup.settlement.ethereum.fees import compute_blob_cap, compute_cap, suggest_tip
from microrollup.settlement.ethereum.follower import Follower
from microrollup.settlement.ethereum.loop import LoopThread
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.payer import PayerStatus, PendingTransaction

__all__ = ["EthereumPayments"]

_KEPT_COSTS: Final = 8
"""Batches of which the largest is what the next ones are expected to be."""


class EthereumPayments:
    """A backend's `Payments`. A question takes three requests, and two more after a batch."""

    def __init__(
        self,
        loop: LoopThread,
        transport: L1Transport,
        options: EthereumOptions,
        follower: Follower,
        pending: Mapping[bytes, PendingTransaction],
    ) -> None:
        """`pending` is the sender's, by payer."""
        self._loop = loop
        self._transport = transport
        self._options = options
        self._follower = follower
        self._pending = pending
        self._costs: deque[TransactionCost] = deque(maxlen=_KEPT_COSTS)

    def get_pending(self, payer: bytes) -> PendingTransaction | None:
        return self._pending.get(payer)

    def get_head_age(self) -> float:
        return self._follower.get_head_age()

    def ask(self, payer: bytes, seconds: float) -> PayerStatus:
        """Raises `L1TimedOut` after so many seconds, and other `L1Error`s."""
        return self._loop.run(self._ask_within(payer, seconds))

    async def _ask_within(self, payer: bytes, seconds: float) -> PayerStatus:
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(payer)
        except TimeoutError:
            raise L1TimedOut(self._transport.place, f"not within {seconds:g} s") from None

    async def _ask(self, payer: bytes) -> PayerStatus:
        answer = await self._transport.ask("eth_getBalance", f"0x{payer.hex()}", "latest")
        balance = parse_quantity("eth_getBalance", answer)
        with self._follower.lock:
            base_fee = self._follower.window.get_head().base_fee
        tip = await suggest_tip(self._transport, self._options)
        fee = base_fee + tip
        await self._note_cost()
        gas = max((cost.gas for cost in self._costs), default=0)
        blob_gas = max((cost.blob_gas for cost in self._costs), default=0)
        has_blobs = blob_gas > 0 or DA_KINDS[self._options.da].needs_blobs
        blob_fee = await read_blob_fee(self._transport) if has_blobs else 0
        cost = gas * fee + blob_gas * blob_fee if self._costs else None
        needed = max((cost.gas_limit for cost in self._costs), default=0) * compute_cap(base_fee, tip, self._options)
        needed += blob_gas * compute_blob_cap(blob_fee, self._options)
        return PayerStatus(payer, balance, fee, blob_fee, cost, needed)

    async def _note_cost(self) -> None:
        """Read what the newest batch took, once."""
        with self._follower.lock:
            settled = self._follower.index.find_settled(self._follower.index.get_head().height)
        if settled is None or any(cost.transaction_hash == settled.transaction_hash for cost in self._costs):
            return
        self._costs.append(await read_cost(self._transport, settled.transaction_hash))
