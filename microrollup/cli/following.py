"""`microrollup verify --follow`: the reports of a verifier that goes on, until a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from microrollup.cli.output import Output
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.verification import describe_report, render_report, show_divergence
from microrollup.deployment.following import follow_blocks
from microrollup.verifier.events import Report, VerifierRequest

__all__ = ["show_followed", "stopping_on_signals"]


def show_followed(request: VerifierRequest, output: Output, port: int | None = None) -> int:
    """Follow until SIGINT or SIGTERM, or a block that is wrong; the exit code. Attestations are served at a port."""

    def show(report: Report) -> None:
        note(report)
        output.show(describe_report(report), render_report(report))

    with stopping_on_signals(threading.Event()) as done, _serving(port) as note:
        divergence = follow_blocks(request, done, show)
    if divergence is None:
        return 0
    show_divergence(divergence, output)
    return EXIT_FAILED


@contextmanager
def _serving(port: int | None) -> Iterator[Callable[[Report], None]]:
    """Serve what reports attest at a port, if there is one: what is to be told of each report."""
    if port is None:
        yield lambda _: None
        return
    from microrollup.deployment.attesting import AttestationBoard, serve_attestations  # noqa: PLC0415  # takes 0.1 s

    board = AttestationBoard()
    with serve_attestations(board, "127.0.0.1", port):
        yield board.note


@contextmanager
def stopping_on_signals(done: threading.Event) -> Iterator[threading.Event]:
    """Let SIGINT and SIGTERM end the following, in the main thread; elsewhere nobody sends any."""
    if threading.current_thread() is not threading.main_thread():
        yield done
        return
    before = {each: signal.signal(each, lambda *_: done.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield done
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
