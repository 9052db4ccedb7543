"""What every node answers with, its own blocks or those of others: its store, its news, the reads of the app."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Final

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.answers.node import FollowerStatus
from microrollup.chain.answers.standing import SettlingStatus
from microrollup.chain.block import Header
from microrollup.chain.receipt import Receipt
from microrollup.declaration.page import load_pages
from microrollup.declaration.query import load_methods, load_reads, require_distinct
from microrollup.errors import IntakeStopped, MicrorollupError
from microrollup.ledger.indexes.viewing import IndexReader
from microrollup.ledger.ledger import Ledger
from microrollup.node.announcer import Announcer
from microrollup.node.confirmations import ConfirmationEvent, Confirmations
from microrollup.node.errors import NotRecorded
from microrollup.node.hub import Hub, Ring
from microrollup.node.indexer import Indexer
from microrollup.node.known_l1 import L1Standing
from microrollup.node.lookups import Lookups
from microrollup.node.metrics import Metrics
from microrollup.node.observer import Observer
from microrollup.node.open_entries import LoggedAction, OpenEntries
from microrollup.node.options import NodeOptions
from microrollup.node.readers import Readers
from microrollup.node.status import watch_gauges
from microrollup.node.submission import Result, Tell, make_future
from microrollup.node.verifiers import VerifierLink
from microrollup.settlement.attestation import SignedAttestation

__all__ = ["ReadingNode"]

_TAKES_NONE: Final = "this node takes no actions"


class ReadingNode:
    """A node that serves what its ledger holds. By itself it takes nothing: `Node` does, and others let blocks come
    from elsewhere.

    `reference` is `module:name` of the app, for processes that load it for themselves.
    """

    links: Sequence[VerifierLink] = ()
    """Verifiers that this node runs."""

    takes_actions = True
    """Whether clients may hand in actions here, be it to be passed on."""

    def __init__(self, reference: str, ledger: Ledger, l1: L1Standing, options: NodeOptions) -> None:
        self.options = options
        self.reference = reference
        self.ledger = ledger
        self.rollup = ledger.rollup
        """The version that was in force at the start: a node serves one, and is made anew after an upgrade."""
        self.genesis = ledger.genesis
        self.rollup_id = ledger.rollup_id
        self.l1 = l1
        self.directory: Path = ledger.environment.directory
        self.instance = secrets.token_hex(8)
        """Tells this process's node from any other, whatever their addresses."""
        self.on_upgrade: Callable[[], None] = lambda: None
        """Called, by any thread, when this node is to be made anew: see `is_spent`."""
        self.started_at = time.time()
        self.metrics = Metrics()
        self.hub = Hub()
        settled, latest = l1.get_settled().height, ledger.checkpoint.height
        self.receipts: Ring[LoggedAction] = Ring(ledger.checkpoint.next_seq, self.hub.wake)
        self.blocks: Ring[Header] = Ring(latest + 1, self.hub.wake)
        self.announcements: Ring[ConfirmationEvent] = Ring(0, self.hub.wake)
        self.confirmations = Confirmations(latest, min(self._find_final(settled), latest), self.announcements.append)
        self.confirmations.note_available(min(settled, latest))
        self.lookups = Lookups(ledger, self._get_open)
        self.reads, self.methods = load_reads(self.rollup), load_methods(self.rollup, options.methods)
        require_distinct(self.reads, self.methods)
        self.pages = load_pages(self.rollup, self.reads, self.methods)
        version = len(self.rollup.versions) - 1
        self.readers = (
            None if self.reads is None else Readers(reference, self.directory, options.readers, version=version)
        )
        indexed = self.reads is not None and self.reads.indexes
        self.indexer = Indexer(reference, self.directory, version=version) if indexed else None
        self.indexes = None if self.reads is None else IndexReader(self.directory, self.reads.indexes)
        self.observer = Observer(self.directory)
        watch_gauges(self)

    def _find_final(self, settled: int) -> int:
        """The highest settled height that L1 is not expected to take back; for those that can ask."""
        return settled

    # Starting and stopping

    def start(self) -> None:
        """Begin to work. Raises what keeps it from that."""
        self.start_reading()

    def stop(self) -> None:
        """End threads and processes; a second time does no harm. The ledger stays open."""
        self.stop_reading()
        self.close_reading()

    def start_reading(self) -> None:
        """Start the processes that run the app's queries and fill its indexes, and the look at disk and money."""
        self.observer.start()
        if self.readers is not None:
            self.readers.start()
        if self.indexer is not None:
            self.indexer.start()

    def stop_reading(self) -> None:
        """End them."""
        self.observer.close()
        if self.readers is not None:
            self.readers.close()
        if self.indexer is not None:
            self.indexer.close()

    def close_reading(self) -> None:
        """Let subscribers go, and what reads the indexes."""
        self.hub.wake()
        if self.indexes is not None:
            self.indexes.close()

    @property
    def has_upgraded(self) -> bool:
        """Whether another version has come into force since the start."""
        return self.ledger.rollup is not self.rollup

    @property
    def is_spent(self) -> bool:
        """Whether this node is to be made anew, since it serves what is not so any more."""
        return self.has_upgraded

    def make_announcer(self) -> Announcer:
        """Makes known what becomes durable here."""
        announcer = Announcer(self.lookups, self.confirmations, self.metrics, self.hub, self.receipts, self.blocks)
        announcer.indexer = self.indexer
        return announcer

    def _get_open(self) -> OpenEntries | None:
        """The durable entries of the open block; for any thread."""
        return None

    # What it does not do

    @property
    def stopped(self) -> str | None:
        """Why no actions are taken; None while they are."""
        return _TAKES_NONE

    @property
    def signs_here(self) -> bool:
        """Whether acknowledgements are signed in this process, and not by asking another one."""
        return False

    @property
    def queue_depth(self) -> int:
        """Actions taken and not yet decided."""
        return 0

    def describe_settling(self) -> SettlingStatus | None:
        """How settling goes; None where nothing is settled."""
        return None

    @property
    def follower(self) -> FollowerStatus | None:
        """How a node stands to the one that it follows; None for one that follows none."""
        return None

    @property
    def source(self) -> str | None:
        """The address of the node that this one follows, which gets what is not for this one to answer."""
        return None

    def get_next_nonce(self, sender: bytes) -> int:
        """A sender's next nonce after all that is acknowledged. Raises `NeedsSource` where that is not known."""
        return self.lookups.get_nonces(sender)[1]

    def submit(self, lines: Sequence[bytes], client: str | None = None) -> Future[list[Result]]:
        """`hand_in`, with the results as a future."""
        return make_future(partial(self.hand_in, lines, client))

    def hand_in(self, lines: Sequence[bytes], client: str | None, tell: Tell) -> None:
        """Hand in signed actions in their JSON form; `tell` is called with the results. Raises `IntakeStopped`."""
        del lines, client, tell
        raise IntakeStopped(self.stopped or _TAKES_NONE)

    def acknowledge(self, results: Sequence[Result]) -> list[SignedAcknowledgement | MicrorollupError]:
        """The signed acknowledgements of what is durable."""
        del results
        raise IntakeStopped(self.stopped or _TAKES_NONE)

    def sign(self, height: int, receipt: Receipt) -> SignedAcknowledgement | None:
        """Acknowledge an action that is durable; None without the builder's key."""
        del height, receipt
        return None

    def submit_attestation(self, signed: SignedAttestation) -> tuple[int, int]:
        """Count an attestation. Raises `IntakeStopped`."""
        del signed
        raise IntakeStopped(self.stopped or _TAKES_NONE)

    def request_settlement(self, token: str | None = None) -> int | None:
        """Have what is closed settled at once. Raises `IntakeStopped`."""
        del token
        raise IntakeStopped(self.stopped or _TAKES_NONE)

    def get_batch(self, first_height: int) -> tuple[bytes, int]:
        """The builder's batch from a height on, and its last height. Raises `NotRecorded`."""
        raise NotRecorded(f"no batch begins at height {first_height} here")

    # Reading

    def read_receipts(self, cursor: int, limit: int) -> list[LoggedAction]:
        """Durable entries from a sequence number on. Raises `NotRecorded` for what is not kept."""
        found = self.receipts.read(cursor, limit)
        return self.lookups.read_actions(cursor, limit) if found is None else found

    def read_headers(self, cursor: int, limit: int) -> list[Header]:
        """Headers of closed blocks from a height on."""
        found = self.blocks.read(cursor, limit)
        return self.lookups.read_headers(cursor, limit) if found is None else found

    def get_settled_depth(self, height: int) -> int | None:
        """How many L1 blocks deep the batch with this height is settled."""
        return self.l1.get_confirmations(height)
