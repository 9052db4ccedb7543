"""What a follower follows: the node that it takes blocks from, and the L1 that it holds them to. Neither is trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
import structlog

from microrollup.chain.block import Block, compute_block_hash, recover_sealer
from microrollup.chain.record import Genesis
from microrollup.codec.json import hex0x
from microrollup.errors import DecodeError, Divergence, MicrorollupError, SourceUnavailable, StoreCorrupt, WrongRollup
from microrollup.ledger.ledger import Ledger
from microrollup.node.confirmations import Confirmations
from microrollup.node.known_l1 import KnownL1, L1Standing
from microrollup.node.settling import find_final_height
from microrollup.settlement.protocol import Settlement
from microrollup.store.retention import read_settled
from microrollup.store.tables import Checkpoint
from microrollup.verifier.http_source import HttpSource
from microrollup.verifier.wire import Wire

__all__ = ["Followed", "FollowedL1"]

STATUS_SECONDS: Final = 1.0
"""How often the source is asked how it is."""
LEVEL_SECONDS: Final = 5.0
"""Who was level with the source so short ago, and knows of no newer block, counts as level."""
MAX_PATH: Final = 8
"""Followers in a row."""
L1_SECONDS: Final = 1.0
L1_RETRY_SECONDS: Final = 5.0
"""How often L1 is looked at, and looked for while it does not answer."""

_log = structlog.get_logger(__name__)

_Height = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class _HeightsForm(msgspec.Struct):
    latest: _Height


class _FollowerForm(msgspec.Struct):
    head: _Height
    path: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=64)] = []


class _StatusForm(msgspec.Struct):
    height: _HeightsForm
    intake: str = "open"
    reason: str | None = None
    instance: Annotated[str, msgspec.Meta(max_length=64)] = ""
    follower: _FollowerForm | None = None


class Followed:
    """A source, and what is known of it. One thread asks it; any thread may read what is known."""

    def __init__(self, url: str) -> None:
        """`url` as of `HttpSource`; nothing is asked yet."""
        parts = urlsplit(url)
        self.url = url
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
        self.name = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
        """Without what a URL may hold of keys."""
        self.head = 0
        """The newest height that the source, or who that follows, is known to have."""
        self.path: tuple[str, ...] = ()
        self.stopped: str | None = None
        """Why the source takes no actions."""
        self.waits = False
        """Whether the source lets a question for the next block wait, as it does for who names a height."""
        self._source: HttpSource | None = None
        self._wire = Wire()
        self._looked_at = -STATUS_SECONDS
        self._latest = 0
        self._differs = False
        """Whether the source named another block at the follower's height when it was asked last."""
        self._level_at = time.monotonic()

    def close(self) -> None:
        """Ask nothing more, and end the call that waits; for any thread."""
        self._wire.cut()

    def get_lag_seconds(self, height: int) -> float:
        """Since when a follower of this height has not been known to be level; 0 while it is."""
        seconds = time.monotonic() - self._level_at
        return 0.0 if height >= self.head and seconds < LEVEL_SECONDS else round(seconds, 3)

    def note_height(self, height: int) -> None:
        """The follower has come to a height."""
        self.head = max(self.head, height)

    def read_next(self, own: Checkpoint, instance: str, genesis: Genesis) -> list[Block]:
        """The source's blocks after the follower's `own` newest one, if it has any. `instance` and `genesis` are the
        follower's.

        Raises `SourceUnavailable`, `DecodeError`, `WrongRollup`, and `NotRetained`.
        """
        try:
            source = self._open(genesis)
            self._look(source, instance, own)
            started = time.monotonic()
            blocks = source.read_next(own.height + 1)
        except (SourceUnavailable, DecodeError) as error:
            self._source = None
            self.stopped = str(error)
            raise
        self.waits = bool(blocks) or time.monotonic() - started > STATUS_SECONDS / 4
        if blocks:
            self._latest = max(self._latest, own.height + len(blocks))
            self.head = max(self.head, self._latest)
        if self.head <= own.height:
            self._level_at = time.monotonic()
        return blocks

    def _open(self, genesis: Genesis) -> HttpSource:
        if self._source is None:
            source = HttpSource(self.url, self._wire)
            if source.genesis != genesis:
                self.stopped = f"{self.name} is a node of another rollup"
                raise WrongRollup(self.stopped)
            self._source, self._looked_at = source, -STATUS_SECONDS
        return self._source

    def _look(self, source: HttpSource, instance: str, own: Checkpoint) -> None:
        """Ask the source how it is, now and then."""
        if time.monotonic() - self._looked_at < STATUS_SECONDS:
            return
        status = source.read_status(_StatusForm)
        self._looked_at = time.monotonic()
        further = status.follower or _FollowerForm(status.height.latest)
        path = (status.instance, *further.path)
        if instance in path:
            raise SourceUnavailable(f"{self.name} follows this node: followers in a circle lead to no builder")
        if len(path) > MAX_PATH:
            raise SourceUnavailable(f"{self.name} is the last of more than {MAX_PATH} followers in a row")
        self.path, self._latest = path, status.height.latest
        self.head = max(status.height.latest, further.head)
        named = source.read_hash(own.height) if own.height else None
        self._differs = named is not None and named != hex0x(own.block_hash)
        self.stopped = (
            None if status.intake == "open" else f"the source takes no actions: {(status.reason or '')[:500]}"
        )

    # What was built anew

    def is_above(self, ledger: Ledger, blocks: Sequence[Block]) -> bool:
        """Whether what the source has goes on from the ledger's newest block, or may."""
        own = ledger.checkpoint
        if blocks:
            return blocks[0].header.height != own.height + 1 or blocks[0].header.parent_hash == own.block_hash
        return self._latest >= own.height and not self._differs

    def find_rebuilt(self, ledger: Ledger, l1: FollowedL1) -> int | None:
        """The lowest height above what is settled that the source's builder has built anew; None if it has the same
        blocks, as far as it goes.

        Raises `Divergence` for other blocks that are not sealed as built anew, and what reading the source raises.
        """
        source = self._source
        if source is None:
            return None
        settled = read_settled_height(ledger)

        def is_other(height: int) -> bool:
            block = source.read_block(height)
            return block is not None and compute_block_hash(block.header) != ledger.get_block_hash(height)

        low, high = settled, min(ledger.checkpoint.height, max(self._latest, settled))
        if high == low or not is_other(high):
            newest = source.read_block(ledger.checkpoint.height)
            if newest is None or compute_block_hash(newest.header) == ledger.checkpoint.block_hash:
                return None
            high = ledger.checkpoint.height
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if is_other(middle) else (middle, high)
        block = source.read_block(high)
        if block is None or compute_block_hash(block.header) == ledger.get_block_hash(high):
            return None
        self._require_sealed_anew(ledger, block, high, l1.get_builder(ledger, block))
        return high

    def _require_sealed_anew(self, ledger: Ledger, block: Block, height: int, builder: bytes) -> None:
        """A builder alone may replace blocks, and says so by the round of its seal."""
        own = ledger.get_block(height)
        if own is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        if block.header.height != height or block.header.parent_hash != own.header.parent_hash:
            raise Divergence(
                "parent_hash", height=height, expected=own.header.parent_hash, found=block.header.parent_hash
            )
        if block.seal.round <= own.seal.round:
            raise Divergence("round", height=height, expected=f"{own.seal.round + 1} or more", found=block.seal.round)
        sealer = recover_sealer(compute_block_hash(block.header), block.seal)
        if sealer != builder:
            found = "not a valid signature of this header" if sealer is None else sealer
            raise Divergence("seal", height=height, expected=builder, found=found)


def read_settled_height(ledger: Ledger) -> int:
    """The newest height of which the store knows that it settled; 0 for none."""
    cursor = ledger.environment.cursor("settled")
    return read_settled(cursor)[0] if cursor.last() else 0


class FollowedL1:
    """The L1 that a follower holds blocks to, if it was given one; it may be away, and come back."""

    def __init__(self, ledger: Ledger, open_view: Callable[[], Settlement] | None, inbox: bytes) -> None:
        """`open_view` opens it, and raises `MicrorollupError` while that cannot be; `inbox` is its 20-byte address."""
        self._open_view = open_view
        self._genesis = ledger.genesis
        self.view: Settlement | None = None
        """None: there is none, or it has not answered yet."""
        self._known = KnownL1(ledger, inbox)
        self._noted = read_settled_height(ledger)
        self._final = 0
        self._looked_at = 0.0
        self._reason = ""
        self.try_open()

    @property
    def standing(self) -> L1Standing:
        """What answers are made of."""
        return self._known if self.view is None else self.view

    def get_builder(self, ledger: Ledger, block: Block) -> bytes:
        """The 20-byte address that seals a block; without L1 it is genesis's."""
        return ledger.genesis.builder if self.view is None else self.view.get_builder(block.open.l1_origin)

    def try_open(self) -> None:
        """Open it if it answers."""
        if self._open_view is None or self.view is not None:
            return
        self._looked_at = time.monotonic()
        try:
            view = self._open_view()
        except MicrorollupError as error:
            if self._reason != str(error):
                _log.warning("l1_away", reason=str(error), height=self._noted)
            self._reason = str(error)
            return
        if view.get_genesis() != self._genesis:
            view.close()
            self._reason = "L1 holds another rollup than this directory"
            return
        if self._reason:
            _log.info("l1_back", height=self._noted)
        self.view, self._reason = view, ""

    def look(self, ledger: Ledger, confirmations: Confirmations) -> None:
        """Note what L1 says. Raises `SourceUnavailable` while one was named that does not answer."""
        if self._open_view is None:
            return
        waited = time.monotonic() - self._looked_at
        if self.view is None and waited > L1_RETRY_SECONDS:
            self.try_open()
        if self.view is None:
            raise SourceUnavailable(f"{self._reason}; blocks are taken once it answers")
        if waited < L1_SECONDS:
            return
        self._looked_at = time.monotonic()
        self._note(self.view, ledger, confirmations)

    def _note(self, view: Settlement, ledger: Ledger, confirmations: Confirmations) -> None:
        for reorg in view.poll_reorgs():
            confirmations.note_taken_back(reorg.head.height)
            self._final = min(self._final, reorg.head.height)
        head = view.get_settled()
        if head.height > ledger.checkpoint.height or head.block_hash != ledger.get_block_hash(head.height):
            return
        if head.height > self._noted:
            ledger.note_settled(head.height, view.get_time(head.l1_number))
            self._noted = head.height
        confirmations.note_available(head.height)
        self._final = find_final_height(view, self._final, head.height)
        confirmations.note_settled(self._final)

    def close(self) -> None:
        """Let go of L1."""
        if self.view is not None:
            self.view.close()
