"""What answers need of L1, and what is known of it while nobody can be asked."""

from __future__ import annotations

from typing import Protocol

from microrollup.chain.block import compute_genesis_header
from microrollup.chain.record import Genesis
from microrollup.errors import NotRetained
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.protocol import SettledHead, to_settled_head
from microrollup.settlement.verifiers import VerifierSet
from microrollup.store.retention import read_settled

__all__ = ["KnownL1", "L1Standing"]


class L1Standing(Protocol):
    """What a node tells of L1: of `settlement.protocol.Settlement` what answers are made of."""

    def get_inbox(self) -> bytes:
        """The inbox's 20-byte address."""
        ...

    def get_number(self) -> int:
        """The current L1 block number."""
        ...

    def get_origin(self) -> int:
        """The newest L1 block that a new block may bind to."""
        ...

    def get_builder(self, number: int) -> bytes:
        """The 20-byte address that builds as of an L1 block."""
        ...

    def get_verifiers(self, number: int) -> VerifierSet:
        """The verifier set as of an L1 block."""
        ...

    def get_forced_count(self, up_to_block: int) -> int:
        """How many forced actions the queue held at the end of an L1 block."""
        ...

    def get_settled(self) -> SettledHead:
        """The last settled block."""
        ...

    def get_confirmations(self, height: int) -> int | None:
        """How many L1 blocks deep the batch with this height is settled; `None` if it is not."""
        ...


class KnownL1:
    """L1 as a store and its genesis know it: what was settled when it was asked last, and who began.

    Changes of builder and verifiers since genesis are not known here.
    """

    def __init__(self, ledger: Ledger, inbox: bytes = ZERO_ADDRESS) -> None:
        """`inbox` is its 20-byte address; zero where it is not known."""
        self._ledger = ledger
        self._genesis: Genesis = ledger.genesis
        self._inbox = inbox
        self._verifiers = VerifierSet(self._genesis.verifiers, self._genesis.quorum)
        cursor = ledger.environment.cursor("settled")
        settled = read_settled(cursor)[0] if cursor.last() else 0
        self._head = self._describe(min(settled, ledger.checkpoint.height))

    def _describe(self, height: int) -> SettledHead:
        try:
            header = self._ledger.get_header(height)
        except NotRetained:  # the store began with a later snapshot
            header = compute_genesis_header(self._genesis)
        return to_settled_head(header, header.l1_origin)

    def get_inbox(self) -> bytes:
        """As it was named."""
        return self._inbox

    def get_number(self) -> int:
        """The one after the newest block's origin."""
        return self._ledger.header.l1_origin + 1

    def get_origin(self) -> int:
        """The newest block's."""
        return self._ledger.header.l1_origin

    def get_builder(self, number: int) -> bytes:
        """Genesis's."""
        del number
        return self._genesis.builder

    def get_verifiers(self, number: int) -> VerifierSet:
        """Genesis's."""
        del number
        return self._verifiers

    def get_forced_count(self, up_to_block: int) -> int:
        """What the blocks here have taken."""
        del up_to_block
        return self._ledger.checkpoint.forced_count

    def get_settled(self) -> SettledHead:
        """As of the last time that L1 was asked."""
        return self._head

    def get_confirmations(self, height: int) -> int | None:
        """Nobody can say how deep."""
        del height
        return None
