"""One segment verified: what a worker does. Tasks and results are JSON, so any executor can carry them.

Nothing is shared with other segments but the app's module. The store of a segment stays on the worker's disk until the
coordinator removes it: a worker that died is followed by one that goes on after the last block that was durable.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import cache, partial
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Final, Self

import msgspec
from blake3 import blake3

from microrollup.chain.block import Block, Header, compute_block_hash, compute_rollup_id
from microrollup.chain.record import Genesis
from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.errors import (
    CommitFailed,
    DecodeError,
    Divergence,
    MicrorollupError,
    SnapshotError,
    StoreCorrupt,
    StoreLocked,
    StoreMissing,
)
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, RECURSION_LIMIT, VERIFIER_FACTOR
from microrollup.maintenance.replay import LogPart, compare_stores, continue_replay
from microrollup.maintenance.snapshot import find_end, restore_snapshot
from microrollup.segments.segment import SegmentResult, SegmentTask
from microrollup.segments.senders import SenderNotes, authenticate_noted
from microrollup.segments.work_directory import make_private
from microrollup.settlement.place import open_l1
from microrollup.settlement.protocol import L1View
from microrollup.store.environment import DATA_FILE, encode_number
from microrollup.store.tables import get_block_row, get_log_length
from microrollup.verifier.derive import SettledSource, derive_blocks
from microrollup.verifier.events import DivergenceEvent
from microrollup.verifier.follow import read_judgeable, verify_blocks
from microrollup.verifier.l1_rules import NotJudgedYet
from microrollup.verifier.source import BlockSource, StoreSource, open_source

__all__ = ["PROGRESS_FILE", "Progress", "name_segment", "read_progress", "read_release", "run_segment"]

PROGRESS_FILE: Final = "progress"
_PROGRESS: Final = struct.Struct(">QQQ")
_MAX_PROGRESS: Final = 1 << 48
"""Nobody counts so far."""
_STORE: Final = "store"
_FROM: Final = ".from"
"""Says in whose directory the store is with which a segment can go on."""

_MAX_MESSAGE: Final = 2_000
"""Characters of an error that travel."""

_TASK_DECODER: Final = msgspec.json.Decoder(SegmentTask)


def run_segment(raw: bytes) -> bytes:
    """From a `SegmentTask` to a `SegmentResult`, both in JSON. Raises `msgspec.MsgspecError` for a bad task."""
    task, started = _TASK_DECODER.decode(raw), time.process_time()
    sys.path[:] = list(dict.fromkeys([*sys.path, *task.python_path]))
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))
    try:
        result = _run(task)
    except Divergence as error:
        result = SegmentResult("divergence", divergence=DivergenceEvent.of(error))
    except Exception as error:
        reached = read_progress(Path(task.directory)) or Progress()
        message = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE]
        result = SegmentResult("error", height=reached.height, next_seq=reached.next_seq, message=message)
    worker, seconds = f"{socket.gethostname()}:{os.getpid()}", round(time.process_time() - started, 3)
    return msgspec.json.encode(msgspec.structs.replace(result, worker=worker, cpu_seconds=seconds))


@cache
def read_release() -> str:
    """The version of this package, and a hash of its Python sources: all that executes a block."""
    root = Path(__file__).parents[1]
    hasher = blake3()
    for path in sorted(root.rglob("*.py")):
        hasher.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
        hasher.update(path.read_bytes())
    return f"{version('microrollup')}-{hasher.hexdigest(8)}"


def name_segment(height: int, block_hash: str) -> str:
    """The directory of the segment that starts after a block, whose hash has 64 hex digits."""
    return f"{height}-{block_hash[:16]}"


class Progress(msgspec.Struct, frozen=True):
    """How far workers of this machine got with a segment."""

    height: int = 0
    next_seq: int = 0
    starts: int = 0
    """Tries that came to have its store open: what ends a process before that is not the segment's doing."""


def read_progress(directory: Path) -> Progress | None:
    """What the workers noted; None before one started. Of a damaged file nothing is believed."""
    try:
        with (directory / PROGRESS_FILE).open("rb") as file:
            raw = file.read(_PROGRESS.size + 1)
    except OSError:
        return None
    numbers = _PROGRESS.unpack(raw) if len(raw) == _PROGRESS.size else ()
    return Progress(*numbers) if all(number < _MAX_PROGRESS for number in numbers) else Progress()


def _run(task: SegmentTask) -> SegmentResult:
    rollup = load_rollup(task.app)
    if (found := _describe_code(rollup)) != (task.release, task.stf_ids):
        return SegmentResult("code", message=f"release {found[0]}, stfId {', '.join(found[1])}")
    directory = Path(task.directory)
    make_private(directory.parent)
    directory.mkdir(exist_ok=True)
    with ExitStack() as stack:
        l1 = None if task.l1 is None else stack.enter_context(closing(open_l1(task.l1)))
        source = _open_source(task, l1, stack)
        if compute_rollup_id(source.genesis).hex() != task.rollup_id:
            return SegmentResult("error", message="the source is of another rollup than it was for the coordinator")
        try:
            ledger = _open_ledger(task, directory / _STORE, rollup, source.genesis, l1)
        except StoreLocked:
            return SegmentResult("busy")
        except (SnapshotError, DecodeError) as error:
            return SegmentResult("snapshot", message=str(error)[:_MAX_MESSAGE])
        stack.enter_context(ledger)
        ledger.watchdog = stack.enter_context(Watchdog(ACTION_SECONDS * VERIFIER_FACTOR))
        notes = _open_notes(task, stack)
        ledger.twice = not task.once
        pool = stack.enter_context(
            AuthenticationPool(task.app, ledger.genesis.domain, task.workers, twice=not task.once)
        )
        report = stack.enter_context(_Progress(directory, ledger))
        if task.replay:
            return _replay(task, ledger, source, pool, report)
        left = ledger.checkpoint.height > task.start
        try:
            _verify(task, ledger, source, l1, pool, report.note, notes)
        except NotJudgedYet as young:
            return _describe(ledger, young.height)
        except Divergence:
            if _is_taken_back(task, source):
                return SegmentResult("snapshot", message=f"the source has another block {task.start} by now")
            if not left:
                raise
        else:
            if task.last not in (None, ledger.checkpoint.height):
                return SegmentResult("error", message=f"the source ends at height {ledger.checkpoint.height}")
            _hand_on(task, ledger)
            return _describe(ledger, None)
    # an earlier try may have left blocks that were built again since: who accuses has executed all of the segment
    shutil.rmtree(directory / _STORE)
    return _run(task)


def _describe_code(rollup: MicroRollup) -> tuple[str, tuple[str, ...]]:
    return read_release(), tuple(each.stf_id.hex() for each in rollup.versions)


def _open_source(task: SegmentTask, l1: L1View | None, stack: ExitStack) -> BlockSource | SettledSource:
    if task.source is not None:
        source = open_source(task.source)
        if isinstance(source, StoreSource):
            stack.callback(source.close)
        return source
    if l1 is None:
        raise SnapshotError("there is neither a source of blocks nor an L1 to derive them from")
    return SettledSource(l1)


def _open_notes(task: SegmentTask, stack: ExitStack) -> SenderNotes | None:
    """What the first pass has noted of this segment, if it has."""
    if task.senders is None or not task.senders_key:
        return None
    key = bytes.fromhex(task.senders_key)
    try:
        return stack.enter_context(closing(SenderNotes(Path(task.senders) / str(task.start), key)))
    except OSError:
        return None


def _open_ledger(task: SegmentTask, store: Path, rollup: MicroRollup, genesis: Genesis, l1: L1View | None) -> Ledger:
    """The store that an earlier try left, or the segment before; else one made of the snapshot, or of the genesis.

    Raises `SnapshotError` and `DecodeError` if the snapshot cannot be used, `StoreLocked` while an earlier try goes on.
    """
    with suppress(OSError, ValueError):  # nobody was there, or somebody was faster
        before = store.parent.with_name(f"{store.parent.name}{_FROM}")
        (before.parent / before.read_text() / _STORE).rename(store)
    try:
        ledger = Ledger.open(store, rollup, audit=True)
        height = ledger.checkpoint.height
        fits = task.start <= height and (task.last is None or height <= task.last)
        if fits and ledger.get_block_hash(task.start).hex() == task.start_hash:
            return ledger
        ledger.close()
        shutil.rmtree(store)
    except StoreMissing:
        pass
    except StoreCorrupt:
        shutil.rmtree(store)
    if task.snapshot is None and task.start > 0:
        raise SnapshotError("the store of the segment before is gone, and there is no snapshot")
    if task.snapshot is None:
        return Ledger.create(store, rollup, genesis, audit=True)
    try:
        start_hash = bytes.fromhex(task.start_hash)
        restore_snapshot(Path(task.snapshot), store, rollup, expected_block_hash=start_hash, l1=l1).close()
    except (CommitFailed, StoreLocked):
        raise
    except MicrorollupError as error:  # damaged, of another rollup, of other code, of an origin that L1 lacks
        if (store / DATA_FILE).exists():  # another try was faster
            raise StoreLocked(store) from None
        said = str(error)
        raise SnapshotError(said if task.snapshot in said else f"{task.snapshot}: {said}") from None
    return Ledger.open(store, rollup, audit=True)


def _verify(
    task: SegmentTask,
    ledger: Ledger,
    source: BlockSource | SettledSource,
    l1: L1View | None,
    pool: AuthenticationPool,
    note: Callable[[Header], None],
    notes: SenderNotes | None,
) -> None:
    if task.last is not None and ledger.checkpoint.height >= task.last:
        return
    if isinstance(source, SettledSource):
        derive_blocks(ledger, source.l1, pool, note, last_height=task.last)
        return
    blocks: Iterable[Block] = source.read_blocks(ledger.checkpoint.height + 1)
    if task.last is not None:
        blocks = _take(blocks, task.last)
    authenticate = None if notes is None else partial(authenticate_noted, notes)
    blocks = read_judgeable(blocks, l1)
    verify_blocks(ledger, blocks, l1, pool, lambda block: note(block.header), authenticate=authenticate)


def _is_taken_back(task: SegmentTask, source: BlockSource | SettledSource) -> bool:
    """Whether the source has another block by now than that from which the segment starts."""
    if task.start == 0 or isinstance(source, SettledSource):
        return False
    block = next(iter(source.read_blocks(task.start)), None)
    return block is None or compute_block_hash(block.header).hex() != task.start_hash


def _replay(
    task: SegmentTask, ledger: Ledger, source: BlockSource | SettledSource, pool: AuthenticationPool, report: _Progress
) -> SegmentResult:
    """Execute a store's log and compare what follows from it with what the store holds."""
    if not isinstance(source, StoreSource):
        return SegmentResult("error", message="a log is replayed from its store, which --data names")
    theirs, ours = source.environment, ledger.environment
    first = _find_end(source, task.start)
    with theirs.snapshot() as txn:
        row = txn.get(encode_number(first), db=theirs.tables["log"])
    if ours.reader.get(encode_number(first), db=ours.tables["log"]) != row:
        return SegmentResult("snapshot", message=f"the log does not go on from record {first}")
    last = None if task.last is None else _find_end(source, task.last)
    continue_replay(theirs, ledger, pool, last, lambda _: report.note(ledger.header))
    start, end = source.read_header(task.start), ledger.header
    part = LogPart(
        range(first, get_log_length(ours.reader, ours.tables)),
        range(start.height + 1, end.height + 1),
        range(start.first_seq + start.action_count, end.first_seq + end.action_count),
    )
    differences = tuple(compare_stores(theirs, ours, part, state=task.last is None))
    _hand_on(task, ledger)
    return msgspec.structs.replace(_describe(ledger, None), differences=differences)


def _find_end(source: StoreSource, height: int) -> int:
    """The number of the record that closes a height in a store."""
    environment = source.environment
    with environment.snapshot() as txn:
        row = get_block_row(txn, environment.tables, height)
        if row is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        return find_end(txn, environment.tables, row, compute_rollup_id(source.genesis))[0]


def _hand_on(task: SegmentTask, ledger: Ledger) -> None:
    """Have whoever takes the following segment here go on with this store."""
    if task.last is not None:
        directory = Path(task.directory)
        following = name_segment(task.last, ledger.checkpoint.block_hash.hex())
        (directory.parent / f"{following}{_FROM}").write_text(directory.name)


def _take(blocks: Iterable[Block], last: int) -> Iterator[Block]:
    """The blocks up to a height; the next one is not read."""
    for block in takewhile(lambda each: each.header.height <= last, blocks):
        yield block
        if block.header.height == last:
            return


def _describe(ledger: Ledger, waiting: int | None) -> SegmentResult:
    checkpoint, header = ledger.checkpoint, ledger.header
    return SegmentResult(
        "verified",
        height=checkpoint.height,
        block_hash=checkpoint.block_hash.hex(),
        state_root=header.state_root.hex(),
        metadata_root=header.metadata_root.hex(),
        next_seq=checkpoint.next_seq,
        l1_origin=header.l1_origin,
        waiting=waiting,
    )


class _Progress:
    """The file in which a coordinator on the same machine sees how far a segment is."""

    def __init__(self, directory: Path, ledger: Ledger) -> None:
        self._starts = 1 if (before := read_progress(directory)) is None else before.starts + 1
        (directory / PROGRESS_FILE).touch()
        self._file = (directory / PROGRESS_FILE).open("r+b", buffering=0)
        self._last: Header | None = None
        self._write(ledger.checkpoint.height, ledger.checkpoint.next_seq)

    def note(self, header: Header) -> None:
        """A block is verified and durable."""
        if header is not self._last:
            self._last = header
            self._write(header.height, header.first_seq + header.action_count)

    def _write(self, height: int, next_seq: int) -> None:
        os.pwrite(self._file.fileno(), _PROGRESS.pack(height, next_seq, self._starts), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
