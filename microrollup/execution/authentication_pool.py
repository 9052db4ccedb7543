"""A pool of processes that authenticate: signature recovery is most of an action's cost.

Recovery itself releases the GIL; what is around it, reading and digests, does not, so threads would gain little.
Processes are spawned, not forked: a fork would copy an open LMDB environment. Work and results travel as one byte
string a chunk.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from types import TracebackType
from typing import Final, Self, TypeAlias

import msgspec

from microrollup._native.choice import warn_of_fault
from microrollup.chain.record import DomainConfig
from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.errors import BadEnvelope, DecodeError, MicrorollupError, NotJson, RefusedError, WorkerDied
from microrollup.execution.authentication import Authenticated, Authentication, Authenticator
from microrollup.execution.envelope import Enveloped
from microrollup.system import count_cores, end_with_parent

__all__ = [
    "CHUNK_SIZE",
    "AuthenticationPool",
    "RecordChunk",
    "Started",
    "split_chunks",
    "sum_opening",
]

CHUNK_SIZE: Final = 500
"""Actions per chunk: 20 ms of work, against which the trip to another process is little."""

_CHUNKS_PER_WORKER: Final = 3
"""One in work, one waiting, one whose result waits for its turn."""

_AHEAD_BYTES: Final = 4 << 20
"""Of records, as much is under way, a large block's: its signatures are checked while the block before is executed."""

_AHEAD_CHUNKS: Final = 64
"""Chunks may be empty."""

_Codes: TypeAlias = dict[str, type[RefusedError]]


class _Failure(msgspec.Struct, frozen=True, array_like=True):
    """An error of one item as it travels: `what` is a `DecodeError`'s and empty for a refusal."""

    index: int
    code: str
    what: str
    detail: str
    seconds: float = 0.0
    """What opening an envelope took in vain."""


class _Result(msgspec.Struct, frozen=True, array_like=True):
    """The outcomes of a chunk: signed actions that passed in order; what opened and what failed with their places."""

    passed: list[Authenticated]
    opened: list[tuple[int, Enveloped]]
    failures: list[_Failure]


_DECODE_CODE: Final = "decode"
_ITEMS_DECODER: Final = msgspec.msgpack.Decoder(list[bytes])
_RESULT_DECODER: Final = msgspec.msgpack.Decoder(_Result)
_encode: Final = msgspec.msgpack.Encoder().encode


def split_chunks(items: Iterable[bytes], size: int = CHUNK_SIZE) -> Iterator[list[bytes]]:
    """Lists of at most `size` items, in order."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def sum_opening(outcomes: Iterable[object]) -> float:
    """Seconds of CPU that opening envelopes took, in vain or not; signatures count for nothing."""
    return sum([outcome.seconds for outcome in outcomes if isinstance(outcome, (Enveloped, BadEnvelope))])


class RecordChunk(list[bytes]):
    """Records that were signed under one of the app's versions, `version`: 0 is the oldest."""

    def __init__(self, records: Iterable[bytes], version: int) -> None:
        super().__init__(records)
        self.version = version


class Started(msgspec.Struct, frozen=True):
    """A chunk whose authentication has begun."""

    collect: Callable[[], Sequence[Authenticated | Enveloped | MicrorollupError]]
    """Waits for the outcomes, in order. Raises `WorkerDied` if a process ended meanwhile."""
    is_done: Callable[[], bool]
    """Whether `collect` would not have to wait."""
    when_done: Callable[[Callable[[], None]], None]
    """Has a function called as soon as `collect` would not have to wait: from any thread, or now."""


class AuthenticationPool:
    """Authenticates chunks of lines or records in `workers` processes, and gives the results back in order.

    `workers` is None for one a usable core, 0 for none: then the work is done in the calling thread. Close it, or use
    it as a context manager.
    """

    def __init__(
        self, rollup_ref: str, domain: DomainConfig, workers: int | None = None, *, twice: bool = False
    ) -> None:
        """`rollup_ref` is `module:name`; each worker imports it for itself. `domain` is that of the rollup's genesis.
        Envelopes of records are opened `twice` for a verifier that executes twice.

        Raises `UsageError` if the reference names no app.
        """
        warn_of_fault()
        self.workers: Final = count_cores() if workers is None else workers
        self._app: Final = load_rollup(rollup_ref)
        self._authenticators: Final = _make_authenticators(self._app, domain, twice=twice)
        self.version = 0
        """Under which of the app's versions lines are signed; 0 is the oldest."""
        self._codes: Final = _collect_codes(RefusedError)
        self._executor: Final = (
            ProcessPoolExecutor(
                self.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(rollup_ref, domain, twice),
            )
            if self.workers
            else None
        )

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        self.close()

    def close(self) -> None:
        """End the processes; what they have not begun is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def authenticate_lines(
        self, chunks: Iterable[Sequence[bytes]]
    ) -> Iterator[list[Authenticated | Enveloped | RefusedError]]:
        """For each chunk of JSON lines the outcome of each line, in order.

        A bounded number of chunks is read ahead. Raises `WorkerDied` if a process ends while it has work.
        """
        for outcomes in self._run(_authenticate_lines, Authenticator.authenticate_lines, chunks, 0):
            yield _read_outcomes(outcomes)

    def authenticate_records(self, chunks: Iterable[Sequence[bytes]]) -> Iterator[list[Authentication]]:
        """For each chunk of stored records the outcome of each record, in order; raises as `authenticate_lines`.

        A `RecordChunk` says under which version they were signed, any other chunk holds records of the oldest. Raises
        `ImpureStf` if an envelope that is opened twice gives two outcomes.
        """
        return self._run(_authenticate_records, Authenticator.authenticate_records, chunks, _AHEAD_BYTES)

    def start_lines(self, chunk: Sequence[bytes]) -> Started:
        """Begin with one chunk of JSON lines. Without processes the work is done here and now.

        Raises `WorkerDied` if a process ended; then the pool is of no more use.
        """
        if self._executor is None:
            return self.start_here(chunk)
        try:
            future = self._executor.submit(_authenticate_lines, self.version, _encode(list(chunk)))
        except BrokenProcessPool as error:
            raise WorkerDied(f"a process of the authentication pool ended at work: {error}") from error

        def collect() -> list[Authenticated | Enveloped | RefusedError]:
            try:
                raw = future.result()
            except BrokenProcessPool as error:
                raise WorkerDied(f"a process of the authentication pool ended at work: {error}") from error
            return _read_outcomes(self._restore(raw))

        return Started(collect, future.done, lambda call: future.add_done_callback(lambda _: call()))

    def start_here(self, chunk: Sequence[bytes]) -> Started:
        """Do a chunk of JSON lines here and now, in this thread."""
        outcomes = _read_outcomes(self._authenticators[self.version].authenticate_lines(chunk))
        return Started(lambda: outcomes, lambda: True, lambda call: call())

    def _run(
        self,
        work: Callable[[int, bytes], bytes],
        authenticate: Callable[[Authenticator, Sequence[bytes]], list[Authentication]],
        chunks: Iterable[Sequence[bytes]],
        ahead_bytes: int,
    ) -> Iterator[list[Authentication]]:
        if self._executor is None:
            for chunk in chunks:
                yield authenticate(self._authenticators[self._get_version(chunk)], chunk)
            return
        pending: deque[tuple[Future[bytes], int]] = deque()
        ahead = 0

        def take() -> list[Authentication]:
            nonlocal ahead
            future, size = pending.popleft()
            ahead -= size
            return self._restore(future.result())

        try:
            for chunk in chunks:
                raw = _encode(list(chunk))
                pending.append((self._executor.submit(work, self._get_version(chunk), raw), len(raw)))
                ahead += len(raw)
                enough = ahead >= ahead_bytes or len(pending) >= _AHEAD_CHUNKS
                if enough and len(pending) >= _CHUNKS_PER_WORKER * self.workers:
                    yield take()
            while pending:
                yield take()
        except BrokenProcessPool as error:
            raise WorkerDied(f"a process of the authentication pool ended at work: {error}") from error
        finally:
            for future, _ in pending:
                future.cancel()

    def find_version(self, stf_id: bytes) -> int:
        """Which version, 0 for the oldest, has a 32-byte stfId; 0 for an unknown one, whose blocks nobody executes."""
        versions = self._app.versions
        ids = [version.stf_id for version in versions] if len(versions) > 1 else []
        return ids.index(stf_id) if stf_id in ids else 0

    def _get_version(self, chunk: Sequence[bytes]) -> int:
        return chunk.version if isinstance(chunk, RecordChunk) else self.version

    def _restore(self, raw: bytes) -> list[Authentication]:
        result = _RESULT_DECODER.decode(raw)
        if not result.failures and not result.opened:  # the rule
            return [*result.passed]
        others: dict[int, Authentication] = {failure.index: self._make_error(failure) for failure in result.failures}
        others |= dict(result.opened)
        passed = iter(result.passed)
        return [others[i] if i in others else next(passed) for i in range(len(result.passed) + len(others))]

    def _make_error(self, failure: _Failure) -> RefusedError | DecodeError:
        if failure.code == _DECODE_CODE:
            return DecodeError(failure.what, failure.detail)
        if failure.code == BadEnvelope.code:
            return BadEnvelope(failure.detail, failure.seconds)
        return self._codes[failure.code](failure.detail)


def _read_outcomes(outcomes: Iterable[Authentication]) -> list[Authenticated | Enveloped | RefusedError]:
    """Those of lines, one for each line whatever is wrong with it: who asked knows lines by their places."""
    return [NotJson(str(each)) if isinstance(each, DecodeError) else each for each in outcomes]


def _make_authenticators(app: MicroRollup, domain: DomainConfig, *, twice: bool) -> list[Authenticator]:
    """One per version, the oldest first."""
    return [Authenticator.of(version, domain, twice=twice) for version in app.versions]


def _collect_codes(root: type[RefusedError]) -> _Codes:
    """The refusals that a text alone explains, by code."""
    found: _Codes = {}
    for cls in root.__subclasses__():
        found[cls.code] = cls
        found |= _collect_codes(cls)
    return found


# --- in the worker ---------------------------------------------------------------------------------------------------

_worker: list[Authenticator] = []
"""The authenticators of this process, the oldest version's first; empty in every process that is not a worker."""


def _start_worker(rollup_ref: str, domain: DomainConfig, twice: bool) -> None:
    """Make the process's authenticator; leave Ctrl-C to the parent, and end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr  # the parent's standard output is not for what an app prints here
    end_with_parent()
    _worker.extend(_make_authenticators(load_rollup(rollup_ref), domain, twice=twice))


def _authenticate_lines(version: int, chunk: bytes) -> bytes:
    return _encode_result(_worker[version].authenticate_lines(_ITEMS_DECODER.decode(chunk)))


def _authenticate_records(version: int, chunk: bytes) -> bytes:
    return _encode_result(_worker[version].authenticate_records(_ITEMS_DECODER.decode(chunk)))


def _encode_result(outcomes: Iterable[Authentication]) -> bytes:
    passed: list[Authenticated] = []
    opened: list[tuple[int, Enveloped]] = []
    failures: list[_Failure] = []
    for index, outcome in enumerate(outcomes):
        match outcome:
            case Authenticated():
                passed.append(outcome)
            case Enveloped():
                opened.append((index, outcome))
            case BadEnvelope():
                failures.append(_Failure(index, outcome.code, "", outcome.detail, outcome.seconds))
            case RefusedError():
                failures.append(_Failure(index, outcome.code, "", outcome.detail))
            case DecodeError():
                failures.append(_Failure(index, _DECODE_CODE, outcome.what, outcome.reason))
    return _encode(_Result(passed, opened, failures))
