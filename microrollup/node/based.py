"""`BasedNode`: a node of a based rollup, which derives blocks from L1 and serves them; nobody hands anything in."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Final, NoReturn

import structlog

from microrollup.based.block import build_next_block
from microrollup.based.following import find_change
from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.codec.json import hex0x
from microrollup.errors import L1Behind, LimitExceeded, MicrorollupError, StoreError, ThroughL1, UsageError
from microrollup.ledger.ledger import Ledger
from microrollup.node.options import NodeOptions
from microrollup.node.progress import LedgerProgress
from microrollup.node.reading import ReadingNode
from microrollup.node.settling import AttestationRefused, find_final_height
from microrollup.node.standing import find_foreign_head
from microrollup.node.submission import Result, Tell
from microrollup.node.upgrade_watch import UpgradeWatch
from microrollup.node.writer import WriterOptions
from microrollup.primitives import MAX_FORCED_PER_BLOCK
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.protocol import Settlement

__all__ = ["BasedNode"]

POLL_SECONDS: Final = 1.0
"""How often L1's queue is looked at."""

FLUSH_SECONDS: Final = 30.0
"""So long after a block, its rows are written out, if there were not enough of them before."""

_log = structlog.get_logger(__name__)


class BasedNode(ReadingNode):
    """A thread derives blocks up to the view's origin, and tells what L1 settled of them.

    Where L1 takes back what blocks were built on, the node `is_spent`: readers may hold what these blocks changed,
    so it ends, and the one that is made in its place takes them back before anybody reads.
    """

    def __init__(self, reference: str, ledger: Ledger, l1: Settlement, *, methods: Sequence[str] = ()) -> None:
        """`methods` are sets of the app's methods that are served besides."""
        self._settlement = l1
        timing = WriterOptions(block_seconds=float(SECONDS_PER_BLOCK))
        super().__init__(
            reference, ledger, l1, NodeOptions(MAX_FORCED_PER_BLOCK, timing=timing, methods=tuple(methods))
        )
        self._progress = LedgerProgress(ledger, self.make_announcer())
        self._watch = UpgradeWatch(ledger, l1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deriving", daemon=True)
        self._stopped: str | None = None
        self._changed: int | None = None
        """The lowest height that L1 took back since the start."""
        self._complaint = ""
        self._next_flush: float | None = None

    takes_actions = False

    def _find_final(self, settled: int) -> int:
        return find_final_height(self._settlement, 0, settled)

    def start(self) -> None:
        """Begin to derive. Raises `L1Behind` if the L1 node does not have what blocks here were built on."""
        own, number = self.ledger.header, self.l1.get_number()
        if own.l1_origin >= number:
            raise L1Behind(own.height, own.l1_origin, number)
        self.start_reading()
        self._thread.start()
        _log.info("node_started", height=self.confirmations.latest, verifiers=0)

    def stop(self) -> None:
        """End threads and processes. The ledger stays open; what is derived is durable."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self.stop_reading()
        if self._thread.ident is not None:
            self._thread.join()
        self._watch.join()
        self.close_reading()
        _log.info("node_stopped", height=self.ledger.checkpoint.height)

    @property
    def stopped(self) -> str | None:
        """Why no more blocks are derived; None while they are."""
        return "the node is shutting down" if self._stopping.is_set() else self._stopped

    @property
    def is_spent(self) -> bool:
        """Whether it has to be made anew: after an upgrade, or because L1 has taken back what blocks were built on."""
        return self._changed is not None or self.has_upgraded

    # Deriving, in the thread

    def _run(self) -> None:
        try:
            while not self._stopping.wait(POLL_SECONDS) and self._try_step():
                pass
        except CancelledError:  # L1 was closed under a node that was not waited for
            return
        except Exception as error:
            _log.exception("deriving_failed")
            self._stop(f"deriving ended by a fault ({type(error).__name__}); restart to go on from what is durable")

    def _try_step(self) -> bool:
        """Derive what there is; False if nothing more will come of it in this node."""
        try:
            self._step()
        except (StoreError, LimitExceeded, UsageError) as error:  # the ledger's memory may be ahead of its store
            self._stop(str(error))
        except MicrorollupError as error:  # L1 is away, or was changing while it was read
            if str(error) != self._complaint:
                _log.warning("queue_not_followed", reason=str(error))
            self._complaint = str(error)
        else:
            self._complaint = ""
        return self._stopped is None and not self.is_spent

    def _step(self) -> None:
        ledger, l1 = self.ledger, self._settlement
        self._changed = find_change(ledger, l1)
        if self._changed is not None:
            _log.warning("l1_took_back", height=self._changed, latest=ledger.checkpoint.height)
            self.on_upgrade()
            return
        while not self._stopping.is_set() and build_next_block(ledger, l1, l1.get_origin()) is not None:
            self._next_flush = None
            self._progress.note()
            if self.has_upgraded:
                _log.info("upgraded", version=ledger.rollup.version, height=ledger.checkpoint.height)
                self.on_upgrade()
                return
        self._watch.look()
        self._note_settled()
        self._write_rows()

    def _note_settled(self) -> None:
        """Tell of what L1 settled, took back, or will not take back any more."""
        head, marks = self._settlement.get_settled(), self.confirmations
        if head.height < marks.available:
            marks.note_taken_back(head.height)
        if head.height > marks.latest:
            return  # what this node derives is not there yet
        foreign = find_foreign_head(head, marks.latest, self.lookups.find_hash)
        if foreign is not None:
            self._stop(f"{foreign}: a quorum attested what does not follow from L1; see `microrollup docs based`")
            return
        marks.note_available(head.height)
        final = find_final_height(self._settlement, marks.settled, head.height)
        if final > marks.settled:
            self.ledger.note_settled(final, self._settlement.get_time(head.l1_number))
            marks.note_settled(final)

    def _write_rows(self) -> None:
        """Write out rows while nothing comes, a part at a time."""
        flushing = self.ledger.flushing
        if flushing.is_going_on:
            flushing.write_slice(idle=True)
        elif flushing.unflushed.is_empty:
            self._next_flush = None
        elif self._next_flush is None:
            self._next_flush = time.monotonic() + FLUSH_SECONDS
        elif time.monotonic() >= self._next_flush:
            flushing.freeze()

    def _stop(self, reason: str) -> None:
        self._stopped = reason
        _log.error("deriving_stopped", reason=reason)
        self.hub.wake()

    # What is asked of other nodes

    def hand_in(self, lines: Sequence[bytes], client: str | None, tell: Tell) -> None:
        """Raises `ThroughL1`, which says where actions go instead."""
        del lines, client, tell
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ThroughL1(
            f"the rollup is based: actions come through the queue of the inbox {hex0x(self.l1.get_inbox())} on chain"
            f" {self.genesis.l1_chain_id}. Put yours there (`microrollup force --signed FILE`), or hand it to somebody"
            " who carries many (`microrollup relay`)"
        )

    def acknowledge(self, results: Sequence[Result]) -> list[SignedAcknowledgement | MicrorollupError]:
        """Raises `ThroughL1`: nobody acknowledges."""
        del results
        self._refuse()

    def submit_attestation(self, signed: object) -> tuple[int, int]:
        """Raises `AttestationRefused`."""
        del signed
        raise AttestationRefused("verifiers of a based rollup serve theirs themselves (`microrollup verify --serve`)")

    def request_settlement(self, token: str | None = None) -> int | None:
        """Raises `ThroughL1`."""
        del token
        raise ThroughL1("a based rollup is settled by anybody who pays for it: `microrollup settle --from URL`")
