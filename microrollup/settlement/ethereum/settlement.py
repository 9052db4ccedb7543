"""The Ethereum settlement: an inbox contract on an L1, read from its events and written to by transactions.

One connection, an event loop in a thread of its own, and everything read kept in memory: a question costs no request
unless it is about an old block's time or a batch's data. The head is asked for once a second beside the callers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, Self

import structlog

from microrollup.chain.block import Header
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.errors import UsageError
from microrollup.primitives import MAX_FORCED_PER_BLOCK
from microrollup.settlement.arguments import check_address, check_index, check_stf_id
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.batch import BASED_DATA_HASH, MAX_BATCH_BYTES
from microrollup.settlement.errors import BadOrigin
from microrollup.settlement.ethereum.answers import parse_bytes, parse_quantity, parse_transaction
from microrollup.settlement.ethereum.costs import TransactionCost, read_cost
from microrollup.settlement.ethereum.da import DA_KINDS, Publication, publish, show_unpublished
from microrollup.settlement.ethereum.errors import L1BadAnswer, L1Error, L1WithoutBlobs
from microrollup.settlement.ethereum.events import ActionForced, BatchSettled, InboxEvent, KeysRegistered, RollupCreated
from microrollup.settlement.ethereum.failover import open_transport
from microrollup.settlement.ethereum.follower import Follower
from microrollup.settlement.ethereum.index import EventIndex, IndexedBatch
from microrollup.settlement.ethereum.loop import LoopThread
from microrollup.settlement.ethereum.options import EthereumOptions, check_options
from microrollup.settlement.ethereum.payer import EthereumPayments
from microrollup.settlement.ethereum.publisher import Publisher
from microrollup.settlement.ethereum.requirements import find_abilities
from microrollup.settlement.ethereum.sender import Sender
from microrollup.settlement.ethereum.sources import BlobReader
from microrollup.settlement.forced import ForcedEntry, take_entry
from microrollup.settlement.inbox import ANNOUNCEMENTS
from microrollup.settlement.protocol import Announced, AnnouncementKind, L1Look, Reorg, SettledBatch, SettledHead
from microrollup.settlement.quorum import BatchProof
from microrollup.settlement.verifiers import VerifierSet, encode_page

__all__ = ["EthereumSettlement"]

_KEPT_BATCHES: Final = 8
_MAX_CODE_BYTES: Final = 1 << 18
"""Ten times what Ethereum takes."""

_log = structlog.get_logger(__name__)


class EthereumSettlement:
    """An inbox on an L1; an `Inbox`, so also a `Settlement` and an `L1View`, whose docstrings hold here.

    Once open, reads never fail because of L1: while it is unreachable or answers nonsense, which is logged, they tell
    what was known last. Sending raises `L1Error`s, after which the same call can be made again.

    Depth: `get_confirmations` is 1 for what L1's newest block includes, and grows by one with each block. Blobs are
    available (C3A) as soon as the transaction is included, since L1's nodes include none without its data; settled for
    good (C3B) is what the depth that its user asks for makes of it.
    """

    def __init__(
        self, options: EthereumOptions, keys: Iterable[SigningKey], loop: LoopThread, *, dry_run: bool
    ) -> None:
        """Use `open`."""
        self._options, self._dry_run = options, dry_run
        self._keys = {compute_address(key): key for key in (() if dry_run else keys)}  # without a key nothing is sent
        self._loop = loop
        self._transport = open_transport(options)
        self._blobs = BlobReader(options)
        self._batches: OrderedDict[bytes, bytes] = OrderedDict()
        self._published: tuple[bytes, Publication | None] | None = None
        self._follower: Follower
        self._publisher: Publisher
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._complaint = ""

    @classmethod
    def open(cls, options: EthereumOptions, keys: Iterable[SigningKey] = (), *, dry_run: bool = False) -> Self:
        """Connect, and read all events of the inbox. `keys` are those of the senders, none to read; none is sent for a
        `dry_run`, L1 is asked about them.

        Raises `L1Unreachable`, `L1BadAnswer`, `NoInbox`, or `UsageError` for options that cannot be.
        """
        check_options(options)
        loop = LoopThread("l1")
        settlement = cls(options, keys, loop, dry_run=dry_run)
        try:
            loop.run(settlement._start())
        except BaseException:
            settlement.close()
            raise
        return settlement

    async def _start(self) -> None:
        chain_id = parse_quantity("eth_chainId", await self._transport.ask("eth_chainId"))
        if self._keys:
            await self._look_at_node()
        self._follower = Follower(self._transport, self._options, chain_id)
        sender = Sender(self._transport, self._options, chain_id)
        self._publisher = Publisher(self._transport, self._options, self._follower, sender, self._keys)
        self.payments = EthereumPayments(self._loop, self._transport, self._options, self._follower, sender.pending)
        await self._follower.sync()
        if self._options.poll_seconds > 0:
            self._tasks.append(asyncio.create_task(self._poll()))  # held here, since the loop holds tasks weakly

    async def _look_at_node(self) -> None:
        """Say what the node can do, to who may send. Raises `L1WithoutBlobs` if batches are to be in what it lacks."""
        abilities = await find_abilities(self._transport)
        _log.info("l1_node", place=self._transport.place, **abilities)
        if DA_KINDS[self._options.da].needs_blobs and not abilities["cancun"]:
            raise L1WithoutBlobs("its newest block has no excessBlobGas, which came with Cancun (EIP-4844)")

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            await self._try_sync()

    async def _try_sync(self) -> None:
        """What goes wrong is told once, and that it goes well again."""
        try:
            await self._follower.sync()
        except L1Error as error:
            self._complain("l1_not_followed", str(error))
        except Exception as error:  # a bug here must not end the task that follows L1
            self._complain("l1_follower_failed", repr(error))
        else:
            if self._complaint:
                _log.info("l1_followed_again", number=self._follower.number)
            self._complaint = ""

    def _complain(self, event: str, reason: str) -> None:
        if self._complaint != reason:
            _log.warning(event, reason=reason)
        self._complaint = reason

    def _look(self) -> EventIndex:
        """The newest view; without a task that follows L1, after a look at L1."""
        if self._options.poll_seconds <= 0:
            self._loop.run(self._try_sync())
        elif self._closed:
            raise UsageError("the connection to L1 is closed")
        return self._follower.index

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._loop.cancel()
                self._loop.run(self._close())
            finally:
                self._loop.close()

    async def _close(self) -> None:
        await self._blobs.close()
        await self._transport.close()

    # The view of L1.

    def get_inbox(self) -> bytes:
        return self._options.inbox

    def get_number(self) -> int:
        self._look()
        return self._follower.number

    def get_origin(self) -> int:
        self._look()
        with self._follower.lock:
            return max(0, self._follower.window.get_head().number - self._options.depth)

    def get_time(self, number: int) -> int:
        self._look()
        return self._get_time(number)

    def _get_time(self, number: int) -> int:
        with self._follower.lock:
            current, head = self._follower.number, self._follower.window.get_head()
            found = self._follower.window.get_time(number)
        if not 0 <= number <= current:
            raise BadOrigin(0, current, number)
        if number > head.number:
            return head.time + (number - head.number) * self._options.seconds_per_block
        return self._loop.run(self._follower.read_time(number)) if found is None else found

    def look(self, origin: int, forced_count: int) -> L1Look:
        self._look()
        with self._follower.lock:
            index, number = self._follower.index, self._follower.number
        if not 0 <= origin < number:
            raise BadOrigin(0, number - 1, origin)
        due = index.get_forced_entries(forced_count, origin, MAX_FORCED_PER_BLOCK)
        return L1Look(
            number=number,
            now=self._get_time(number),
            time=self._get_time(origin),
            builder=index.get_builder(origin),
            stf_id=index.get_stf_id(origin),
            forced=tuple([take_entry(entry, voided=index.is_voided(entry.index, origin)) for entry in due]),
            code_since=index.get_code_since(origin),
        )

    def get_genesis(self) -> Genesis:
        return self._look().get_genesis()

    def get_stf_id(self, number: int) -> bytes:
        return self._look().get_stf_id(number)

    def get_code_since(self, number: int) -> int:
        return self._look().get_code_since(number)

    def get_owner(self, number: int) -> bytes:
        return self._look().get_owner(number)

    def get_builder(self, number: int) -> bytes:
        return self._look().get_builder(number)

    def get_verifiers(self, number: int) -> VerifierSet:
        return self._look().get_verifiers(number)

    def get_forced_count(self, up_to_block: int) -> int:
        return self._look().get_forced_count(up_to_block)

    def get_forced_entries(self, first_index: int, up_to_block: int, limit: int) -> list[ForcedEntry]:
        return self._look().get_forced_entries(first_index, up_to_block, limit)

    def get_queue_hash(self, index: int) -> bytes:
        return self._look().get_queue_hash(index)

    def is_voided(self, index: int, l1_origin: int) -> bool:
        return self._look().is_voided(index, l1_origin)

    def get_max_batch_bytes(self) -> int:
        return DA_KINDS[self._options.da].max_bytes

    def compute_data_hash(self, batch: bytes) -> bytes:
        # What cannot be published so has no commitment; its hash as plain bytes settles nothing.
        return (self._publish(batch) or show_unpublished(batch)).data_hash

    def _publish(self, batch: bytes) -> Publication | None:
        """The last batch's publication is kept: a node asks for it to attest and again to settle."""
        if self.get_genesis().is_based:
            return Publication(batch, BASED_DATA_HASH, "settleCalldata", (batch,))
        if self._published is None or self._published[0] != batch:
            self._published = (batch, publish(batch, self._options.da))
        return self._published[1]

    def get_settled(self) -> SettledHead:
        return self._look().get_head()

    def get_settled_at(self, height: int) -> SettledBatch | None:
        settled = self._look().find_settled(height)
        if settled is None:
            return None
        with self._follower.lock:
            batch = self._batches.get(settled.transaction_hash)
        if batch is None:
            batch = self._loop.run(self._read_batch(settled))
            with self._follower.lock:
                self._batches[settled.transaction_hash] = batch
                while len(self._batches) > _KEPT_BATCHES:
                    self._batches.popitem(last=False)
        return SettledBatch(
            settled.first_height,
            settled.header,
            batch,
            settled.attestation,
            settled.signatures,
            settled.l1_number,
            settled.submitter,
        )

    async def _read_batch(self, settled: IndexedBatch) -> bytes:
        """The batch from L1 or DA; of a based rollup there is none. Raises `L1Error`s and `DecodeError`."""
        if settled.data_hash == BASED_DATA_HASH:
            return b""
        answer = await self._transport.ask("eth_getTransactionByHash", f"0x{settled.transaction_hash.hex()}")
        transaction = parse_transaction(answer, settled.transaction_hash)
        if transaction is None:
            raise L1BadAnswer("transaction", f"0x{settled.transaction_hash.hex()} is missing, its event is not")

        async def fetch(versioned_hash: bytes) -> bytes:
            time = self._follower.window.get_time(settled.l1_number)
            if time is None:
                time = await self._follower.read_time(settled.l1_number)
            return await self._blobs.read(versioned_hash, settled.l1_number, time)

        return await DA_KINDS[settled.da].read(settled, transaction, self._options.inbox, fetch)

    def get_cost(self, height: int) -> TransactionCost | None:
        """What the batch with this height cost on L1; `None` if it is not settled. Raises `L1Error`s."""
        settled = self._look().find_settled(height)
        return None if settled is None else self._loop.run(read_cost(self._transport, settled.transaction_hash))

    def get_confirmations(self, height: int) -> int | None:
        index = self._look()
        number = self._follower.number
        if height == 0:
            return number - index.created
        settled = index.find_settled(height)
        return None if settled is None else number - settled.l1_number

    def poll_reorgs(self) -> list[Reorg]:
        self._look()
        with self._follower.lock:
            replaced, self._follower.replaced = self._follower.replaced, []
            return [Reorg(number, self._follower.index.get_head()) for number in replaced]

    # Transactions.

    def settle(
        self,
        batch: bytes,
        last_header: Header,
        attestations: Sequence[SignedAttestation],
        *,
        submitter: bytes,
        proofs: Sequence[BatchProof] = (),
    ) -> SettledHead:
        check_address(submitter)
        publication = self._publish(batch) if len(batch) <= MAX_BATCH_BYTES else None
        return self._loop.run(self._publisher.settle(publication, batch, last_header, attestations, submitter, proofs))

    def list_announced(self) -> list[Announced]:
        return self._look().list_announced(self._follower.number)

    def find_page(self, address: bytes) -> tuple[bytes, ...] | None:
        return self._look().find_page(address)

    def has_code(self, address: bytes) -> bool:
        """Whether there is a contract at a 20-byte address. Raises `L1Error`s."""
        answer = self._loop.run(self._transport.ask("eth_getCode", f"0x{address.hex()}", "latest"))
        return bool(parse_bytes("eth_getCode", answer, _MAX_CODE_BYTES))

    def force(self, payload: bytes, *, sender: bytes) -> int:
        event, _ = self._transact(sender, "force", payload)
        if not isinstance(event, ActionForced):
            raise L1BadAnswer("receipt", f"{type(event).__name__} instead of ActionForced")
        return event.index

    def void(self, index: int, *, caller: bytes) -> int:
        check_index(index)
        return self._announce(caller, "void", index)

    def cancel_void(self, index: int, *, caller: bytes) -> int:
        check_index(index)
        return self._announce(caller, "cancelVoid", index)

    def cancel(self, kind: AnnouncementKind, *, caller: bytes) -> int:
        return self._announce(caller, "cancel", ANNOUNCEMENTS.index(kind))

    def change_verifiers(self, verifiers: VerifierSet, *, caller: bytes) -> int:
        for address in verifiers.addresses:
            check_address(address)
        rules = [(rule.kind, rule.verifier, rule.weight) for rule in verifiers.rules]
        return self._announce(caller, "changeVerifiers", (verifiers.kind, verifiers.addresses, verifiers.quorum, rules))

    def register_keys(self, keys: Sequence[bytes], proofs: Sequence[bytes], *, sender: bytes) -> bytes:
        raw_keys, raw_proofs = encode_page(keys, proofs)
        if self._dry_run:
            return self._rehearse(sender, "registerKeys", raw_keys, raw_proofs)[12:]
        event, _ = self._transact(sender, "registerKeys", raw_keys, raw_proofs)
        if not isinstance(event, KeysRegistered):
            raise L1BadAnswer("receipt", f"{type(event).__name__} instead of KeysRegistered")
        return event.page

    def change_builder(self, builder: bytes, *, caller: bytes) -> int:
        check_address(builder)
        return self._announce(caller, "changeBuilder", builder)

    def announce_code(self, stf_id: bytes, *, caller: bytes) -> int:
        check_stf_id(stf_id)
        return self._announce(caller, "announceCode", stf_id)

    def change_owner(self, owner: bytes, *, caller: bytes) -> int:
        check_address(owner)
        return self._announce(caller, "changeOwner", owner)

    def _announce(self, caller: bytes, function: str, *arguments: object) -> int:
        """The L1 block that the event of an owner's call names."""
        if self._dry_run:
            return int.from_bytes(self._rehearse(caller, function, *arguments), "big")
        event, _ = self._transact(caller, function, *arguments)
        if isinstance(event, RollupCreated | BatchSettled | ActionForced | KeysRegistered):
            raise L1BadAnswer("receipt", f"{type(event).__name__} instead of an announcement")
        return event.effective_block

    def _rehearse(self, sender: bytes, function: str, *arguments: object) -> bytes:
        """The word that a call would return. Raises what the inbox would refuse it with."""
        return self._loop.run(self._publisher.rehearse(sender, function, *arguments))

    def _transact(self, sender: bytes, function: str, *arguments: object) -> tuple[InboxEvent, int]:
        check_address(sender)
        return self._loop.run(self._publisher.transact(sender, function, *arguments))
