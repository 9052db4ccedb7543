"""Segments: pieces of a history that are verified apart, and what passes between the coordinator and its workers.

A segment starts in the state of a block `start`, which a snapshot gives, and ends with a block `last`. Its result is
the hash of that block as the worker computed it: the block hash binds everything, so a history is right if each segment
ends in the very block from which the next one starts. Snapshots need not be trusted for that, nor who wrote them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from microrollup.maintenance.replay import Difference
from microrollup.settlement.place import L1Place
from microrollup.verifier.events import DivergenceEvent

__all__ = ["Segment", "SegmentResult", "SegmentTask", "Start", "check_result", "cut_segments", "merge_segments"]

_Hex: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")]
"""32 bytes, or nothing."""

MAX_SEGMENTS: Final = 4096
"""More pieces than this are of no use to anybody; later starts are left out."""


class Start(msgspec.Struct, frozen=True):
    """A block whose state is at hand."""

    height: int
    block_hash: bytes
    """32 bytes, as the snapshot claims it."""
    next_seq: int
    """Entries of all blocks up to this one."""
    rows: int
    """Tree keys and rows of the state: what restoring it costs."""
    path: str | None
    """The snapshot's file, absolute; None at the genesis, and where only the worker of the segment before can go on."""

    @property
    def is_open(self) -> bool:
        """Whether any worker can begin here."""
        return self.path is not None or self.height == 0


class Segment(msgspec.Struct, frozen=True):
    """The blocks after `start` up to the one at `end`, or, for the newest segment, up to the source's last."""

    start: Start
    end: Start | None

    def describe(self) -> str:
        """In words, for errors."""
        return f"blocks {self.start.height + 1} to {'the last' if self.end is None else self.end.height}"


class SegmentTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker needs. It travels as JSON; code never travels, a worker imports the app by its name."""

    app: str
    """`module:name`"""
    python_path: tuple[str, ...]
    """Where to look for the app's module, after what the worker's own Python searches."""
    release: str
    """The coordinator's version of this package; see `read_release`."""
    stf_ids: tuple[str, ...]
    """Of all versions of the coordinator's app, 64 hex digits each."""
    rollup_id: str
    source: str | None
    """A file, a store, a node's address, under names that the worker understands; None: what L1 settled."""
    l1: L1Place | None
    snapshot: str | None
    start: int
    start_hash: str
    last: int | None
    directory: str
    """The worker's own, on its machine: what is verified stays there until the whole is, so that another try goes on.
    """
    once: bool
    replay: bool = False
    """Execute the log of the store that is the source, what was taken back included, and compare what follows from it.
    """
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Processes that check signatures beside the worker."""
    senders: str | None = None
    """Where a first pass of this machine has noted who sent what, see `senders.py`."""
    senders_key: _Hex = ""
    """The key of those notes."""


class SegmentResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a task ended.

    `verified`: all blocks are right. `divergence`: one is not. `snapshot`: the start cannot be used, which says nothing
    about blocks. `busy`: an earlier try on the same machine still holds the store. `code`: the worker has other code.
    `error`: anything else that says nothing about blocks; `height` and `next_seq` are how far the worker got.
    """

    kind: Literal["verified", "divergence", "snapshot", "busy", "code", "error"]
    height: Annotated[int, msgspec.Meta(ge=0)] = 0
    block_hash: _Hex = ""
    state_root: _Hex = ""
    metadata_root: _Hex = ""
    next_seq: Annotated[int, msgspec.Meta(ge=0)] = 0
    l1_origin: Annotated[int, msgspec.Meta(ge=0)] = 0
    waiting: int | None = None
    """The first block that is not judged yet; see `NotJudgedYet`."""
    divergence: DivergenceEvent | None = None
    differences: tuple[Difference, ...] = ()
    """Of a replay."""
    message: str = ""
    cpu_seconds: float = 0.0
    """Of the try that gave the result."""
    worker: str = ""
    """Host and process id."""


def check_result(segment: Segment, result: SegmentResult) -> None:
    """Raise `ValueError` for a result that no worker comes to who verifies this segment.

    Whether its hash is right the next segment's start says.
    """
    start, end, height = segment.start.height, segment.end, result.height
    if (result.kind == "divergence") != (result.divergence is not None):
        raise ValueError(f"{result.kind}, {'without a' if result.divergence is None else 'with a'} divergence")
    if result.kind != "verified":
        if result.waiting is not None or result.differences:
            raise ValueError(f"{result.kind}, with blocks that were verified")
    elif result.waiting is not None and result.waiting <= height:
        raise ValueError(f"verified up to height {height}, and block {result.waiting} is not to be judged yet")
    elif height < start or not result.block_hash or (end is not None and height > end.height):
        raise ValueError(f"verified up to height {height}, which is none of the segment's blocks")
    elif end is not None and result.waiting is None and height != end.height:
        raise ValueError(f"verified up to height {height}, and not to {end.height}")


def cut_segments(
    genesis: Start, starts: list[Start], least_actions: int | None = None, *, going_on: bool = False
) -> list[Segment]:
    """A history cut at those of `starts` that pay.

    A segment executes at least as many actions as its snapshot has rows: executing an action costs ten times what
    restoring a row does, so that restoring takes a tenth of the work at most. Where workers are `going_on` from one
    segment to the next, few snapshots are restored, and a tenth of the actions is enough. `least_actions` replaces that
    rule.
    """
    chosen = [genesis]
    for start in sorted(starts, key=lambda each: each.height):
        last = chosen[-1]
        least = least_actions if least_actions is not None else last.rows // 10 if going_on else last.rows
        if start.height > last.height and start.next_seq - last.next_seq >= max(1, least):
            chosen.append(start)
    chosen = chosen[:MAX_SEGMENTS]
    return [Segment(start, end) for start, end in zip(chosen, [*chosen[1:], None], strict=True)]


def merge_segments(first: Segment, second: Segment) -> Segment:
    """Both in one, without the start between them."""
    return Segment(first.start, second.end)
