"""Getting a transaction included once: one nonce, raised fees, and a look at L1 before any other nonce is used.

A call takes the first nonce that L1 has not included (not the node's "pending" one). Whatever an earlier call, or a
process that crashed, left in the pool has that same nonce, so at most one of them can ever be included. Another nonce
is only taken after L1 shows the first one used by something else (`Superseded`), and after the caller looked whether
its work is done by then. The key must not be used by anything else meanwhile: that costs time, never a second batch.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any, Final

import structlog

from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.settlement.ethereum.answers import (
    L1Receipt,
    parse_block,
    parse_quantity,
    parse_receipt,
    parse_transaction,
)
from microrollup.settlement.ethereum.errors import (
    UNANSWERED,
    FeeTooHigh,
    L1Error,
    L1Refused,
    TransactionPending,
    TransactionRefused,
)
from microrollup.settlement.ethereum.fees import Fees, bump_fees, suggest_fees
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transaction import (
    ProofKind,
    SignedTransaction,
    TransactionRequest,
    Wrapper,
    sign_transaction,
)
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.payer import PendingTransaction

__all__ = ["Sender", "SupersededError"]

_FIRST_LOOK_SECONDS: Final = 0.02
_LONGEST_LOOK_SECONDS: Final = 0.2
"""Where the options do not say how often L1 is looked at."""

_GRACE_LOOKS: Final = 5
"""A node may count a nonce as used a moment before it has the receipt."""

_MAX_BUMPS: Final = 64

# What nodes say (go-ethereum, reth, Nethermind, Besu, Erigon, anvil, EthereumJS), in words of their own.
_KNOWN: Final = re.compile(r"already[ _]?(known|imported|exists|in the txpool)|known transaction", re.IGNORECASE)
_UNDERPRICED: Final = re.compile(r"underpriced|replacement|fee too low|FeeTooLow|less than the minimum", re.IGNORECASE)
_NONCE_USED: Final = re.compile(r"nonce (too low|is too low)|OldNonce|lower than", re.IGNORECASE)
_OTHER_POOL: Final = re.compile(r"already reserved|reserved by|conflicting (type|pool)", re.IGNORECASE)
"""An account has blob transactions pending or others, never both."""

_PROOFS: Final = re.compile(r"sidecar|proof|wrapper|cell|blob.*version|version.*blob|rlp|decode", re.IGNORECASE)

_P256_PRECOMPILE: Final = "0x0000000000000000000000000000000000000100"
"""EIP-7951 came with Osaka, and so did cell proofs."""

_log = structlog.get_logger(__name__)


class SupersededError(Exception):
    """Something else was included with the nonce; none of this call's transactions ever can be."""


class Sender:
    """Sends for several keys, one transaction per key at a time. All methods belong to one event loop."""

    def __init__(self, transport: L1Transport, options: EthereumOptions, chain_id: int) -> None:
        self._transport = transport
        self._options = options
        self._chain_id = chain_id
        self._locks: dict[bytes, asyncio.Lock] = {}
        self.pending: dict[bytes, PendingTransaction] = {}
        """By sender: what was sent and is not known to be included. Any thread may look."""
        self._proof_kind: ProofKind | None = None

    async def transact(self, key: SigningKey, call: TransactionRequest) -> L1Receipt:
        """Send, and wait until included. A reverted transaction is included too.

        Raises `SupersededError`, `TransactionPending` (it may still be included), `TransactionRefused`, `FeeTooHigh`.
        """
        address = compute_address(key)
        async with self._locks.setdefault(address, asyncio.Lock()):
            try:
                receipt = await _Attempt(self, key, address, call).run()
            except SupersededError:
                self.pending.pop(address, None)
                raise
            self.pending.pop(address, None)
            return receipt

    def note_sent(self, address: bytes, signed: SignedTransaction) -> None:
        """A transaction has left. What was sent before under its nonce is replaced; under another, it is forgotten."""
        known = self.pending.get(address)
        is_same = known is not None and known.nonce == signed.nonce
        since, raised = (known.since, known.raised) if known is not None and is_same else (time.monotonic(), 0)
        if known is not None and is_same and known.hash != signed.hash:
            raised += 1
        fees = signed.fees
        self.pending[address] = PendingTransaction(signed.hash, signed.nonce, since, fees.cap, fees.blob_cap, raised)

    async def count_included(self, address: bytes) -> int:
        """The first nonce that no included transaction has."""
        answer = await self._transport.ask("eth_getTransactionCount", f"0x{address.hex()}", "latest")
        return parse_quantity("eth_getTransactionCount", answer)

    async def choose_proofs(self) -> ProofKind:
        """What the node takes: it is asked once, and what it then refuses changes the answer."""
        if self._proof_kind is None:
            self._proof_kind = await self._ask_proofs()
        return self._proof_kind

    def refuse_proofs(self, kind: ProofKind) -> None:
        """The node does not take this kind, so it takes the other."""
        self._proof_kind = "blobs" if kind == "cells" else "cells"

    async def _ask_proofs(self) -> ProofKind:
        try:
            answer = await self._transport.ask("eth_config")
        except L1Refused:  # the method came with Osaka; Ethereum has passed it, so it may only be missing
            return "cells"
        current: Any = answer.get("current") if isinstance(answer, dict) else None
        precompiles: Any = current.get("precompiles") if isinstance(current, dict) else None
        if not isinstance(precompiles, dict):
            return "cells"
        return "cells" if _P256_PRECOMPILE in precompiles.values() else "blobs"


class _Attempt:
    """One call of `transact`: the transactions sent for it all have one nonce."""

    def __init__(self, sender: Sender, key: SigningKey, address: bytes, call: TransactionRequest) -> None:
        self._sender = sender
        self._transport = sender._transport
        self._options = sender._options
        self._key = key
        self._address = address
        self._call = call
        self._wrapper = None if call.sidecar is None else Wrapper(call.sidecar)
        self._sent: list[SignedTransaction] = []
        self._nonce = 0
        self._bumps = 0

    async def run(self) -> L1Receipt:
        started = time.monotonic()
        self._nonce = await self._sender.count_included(self._address)
        await self._send(await self._suggest())
        sent_at, pause, looks_after_use = time.monotonic(), _FIRST_LOOK_SECONDS, 0
        longest = self._options.poll_seconds or _LONGEST_LOOK_SECONDS
        while time.monotonic() - started < self._options.settle_seconds:
            try:
                receipt = await self._find_receipt()
                if receipt is not None:
                    return receipt
                if await self._sender.count_included(self._address) > self._nonce:
                    looks_after_use += 1
                    if looks_after_use > _GRACE_LOOKS:
                        raise SupersededError
                elif time.monotonic() - sent_at > self._options.bump_seconds:
                    await self._bump()
                    sent_at = time.monotonic()
                else:
                    await self._send_again_if_dropped()
            except (*UNANSWERED, L1Refused) as error:  # nothing is known; look again
                _log.warning("l1_transaction_unknown", nonce=self._nonce, reason=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
        newest = self._sent[-1].hash if self._sent else bytes(32)
        raise TransactionPending(newest, self._nonce, time.monotonic() - started)

    async def _suggest(self) -> Fees:
        block = parse_block(await self._transport.ask("eth_getBlockByNumber", "latest", False))
        has_blobs = self._call.sidecar is not None
        return await suggest_fees(self._transport, self._options, block.base_fee, has_blobs=has_blobs)

    async def _send(self, fees: Fees) -> None:
        """Sign and send; raise the fee until it replaces what is in the pool, or until the caps forbid it."""
        while True:
            kind = await self._sender.choose_proofs() if self._wrapper else "cells"
            # In a thread, so that L1 is followed meanwhile: ckzg keeps the GIL for a blob's proofs, not between blobs.
            signed = await asyncio.to_thread(
                sign_transaction, self._key, self._call, self._sender._chain_id, self._nonce, fees, self._wrapper, kind
            )
            self._sent.append(signed)  # before it leaves: what was sent and not answered may be included
            refusal = await self._broadcast(signed)
            if refusal is None:
                self._sender.note_sent(self._address, signed)
                return
            self._sent.pop()
            if _UNDERPRICED.search(refusal.message):
                bumped = bump_fees(fees, fees, self._options)
                if bumped is None or self._bumps >= _MAX_BUMPS:
                    _log.warning("l1_fee_at_cap", nonce=self._nonce, reason=str(refusal))
                    return  # wait for what is in the pool
                self._bumps += 1
                fees = bumped
            elif _OTHER_POOL.search(refusal.message):
                _log.warning("l1_other_kind_pending", nonce=self._nonce, reason=str(refusal))
                return  # wait for what is in the pool
            elif self._wrapper and kind == await self._sender.choose_proofs() and _PROOFS.search(refusal.message):
                if self._bumps:
                    raise TransactionRefused(self._address, refusal.message)
                self._bumps += 1
                self._sender.refuse_proofs(kind)
            else:
                raise TransactionRefused(self._address, refusal.message)

    async def _broadcast(self, signed: SignedTransaction) -> L1Refused | None:
        """Send; `None` if it is in the pool, may be, or has come too late."""
        try:
            await self._transport.ask("eth_sendRawTransaction", f"0x{signed.raw.hex()}")
        except L1Refused as refusal:
            if _KNOWN.search(refusal.message) or _NONCE_USED.search(refusal.message):
                return None
            return None if await self._is_pooled(signed) else refusal
        except UNANSWERED as error:  # it may have arrived all the same: its hash will tell
            _log.warning("l1_send_unanswered", transaction=f"0x{signed.hash.hex()}", reason=str(error))
        else:
            _log.info("l1_sent", transaction=f"0x{signed.hash.hex()}", nonce=signed.nonce, cap=signed.fees.cap)
        return None

    async def _is_pooled(self, signed: SignedTransaction) -> bool:
        """Whether L1 has a transaction that a node refused: another one took it, or the refusal was not meant so."""
        try:
            answer = await self._transport.ask("eth_getTransactionByHash", f"0x{signed.hash.hex()}")
            return parse_transaction(answer, signed.hash) is not None
        except L1Error:
            return False

    async def _find_receipt(self) -> L1Receipt | None:
        requests = [("eth_getTransactionReceipt", [f"0x{signed.hash.hex()}"]) for signed in self._sent]
        answers = await self._transport.ask_many(requests) if requests else []
        for signed, answer in zip(self._sent, answers, strict=True):
            receipt = parse_receipt(answer, signed.hash)
            if receipt is not None:
                return receipt
        return None

    async def _send_again_if_dropped(self) -> None:
        if not self._sent:
            return
        signed = self._sent[-1]
        answer = await self._transport.ask("eth_getTransactionByHash", f"0x{signed.hash.hex()}")
        if parse_transaction(answer, signed.hash) is None:
            _log.info("l1_sent_again", transaction=f"0x{signed.hash.hex()}", nonce=signed.nonce)
            refusal = await self._broadcast(signed)
            if refusal is not None:
                _log.warning("l1_not_taken_again", reason=str(refusal))

    async def _bump(self) -> None:
        try:
            suggested = await self._suggest()
        except FeeTooHigh as error:
            _log.warning("l1_fee_at_cap", nonce=self._nonce, reason=str(error))
            return
        if not self._sent:
            await self._send(suggested)
            return
        bumped = bump_fees(self._sent[-1].fees, suggested, self._options)
        if bumped is None:
            _log.warning("l1_fee_at_cap", nonce=self._nonce, cap=self._sent[-1].fees.cap)
            return
        _log.info("l1_fee_raised", nonce=self._nonce, cap=bumped.cap, blob_cap=bumped.blob_cap)
        await self._send(bumped)
