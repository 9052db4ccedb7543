"""Transactions to the inbox: what is said no to before it is sent, and what L1 shows afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from microrollup.chain.block import Header
from microrollup.crypto.ecdsa import SigningKey
from microrollup.errors import UsageError
from microrollup.settlement.attestation import SignedAttestation, compute_attestation_digest, create_attestation
from microrollup.settlement.batch import MAX_BATCH_BYTES, compute_blob_data_hash
from microrollup.settlement.errors import BatchTooLarge, SettlementError, WrongData
from microrollup.settlement.ethereum.answers import L1Receipt, parse_quantity
from microrollup.settlement.ethereum.contract import encode_call
from microrollup.settlement.ethereum.da import Publication, show_unpublished
from microrollup.settlement.ethereum.errors import L1BadAnswer, TransactionReverted
from microrollup.settlement.ethereum.events import ActionForced, InboxEvent, decode_event
from microrollup.settlement.ethereum.follower import Follower
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.preflight import call_inbox, find_difference, is_about_attestations
from microrollup.settlement.ethereum.sender import Sender, SupersededError
from microrollup.settlement.ethereum.sources import archive_blobs
from microrollup.settlement.ethereum.transaction import TransactionRequest
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.protocol import SettledHead, to_settled_head
from microrollup.settlement.quorum import BatchProof, join_signatures
from microrollup.settlement.verifiers import BLS, VerifierSet

__all__ = ["Publisher"]

_ROUNDS: Final = 3
"""How often a call begins anew, after its nonce was used by something else or L1 took its transaction back."""

_SYNC_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0, 1.0)


class Publisher:
    """Sends to one inbox. All methods belong to one event loop."""

    def __init__(
        self,
        transport: L1Transport,
        options: EthereumOptions,
        follower: Follower,
        sender: Sender,
        keys: Mapping[bytes, SigningKey],
    ) -> None:
        self._transport = transport
        self._options = options
        self._follower = follower
        self._sender = sender
        self._keys = keys

    async def settle(
        self,
        publication: Publication | None,
        batch: bytes,
        header: Header,
        attestations: Sequence[SignedAttestation],
        submitter: bytes,
        proofs: Sequence[BatchProof] = (),
    ) -> SettledHead:
        """Settle a batch; `publication` is `None` if its bytes cannot be published as the options say."""
        await self._follower.sync()
        transaction = bytes(32)
        for _ in range(_ROUNDS):
            call = await self._prepare(publication, batch, header, attestations, submitter, proofs)
            key = self._find_key(submitter)
            if call.sidecar is not None and self._options.archive is not None:
                blobs = dict(zip(call.sidecar.versioned_hashes, call.sidecar.blobs, strict=True))
                archive_blobs(self._options.archive, blobs)
            try:
                receipt = await self._sender.transact(key, call)
            except SupersededError:
                await self._follower.sync()
            else:
                transaction = receipt.transaction_hash
                await self._sync_to(receipt.number)
            head = self._find_settled(header)
            if head is not None:
                return head
        raise TransactionReverted(transaction)

    def _find_settled(self, header: Header) -> SettledHead | None:
        """The head that this very header led to, if L1 shows it."""
        with self._follower.lock:
            settled = self._follower.index.find_settled(header.height)
        if settled is None or settled.header != header:
            return None
        return to_settled_head(header, settled.l1_number)

    async def _prepare(
        self,
        publication: Publication | None,
        batch: bytes,
        header: Header,
        attestations: Sequence[SignedAttestation],
        submitter: bytes,
        proofs: Sequence[BatchProof],
    ) -> TransactionRequest:
        """The call that settles, if the inbox would take it. Raises the `SettlementError` of the broken rule."""
        if len(batch) > MAX_BATCH_BYTES:
            raise BatchTooLarge(MAX_BATCH_BYTES, len(batch))
        shown = publication or show_unpublished(batch)
        data = self._encode(shown, header, attestations, proofs)
        difference = find_difference(header, attestations)
        try:
            await self._call(submitter, data, shown)
        except SettlementError as error:
            if difference is None or not is_about_attestations(error):
                raise
        if difference is not None:
            raise difference
        if publication is None:  # attested, but nobody could read these bytes back
            raise WrongData(compute_blob_data_hash(()), attestations[0].attestation.data_hash)
        gas = _compute_gas(data, len(attestations), self._get_verifiers())
        return TransactionRequest(self._options.inbox, data, gas, shown.sidecar)

    def _get_verifiers(self) -> VerifierSet:
        """The set in force in the next L1 block."""
        with self._follower.lock:
            return self._follower.index.get_verifiers(self._follower.window.get_head().number + 1)

    def _encode(
        self,
        publication: Publication,
        header: Header,
        attestations: Sequence[SignedAttestation],
        proofs: Sequence[BatchProof],
    ) -> bytes:
        with self._follower.lock:
            head, chain_id = self._follower.index.get_head(), self._follower.index.get_genesis().l1_chain_id
        said = create_attestation(head.block_hash, head.height + 1, header, publication.data_hash)
        if attestations:
            said = attestations[0].attestation
        claim = (said.first_height, said.parent_hash, said.data_hash)
        digest = compute_attestation_digest(said, chain_id, self._options.inbox)
        signatures = join_signatures(self._get_verifiers(), digest, attestations, proofs)
        words = msgspec.structs.astuple(header)
        return encode_call(publication.function, words, claim, signatures, *publication.arguments)

    async def _call(self, sender: bytes, data: bytes, publication: Publication | None = None) -> bytes:
        head = self._follower.window.get_head()
        sidecar = None if publication is None else publication.sidecar
        return await call_inbox(
            self._transport, sender, self._options.inbox, data, head, self._options.seconds_per_block, sidecar
        )

    def _find_key(self, address: bytes) -> SigningKey:
        key = self._keys.get(address)
        if key is None:
            raise UsageError(f"there is no key for 0x{address.hex()}; give the sender's key")
        return key

    async def _sync_to(self, number: int) -> None:
        """Follow L1 up to a block: the node that answers may be a little behind the one that took the transaction."""
        for pause in _SYNC_PAUSES:
            head = await self._follower.sync()
            if head.number >= number:
                return
            await asyncio.sleep(pause)

    async def rehearse(self, sender: bytes, function: str, *arguments: Any) -> bytes:
        """What a function of the inbox would return. Raises its `SettlementError`, and nothing is sent."""
        await self._follower.sync()
        return await self._call(sender, encode_call(function, *arguments))

    async def transact(self, sender: bytes, function: str, *arguments: Any) -> tuple[InboxEvent, int]:
        """Call a function of the inbox: the event that it emits, and the L1 block. Raises its `SettlementError`."""
        data = encode_call(function, *arguments)
        await self._follower.sync()
        length = self._follower.index.get_queue_length()
        for _ in range(_ROUNDS):
            await self._call(sender, data)
            key = self._find_key(sender)
            gas = await self._estimate(sender, data)
            try:
                receipt = await self._sender.transact(key, TransactionRequest(self._options.inbox, data, gas))
            except SupersededError:
                await self._follower.sync()
                forced = self._find_forced(length, sender, arguments) if function == "force" else None
                if forced is not None:
                    return forced, forced.inclusion_block
                continue
            await self._sync_to(receipt.number)
            if receipt.succeeded:
                return self._read_event(receipt), receipt.number
        raise TransactionReverted(bytes(32))

    def _find_forced(self, first_index: int, sender: bytes, arguments: Sequence[Any]) -> ActionForced | None:
        """The entry that this call has made after all: a node may show a nonce as used long before the receipt.

        A forced action has no nonce of the rollup's; a second entry would execute a second time.
        """
        with self._follower.lock:
            index = self._follower.index
            for entry in index.get_forced_entries(first_index, self._follower.number, index.get_queue_length()):
                if (entry.sender, entry.payload) == (sender, arguments[0]):
                    queue_hash = index.get_queue_hash(entry.index + 1)
                    return ActionForced(entry.index, sender, entry.inclusion_block, entry.payload, queue_hash)
        return None

    async def _estimate(self, sender: bytes, data: bytes) -> int:
        form = {"from": f"0x{sender.hex()}", "to": f"0x{self._options.inbox.hex()}", "data": f"0x{data.hex()}"}
        return parse_quantity("eth_estimateGas", await self._transport.ask("eth_estimateGas", form)) * 5 // 4

    def _read_event(self, receipt: L1Receipt) -> InboxEvent:
        logs = [log for log in receipt.logs if log.address == self._options.inbox]
        if len(logs) != 1:
            raise L1BadAnswer("receipt", f"{len(logs)} events of the inbox")
        return decode_event(logs[0])


def _compute_gas(data: bytes, signatures: int, verifiers: VerifierSet) -> int:
    """Enough, without asking: a batch takes some 120,000, a signature 6,000, a byte of data at most 40 (EIP-7623).

    BLS takes some 130,000 and 900 for each absent key. A proof's verifier may use a million, all but 1/64 of what is
    left.
    """
    zeros = data.count(0)
    is_bls = verifiers.kind == BLS
    quorum = 200_000 + 1_500 * (len(verifiers.keys) - signatures) if is_bls else 12_000 * signatures
    return 300_000 + quorum + 1_100_000 * len(verifiers.rules) + 10 * zeros + 40 * (len(data) - zeros)
