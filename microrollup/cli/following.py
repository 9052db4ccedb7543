"""`microrollup verify --follow`: the reports of a verifier that goes on, until a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from microrollup.cli.output import Output
from microrollup.cli.run import EXIT_FAILED
from microrollup.cli.verification import describe_report, render_report, show_divergence
from microrollup.deployment.attesting import AttestationBoard, serve_attestations
from microrollup.deployment.following import follow_blocks
from microrollup.verifier.events import Report, VerifierRequest

__all__ = ["show_followed", "stopping_on_signals"]


def show_followed(request: VerifierRequest, output: Output, port: int | None = None) -> int:
    """Follow until SIGINT or SIGTERM, or a block that is wrong; the exit code. Attestations are served at a port."""
    board = AttestationBoard()

    def show(report: Report) -> None:
        board.note(report)
        output.show(describe_report(report), render_report(report))

    served = nullcontext() if port is None else serve_attestations(board, "127.0.0.1", port)
    with stopping_on_signals(threading.Event()) as done, served:
        divergence = follow_blocks(request, done, show)
    if divergence is None:
        return 0
    show_divergence(divergence, output)
    return EXIT_FAILED


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
