"""The event loop in a thread: what runs is ended before what it uses is closed."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from microrollup.errors import UsageError
from microrollup.settlement.ethereum.loop import LoopThread


def test_cancel_waits_for_the_end() -> None:
    """After `cancel` nothing runs any more, its caller is told, and the loop still takes what closes the rest."""
    loop = LoopThread("loop")
    started, ended = threading.Event(), threading.Event()
    told: list[BaseException] = []

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    def call() -> None:
        try:
            loop.run(work())
        except CancelledError as error:
            told.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert started.wait(60)
    loop.cancel()
    assert ended.is_set()
    caller.join(60)
    assert 1 == len(told)
    assert 7 == loop.run(asyncio.sleep(0, 7))
    loop.close()
    loop.close()
    with pytest.raises(UsageError, match="closed"):
        loop.run(asyncio.sleep(0))
