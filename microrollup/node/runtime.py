"""`Node`: all parts of a running node, put together, started and stopped in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from microrollup.chain.acknowledgement import SignedAcknowledgement, sign_acknowledgement, sign_acknowledgements
from microrollup.chain.answers.confirmations import Divergent
from microrollup.chain.answers.standing import SettlingStatus
from microrollup.chain.receipt import Receipt
from microrollup.crypto.ecdsa import PrivateKey, SignerUnavailable, SigningKey, compute_address
from microrollup.declaration.admission import load_admission
from microrollup.errors import DuplicateAction, IntakeStopped, L1Behind, MicrorollupError
from microrollup.execution.authentication import may_be_envelope
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import is_forced_record
from microrollup.ledger.ledger import Ledger
from microrollup.node.batch_timing import BatchTiming
from microrollup.node.client_budgets import ClientBudgets
from microrollup.node.errors import NotRecorded
from microrollup.node.intake import Intake
from microrollup.node.open_entries import OpenEntries
from microrollup.node.options import NodeOptions
from microrollup.node.reactions import Reactions
from microrollup.node.reading import ReadingNode
from microrollup.node.settling import Settler, find_final_height
from microrollup.node.standing_gauges import describe_settling, watch_settling
from microrollup.node.submission import Result, Tell, Ticket
from microrollup.node.upgrade_watch import UpgradeWatch
from microrollup.node.verifiers import VerifierLink
from microrollup.node.writer import Writer
from microrollup.sequencer.opening import CLOCKS
from microrollup.sequencer.rations import RationedAdmission
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.sequencer.spending import explain_spent
from microrollup.settlement.attestation import SignedAttestation
from microrollup.settlement.protocol import Settlement
from microrollup.verifier.events import VerifierRequest

__all__ = ["Node", "VerifierSpec"]


SIGNER_SECONDS: Final = 1.0
"""Between two attempts to have a block sealed by a signer that is away."""

UPGRADED: Final = "the rollup was upgraded: the node starts again under the new version in a moment"

_log = structlog.get_logger(__name__)


class VerifierSpec(msgspec.Struct, frozen=True):
    """A verifier that this node runs: its 20-byte address, and the request to its process."""

    address: bytes
    request: VerifierRequest


class Node(ReadingNode):
    """A running node that builds, over an opened ledger. `start` it, `stop` it; in between any thread may call it."""

    def __init__(
        self,
        reference: str,
        ledger: Ledger,
        l1: Settlement,
        key: SigningKey,
        *,
        verifiers: Sequence[VerifierSpec] = (),
        options: NodeOptions | None = None,
        divergent: Divergent | None = None,
        may_settle: Callable[[], bool] = lambda: True,
    ) -> None:
        """`divergent` is what could not be mended at the last start: then no actions are taken. `may_settle` is asked
        before each transaction.
        """
        self._settlement = l1
        super().__init__(reference, ledger, l1, options or NodeOptions())
        self._key = key
        self.operator = compute_address(key)
        self._inbox = l1.get_inbox()
        self._divergent = divergent
        self.reactions = reactions = Reactions(
            self.directory, l1, self.lookups, self.confirmations, self.metrics, self.hub, self.receipts, self.blocks
        )
        reactions.on_closed = self._look_for_upgrade
        self._budgets = ClientBudgets()
        self._has_envelopes = any(version.envelopes for version in ledger.app.versions)
        self.intake = Intake(
            self._make_pool, self._make_opening_pool if self._has_envelopes else None, self._budgets.find_client_wait
        )
        self._watch = watch = UpgradeWatch(ledger, l1)
        self._writer = Writer(
            self._make_sequencer, ledger, reactions, self.intake.release, self.options.timing, watch.look
        )
        self.intake.deliver = self._writer.deliver
        self._settler = Settler(
            l1,
            self.rollup_id,
            self.genesis.l1_chain_id,
            self.operator,
            self.lookups.read_closed,
            reactions,
            may_settle,
            BatchTiming(self.options.settling),
            self.options.proofs,
        )
        self.links = [VerifierLink(f"0x{spec.address.hex()}", spec.request, reactions) for spec in verifiers]
        reactions.writer, reactions.settler, reactions.links = self._writer, self._settler, self.links
        reactions.indexer = self.indexer
        reactions.observer, self._payments = self.observer, l1.payments
        self.observer.payments, self.observer.address = l1.payments, self.operator
        watch_settling(self.metrics, self._settler, self.observer, l1.payments, self.operator)
        self._stopping = threading.Event()
        self._started = False

    # Starting and stopping

    def start(self) -> None:
        """Take over the ledger and begin to work. Raises what the sequencer raises, `UsageError` for a foreign key."""
        self._writer.start()
        head, number, own = self.l1.get_settled(), self.l1.get_number(), self.ledger.header
        if own.l1_origin >= number:
            raise L1Behind(own.height, own.l1_origin, number)
        self.reactions.begin(head, self.l1.get_verifiers(number), self._divergent)
        self._started = True
        self.intake.start()
        self._settler.start()
        self.start_reading()
        for link in self.links:
            link.start()
        _log.info("node_started", height=self.confirmations.latest, verifiers=len(self.links))

    def stop(self) -> None:
        """Answer what was taken, close the open block, end threads and processes. The ledger stays open."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self.intake.close("the node is shutting down")
        self.stop_reading()
        if not self._started:
            self._writer.close()
            self._watch.join()
            self.intake.close_pool()
            return
        self.intake.join()
        self._settler.close()
        self._writer.close()
        self._watch.join()
        self.intake.close_pool()
        for link in self.links:
            link.close()
        self.close_reading()
        _log.info("node_stopped", height=self.ledger.checkpoint.height)

    @property
    def has_failed(self) -> bool:
        """Whether memory is ahead of what is durable: nothing but making the node anew helps."""
        return self._writer.failed

    def retire(self, reason: str) -> None:
        """Take no more actions and build no more blocks, the open one neither; `stop` may follow."""
        self._writer.stop_intake(reason)

    def rebuild(self, height: int) -> None:
        """Build the blocks from a height on again, as after a C2X. Raises what `Sequencer.rebuild` raises."""
        self._writer.ask(lambda sequencer: sequencer.rebuild(height)).result()

    def _make_pool(self) -> AuthenticationPool:
        return self._make_pool_of(self.options.workers)

    def _make_opening_pool(self) -> AuthenticationPool:
        """Of half as many processes, which are started when an envelope comes."""
        return self._make_pool_of((self.options.workers + 1) // 2)

    def _make_pool_of(self, workers: int) -> AuthenticationPool:
        pool = AuthenticationPool(self.reference, self.genesis.domain, workers)
        pool.version = len(self.rollup.versions) - 1
        return pool

    def _look_for_upgrade(self) -> None:
        if self.has_upgraded:
            _log.info("upgraded", version=self.ledger.rollup.version, height=self.ledger.checkpoint.height)
            self.intake.close(UPGRADED)
            self.on_upgrade()

    def _make_sequencer(self) -> Sequencer[Ticket]:
        sequencer: Sequencer[Ticket] = Sequencer(
            self.ledger,
            self._key,
            self._settlement,
            block_size=self.options.block_size,
            clock=CLOCKS[self.options.clock],
            upgrade=self.options.upgrade,
            patience=self._wait_for_signer,
        )
        sequencer.spending.purse = self._budgets
        admit = load_admission(self.ledger.rollup)
        sequencer.spending.admission = None if admit is None else RationedAdmission(admit)
        try:
            sequencer.check_builder()
        except BaseException:
            sequencer.close()
            raise
        return sequencer

    def _find_final(self, settled: int) -> int:
        return find_final_height(self._settlement, 0, settled)

    @property
    def queue_depth(self) -> int:
        """Actions taken and not yet decided."""
        return self.intake.depth

    def _get_open(self) -> OpenEntries | None:
        return self._writer.open_entries

    # Taking actions

    @property
    def stopped(self) -> str | None:
        """Why no actions are taken; None while they are."""
        return "the node is shutting down" if self._stopping.is_set() else self._writer.stopped or self._signer_failure

    @property
    def signs_here(self) -> bool:
        """Whether acknowledgements are signed in this process, and not by asking another one."""
        return isinstance(self._key, PrivateKey)

    @property
    def _signer_failure(self) -> str | None:
        return None if isinstance(self._key, PrivateKey) else self._key.failure

    def _wait_for_signer(self, away: SignerUnavailable) -> bool:
        _log.error("block_not_sealed", reason=str(away))
        return not self._stopping.wait(SIGNER_SECONDS)

    def hand_in(self, lines: Sequence[bytes], client: str | None, tell: Tell) -> None:
        """Hand in signed actions and envelopes in their JSON form. Raises `Overloaded`, `IntakeStopped`, and
        `BudgetSpent` for envelopes of a client whose share is spent; then none was taken.

        `client` is whose share of the execution time they count against; None for nobody's. `tell` is called with the
        results once all are decided.
        """
        if (stopped := self._writer.stopped or self._signer_failure) is not None:
            raise IntakeStopped(stopped)
        wait = self._budgets.find_client_wait(client) if self._has_envelopes else 0.0
        if wait > 0 and any(map(may_be_envelope, lines)):
            raise explain_spent(wait)
        self.intake.hand_in(lines, client, tell)

    def acknowledge(self, results: Sequence[Result]) -> list[SignedAcknowledgement | MicrorollupError]:
        """The signed acknowledgements of what is durable; a known action's is its original one, from the log.

        None was given for what somebody carried through the queue: it stays refused as a duplicate. For what is durable
        and could not be signed there is `SignerUnavailable`: the same action, submitted again, is acknowledged then.
        """
        found = [self._find_receipt(result) for result in results]
        places = [each for each in found if isinstance(each, tuple)]
        chain_id = self.genesis.l1_chain_id
        signed = iter(sign_acknowledgements(self._key, self.rollup_id, places, chain_id=chain_id, inbox=self._inbox))
        return [next(signed) if isinstance(each, tuple) else each for each in found]

    def _find_receipt(self, result: Result) -> tuple[int, Receipt] | MicrorollupError:
        """Height and receipt of what is to be acknowledged, or why nothing is."""
        if isinstance(result, Sequenced):
            return result.height, result.receipt
        if not isinstance(result, DuplicateAction) or result.seq < 0:
            return result
        try:
            found = self.lookups.get_action(result.seq)
        except MicrorollupError as error:  # its receipt is not kept: no reason to lose the others
            return error
        return result if is_forced_record(found.record) else (found.height, found.receipt)

    def sign(self, height: int, receipt: Receipt) -> SignedAcknowledgement:
        """Acknowledge an action that is durable."""
        chain_id = self.genesis.l1_chain_id
        return sign_acknowledgement(self._key, self.rollup_id, height, receipt, chain_id=chain_id, inbox=self._inbox)

    # Settling

    def submit_attestation(self, signed: SignedAttestation) -> tuple[int, int]:
        """Count an attestation: how many the present batch has, and how many it takes. Raises `AttestationRefused`."""
        return self.reactions.count_attestation(signed)

    def request_settlement(self, token: str | None = None) -> int | None:
        """Have what is closed settled at once; how often anybody may still ask so today, None with the token.

        Raises `SettlementNotDue`.
        """
        return self._settler.ask_now(token)

    @property
    def quorum_missing(self) -> int:
        """L1 blocks since a batch that lacks a quorum should have had one; 0 while there is none."""
        return self._settler.quorum_missing

    def describe_settling(self) -> SettlingStatus:
        """How settling goes, and what it costs."""
        return describe_settling(self._settler, self.observer, self._payments, self.operator)

    def get_batch(self, first_height: int) -> tuple[bytes, int]:
        """The builder's batch from a height on, and its last height. Raises `NotRecorded` if none is offered now.

        An older batch is on L1; a client does not get this node to fetch it.
        """
        candidate = self._settler.get_candidate(first_height)
        if candidate is None:
            raise NotRecorded(f"no batch begins at height {first_height} now")
        return candidate.batch, candidate.attestation.last_height
