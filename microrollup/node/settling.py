"""Settling: cut the next batch, gather the attestations of a quorum, hand both to the settlement, note how far it is.

One batch at a time: verifiers sign the builder's very bytes, so these stay as they are until they are settled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from typing import Final, Protocol

import msgspec
import structlog

from microrollup.chain.block import Block
from microrollup.errors import MicrorollupError, SettlementError
from microrollup.node.batch_timing import MAX_BATCH_BLOCKS, QUIET_BLOCKS, BatchTiming, SettleOptions
from microrollup.node.failures import FailureNote
from microrollup.settlement.attestation import (
    BatchAttestation,
    SignedAttestation,
    compute_attestation_digest,
    create_attestation,
    recover_attester,
)
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.settlement.due import make_may_end
from microrollup.settlement.errors import FutureTimestamp
from microrollup.settlement.inbox import MAX_ORIGIN_AGE_BLOCKS
from microrollup.settlement.proofs import ProofBook, ProofSource
from microrollup.settlement.protocol import Reorg, SettledHead, Settlement
from microrollup.settlement.quorum_errors import RuleUnmet
from microrollup.settlement.verifiers import VerifierSet

__all__ = ["AttestationRefused", "Candidate", "Settler", "SettlingListener", "find_final_height"]

_TRIES: Final = 5
RETRY_SECONDS: Final = 1.0
TROUBLE_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 5.0
_HOUR_BLOCKS: Final = 300
MAX_UNSETTLED_BLOCKS: Final = MAX_ORIGIN_AGE_BLOCKS // 2
"""L1 blocks, a day of them: as much time again remains to settle what has been acknowledged by then."""

_log = structlog.get_logger(__name__)


class AttestationRefused(MicrorollupError):
    """An attestation that settles nothing here; the text says why."""


class SettlingListener(Protocol):
    """Is told how settling goes, by the settler's thread."""

    def note_candidate(self, last_height: int) -> None:
        """There is a batch to attest, up to a height; said again while it lacks a quorum."""

    def note_included(self, head: SettledHead) -> None:
        """The settlement took a batch, of this settler or of somebody else."""

    def note_stalled(self, height: int, age: int) -> None:
        """The block at a height has not settled since `age` L1 blocks; said again while it has not."""

    def note_final(self, height: int) -> None:
        """What settled up to a height is deep enough to stay."""

    def note_reorg(self, reorg: Reorg) -> None:
        """L1 replaced blocks of its own."""

    def note_failure(self, kind: str) -> None:
        """An attempt failed; the error's name, `Fault` for a bug."""


def find_final_height(settlement: Settlement, low: int, high: int) -> int:
    """The highest of the heights `low ..= high` that is settled as deep as this view of L1 waits for reorgs.

    `low` is known to be one; depth falls as heights rise, so halving finds it.
    """
    for _ in range(_TRIES):
        number = settlement.get_number()
        final = _halve(settlement, number - settlement.get_origin(), low, high)
        if number == settlement.get_number():  # else L1 went on meanwhile, and depths were of two moments
            return final
    return low


def _halve(settlement: Settlement, distance: int, low: int, high: int) -> int:
    """`distance` is how many blocks the view's origin precedes the block that is to come: 1 where no reorg is expected.

    A batch is final in the origin or below it: the view waits for reorgs of all the blocks above.
    """
    depth = distance if distance > 1 else 0
    while low < high:
        middle = (low + high + 1) // 2
        found = settlement.get_confirmations(middle)
        if found is not None and found >= depth:
            low = middle
        else:
            high = middle - 1
    return low


class Candidate(msgspec.Struct, frozen=True):
    """The batch that is to be settled next."""

    batch: bytes
    last: Block
    attestation: BatchAttestation
    """What each verifier must sign."""
    oldest_origin: int
    """L1 block that its first block is bound to."""


class Settler:
    """Runs in a thread of its own. `read_blocks` gives closed blocks from a height on, as any thread may read them."""

    def __init__(
        self,
        settlement: Settlement,
        rollup_id: bytes,
        chain_id: int,
        submitter: bytes,
        read_blocks: Callable[[int], Iterable[Block]],
        listener: SettlingListener,
        may_settle: Callable[[], bool] = lambda: True,
        timing: BatchTiming | None = None,
        proofs: Sequence[ProofSource] = (),
    ) -> None:
        self._settlement = settlement
        self._rollup_id = rollup_id
        self._chain_id = chain_id
        self._submitter = submitter
        self._read_blocks = read_blocks
        self._listener = listener
        self._may_settle = may_settle
        self.timing = timing or BatchTiming(SettleOptions())
        self._proofs = ProofBook(proofs)
        self.quorum_missing = 0
        """L1 blocks since a batch that lacks a quorum should have had one; 0 while there is none."""
        self.failures = FailureNote()
        self._quorum_told = 0
        """L1 block when a missing quorum was told last."""
        self._final = 0
        self._included = b""
        """Hash of the settled block that the listener was told of last."""
        self._condition = threading.Condition()
        self._closing = False
        self._halted = False
        self._candidate: Candidate | None = None
        self._settled: Candidate | None = None
        """The last one that this settler settled, for a verifier that asks a moment late."""
        self._signed: dict[bytes, SignedAttestation] = {}
        self._told_at = 0.0
        self._reorgs: list[Reorg] = []
        """Until the listener has taken them."""
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new block."""
        with self._condition:
            self._condition.notify()

    def halt(self) -> None:
        """Settle nothing more: a block is invalid."""
        self._halted = True

    def close(self) -> None:
        """End the thread; what is not settled waits for the next start.

        A transaction may wait for L1 for minutes. It is left to itself then: the next start finds it settled, or sends
        it again under the same nonce.
        """
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            _log.warning("settling_left", reason="a transaction is on its way; the next start looks what became of it")

    def get_candidate(self, first_height: int) -> Candidate | None:
        """The batch that begins at a height, if it is the one to be settled next, or was settled last."""
        for candidate in (self._candidate, self._settled):
            if candidate is not None and candidate.attestation.first_height == first_height:
                return candidate
        return None

    def has_signed(self, attester: bytes) -> bool:
        """Whether this verifier has attested the present batch."""
        with self._condition:
            return attester in self._signed

    def take(self, signed: SignedAttestation) -> tuple[int, int, bytes]:
        """Count an attestation of the present batch: how many there are, how many it takes, and who signed.

        Raises `AttestationRefused`.
        """
        verifiers = self._settlement.get_verifiers(self._settlement.get_number())
        if signed.key and signed.key not in verifiers.members:  # before its share costs a pairing
            raise AttestationRefused(f"0x{signed.key.hex()} is not among the rollup's verifiers")
        try:
            attester = recover_attester(signed, self._chain_id, self._settlement.get_inbox())
        except MicrorollupError as error:
            raise AttestationRefused(str(error)) from None
        if attester not in verifiers.members:
            raise AttestationRefused(f"0x{attester.hex()} is not among the rollup's verifiers")
        with self._condition:
            candidate = self._candidate
            if candidate is None:
                raise AttestationRefused("there is no batch to attest now")
            _verify_attestation(candidate.attestation, signed.attestation)
            self._signed[attester] = signed
            count = len(self._choose_signed(verifiers))
            self._condition.notify()
        return count, verifiers.quorum, attester

    def _run(self) -> None:
        while True:
            try:
                delay = self._step()
            except SettlementError as error:
                _log.error("batch_not_settled", reason=str(error))
                self._listener.note_failure(self.failures.note(error))
                self._drop()
                delay = TROUBLE_SECONDS
            except CancelledError:  # L1 was closed under a settler that had been left
                return
            except MicrorollupError as error:
                _log.error("settling_failed", reason=str(error))
                self._listener.note_failure(self.failures.note(error))
                delay = TROUBLE_SECONDS
            except Exception as error:  # a bug, or no memory: settling must not end for it
                _log.exception("settler_failed")
                self._listener.note_failure(self.failures.note(error))
                delay = TROUBLE_SECONDS
            with self._condition:
                if delay and not self._closing:
                    self._condition.wait(delay)
                if self._closing:
                    return

    def _step(self) -> float:
        """Do what can be done now; the seconds to wait unless something happens."""
        if self._halted:
            return TROUBLE_SECONDS
        self._take_reorgs()
        head = self._settlement.get_settled()
        if not self._note_head(head):
            return TROUBLE_SECONDS
        candidate = self._candidate
        if candidate is None or candidate.attestation.first_height != head.height + 1:
            candidate = self._cut(head) if self._is_due(head) else None
            if candidate is None:
                return RETRY_SECONDS
            self._tell(candidate)
        number = self._settlement.get_number()
        self._note_age(candidate, number)
        verifiers = self._settlement.get_verifiers(number)
        with self._condition:
            signed = self._choose_signed(verifiers)
        gathered = self._proofs.gather(verifiers, self._compute_statement(candidate), len(signed))
        if not gathered.is_enough(verifiers, len(signed)):
            self._tell_quorum(candidate, number, verifiers, gathered.missing)
            if time.monotonic() - self._told_at >= RETRY_SECONDS:
                self._tell(candidate)
            return RETRY_SECONDS
        if not self._may_settle():
            return RETRY_SECONDS
        try:
            self._settlement.settle(
                candidate.batch, candidate.last.header, signed, submitter=self._submitter, proofs=gathered.proofs
            )
        except FutureTimestamp:
            return RETRY_SECONDS
        except RuleUnmet as error:  # the signatures are right, and wait for another proof
            _log.error("proof_refused", rule=error.rule, verifier=f"0x{error.verifier.hex()}")
            self._proofs.refuse(error.verifier)
            return RETRY_SECONDS
        except SettlementError:
            if self._settlement.get_verifiers(self._settlement.get_number() + 1) == verifiers:
                raise
            return RETRY_SECONDS  # L1 went on meanwhile, and another set judges than the one that signed
        self._settled = candidate
        self._drop()
        return 0.0

    def _take_reorgs(self) -> None:
        """What the listener fails to take, as while L1 cannot be reached, it hears of again."""
        self._reorgs += self._settlement.poll_reorgs()
        while self._reorgs:
            reorg = self._reorgs[0]
            _log.warning("l1_reorg_noted", l1_number=reorg.l1_number, settled=reorg.head.height)
            self._final = min(self._final, reorg.head.height)
            self._drop()
            self._listener.note_reorg(reorg)
            del self._reorgs[0]

    def _tell(self, candidate: Candidate) -> None:
        """A verifier whose view of L1 is a moment behind attests another batch, or none: it is told again."""
        self._told_at = time.monotonic()
        self._listener.note_candidate(candidate.attestation.last_height)

    def _choose_signed(self, verifiers: VerifierSet) -> list[SignedAttestation]:
        """The attestations that count now: the set may have changed since they came."""
        return [signed for attester, signed in self._signed.items() if attester in verifiers.members]

    def _note_age(self, candidate: Candidate, number: int) -> None:
        """Tell before it is too late: what is bound to too old an L1 block can never settle."""
        age = number - candidate.oldest_origin
        if age > MAX_UNSETTLED_BLOCKS:
            self._listener.note_stalled(candidate.attestation.first_height, age)

    def _note_head(self, head: SettledHead) -> bool:
        """Tell of a batch that is included, no matter who sent it, and of those that have become deep enough in L1.

        False if the listener halted this settler for what it was told.
        """
        if head.block_hash != self._included:
            self._listener.note_included(head)
            self._included = head.block_hash
            self.failures.clear()
        if self._halted:
            return False
        final = find_final_height(self._settlement, self._final, head.height)
        if final > self._final:
            self._final = final
            self._listener.note_final(final)
        return True

    def ask_now(self, token: str | None) -> int | None:
        """Settle what there is without waiting for more; see `BatchTiming.ask`."""
        left = self.timing.ask(token)
        self.wake()
        return left

    def _is_due(self, head: SettledHead) -> bool:
        number = self._settlement.get_number()
        reason = self.timing.find_reason(head.height, head.forced_count, number, self._read_blocks)
        if reason is not None:
            _log.debug("batch_due", reason=reason, height=head.height + 1)
        return reason is not None

    def _compute_statement(self, candidate: Candidate) -> bytes:
        """What verifiers sign and proofs prove."""
        return compute_attestation_digest(candidate.attestation, self._chain_id, self._settlement.get_inbox())

    def _tell_quorum(self, candidate: Candidate, number: int, verifiers: VerifierSet, proofs: Sequence[str]) -> None:
        """Half a day before intake has to stop for it, and every hour from then on."""
        age = number - candidate.oldest_origin
        self.quorum_missing = max(0, age - QUIET_BLOCKS)
        if age <= QUIET_BLOCKS or number - self._quorum_told < _HOUR_BLOCKS:
            return
        self._quorum_told = number
        with self._condition:
            missing = [f"0x{member.hex()}" for member in verifiers.members if member not in self._signed]
        height = candidate.attestation.first_height
        _log.error("quorum_missing", height=height, age=age, quorum=verifiers.quorum, missing=missing, proofs=proofs)

    def _cut(self, head: SettledHead) -> Candidate | None:
        """The next batch: what is closed and not settled, as much as one batch holds."""
        candidates = islice(self._read_blocks(head.height + 1), MAX_BATCH_BLOCKS)
        batches = cut_batches(
            candidates,
            self._settlement.get_max_batch_bytes(),
            may_end=make_may_end(self._settlement),
            forced_count=head.forced_count,
        )
        blocks = next(batches, [])
        if not blocks:
            return None
        batch = encode_batch(self._rollup_id, blocks)
        last = blocks[-1]
        data_hash = self._settlement.compute_data_hash(batch)
        attestation = create_attestation(head.block_hash, head.height + 1, last.header, data_hash)
        candidate = Candidate(batch, last, attestation, blocks[0].open.l1_origin)
        with self._condition:
            self._candidate, self._signed = candidate, {}
        self.timing.note_cut()
        return candidate

    def _drop(self) -> None:
        self.quorum_missing = 0
        with self._condition:
            self._candidate, self._signed = None, {}


def _verify_attestation(expected: BatchAttestation, found: BatchAttestation) -> None:
    """Raise `AttestationRefused` with the first member that differs from what is to be settled next."""
    for member in BatchAttestation.__struct_fields__:
        if getattr(expected, member) != getattr(found, member):
            hint = "; is --da the same here and there?" if member == "data_hash" else ""
            raise AttestationRefused(
                f"the attestation is not of the batch that is to be settled next: its {member} differs{hint}"
            )
