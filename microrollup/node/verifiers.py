"""Verifier processes that follow this node: started, told of new blocks, listened to, and started again when lost."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from subprocess import TimeoutExpired
from typing import Final, Protocol, assert_never

import structlog

from microrollup.errors import MicrorollupError
from microrollup.settlement.attestation import SignedAttestation, attestation_from_json
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Report, Tick, VerifierProgress, VerifierRequest
from microrollup.verifier.launch import VerifierProcess

__all__ = ["FollowerListener", "VerifierLink"]

FIRST_BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 5.0
WAITING_SECONDS: Final = 1.0
"""After this time a verifier that waits for L1 is told to look again; what it waits for may be all that there is."""

WATCH: Final = Tick(attest=False)

_log = structlog.get_logger(__name__)


class FollowerListener(Protocol):
    """Is told what a verifier found, by the verifier's thread."""

    def note_verified(self, name: str, height: int) -> None:
        """Everything up to a height is right; told with each block."""

    def note_report(self, name: str, report: Report) -> None:
        """Everything that there was is verified."""

    def take_attestation(self, signed: SignedAttestation) -> None:
        """An attestation came."""

    def note_divergence(self, name: str, event: DivergenceEvent) -> None:
        """A block is wrong."""


class VerifierLink:
    """One verifier's process, kept running by a thread; `tick` never blocks on it."""

    def __init__(
        self, name: str, request: VerifierRequest, listener: FollowerListener, first_tick: Tick = WATCH
    ) -> None:
        """`first_tick` is what it is told until there is a batch to name: by default to attest nothing."""
        self.name = name
        self._request = request
        self._listener = listener
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: VerifierProcess | None = None
        self._tick = first_tick
        self._dirty = False
        self._busy = False
        self.failures = 0
        """How often the process was lost."""
        self._thread = threading.Thread(target=self._run, name=f"verifier-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Start the process and listen."""
        self._thread.start()

    def tick(self, last_height: int | None) -> None:
        """There are new blocks, or there is a batch to attest, up to `last_height`."""
        with self._lock:
            if last_height is not None:
                self._tick = Tick(last_height)
            self._dirty = True
            self._send()

    def _send(self) -> None:
        """Pass the newest tick on, once the last one is answered: the pipe never fills."""
        if self._dirty and not self._busy and self._process is not None:
            self._dirty, self._busy = False, True
            self._process.tick(self._tick)

    def close(self) -> None:
        """End the process: at once when it is idle, after `CLOSE_SECONDS` whatever it does."""
        self._closing.set()
        with self._lock:
            process = self._process
            if process is not None:
                process.end_input()
        if process is not None:
            with suppress(TimeoutExpired):
                process.wait(CLOSE_SECONDS)
            process.kill()
        self._thread.join()

    def _run(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._closing.is_set():
            started = time.monotonic()
            try:
                if not self._follow():
                    return
            except (MicrorollupError, OSError) as error:
                _log.error("verifier_failed", verifier=self.name, reason=str(error))
            if self._closing.is_set():
                return
            self.failures += 1
            if time.monotonic() - started > MAX_BACKOFF_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            _log.warning("verifier_lost", verifier=self.name, again_in=backoff)
            self._closing.wait(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    def _follow(self) -> bool:
        """Listen to one process until it ends; False if there is no point in another one."""
        with VerifierProcess(self._request) as process:
            with self._lock:
                self._process, self._dirty, self._busy = process, True, False
                if self._closing.is_set():
                    process.end_input()
                self._send()
            try:
                for event in process.read_events():
                    match event:
                        case VerifierProgress():
                            self._listener.note_verified(self.name, event.height)
                        case Report():
                            self._take_report(event)
                        case DivergenceEvent():
                            self._listener.note_divergence(self.name, event)
                            return False
                        case ErrorEvent():
                            _log.error("verifier_error", verifier=self.name, kind=event.kind, reason=event.message)
                        case _:
                            assert_never(event)
            finally:
                with self._lock:
                    self._process = None
        return True

    def _take_report(self, report: Report) -> None:
        self._listener.note_report(self.name, report)
        for raw in report.attestations:
            self._listener.take_attestation(attestation_from_json(bytes(raw)))
        with self._lock:
            self._busy = False
            self._send()
        if report.waiting is not None:
            again = threading.Timer(WAITING_SECONDS, self.tick, (None,))
            again.daemon = True
            again.start()
