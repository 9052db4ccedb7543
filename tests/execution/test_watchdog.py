"""The watchdog: interrupts what runs too long, in the thread that made it, and nothing else."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.execution.journal import Journal
from microrollup.execution.watchdog import Watchdog

STOPPED_PROCESS = """
import sys, time
from microrollup.execution.block_context import BlockContext
from microrollup.execution.journal import Journal
from microrollup.execution.watchdog import Watchdog

looks = 0

class CountingWatchdog(Watchdog):
    def _look(self, used):
        global looks
        super()._look(used)
        looks += 1

def wait_for_looks(count):
    until = looks + count
    while looks < until:
        time.sleep(0.01)

context = BlockContext(1, 0, 0, Journal(0))
with CountingWatchdog(0.5) as watchdog:
    watchdog.watch(context)
    context.ticket = 1
    wait_for_looks(2)
    print("runs", flush=True)
    sys.stdin.readline()
    wait_for_looks(2)
    context.ticket = 2
print("ended", context.interrupted, flush=True)
"""
"""An action that does next to nothing, and is looked at before and after its process was stopped."""


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


def test_interrupts_what_waits() -> None:
    """What uses no CPU is interrupted after sixty limits of looks, and then again: how much time passes does not
    matter.
    """
    context = make_context()
    with Watchdog(1_000) as watchdog:
        watchdog.watch(context)
        context.ticket = 1
        found = [is_interrupted(partial(watchdog._look, 5)) for _ in range(2 * 240 + 1)]
        assert [240, 480] == [number for number, interrupted in enumerate(found) if interrupted]


def test_a_stopped_process_goes_on() -> None:
    """An action that runs while its process is stopped, for longer than the limit, is not interrupted."""
    command = [sys.executable, "-c", STOPPED_PROCESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "runs\n" == process.stdout.readline()
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(1)  # twice the limit, or more
            os.kill(process.pid, signal.SIGCONT)
            said, _ = process.communicate("go on\n", timeout=120)
        finally:
            process.kill()
    assert (0, "ended False\n") == (process.returncode, said)


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
    for context in (make_context(), None):
        watchdog = Watchdog(60)
        watchdog.watch(context)
        assert watchdog._thread.is_alive()
        watchdog.close()
        assert not watchdog._thread.is_alive()


def test_ends_with_its_thread() -> None:
    """A watchdog that nobody closed ends after the thread that it watched."""
    made: list[Watchdog] = []
    thread = threading.Thread(target=lambda: made.append(Watchdog(0.04)))
    thread.start()
    thread.join()
    made[0]._thread.join(60)
    assert not made[0]._thread.is_alive()
