"""Waiting in an event loop for what another thread decides."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from microrollup.rpc.decisions import Decisions


def run(use):
    """Run a function with decisions of a loop of its own; the wakes that it took come as well."""

    async def main():
        decisions = Decisions()
        loop, wakes = asyncio.get_running_loop(), []
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given, **named: (wakes.append(given), wake(*given, **named))[1]
        return await asyncio.wait_for(use(decisions), 10), wakes

    return asyncio.run(main())


def test_a_group_wakes_the_loop_once():
    """However many wait, each gets its own result, and what is decided while the loop is busy takes one wake."""
    futures = [Future() for _ in range(1_000)]

    def decide():
        for number, future in enumerate(futures):
            future.set_result(number)

    async def use(decisions):
        waiting = [asyncio.create_task(decisions.wait(future)) for future in futures]
        await asyncio.sleep(0)
        thread = threading.Thread(target=decide)
        thread.start()
        thread.join()
        return await asyncio.gather(*waiting)

    results, wakes = run(use)
    assert list(range(1_000)) == results
    assert 1 == len(wakes)


def test_nothing_is_missed_between_two_wakes():
    """What is decided while others are told wakes the loop again."""
    pairs = [(Future(), threading.Event()) for _ in range(300)]

    def decide():
        for future, told in pairs:
            future.set_result(None)
            assert told.wait(60)

    async def use(decisions):
        thread = threading.Thread(target=decide)
        thread.start()
        for future, told in pairs:
            await decisions.wait(future)
            told.set()
        thread.join()

    run(use)


def test_errors_and_early_decisions_come_through():
    """What was decided before anybody waited is told, and errors are raised."""
    done, failed = Future(), Future()
    done.set_result(5)
    failed.set_exception(ValueError("no"))

    async def use(decisions):
        with pytest.raises(ValueError, match="no"):
            await decisions.wait(failed)
        return await decisions.wait(done)

    assert 5 == run(use)[0]


def test_who_went_away_is_left_out():
    """A waiter that was cancelled disturbs neither what it waited for nor the others; a loop that ended nobody."""
    gone, there, late = Future(), Future(), Future()

    async def use(decisions):
        waiting = asyncio.create_task(decisions.wait(gone))
        other = asyncio.create_task(decisions.wait(there))
        never = asyncio.create_task(decisions.wait(late))
        await asyncio.sleep(0)
        waiting.cancel()
        gone.set_result(1)
        there.set_result(2)
        found = await other
        never.cancel()
        assert not gone.cancelled()
        return found

    assert 2 == run(use)[0]
    late.set_result(3)
    assert 3 == late.result()
