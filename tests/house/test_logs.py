"""The log of a process: one line per event, and where an app's faults were raised."""

import pytest
import structlog

from microrollup.logs import configure_logging


def raise_here(error: Exception) -> Exception:
    """An exception with a traceback that ends here."""
    try:
        raise error
    except Exception as raised:
        return raised


def raise_elsewhere() -> Exception:
    """One with another place."""
    try:
        raise KeyError("other")
    except Exception as raised:
        return raised


def test_a_traceback_comes_once_per_place(capsys: pytest.CaptureFixture[str]) -> None:
    """Faults that strangers cause again and again are a line each; their place is shown the first time."""
    configure_logging()
    log = structlog.get_logger()
    for number in range(5):
        log.error("stf_faulted", seq=number, exc_info=raise_here(ValueError(number)))
    log.error("stf_faulted", seq=5, exc_info=raise_elsewhere())
    log.info("not_shown")
    lines = capsys.readouterr().err.splitlines()
    assert 6 == len([line for line in lines if line.startswith("error: stf_faulted")])
    assert 2 == lines.count("Traceback (most recent call last):")
    assert ["ValueError: 0", "KeyError: 'other'"] == [line for line in lines if line.startswith(("ValueError", "KeyE"))]
    assert not [line for line in lines if "not_shown" in line]


def test_tracebacks_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """However deep it was raised and however much it says, an exception takes some lines of the log."""
    configure_logging()

    def dive(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 100_000)
        dive(depth - 1)

    try:
        dive(500)
    except ValueError as error:
        structlog.get_logger().error("stf_faulted", exc_info=error)
    assert 10_000 > len(capsys.readouterr().err)
