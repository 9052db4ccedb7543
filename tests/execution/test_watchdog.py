"""The watchdog: interrupts what runs too long, in the thread that made it, and nothing else."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.execution.journal import Journal
from microrollup.execution.watchdog import Watchdog


def make_context() -> BlockContext:
    return BlockContext(1, 0, 0, Journal(0))


def spin(seconds: float) -> None:
    """Use the CPU: how long that takes on a busy machine does not matter."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def is_interrupted(look: Callable[[], None]) -> bool:
    """Whether a look interrupts this thread."""
    try:
        look()
        for _ in range(1_000):
            pass
    except Interrupted:
        return True
    return False


def test_interrupts_what_runs_too_long() -> None:
    """One ticket that stays odd is interrupted, and marked so; once it has ended nothing more is."""
    context = make_context()
    with Watchdog(0.2) as watchdog:
        watchdog.watch(context)
        context.ticket = 1
        with pytest.raises(Interrupted):
            spin(60)
        context.ticket = 2
        assert context.interrupted
        spin(0.5)


def test_interrupts_again() -> None:
    """Who goes on after an interruption is interrupted again, limit by limit."""
    context, count = make_context(), 0
    with Watchdog(0.05) as watchdog:
        watchdog.watch(context)
        context.ticket = 1
        while count < 3:
            try:
                spin(60)
            except Interrupted:
                count += 1
        context.ticket = 2


def test_interrupts_after_the_limit() -> None:
    """A ticket is interrupted at the first look that is a limit after the one that first saw it, and so on."""
    context = make_context()
    with Watchdog(1_000) as watchdog:
        watchdog.watch(context)
        context.ticket = 1
        found = [is_interrupted(partial(watchdog._look, now)) for now in (5_000, 5_999, 6_000, 6_999, 7_000)]
        assert [False, False, True, False, True] == found


def test_leaves_alone() -> None:
    """Even tickets, tickets that move on, other contexts and no context are not interrupted."""
    context = make_context()
    with Watchdog(1_000) as watchdog:
        clock = itertools.count(0, 900)

        def look() -> None:
            watchdog._look(next(clock))

        look()
        look()
        watchdog.watch(context)
        look()
        look()
        for _ in range(20):
            context.ticket += 1
            look()
            context.ticket += 1
        context.ticket += 1
        look()
        watchdog.watch(None)
        look()
        look()
        watchdog.watch(make_context())
        look()
        watchdog.watch(context)
        look()
        spin(0.01)
    assert not context.interrupted


def test_watches_its_makers_thread() -> None:
    """The thread that made the watchdog is interrupted; others go on."""
    context, seen = make_context(), []
    context.ticket = 1

    def work() -> None:
        with Watchdog(0.1) as watchdog:
            watchdog.watch(context)
            try:
                spin(60)
            except Interrupted:
                context.ticket = 2
                seen.append("interrupted")

    thread = threading.Thread(target=work)
    thread.start()
    spin(0.2)
    thread.join(60)
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
