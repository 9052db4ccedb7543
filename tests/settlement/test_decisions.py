"""Waiting in an event loop for what another thread decides."""

import asyncio
import threading

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

    async def use(decisions):
        waiters = [decisions.expect() for _ in range(1_000)]

        def decide():
            for number, waiter in enumerate(waiters):
                decisions.tell(waiter, number)

        thread = threading.Thread(target=decide)
        thread.start()
        thread.join()
        return await asyncio.gather(*waiters)

    results, wakes = run(use)
    assert list(range(1_000)) == results
    assert 1 == len(wakes)


def test_nothing_is_missed_between_two_wakes():
    """What is decided while others are told wakes the loop again."""

    async def use(decisions):
        pairs = [(decisions.expect(), threading.Event()) for _ in range(300)]

        def decide():
            for waiter, told in pairs:
                decisions.tell(waiter, None)
                assert told.wait(60)

        thread = threading.Thread(target=decide)
        thread.start()
        for waiter, told in pairs:
            await waiter
            told.set()
        thread.join()

    run(use)


def test_early_decisions_come_through():
    """What was decided before anybody waited is told."""

    async def use(decisions):
        done = decisions.expect()
        decisions.tell(done, 5)
        await asyncio.sleep(0)
        return await done

    assert 5 == run(use)[0]


def test_who_went_away_is_left_out():
    """A waiter that was cancelled does not disturb the others; a result for a loop that ended disturbs nobody."""
    kept = []

    async def use(decisions):
        gone, there, late = decisions.expect(), decisions.expect(), decisions.expect()
        kept.extend((decisions, late))
        gone.cancel()
        decisions.tell(gone, 1)
        decisions.tell(there, 2)
        return await there

    assert 2 == run(use)[0]
    decisions, late = kept
    decisions.tell(late, 3)
    assert not late.done()
