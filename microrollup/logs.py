"""Log lines of a process, on standard error: warnings and errors, one line each, or everything if asked for."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["REQUEST_ID", "configure_logging", "ensure_logging", "find_request_id"]

REQUEST_ID: Final[ContextVar[str | Callable[[], str | None] | None]] = ContextVar("request_id", default=None)
"""The request that this thread or task works on, or what finds it; None for none. Lines of the log name it."""


def find_request_id() -> str | None:
    """The id of the request that this thread or task works on."""
    found = REQUEST_ID.get()
    return found() if callable(found) else found


_LEVEL: Final = "level"
_EVENT: Final = "event"

_MAX_TRACEBACKS: Final = 100
_MAX_FRAMES: Final = 20
_MAX_TRACEBACK_CHARACTERS: Final = 8_000


def configure_logging(*, verbose: bool = False, as_json: bool = False) -> None:
    """Send this process's log to standard error, whatever that is at the time of writing.

    Quiet: warnings and errors, one line each, and the traceback of what an app raises, once per place that raises it.
    `verbose`: everything, with all tracebacks. `as_json`: one JSON object per line, with the time.
    """
    processors: list[structlog.typing.Processor] = [structlog.processors.add_log_level, _name_request]
    if as_json:
        verbose = True
        processors += [
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    elif verbose:
        plain = structlog.dev.plain_traceback
        processors.append(structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain))
    else:
        processors.append(_LineRenderer())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.WARNING),
        logger_factory=_StderrFactory(),
        cache_logger_on_first_use=False,
    )


def ensure_logging() -> None:
    """`configure_logging`, unless this process has chosen otherwise: structlog's own default writes pages per error."""
    if not structlog.is_configured():
        configure_logging()


def _name_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request = find_request_id()
    if request is not None:
        event.setdefault("request_id", request)
    return event


class _StderrFactory:
    """Makes loggers on the present standard error, which progress bars and tests replace for a while."""

    def __call__(self, *_: object) -> structlog.PrintLogger:
        return structlog.PrintLogger(sys.stderr)


class _LineRenderer:
    """`warning: action_refused limit=time sender=…`, and the traceback of an error with an exception.

    A traceback comes once per place that raises: anybody who sends actions can cause any number of faults.
    """

    def __init__(self) -> None:
        self._shown: set[tuple[str, int]] = set()

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> str:
        """The line, and what follows it."""
        level, name, raised = event.pop(_LEVEL), event.pop(_EVENT), event.pop("exc_info", None)
        line = " ".join([f"{level}: {name}", *[f"{key}={event[key]}" for key in sorted(event)]]).replace("\n", " ")
        return f"{line}\n{self._explain(raised)}".rstrip() if isinstance(raised, BaseException) else line

    def _explain(self, error: BaseException) -> str:
        """The traceback's last frames; nothing if this place has raised before, or too many others have."""
        frames = traceback.extract_tb(error.__traceback__)
        place = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
        if place in self._shown or len(self._shown) >= _MAX_TRACEBACKS:
            return ""
        self._shown.add(place)
        return "".join(traceback.format_exception(error, limit=-_MAX_FRAMES))[-_MAX_TRACEBACK_CHARACTERS:]
