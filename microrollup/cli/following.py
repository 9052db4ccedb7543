"""`microrollup verify --follow`: a verifier that goes on, on any machine, and hands its attestations back."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from microrollup.cli.output import Output
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.verification import describe_report, render_report, show_divergence
from microrollup.errors import MicrorollupError
from microrollup.node.verifiers import VerifierLink
from microrollup.settlement.attestation import SignedAttestation, attestation_to_json
from microrollup.verifier.events import DivergenceEvent, Report, Request, Tick
from microrollup.verifier.http_source import HttpSource, is_address

__all__ = ["follow_blocks"]

LOOK_SECONDS: Final = 1.0
"""How often new blocks are looked for."""

HAND_AGAIN_SECONDS: Final = 5.0
"""A node that was started again, or whose batch L1 took back, has lost an attestation that it had taken."""

_log = structlog.get_logger(__name__)


class _Follower:
    """Shows what the verifier says, and hands its attestations to the node that it follows."""

    def __init__(self, request: Request, output: Output) -> None:
        self._request = request
        self._output = output
        self._shown: tuple[int, int] | None = None
        self._node: HttpSource | None = None
        self._handed: tuple[SignedAttestation, float] | None = None
        """The last attestation that the node took, and when."""
        self.done = threading.Event()
        self.failed = False

    def note_verified(self, name: str, height: int) -> None:
        """A block was verified; the report will say more."""

    def note_report(self, name: str, report: Report) -> None:
        """Show a report that has something new."""
        del name  # there is one verifier
        news = (report.verified, len(report.attestations))
        if self._shown is None or report.first <= report.verified or news > self._shown:
            self._output.show(describe_report(report), render_report(report))
        self._shown = news

    def take_attestation(self, signed: SignedAttestation) -> None:
        """Hand it to the node, and again while it is not settled."""
        source, now = self._request.source, time.monotonic()
        if source is None or not is_address(source):
            return
        if self._handed is not None and self._handed[0] == signed and now < self._handed[1] + HAND_AGAIN_SECONDS:
            return
        try:
            if self._node is None:
                self._node = HttpSource(source)
            self._node.submit_attestation(attestation_to_json(signed))
            self._handed = (signed, now)
        except MicrorollupError as error:
            _log.warning("attestation_not_taken", reason=str(error))

    def note_divergence(self, name: str, event: DivergenceEvent) -> None:
        """A block is wrong: the end."""
        del name
        show_divergence(event, self._output)
        self.failed = True
        self.done.set()


def follow_blocks(request: Request, output: Output) -> int:
    """Follow until SIGINT or SIGTERM, or a block that is wrong; the exit code."""
    follower = _Follower(request, output)
    link = VerifierLink("follower", request, follower, Tick())
    link.start()
    try:
        with _stopping_on_signals(follower.done):
            while not follower.done.wait(LOOK_SECONDS):
                link.tick(None)
    finally:
        link.close()
    return EXIT_FAILED if follower.failed else 0


@contextmanager
def _stopping_on_signals(done: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the following, in the main thread; elsewhere nobody sends any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, lambda *_: done.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
