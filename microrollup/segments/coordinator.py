"""The coordinator: hands segments to an executor until each has a result, and judges the whole.

The verifier owns the retry. An executor may lose everything that it holds when one worker dies; what has no result is
then given to another executor. A segment that had started and verified no block is a suspect then: after `MAX_TRIES`
such losses it is tried alone, and is given up after as many that end so, or end in an error of its worker.
"""

from __future__ import annotations

import random
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.errors import MicrorollupError, SnapshotError, SourceUnavailable
from microrollup.maintenance.replay import Difference
from microrollup.segments.executors import LOOK_SECONDS, ExecutorFactory, WorkerWatch
from microrollup.segments.piece import Piece
from microrollup.segments.schedule import Turn, choose_next
from microrollup.segments.segment import Segment, SegmentResult, SegmentTask, check_result, merge_segments
from microrollup.segments.worker import name_segment, read_progress, run_segment
from microrollup.verifier.events import DivergenceEvent

__all__ = ["Coordinator", "SegmentFailed", "Verdict"]

MAX_TRIES: Final = 3
MAX_LOSSES: Final = 20
"""Executors that may be lost in a row without a single segment getting further."""

MAX_BUSY: Final = 600
"""Looks at a store that a worker holds who was given up: five minutes."""

CHECKED_AGAIN: Final = 32
"""One segment in so many is executed again here, where the workers are other machines'."""

MAX_RESULT_BYTES: Final = 65_536
"""An answer is a few hundred bytes; a longer one is none."""

_RESULT_DECODER: Final = msgspec.json.Decoder(SegmentResult)
_log = structlog.get_logger(__name__)


class SegmentFailed(MicrorollupError):
    """A segment gets no result, which says nothing about its blocks."""

    def __init__(self, segment: Segment, reason: str) -> None:
        super().__init__(f"{segment.describe()}: {reason}")
        self.segment = segment


class Verdict(msgspec.Struct, frozen=True):
    """What the segments say together."""

    result: SegmentResult
    """Of the last one, or of the first that is not right."""
    segments: int
    lost: int
    """Executors that were lost on the way."""
    again: int
    """Segments that were executed a second time here."""
    cpu_seconds: tuple[float, ...]
    """Of each segment, in order."""
    differences: tuple[Difference, ...]
    """Of a replay, of all segments."""

    @property
    def divergence(self) -> DivergenceEvent | None:
        """The first block that is not right."""
        return self.result.divergence


class Coordinator:
    """Verifies a history in segments."""

    def __init__(
        self,
        task: SegmentTask,
        factory: ExecutorFactory,
        work: Path,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`task` is what all have in common. `work` is a directory for the workers' stores, by a name that is valid on
        each worker's machine, and of this task alone: who begins again with both goes on where the last run ended. It
        is removed once there is a verdict. `on_progress` is told how many blocks are verified.
        """
        self._task = task
        self._factory = factory
        self._work = work
        self._on_progress = on_progress
        self._pieces: list[Piece] = []
        self._executor: Executor
        self._lost = self._lost_in_a_row = 0
        self._looked = 0.0
        self._watch = WorkerWatch(factory)

    def run(self, feed: Callable[[Callable[[Segment | None], None]], None]) -> Verdict:
        """Verify segments that follow each other. `feed` calls what it is given with each of them as it becomes known,
        and with None now and then; those are in work meanwhile.

        Raises `SegmentFailed` for a segment without a result, `SourceUnavailable` if no executor can be had, or one
        without workers.
        """
        try:
            self._executor = self._factory.open()
            feed(self._add)
            while (last := self._find_last()) is None:
                self._step(LOOK_SECONDS)
            verdict = self._judge(last)
            self._factory.clean(self._work)
            return verdict
        finally:
            self._factory.close()

    def _add(self, segment: Segment | None) -> None:
        if segment is not None:
            self._pieces.append(Piece(segment, self._recall(segment)))
        elif not self._pieces or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._step(0.0)
        self._looked = time.monotonic()

    def _recall(self, segment: Segment) -> SegmentResult | None:
        """What an earlier run has found of a segment."""
        if segment.end is None:
            return None
        try:
            with self._name_result(segment).open("rb") as file:
                result = _decode_result(segment, file.read(MAX_RESULT_BYTES + 1))
        except (OSError, TypeError, ValueError):
            return None
        return result if result.kind == "verified" and result.waiting is None else None

    def _keep(self, segment: Segment, result: SegmentResult) -> None:
        """Have `_recall` find a result; blocks that are wrong are looked at again."""
        if segment.end is not None and result.kind == "verified" and result.waiting is None:
            with suppress(OSError):
                (path := self._name_result(segment)).parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(msgspec.json.encode(result))

    def _step(self, seconds: float) -> None:
        """Submit what is not in work, wait a little for results, take them."""
        executor = self._executor
        try:
            while (piece := self._find_next()) is not None:
                piece.starts = self._count_starts(piece)
                piece.future = executor.submit(run_segment, self._make_task(piece))
        except Exception as error:
            self._replace(error)
            return
        running = [piece.future for piece in self._pieces if piece.future is not None]
        done = wait(running, seconds, FIRST_COMPLETED).done if running else set()
        if running and not done and seconds:
            self._watch.look()
        loss: BaseException | None = None
        for piece in [piece for piece in self._pieces if piece.future in done and piece.future is not None]:
            loss = self._take(piece) or loss
        self._merge_unusable()
        self._note_progress()
        self._clean()
        if loss is None and not self._factory.is_alive():
            loss = SourceUnavailable("the executor does not answer any more")
        if loss is not None:
            self._replace(loss)

    def _find_next(self) -> Piece | None:
        """What is to be given out now: as much as there are workers for, or a suspect alone until it gets further."""
        for piece in self._pieces:
            if piece.result is None and piece.suspected >= MAX_TRIES and not self._note_further(piece):
                return piece if piece.future is None else None
        workers, running = self._factory.workers, sum(piece.future is not None for piece in self._pieces)
        if workers is None:
            return next((piece for piece in self._pieces if piece.is_waiting), None)
        place = choose_next(self._describe_turns(), workers - running) if running < workers else None
        return None if place is None else self._pieces[place]

    def _describe_turns(self) -> list[Turn]:
        """How it stands with each piece. A store is at hand after the piece before, or where an earlier try ended."""
        turns: list[Turn] = []
        size, at_hand = 1, True
        for piece in self._pieces:
            start, end = piece.segment.start, piece.segment.end
            size = size if end is None else max(1, end.next_seq - start.next_seq)  # the newest's is not known
            at_hand = at_hand or (piece.is_waiting and self._count_starts(piece) > 0)
            turns.append(Turn(size, piece.is_waiting, at_hand, start.is_open))
            at_hand = piece.result is not None
        return turns

    def _take(self, piece: Piece) -> BaseException | None:
        """Take a piece's result; or what went wrong with the executor."""
        if piece.future is None:
            raise AssertionError("the piece is not in work")
        try:
            raw = piece.future.result(timeout=0)
        except Exception as error:
            return error
        piece.future = None
        try:
            result = _decode_result(piece.segment, raw)
        except (TypeError, ValueError) as error:
            self._count_try(piece, f"what a worker answered is not a result: {error}")
            return None
        if result.kind == "code":
            raise SegmentFailed(
                piece.segment,
                f"worker {result.worker} has other code ({result.message}) than this verifier ({self._task.release},"
                f" {', '.join(self._task.stf_ids)}): install the same release and app there, and start it again",
            )
        if result.kind == "busy":
            piece.busy += 1
            if piece.busy > MAX_BUSY:
                raise SegmentFailed(piece.segment, f"an earlier try still holds its store at worker {result.worker}")
            time.sleep(LOOK_SECONDS)
            return None
        if result.kind == "error":
            self._count_try(piece, f"worker {result.worker}: {result.message}", result.height)
            return None
        piece.result = result
        self._keep(piece.segment, result)
        self._lost_in_a_row = 0
        return None

    def _count_try(self, piece: Piece, reason: str, said: int = -1) -> None:
        """One more try without a result; a worker elsewhere `said` how far it got. Raises `SegmentFailed` after too
        many without progress.
        """
        if self._note_further(piece, said):
            return
        piece.tries += 1
        if piece.tries >= MAX_TRIES:
            raise SegmentFailed(piece.segment, f"no result after {MAX_TRIES} tries: {reason}")

    def _note_further(self, piece: Piece, said: int = -1) -> bool:
        """Whether blocks were verified since this was asked before: then nothing is held against the segment."""
        progress = read_progress(self._directory(piece.segment))
        reached = max(said, -1 if progress is None else progress.height)
        if reached <= piece.reached:
            return False
        piece.tries = piece.suspected = self._lost_in_a_row = 0
        piece.reached = reached
        return True

    def _count_starts(self, piece: Piece) -> int:
        progress = read_progress(self._directory(piece.segment))
        return 0 if progress is None else progress.starts

    def _replace(self, loss: BaseException) -> None:
        """Another executor, after one was lost; what has no result is given to it."""
        self._lost += 1
        self._lost_in_a_row += 1
        _log.warning("segment_executor_lost", reason=f"{type(loss).__name__}: {loss}"[:500], lost=self._lost)
        running = [piece for piece in self._pieces if piece.future is not None]
        for piece in running:
            if piece.future is not None:
                piece.future.cancel()
            piece.future = None
            if self._count_starts(piece) == piece.starts:
                continue  # it had not started
            if len(running) == 1:
                self._count_try(piece, f"{type(loss).__name__}: {loss}")
            elif not self._note_further(piece):
                piece.suspected += 1
        if self._lost_in_a_row >= MAX_LOSSES:
            raise SourceUnavailable(f"{MAX_LOSSES} executors in a row were lost without progress: {loss}")
        self._factory.close()
        self._executor = self._factory.open()

    def _merge_unusable(self) -> None:
        """Where a start turns out to be of no use, its segment joins the one before, which goes on to its end.

        That is so if the snapshot is missing or damaged, or if the segment before ends in another block than the start.
        """
        for index in range(len(self._pieces) - 1, 0, -1):
            before, piece = self._pieces[index - 1], self._pieces[index]
            if piece.result is not None and piece.result.kind == "snapshot":
                reason = piece.result.message
            elif before.result is not None and before.result.kind == "verified" and not _meets(before.result, piece):
                reason = f"block {before.result.height} is 0x{before.result.block_hash}"
            else:
                continue
            if before.future is not None:
                continue  # its store is in use; later
            if piece.future is not None:
                piece.future.cancel()
            _log.warning("segment_start_left_out", height=piece.segment.start.height, reason=reason[:500])
            self._pieces[index - 1 : index + 1] = [Piece(merge_segments(before.segment, piece.segment))]
        first = self._pieces[0].result
        if first is not None and first.kind == "snapshot":
            raise SnapshotError(f"the history cannot begin: {first.message}")

    def _find_last(self) -> int | None:
        """The place of the piece with which the verdict ends, once all up to it are known: the first in which a block
        is not right or not judged yet, else the last.
        """
        for place, piece in enumerate(self._pieces):
            if piece.result is None or piece.result.kind == "snapshot":
                return None
            if piece.result.kind == "divergence" or piece.result.waiting is not None:
                return place
        return len(self._pieces) - 1

    def _judge(self, last: int) -> Verdict:
        result = self._pieces[last].result
        if result is None:
            raise AssertionError("the verdict was not known")
        again = 0 if self._factory.trusted else self._check_again(self._pieces[: last + 1], result)
        results = [piece.result for piece in self._pieces if piece.result is not None]
        seconds = tuple(each.cpu_seconds for each in results)
        differences = tuple(difference for each in results for difference in each.differences)
        return Verdict(result, len(self._pieces), self._lost, again, seconds, differences)

    def _check_again(self, pieces: list[Piece], result: SegmentResult) -> int:
        """Execute one segment in `CHECKED_AGAIN` here, chosen now that all answers are in; or, where a worker says that
        a block is wrong, that one's.

        Raises `SegmentFailed` naming the worker whose answer was not what execution gives.
        """
        count, rest = divmod(len(pieces), CHECKED_AGAIN)
        count += secrets.randbelow(CHECKED_AGAIN) < rest
        chosen = pieces[-1:] if result.kind == "divergence" else random.SystemRandom().sample(pieces, count)
        for piece in chosen:
            shutil.rmtree(directory := self._work / "again", ignore_errors=True)
            task, theirs = msgspec.structs.replace(self._read_task(piece), directory=str(directory)), piece.result
            if theirs is not None and theirs.kind == "verified" and not task.replay:
                task = msgspec.structs.replace(task, last=theirs.height)  # there may be more blocks by now
            ours = _RESULT_DECODER.decode(run_segment(msgspec.json.encode(task)))
            if theirs is None or _get_answer(ours) != _get_answer(theirs):
                worker, said = ("nobody", "nothing") if theirs is None else (theirs.worker, theirs.kind)
                reason = f": {ours.divergence or ours.message}" if ours.kind != "verified" else ""
                reason = reason or (", in another state" if said == ours.kind else "")
                raise SegmentFailed(piece.segment, f"worker {worker} said {said}; here it is {ours.kind}{reason}")
        return len(chosen)

    def _note_progress(self) -> None:
        done = 0
        for piece in self._pieces:
            start, end = piece.segment.start.height, piece.segment.end
            told = piece.result or read_progress(self._directory(piece.segment))
            if told is not None:
                done += max(0, (told.height if end is None else min(told.height, end.height)) - start)
        self._on_progress(done)

    def _clean(self) -> None:
        """Remove the stores with which nobody goes on any more."""
        for piece, following in pairwise(self._pieces):
            started = following.result is not None or read_progress(self._directory(following.segment)) is not None
            if piece.result is not None and started:
                shutil.rmtree(self._directory(piece.segment) / "store", ignore_errors=True)

    def _make_task(self, piece: Piece) -> bytes:
        return msgspec.json.encode(self._read_task(piece))

    def _read_task(self, piece: Piece) -> SegmentTask:
        segment = piece.segment
        return msgspec.structs.replace(
            self._task,
            snapshot=segment.start.path,
            start=segment.start.height,
            start_hash=segment.start.block_hash.hex(),
            last=None if segment.end is None else segment.end.height,
            directory=str(self._directory(segment)),
        )

    def _name_result(self, segment: Segment) -> Path:
        return self._directory(segment) / f"result-{'' if segment.end is None else segment.end.height}"

    def _directory(self, segment: Segment) -> Path:
        return self._work / name_segment(segment.start.height, segment.start.block_hash.hex())


def _meets(result: SegmentResult, piece: Piece) -> bool:
    """Whether what is verified ends in the block from which the next piece starts, or was not to be judged that far."""
    return result.waiting is not None or result.block_hash == piece.segment.start.block_hash.hex()


def _get_answer(result: SegmentResult) -> tuple[object, ...]:
    """What two honest workers agree on."""
    place = result.height, result.block_hash, result.next_seq, result.l1_origin
    return result.kind, place, result.state_root, result.metadata_root, result.divergence, result.differences


def _decode_result(segment: Segment, raw: object) -> SegmentResult:
    """What a worker answered. Raises `TypeError` and `ValueError`, as msgspec's errors are."""
    if not isinstance(raw, bytes) or len(raw) > MAX_RESULT_BYTES:
        raise TypeError(f"{type(raw).__name__}, not at most {MAX_RESULT_BYTES} bytes")
    result = _RESULT_DECODER.decode(raw)
    check_result(segment, result)
    return result
