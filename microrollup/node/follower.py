"""A node that follows another: it verifies every block as a verifier does, and serves what it has verified.

It stores nothing that is wrong, and loses nothing by who says it: a source that contradicts is named, and what was
verified before is served on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import structlog

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.answers.confirmations import Divergent
from microrollup.chain.answers.node import FollowerStatus
from microrollup.chain.block import Block, Header
from microrollup.errors import (
    Divergence,
    LimitExceeded,
    MicrorollupError,
    NotRetained,
    SourceUnavailable,
    StoreError,
    WrongRollup,
)
from microrollup.execution.authentication import Authenticated, Authentication
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, VERIFIER_FACTOR
from microrollup.node.errors import NeedsSource
from microrollup.node.followed import Followed, FollowedL1
from microrollup.node.options import NodeOptions
from microrollup.node.progress import LedgerProgress
from microrollup.node.reading import ReadingNode
from microrollup.node.submission import Result, Tell
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.events import DivergenceEvent
from microrollup.verifier.follow import authenticate_blocks, read_judgeable, verify_settled
from microrollup.verifier.l1_rules import NotJudgedYet
from microrollup.verifier.verify import verify_block

__all__ = ["FollowerNode"]

PAUSE_SECONDS: Final = 0.5
"""Between two looks at a source that does not let a question for the next block wait."""
TROUBLE_SECONDS: Final = 1.0
"""Between two looks at a source, or an L1, that does not answer."""
REFUSED_SECONDS: Final = 5.0
"""Until a block that was refused is asked for again: its builder may have built it anew."""

_log = structlog.get_logger(__name__)


class FollowerNode(ReadingNode):
    """A follower over a ledger that is open, with audit. A thread of its own owns the ledger until `stop`."""

    def __init__(
        self, reference: str, ledger: Ledger, followed: Followed, l1: FollowedL1, options: NodeOptions
    ) -> None:
        self._followed = followed
        self._l1 = l1
        self._refused: Divergent | None = None
        self._reason: str | None = "nothing was asked of the source yet"
        self._rewind: int | None = None
        self._failed = False
        super().__init__(reference, ledger, l1.standing, options)
        self.confirmations.note_verified(ledger.checkpoint.height)
        self._progress = LedgerProgress(ledger, self.make_announcer())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        watch = self.metrics.watch
        watch("follower_lag_blocks", "Blocks that this node lacks of its source.", lambda: self.follower.lag_blocks)
        watch(
            "follower_lag_seconds",
            "Since when this follower has not been known to be level with its source; 0 while it is.",
            lambda: self.follower.lag_seconds,
        )
        watch("follower_refused", "1 while a block of the source is refused.", lambda: float(self._refused is not None))

    # What it says of itself

    @property
    def source(self) -> str | None:
        """The address of the node that it follows."""
        return self._followed.url

    @property
    def follower(self) -> FollowerStatus:
        """How it stands to its source."""
        followed, height = self._followed, self.confirmations.latest
        return FollowerStatus(
            followed.name,
            max(followed.head, height),
            max(0, followed.head - height),
            followed.get_lag_seconds(height),
            self._reason,
            self._refused,
            followed.path,
        )

    @property
    def stopped(self) -> str | None:
        """Why the source takes no actions, as far as is known here."""
        return self._followed.stopped

    @property
    def is_spent(self) -> bool:
        """Whether blocks are to be taken back, another version is in force, or this node failed."""
        return self._rewind is not None or self._failed or self.has_upgraded

    def get_next_nonce(self, sender: bytes) -> int:
        """Raises `NeedsSource`: only the source knows what was acknowledged since its newest block."""
        del sender
        raise NeedsSource("nonces are asked for at the source")

    def hand_in(self, lines: Sequence[bytes], client: str | None, tell: Tell) -> None:
        """Raises `NeedsSource`."""
        del lines, client, tell
        raise NeedsSource("actions are taken at the source")

    def acknowledge(self, results: Sequence[Result]) -> list[SignedAcknowledgement | MicrorollupError]:
        """Raises `NeedsSource`."""
        del results
        raise NeedsSource("actions are acknowledged at the source")

    # Starting and stopping

    def start(self) -> None:
        """Begin to serve and to follow."""
        super().start()
        self._thread.start()
        _log.info("follower_started", height=self.confirmations.latest, source=self._followed.name)

    def stop(self) -> None:
        """End; blocks that the source has built anew are taken back then."""
        self._stopping.set()
        self._followed.close()
        if self._thread.ident is not None:
            self._thread.join()
        super().stop()
        height, self._rewind = self._rewind, None
        if height is not None:
            self.ledger.rebuild(height, forget=True)
            _log.warning("follower_rewound", height=height)

    # In the thread

    def _run(self) -> None:
        workers = self.options.workers
        with (
            Watchdog(ACTION_SECONDS * VERIFIER_FACTOR) as watchdog,
            AuthenticationPool(self.reference, self.genesis.domain, workers, twice=True) as pool,
        ):
            self.ledger.watchdog, self.ledger.twice = watchdog, True
            try:
                while not self._stopping.is_set() and not self.is_spent:
                    self._stopping.wait(self._try_step(pool))
            except Exception:  # a bug, no memory or no disk: what is durable is right, and is begun from again
                _log.exception("follower_failed")
                self._reason = "a fault of this node; see its log"
                self._stopping.wait(REFUSED_SECONDS)
                self._failed = True
            finally:
                self.ledger.watchdog = None
        if self.is_spent:
            self.on_upgrade()

    def _try_step(self, pool: AuthenticationPool) -> float:
        """One step, and how long to wait for the next one, in seconds."""
        try:
            taken = self._step(pool)
        except Divergence as error:
            self._refuse(error)
            return REFUSED_SECONDS
        except (MicrorollupError, OSError) as error:
            if isinstance(error, StoreError) and not isinstance(error, (NotRetained, WrongRollup)):
                raise
            self._drop_block()
            if self._reason != str(error):
                _log.warning("not_followed", source=self._followed.name, reason=str(error))
            self._reason = str(error)
            is_away = isinstance(error, (SourceUnavailable, NotJudgedYet))
            return TROUBLE_SECONDS if is_away else REFUSED_SECONDS
        if self._reason is not None:
            _log.info("followed", source=self._followed.name, height=self.ledger.checkpoint.height)
        self._reason = self._refused = None
        return 0.0 if taken or self._followed.waits else PAUSE_SECONDS

    def _step(self, pool: AuthenticationPool) -> bool:
        """Look at L1 and at the source, and take what they have; whether there was anything."""
        self._l1.look(self.ledger, self.confirmations)
        self.l1 = self._l1.standing
        first = self.ledger.checkpoint.height + 1
        try:
            blocks = self._followed.read_next(self.ledger.checkpoint, self.instance, self.genesis)
        except NotRetained:
            self._derive(pool)
            return True
        if not self._followed.is_above(self.ledger, blocks):
            height = self._followed.find_rebuilt(self.ledger, self._l1)
            if height is not None:
                self.ledger.require_rebuildable(height)
                self._rewind = height
                return False
        self._verify(blocks, pool)
        if self._l1.view is not None:
            verify_settled(self.ledger, self._l1.view.get_settled())
        return self.ledger.checkpoint.height >= first

    def _verify(self, blocks: Sequence[Block], pool: AuthenticationPool) -> None:
        view = self._l1.view
        for block, outcomes in authenticate_blocks(read_judgeable(blocks, view), pool):
            if self._stopping.is_set() or self.has_upgraded:
                return
            self._expect(outcomes)
            settled = view is not None and block.open.height <= view.get_settled().height
            verify_block(self.ledger, block, view, outcomes, settled=settled)
            self._note(block.header)

    def _derive(self, pool: AuthenticationPool) -> None:
        """Take from L1 what the source does not hold any more, since it began with a snapshot."""
        view = self._l1.view
        if view is None or view.get_settled().height <= self.ledger.checkpoint.height:
            raise LimitExceeded(
                f"the source does not hold block {self.ledger.checkpoint.height + 1} any more, and L1 has not"
                " settled it"
            )
        derive_blocks(self.ledger, view, pool, self._note)

    def _expect(self, outcomes: Sequence[Authentication]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Authenticated):
                self._progress.expect(outcome)

    def _note(self, header: Header) -> None:
        """Make known a block that is verified and stored."""
        self._progress.note()
        self.confirmations.note_verified(header.height)
        self._followed.note_height(header.height)

    def _refuse(self, error: Divergence) -> None:
        """Name what is wrong, and go on with what is right."""
        self._drop_block()
        event = DivergenceEvent.of(error)
        found = Divergent(event.height, event.seq, event.field, event.expected, event.found)
        if self._refused != found:
            _log.error(
                "source_refused", source=self._followed.name, height=found.height, field=found.field,
                expected=found.expected, found=found.found,
            )  # fmt: skip
        self._refused, self._reason = found, f"the source's block {error.height} is refused: {error}"

    def _drop_block(self) -> None:
        if self.ledger.block is not None:
            self.ledger.drop_block()
            self._progress.forget_expected()
