"""Log lines of a process, on standard error: warnings and worse, one line each, unless somebody wants everything."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["configure_logging"]

_LEVEL: Final = "level"
_EVENT: Final = "event"


def configure_logging(*, verbose: bool = False, as_json: bool = False) -> None:
    """Send this process's log to standard error, whatever that is at the time of writing.

    Quiet: warnings and errors, one line each, no tracebacks. `verbose`: everything, with tracebacks. `as_json`: one
    JSON object a line, with the time.
    """
    processors: list[structlog.typing.Processor] = [structlog.processors.add_log_level]
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
        processors.append(_render_line)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.WARNING),
        logger_factory=_StderrFactory(),
        cache_logger_on_first_use=False,
    )


class _StderrFactory:
    """Makes loggers on the present standard error, which progress bars and tests replace for a while."""

    def __call__(self, *_: object) -> structlog.PrintLogger:
        return structlog.PrintLogger(sys.stderr)


def _render_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """`warning: action_refused limit=time sender=…`."""
    level, name = event.pop(_LEVEL), event.pop(_EVENT)
    event.pop("exc_info", None)
    return " ".join([f"{level}: {name}", *[f"{key}={event[key]}" for key in sorted(event)]]).replace("\n", " ")
