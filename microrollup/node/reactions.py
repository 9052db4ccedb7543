"""What a running node does when its writer, its verifiers or its settler tell it something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import structlog

from microrollup.chain.answers.confirmations import Divergent
from microrollup.chain.block import Header
from microrollup.errors import MicrorollupError
from microrollup.ledger.ledger import Ledger
from microrollup.node.announcer import Announcer
from microrollup.node.confirmations import Confirmations
from microrollup.node.divergence_note import keep_divergence
from microrollup.node.hub import Hub, Ring
from microrollup.node.lookups import Lookups
from microrollup.node.metrics import Metrics
from microrollup.node.observer import Observer
from microrollup.node.open_entries import LoggedAction
from microrollup.node.settling import Settler
from microrollup.node.standing import find_foreign_head, find_stale_block
from microrollup.node.submission import Ticket
from microrollup.node.verifiers import VerifierLink
from microrollup.node.vouches import Vouches
from microrollup.node.writer import Writer
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.inbox import MAX_ORIGIN_AGE_BLOCKS
from microrollup.settlement.protocol import Reorg, SettledHead, Settlement
from microrollup.settlement.verifiers import VerifierSet
from microrollup.verifier.events import DivergenceEvent, Report
from microrollup.verifier.l1_rules import verify_open_block_on_l1

__all__ = ["Reactions"]

SETTLED_TIMEOUT_SECONDS: Final = 30.0

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


class Reactions(Announcer):
    """Listens to the parts of a node, and acts on others of them. Each method is called by the thread that tells it.

    `writer`, `settler` and `links` are made with this as their listener, and named here before they start, as is
    `observer`.
    """

    writer: Writer
    settler: Settler
    links: Sequence[VerifierLink]
    observer: Observer

    def __init__(
        self,
        directory: Path,
        l1: Settlement,
        lookups: Lookups,
        confirmations: Confirmations,
        metrics: Metrics,
        hub: Hub,
        receipts: Ring[LoggedAction],
        blocks: Ring[Header],
    ) -> None:
        super().__init__(lookups, confirmations, metrics, hub, receipts, blocks)
        self._directory = directory
        self._l1 = l1
        self._vouches = Vouches(directory, lookups.find_hash)
        self.on_closed: Callable[[], None] = lambda: None
        """Called for each closed block when it can be read."""

    def begin(self, head: SettledHead, verifiers: VerifierSet, divergent: Divergent | None) -> None:
        """Note what may have happened while nobody looked; the writer has started, and nothing else."""
        if 0 < head.height <= self._confirmations.latest:  # a crash may have come before this was noted
            self._note_height(head)
        self._vouches.load()
        self._confirmations.note_verified(self._vouches.find_height(verifiers))
        if divergent is not None:
            self._shut(divergent)
        else:
            self._require_standing(head, 0)  # L1 may have taken back blocks

    # What the writer tells (a `LedgerListener`)

    def publish_block(self, header: Header) -> None:
        """A block is closed."""
        super().publish_block(header)
        self.settler.wake()
        for link in self.links:
            link.tick(None)
        self.on_closed()

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
            self.count_attestation(signed)
        except MicrorollupError as error:
            _log.info("attestation_not_taken", reason=str(error))

    def note_divergence(self, name: str, event: DivergenceEvent) -> None:
        """A verifier of this node says that a block is wrong: C2X."""
        divergent = Divergent(event.height, event.seq, event.field, event.expected, event.found)
        _log.error("divergence", verifier=name, height=event.height, field=event.field)
        known = self._confirmations.divergent
        if known is not None and known.height <= divergent.height:
            return
        try:
            keep_divergence(self._directory, divergent)
        except OSError as error:  # the next start does not know it, until a verifier says it again
            _log.error("divergence_not_kept", reason=str(error))
        self._shut(divergent)

    def _shut(self, divergent: Divergent) -> None:
        """Take no more actions and settle nothing: a block is invalid."""
        self.settler.halt()
        self._confirmations.note_divergent(divergent)
        self.writer.stop_intake(
            f"block {divergent.height} is invalid (C2X): {divergent.field} is {divergent.found}, a verifier computes"
            f" {divergent.expected}; restart to build it again from the log"
        )

    def count_attestation(self, signed: SignedAttestation) -> tuple[int, int]:
        """Count an attestation: how many the present batch has, and how many it takes. Raises `AttestationRefused`."""
        count, quorum, attester = self.settler.take(signed)
        self._vouch(attester, signed.attestation.last_height)
        return count, quorum

    def _vouch(self, attester: bytes, height: int, block_hash: bytes | None = None) -> None:
        """Note how far a verifier vouches; what a quorum vouches for is verified."""
        verifiers = self._l1.get_verifiers(self._l1.get_number())
        if not self._vouches.note(attester, height, verifiers, block_hash):
            _log.error("verifier_has_other_blocks", verifier=f"0x{attester.hex()}", height=height)
            return
        self._confirmations.note_verified(self._vouches.find_height(verifiers))

    # What the settler tells (a `SettlingListener`)

    def note_candidate(self, last_height: int) -> None:
        """There is a batch to attest; a verifier that has done so need not hear of it again."""
        for link in self.links:
            if not self.settler.has_signed(bytes.fromhex(link.name[2:])):
                link.tick(last_height)

    def note_included(self, head: SettledHead) -> None:
        """L1 holds a batch: note it in the ledger, then say so. If it is of other blocks, these here never settle."""
        self.observer.wake()
        foreign = find_foreign_head(head, self._lookups.get_tip(), self._lookups.find_hash)
        if foreign is not None:
            self._leave_l1(foreign)
        elif head.height > 0:
            self._note_height(head)
            self._confirmations.note_available(head.height)

    def note_failure(self, kind: str) -> None:
        """An attempt to settle failed; it is made again."""
        self._metrics.note_settlement_failure(kind)
        self.observer.wake()

    def note_stalled(self, height: int, age: int) -> None:
        """A block has not settled for long: take no more of what may never settle."""
        if self.writer.stopped is None:
            self.writer.stop_intake(
                f"block {height} has not settled since {age} L1 blocks, and after {MAX_ORIGIN_AGE_BLOCKS} it cannot any"
                " more: look at the verifiers and at L1, and restart when it has settled"
            )

    def note_final(self, height: int) -> None:
        """What settled up to a height stays."""
        self._confirmations.note_settled(min(height, self._confirmations.latest))

    def note_reorg(self, reorg: Reorg) -> None:
        """L1 replaced blocks of its own. What was built on them must still be right, or intake stops."""
        self._confirmations.note_taken_back(reorg.head.height)
        self._require_standing(reorg.head, reorg.l1_number)

    def _require_standing(self, head: SettledHead, l1_number: int) -> None:
        """What L1 has settled must be in this store, and what is not must be right, or intake and settling stop.

        Blocks are looked at if any is bound to an L1 block from `l1_number` on: a reorg within the buffer leaves none.
        """
        reason = find_foreign_head(head, self._confirmations.latest, self._lookups.find_hash)
        if reason is None and self._ask_ledger(_get_newest_origin) >= l1_number:
            reason = find_stale_block(
                self._lookups.read_closed(head.height + 1),
                lambda: self.writer.ask(self._verify_open_block).result(),
                self._l1,
            )
        if reason is not None:
            self._leave_l1(reason)

    def _verify_open_block(self, sequencer: Sequencer[Ticket]) -> None:
        """Raises `Divergence`. After a failure the open block in memory is not what the log has: it is let go."""
        if not sequencer.failed:
            verify_open_block_on_l1(sequencer.ledger, self._l1)

    def _leave_l1(self, reason: str) -> None:
        """Take and settle nothing more: what this store holds is not what L1 holds."""
        self.settler.halt()
        self.writer.stop_intake(f"{reason}; see `microrollup docs deep-reorgs`")

    def _ask_ledger(self, question: Callable[[Ledger], _T]) -> _T:
        """What the ledger says, asked by the writer's thread."""
        return self.writer.ask(lambda sequencer: question(sequencer.ledger)).result()

    def _note_height(self, head: SettledHead) -> None:
        time_settled = self._l1.get_time(head.l1_number)
        noted = self.writer.ask(lambda sequencer: sequencer.ledger.note_settled(head.height, time_settled))
        try:
            noted.result(SETTLED_TIMEOUT_SECONDS)
        except (MicrorollupError, TimeoutError) as error:
            _log.error("settled_height_not_noted", reason=str(error) or type(error).__name__)


def _get_newest_origin(ledger: Ledger) -> int:
    """The L1 block that the newest block is bound to, open or closed."""
    return ledger.header.l1_origin if ledger.block is None else ledger.block.open.l1_origin
