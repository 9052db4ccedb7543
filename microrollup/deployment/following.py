"""A verifier that goes on, on any machine, and hands its attestations back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from microrollup.errors import MicrorollupError
from microrollup.node.verifiers import VerifierLink
from microrollup.settlement.attestation import SignedAttestation, attestation_to_json
from microrollup.verifier.events import DivergenceEvent, Report, Tick, VerifierRequest
from microrollup.verifier.http_source import HttpSource, is_address

__all__ = ["follow_blocks"]

LOOK_SECONDS: Final = 1.0
"""How often new blocks are looked for."""

HAND_AGAIN_SECONDS: Final = 5.0
"""A node that was started again, or whose batch L1 took back, has lost an attestation that it had taken."""

_log = structlog.get_logger(__name__)


class _Follower:
    """Passes on what the verifier says, and hands its attestations to the node that it follows."""

    def __init__(self, request: VerifierRequest, stop: threading.Event, on_report: Callable[[Report], None]) -> None:
        self._request = request
        self._stop = stop
        self._on_report = on_report
        self._shown: tuple[int, int] | None = None
        self._node: HttpSource | None = None
        self._handed: tuple[SignedAttestation, float] | None = None
        """The last attestation that the node took, and when."""
        self.divergence: DivergenceEvent | None = None

    def note_verified(self, name: str, height: int) -> None:
        """A block was verified; the report will say more."""

    def note_report(self, name: str, report: Report) -> None:
        """Pass on a report that has something new."""
        del name  # there is one verifier
        news = (report.verified, len(report.attestations))
        if self._shown is None or report.first <= report.verified or news > self._shown:
            self._on_report(report)
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
        self.divergence = event
        self._stop.set()


def follow_blocks(
    request: VerifierRequest, stop: threading.Event, on_report: Callable[[Report], None]
) -> DivergenceEvent | None:
    """Follow until `stop` is set, or until a block is wrong, which is returned; `stop` is set then too.

    `on_report` is told each report that has something new, by a thread of its own. A node or store that cannot be
    reached is tried again.
    """
    follower = _Follower(request, stop, on_report)
    link = VerifierLink("follower", request, follower, Tick())
    link.start()
    try:
        while not stop.wait(LOOK_SECONDS):
            link.tick(None)
    finally:
        link.close()
    return follower.divergence
