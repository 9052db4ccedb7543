"""Others' blocks, or what L1 settled, verified in segments by many processes or machines."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from microrollup.chain.block import compute_block_hash, compute_genesis_header, compute_rollup_id
from microrollup.codec.json import hex0x
from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.deployment.progress import OnProgress, ignore_progress
from microrollup.errors import UsageError
from microrollup.maintenance.replay import Difference
from microrollup.segments.coordinator import Coordinator, Verdict
from microrollup.segments.executors import ExecutorFactory, parse_executor
from microrollup.segments.first_pass import FirstPass
from microrollup.segments.segment import Segment, SegmentTask, Start, cut_segments
from microrollup.segments.senders import SenderWriter
from microrollup.segments.shelf import SnapshotShelf
from microrollup.segments.work_directory import hold_directory
from microrollup.segments.worker import read_release
from microrollup.settlement.place import L1Place, open_l1
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import DATA_FILE
from microrollup.verifier.derive import SettledSource
from microrollup.verifier.events import DivergenceEvent, Report
from microrollup.verifier.scope import check_scope, find_missing
from microrollup.verifier.source import BlockSource, StoreSource, find_tip, open_source
from microrollup.verifier.verify import list_unchecked

__all__ = ["SNAPSHOTS_DIRECTORY", "SegmentRequest", "SegmentedReport", "verify_in_segments"]

SNAPSHOTS_DIRECTORY: Final = "snapshots"
"""Of a data directory: the snapshots that `run --snapshot-every` keeps."""

_SENDERS_DIRECTORY: Final = "senders"

_POOLED_WORKERS: Final = 2
"""Up to here one process that executes, beside one that checks signatures, is done before a first pass and workers that
execute again: on two cores 76 µs per action against 82 at best, see the measurements of verifiers.
"""


class SegmentRequest(msgspec.Struct, frozen=True):
    """What to verify, and by whom."""

    app: str
    source: Path | str | None
    """A file, a store, a node's address; None: what L1 settled."""
    executor: str
    """See `parse_executor`."""
    work: Path
    """For the workers' stores; on each machine under this name. The same request goes on where the last one ended."""
    snapshots: Path | None = None
    """Kept ones; by default those beside the source's store. If there are none, some are made and put there."""
    l1: L1Place | None = None
    rollup_id: bytes | None = None
    least_actions: int | None = None
    workers: int = 0
    """Processes that check signatures in the first pass, or beside one process that verifies all."""
    once: bool = False
    replay: bool = False
    """Execute the log of the source, a store that nobody writes to, and compare what follows from it."""


class SegmentedReport(msgspec.Struct, frozen=True):
    """How it ended."""

    outcome: Report | DivergenceEvent
    segments: int
    from_snapshots: bool
    """Kept ones; else they were made."""
    executors_lost: int
    executed_again: int
    """Segments that this process executed once more, where the workers are other machines'."""
    cpu_seconds: tuple[float, ...]
    """What each segment took its worker, in order."""
    differences: tuple[Difference, ...]
    """Of a replay."""


def verify_in_segments(request: SegmentRequest, on_progress: OnProgress = ignore_progress) -> SegmentedReport:
    """Verify a history in segments. `on_progress` is told how many blocks the workers have verified, and how many the
    source says there are, 0 if it does not say.

    Raises `SegmentFailed` if a segment gets no result, which says nothing about its blocks; what `check_scope` raises,
    and what opening source and L1 raises.
    """
    factory = parse_executor(request.executor)
    rollup = load_rollup(request.app)
    with _open(request) as (source, l1):
        check_scope(rollup, source, l1, request.rollup_id)
        genesis, tip = source.genesis, find_tip(source)
    if genesis.is_based:
        raise UsageError("a based rollup is derived by one process: leave out --executor")
    rollup_id = compute_rollup_id(genesis)
    task = _make_task(request, rollup, rollup_id)
    work = request.work / _name_work(task)
    shelf = _find_shelf(request)
    starts = [] if shelf is None else shelf.read_starts(rollup_id)
    first = Start(0, compute_block_hash(compute_genesis_header(genesis)), 0, 0, None)

    senders: SenderWriter | None = None
    pooled = 0 if starts else _choose_pool(request, factory)
    if pooled:
        task = msgspec.structs.replace(task, workers=pooled)
    elif factory.trusted and factory.workers is not None and not starts and not request.replay:
        key = secrets.token_bytes(32)
        task = msgspec.structs.replace(task, senders=str(work / _SENDERS_DIRECTORY), senders_key=key.hex())
        senders = SenderWriter(work / _SENDERS_DIRECTORY, key)

    def feed(add: Callable[[Segment | None], None]) -> None:
        if pooled:
            add(Segment(first, None))
            return
        if starts:
            going_on = factory.workers is not None
            for segment in cut_segments(first, starts, request.least_actions, going_on=going_on):
                add(segment)
            return
        made = SnapshotShelf(request.snapshots or work / SNAPSHOTS_DIRECTORY)
        with _open(request) as (source, l1):
            FirstPass(rollup, work / "first-pass", made, request.least_actions, add, senders).run(
                source, l1, first, request.app, request.workers
            )

    with hold_directory(work):
        verdict = Coordinator(task, factory, work, lambda done: on_progress(done, tip)).run(feed)
    outcome = verdict.divergence or _make_report(request, rollup, verdict, rollup_id)
    return SegmentedReport(
        outcome=outcome,
        segments=verdict.segments,
        from_snapshots=bool(starts),
        executors_lost=verdict.lost,
        executed_again=verdict.again,
        cpu_seconds=verdict.cpu_seconds,
        differences=verdict.differences,
    )


def _choose_pool(request: SegmentRequest, factory: ExecutorFactory) -> int:
    """The processes that check signatures beside one that verifies all without snapshots; 0 where these are made.

    Together they are as many as the executor has: a third one on two cores would take its time from who executes.
    """
    workers = factory.workers
    if workers is None or workers > _POOLED_WORKERS:
        return 0
    if request.snapshots is not None or request.least_actions is not None:
        return 0
    return min(request.workers, max(1, workers - 1))


def _name_work(task: SegmentTask) -> str:
    """The directory of one verification. Another one, as with an L1 or of a file that was replaced, begins anew: what
    was verified without L1 was not held to its rules. A replay looks at all that a store holds, not at blocks alone.
    """
    raw = msgspec.json.encode(msgspec.structs.replace(task, python_path=()))
    if task.source is not None:
        file = Path(task.source, DATA_FILE) if task.replay else Path(task.source)
        if file.is_file():
            raw += f"{file.stat().st_size} {file.stat().st_mtime_ns}".encode()
    return f"segments-{blake3(raw).hexdigest(8)}"


@contextmanager
def _open(request: SegmentRequest) -> Iterator[tuple[BlockSource | SettledSource, L1View | None]]:
    """Source and L1, for a while: a segment that is executed in this process opens them for itself."""
    with ExitStack() as stack:
        l1 = None if request.l1 is None else stack.enter_context(closing(open_l1(request.l1)))
        if request.source is not None:
            source = open_source(str(request.source))
            if isinstance(source, StoreSource):
                stack.callback(source.close)
            yield source, l1
        elif l1 is None:
            raise UsageError("there is neither a source of blocks nor an L1 to derive them from")
        else:
            yield SettledSource(l1), l1


def _find_shelf(request: SegmentRequest) -> SnapshotShelf | None:
    if request.snapshots is not None:
        return SnapshotShelf(request.snapshots)
    beside = request.source / SNAPSHOTS_DIRECTORY if isinstance(request.source, Path) else None
    return SnapshotShelf(beside) if beside is not None and beside.is_dir() else None


def _make_task(request: SegmentRequest, rollup: MicroRollup, rollup_id: bytes) -> SegmentTask:
    """What all tasks have in common."""
    source = request.source
    return SegmentTask(
        app=request.app,
        python_path=tuple(str(Path(path).absolute()) for path in ["", *sys.path]),
        release=read_release(),
        stf_ids=tuple(version.stf_id.hex() for version in rollup.versions),
        rollup_id=rollup_id.hex(),
        source=str(source.absolute()) if isinstance(source, Path) else source,
        l1=request.l1,
        snapshot=None,
        start=0,
        start_hash="",
        last=None,
        directory="",
        once=request.once,
        replay=request.replay,
    )


def _make_report(request: SegmentRequest, rollup: MicroRollup, verdict: Verdict, rollup_id: bytes) -> Report:
    result = verdict.result
    with nullcontext() if request.l1 is None else closing(open_l1(request.l1)) as l1:
        unchecked, missing = list_unchecked(l1), None if l1 is None else find_missing(rollup, l1, result.l1_origin)
    return Report(
        verified=result.height,
        first=1,
        actions=result.next_seq,
        rollup_id=hex0x(rollup_id),
        block_hash=f"0x{result.block_hash}",
        state_root=f"0x{result.state_root}",
        metadata_root=f"0x{result.metadata_root}",
        attestations=[],
        unchecked=unchecked,
        once=request.once,
        waiting=result.waiting,
        missing=missing,
    )
