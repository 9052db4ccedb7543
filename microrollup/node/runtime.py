"""`Node`: all parts of a running node, put together, started and stopped in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.acknowledgement import SignedAcknowledgement, sign_acknowledgement
from microrollup.authentication_pool import AuthenticationPool
from microrollup.block import Block, Header
from microrollup.crypto import PrivateKey, compute_address
from microrollup.errors import Divergence, DuplicateAction, IntakeStopped, MicrorollupError
from microrollup.ledger import Ledger
from microrollup.node.confirmations import Confirmation, Confirmations, Divergent
from microrollup.node.divergence_note import keep_divergence
from microrollup.node.errors import NotFound
from microrollup.node.hub import Hub, Ring
from microrollup.node.intake import Intake
from microrollup.node.lookups import Lookups
from microrollup.node.metrics import Metrics
from microrollup.node.open_entries import LoggedAction, OpenEntries
from microrollup.node.settling import Settler, find_final_height
from microrollup.node.status import watch_gauges
from microrollup.node.submission import Result, Ticket
from microrollup.node.verifiers import VerifierLink
from microrollup.node.vouches import Vouches
from microrollup.node.writer import Writer, WriterOptions
from microrollup.receipt import FAULTED, Receipt
from microrollup.sequencer import DEFAULT_BLOCK_SIZE, Acknowledgement, Sequencer
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.protocol import Reorg, SettledHead, Settlement
from microrollup.verifier.events import DivergenceEvent, Report, Request
from microrollup.verifier.verify import verify_block_on_l1, verify_open_block_on_l1

__all__ = ["Node", "NodeOptions", "VerifierSpec"]

SETTLED_TIMEOUT_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class NodeOptions(msgspec.Struct, frozen=True):
    """How a node works."""

    block_size: int = DEFAULT_BLOCK_SIZE
    timing: WriterOptions = WriterOptions()
    workers: int = 0
    """Processes that check signatures; 0: a thread does."""


class VerifierSpec(msgspec.Struct, frozen=True):
    """A verifier that this node runs: its 20-byte address, and the request to its process."""

    address: bytes
    request: Request


class Node:
    """A running node over an opened ledger. `start` it, `stop` it; in between any thread may call it.

    `reference` is `module:name` of the app, for processes that load it for themselves.
    """

    def __init__(
        self,
        reference: str,
        ledger: Ledger,
        l1: Settlement,
        key: PrivateKey,
        *,
        verifiers: Sequence[VerifierSpec] = (),
        options: NodeOptions | None = None,
        divergent: Divergent | None = None,
    ) -> None:
        """`divergent` is what could not be mended at the last start: then no actions are taken."""
        self.options = options or NodeOptions()
        self.reference = reference
        self.ledger = ledger
        self.rollup = ledger.rollup
        self.genesis = ledger.genesis
        self.rollup_id = ledger.rollup_id
        self.l1 = l1
        self.directory: Path = ledger.environment.directory
        self._key = key
        self.operator = compute_address(key)
        self._inbox = l1.get_inbox()
        self._divergent = divergent
        self.started_at = time.time()
        self.metrics = Metrics()
        self.hub = Hub()
        settled = l1.get_settled().height
        latest = ledger.checkpoint.height
        self.receipts: Ring[LoggedAction] = Ring(ledger.checkpoint.next_seq, self.hub.wake)
        self.blocks: Ring[Header] = Ring(latest + 1, self.hub.wake)
        self.announcements: Ring[Confirmation] = Ring(0, self.hub.wake)
        final = find_final_height(l1, 0, settled)
        self.confirmations = Confirmations(latest, min(final, latest), self.announcements.append)
        self.confirmations.note_available(min(settled, latest))
        self.intake = Intake(self._make_pool)
        self._writer = Writer(self._make_sequencer, ledger, self, self.intake.release, self.options.timing)
        self.intake.deliver = self._writer.deliver
        self.lookups = Lookups(ledger, self._get_open)
        self._vouches = Vouches(self.directory, self.lookups.find_hash)
        self._settler = Settler(
            l1,
            self.rollup_id,
            self.genesis.l1_chain_id,
            self.operator,
            self._read_closed,
            self,
        )
        self.links = [VerifierLink(f"0x{spec.address.hex()}", spec.request, self) for spec in verifiers]
        self._stopping = threading.Event()
        self._started = False
        watch_gauges(self)

    # Starting and stopping

    def start(self) -> None:
        """Take over the ledger and begin to work. Raises what the sequencer raises, `UsageError` for a foreign key."""
        self._writer.start()
        head = self.l1.get_settled()
        if 0 < head.height <= self.confirmations.latest:  # a crash may have come before this was noted
            self._note_height(head)
        verifiers = self.l1.get_verifiers(self.l1.get_number())
        self._vouches.load()
        self.confirmations.note_verified(self._vouches.find_height(verifiers))
        if self._divergent is not None:
            self._shut(self._divergent)
        else:
            self._require_head(head)
            self._require_l1(head.height + 1)  # L1 may have taken back blocks while nobody looked
        self._started = True
        self.intake.start()
        self._settler.start()
        for link in self.links:
            link.start()
        _log.info("node_started", height=self.confirmations.latest, verifiers=len(self.links))

    def stop(self) -> None:
        """Answer what was taken, close the open block, end threads and processes. The ledger stays open."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self.intake.close("the node is shutting down")
        if not self._started:
            self._writer.close()
            self.intake.close_pool()
            return
        self.intake.join()
        self._settler.close()
        self._writer.close()
        self.intake.close_pool()
        for link in self.links:
            link.close()
        self.hub.wake()
        _log.info("node_stopped", height=self.ledger.checkpoint.height)

    def _make_pool(self) -> AuthenticationPool:
        return AuthenticationPool(self.reference, self.genesis.domain, self.options.workers)

    def _make_sequencer(self) -> Sequencer[Ticket]:
        sequencer: Sequencer[Ticket] = Sequencer(
            self.ledger, self._key, self.l1, block_size=self.options.block_size
        )
        try:
            sequencer.check_builder()
        except BaseException:
            sequencer.close()
            raise
        return sequencer

    def _get_open(self) -> OpenEntries | None:
        return self._writer.open_entries

    # Taking actions

    @property
    def stopped(self) -> str | None:
        """Why no actions are taken; None while they are."""
        return "the node is shutting down" if self._stopping.is_set() else self._writer.stopped

    def submit(self, lines: Sequence[bytes]) -> Future[list[Result]]:
        """Hand in signed actions in their JSON form. Raises `NodeBusy` and `IntakeStopped`; then none was taken."""
        if self._writer.stopped is not None:
            raise IntakeStopped(self._writer.stopped)
        return self.intake.submit(lines)

    def acknowledge(self, result: Result) -> SignedAcknowledgement | MicrorollupError:
        """The signed acknowledgement of what is durable; a known action's is its original one, from the log."""
        if isinstance(result, DuplicateAction) and result.seq >= 0:
            found = self.lookups.get_action(result.seq)
            return self.sign(found.height, found.receipt)
        return self.sign(result.height, result.receipt) if isinstance(result, Acknowledgement) else result

    def sign(self, height: int, receipt: Receipt) -> SignedAcknowledgement:
        """Acknowledge an action that is durable."""
        chain_id = self.genesis.l1_chain_id
        return sign_acknowledgement(
            self._key, self.rollup_id, height, receipt, chain_id=chain_id, inbox=self._inbox
        )

    # What the writer tells (a `Publisher`)

    def publish_actions(self, actions: Sequence[LoggedAction]) -> None:
        """Entries have become durable."""
        for action in actions:
            if action.sender is not None:
                self.lookups.remember_sender(action.receipt.action_hash, action.sender)
            if action.receipt.status == FAULTED:
                _log.error("action_faulted", seq=action.seq, height=action.height)
            self.receipts.append(action, wake=False)
        self.receipts.wake()

    def publish_block(self, header: Header) -> None:
        """A block is closed."""
        self.metrics.note_block()
        self.blocks.append(header, wake=False)
        self.confirmations.note_closed(header.height)
        self._settler.wake()
        for link in self.links:
            link.tick(None)

    def note_commit(self, seconds: float, results: Sequence[Result]) -> None:
        """A group was executed and committed, or refused."""
        self.metrics.note_group(seconds, results)

    def note_stopped(self, reason: str) -> None:
        """Intake has stopped."""
        _log.error("intake_stopped", reason=reason)
        self.hub.wake()

    # What verifiers tell (a `FollowerListener`)

    def note_verified(self, name: str, height: int) -> None:
        """A verifier of this node has verified everything up to a height."""
        self._vouch(bytes.fromhex(name[2:]), height)

    def note_report(self, name: str, report: Report) -> None:
        """A verifier of this node is done with what there was."""
        self._vouch(bytes.fromhex(name[2:]), report.verified, bytes.fromhex(report.block_hash[2:]))

    def take_attestation(self, signed: SignedAttestation) -> None:
        """A verifier of this node attests."""
        try:
            self.submit_attestation(signed)
        except MicrorollupError as error:
            _log.info("attestation_not_taken", reason=str(error))

    def note_divergence(self, name: str, event: DivergenceEvent) -> None:
        """A verifier of this node says that a block is wrong: C2X."""
        divergent = Divergent(event.height, event.seq, event.field, event.expected, event.found)
        _log.error("divergence", verifier=name, height=event.height, field=event.field)
        known = self.confirmations.divergent
        if known is not None and known.height <= divergent.height:
            return
        try:
            keep_divergence(self.directory, divergent)
        except OSError as error:  # the next start does not know it, until a verifier says it again
            _log.error("divergence_not_kept", reason=str(error))
        self._shut(divergent)

    def _shut(self, divergent: Divergent) -> None:
        """Take no more actions and settle nothing: a block is invalid."""
        self._settler.halt()
        self.confirmations.note_divergent(divergent)
        self._writer.stop_intake(
            f"block {divergent.height} is invalid (C2X): {divergent.field} is {divergent.found}, a verifier computes"
            f" {divergent.expected}; restart to build it again from the log"
        )

    def submit_attestation(self, signed: SignedAttestation) -> tuple[int, int]:
        """Count an attestation: how many the present batch has, and how many it takes. Raises `AttestationRefused`."""
        count, quorum, attester = self._settler.take(signed)
        self._vouch(attester, signed.attestation.last_height)
        return count, quorum

    def _vouch(self, attester: bytes, height: int, block_hash: bytes | None = None) -> None:
        """Note how far a verifier vouches; what a quorum vouches for is verified."""
        verifiers = self.l1.get_verifiers(self.l1.get_number())
        if not self._vouches.note(attester, height, verifiers, block_hash):
            _log.error("verifier_has_other_blocks", verifier=f"0x{attester.hex()}", height=height)
            return
        self.confirmations.note_verified(self._vouches.find_height(verifiers))

    # Settling

    def get_batch(self, first_height: int) -> tuple[bytes, int]:
        """The builder's batch from a height on, and its last height. Raises `NotFound` if none is offered now."""
        candidate = self._settler.get_candidate(first_height)
        if candidate is not None:
            return candidate.batch, candidate.attestation.last_height
        settled = self.l1.get_settled_at(first_height)
        if settled is not None and settled.first_height == first_height:
            return settled.batch, settled.header.height
        raise NotFound(f"no batch begins at height {first_height} now")

    def _read_closed(self, first_height: int) -> Iterable[Block]:
        """Closed blocks from a height on, as any thread may read them."""

        def read() -> Iterator[Block]:
            height = first_height
            while height <= self.lookups.get_tip():
                yield from self.lookups.read_blocks(height, height, 0)
                height += 1

        return read()

    def note_candidate(self, last_height: int) -> None:
        """There is a batch to attest; whoever has done so need not hear of it again."""
        for link in self.links:
            if not self._settler.has_signed(bytes.fromhex(link.name[2:])):
                link.tick(last_height)

    def note_included(self, head: SettledHead) -> None:
        """The settlement took a batch: note it in the ledger, then say so."""
        self._note_height(head)
        self.confirmations.note_available(head.height)

    def note_final(self, height: int) -> None:
        """What settled up to a height stays."""
        self.confirmations.note_settled(min(height, self.confirmations.latest))

    def note_reorg(self, reorg: Reorg) -> None:
        """L1 replaced blocks of its own. What was built on them must still be right, or intake stops."""
        self.confirmations.note_taken_back(reorg.head.height)
        self._require_head(reorg.head)
        if self._writer.ask(lambda sequencer: _get_newest_origin(sequencer.ledger)).result() >= reorg.l1_number:
            self._require_l1(reorg.head.height + 1)  # deeper than the buffer; else nothing was built on what is gone

    def _require_head(self, head: SettledHead) -> None:
        """What L1 has settled must be in this store, or nothing that is taken now could ever settle."""
        latest = self.confirmations.latest
        if head.height > latest:
            self._leave_l1(f"L1 has settled block {head.height}, and this store ends at {latest}: it is an old copy")
        elif self.lookups.find_hash(head.height) not in (None, head.block_hash):
            self._leave_l1(f"L1 has settled another block {head.height} than this store holds")

    def _require_l1(self, first_height: int) -> None:
        """What is not settled must still be right on L1 as it is now, or intake and settling stop."""
        try:
            self._writer.ask(lambda sequencer: verify_open_block_on_l1(sequencer.ledger, self.l1)).result()
            for block in self._read_closed(first_height):
                verify_block_on_l1(block, self.l1)
        except Divergence as error:
            self._leave_l1(
                f"block {error.height} was built on L1 blocks that L1 has taken back since, deeper than this node stays"
                f" behind its head: its {error.field} is not right any more"
            )

    def _leave_l1(self, reason: str) -> None:
        """Take and settle nothing more: what this store holds is not what L1 holds."""
        self._settler.halt()
        self._writer.stop_intake(f'{reason}; see "Deep reorgs" in the README')

    def _note_height(self, head: SettledHead) -> None:
        time_settled = self.l1.get_time(head.l1_number)
        noted = self._writer.ask(lambda sequencer: sequencer.ledger.note_settled(head.height, time_settled))
        try:
            noted.result(SETTLED_TIMEOUT_SECONDS)
        except (MicrorollupError, TimeoutError) as error:
            _log.error("settled_height_not_noted", reason=str(error) or type(error).__name__)

    # Reading

    def read_receipts(self, cursor: int, limit: int) -> list[LoggedAction]:
        """Durable entries from a sequence number on. Raises `NotFound` for what is not kept."""
        found = self.receipts.read(cursor, limit)
        return self.lookups.read_actions(cursor, limit) if found is None else found

    def read_headers(self, cursor: int, limit: int) -> list[Header]:
        """Headers of closed blocks from a height on."""
        found = self.blocks.read(cursor, limit)
        return self.lookups.read_headers(cursor, limit) if found is None else found

    def get_settled_depth(self, height: int) -> int | None:
        """How many L1 blocks deep the batch with this height is settled."""
        return self.l1.get_confirmations(height)


def _get_newest_origin(ledger: Ledger) -> int:
    """The L1 block that the newest block is bound to, open or closed."""
    return ledger.header.l1_origin if ledger.block is None else ledger.block.open.l1_origin
