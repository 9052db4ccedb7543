"""The watchdog: interrupts what runs too long, in the thread that made it, and nothing else."""

from __future__ import annotations

import threading
import time

import pytest

from microrollup.journal import Journal
from microrollup.stf import BlockContext, Interrupted
from microrollup.watchdog import Watchdog


def make_context() -> BlockContext:
    return BlockContext(1, 0, 0, Journal(0))


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_interrupts_what_runs_too_long() -> None:
    """One ticket that stays odd is interrupted after 1 to 1.5 limits, and marked so."""
    context, started = make_context(), time.monotonic()
    with Watchdog(0.2) as watchdog:
        watchdog.watch(context)
        context.ticket = 1
        with pytest.raises(Interrupted):
            spin(5)
        context.ticket = 2
        assert context.interrupted
        assert 0.2 <= time.monotonic() - started < 1.0
        spin(0.5)


def test_interrupts_again() -> None:
    """Who goes on after an interruption is interrupted again, limit by limit."""
    context, count = make_context(), 0
    with Watchdog(0.05) as watchdog:
        watchdog.watch(context)
        context.ticket = 1
        while count < 3:
            try:
                spin(5)
            except Interrupted:
                count += 1
        context.ticket = 2


def test_leaves_alone() -> None:
    """Even tickets, tickets that move on, other contexts and no context are not interrupted."""
    context = make_context()
    with Watchdog(0.05) as watchdog:
        spin(0.2)
        watchdog.watch(context)
        spin(0.2)
        for _ in range(20):
            context.ticket += 1
            spin(0.02)
            context.ticket += 1
        context.ticket = 1
        watchdog.watch(None)
        spin(0.2)
    spin(0.1)
    assert not context.interrupted


def test_watches_its_makers_thread() -> None:
    """The thread that made the watchdog is interrupted; others go on."""
    context, seen = make_context(), []
    context.ticket = 1

    def work() -> None:
        with Watchdog(0.1) as watchdog:
            watchdog.watch(context)
            try:
                spin(5)
            except Interrupted:
                context.ticket = 2
                seen.append("interrupted")

    thread = threading.Thread(target=work)
    thread.start()
    spin(0.5)
    thread.join(5)
    assert ["interrupted"] == seen


def test_closing_ends_the_thread() -> None:
    """A closed watchdog has no thread any more, whether it watched or not."""
    before = threading.active_count()
    for _ in range(3):
        watchdog = Watchdog(60)
        watchdog.watch(make_context())
        assert before + 1 == threading.active_count()
        watchdog.close()
        assert before == threading.active_count()
