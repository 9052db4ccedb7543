"""Waiting for a block: nobody takes all the room that there is for it, and a batch waits once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from microrollup.node.confirmations import Confirmations
from microrollup.node.hub import Hub
from microrollup.rpc.caller import Caller
from microrollup.rpc.errors import HEIGHT_NOT_REACHED, LIMIT_EXCEEDED, ErrorResponse
from microrollup.rpc.heights import Waits
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.news import News
from microrollup.rpc.rates import LOCAL

LATEST = 7


def drive(run: Callable[[Waits], Awaitable[None]], **limits: float) -> None:
    """Run something against waits for blocks after the seventh one."""

    async def run_here() -> None:
        with closing(News(Hub())) as news:
            confirmations = Confirmations(LATEST, 0, lambda _: None)
            await run(Waits(confirmations, lambda: news, RpcLimits(waiting=64, **limits)))  # type: ignore[arg-type]

    asyncio.run(run_here())


async def find_code(waits: Waits, height: int, caller: Caller) -> int:
    try:
        return await waits.reach(height, caller)
    except ErrorResponse as error:
        return error.code


def test_one_address_takes_an_eighth_of_the_room() -> None:
    """More calls of it are refused at once, while another address, and this machine, still wait; then there is room
    again.
    """

    async def run(waits: Waits) -> None:
        for _ in range(2):
            callers = [Caller(name) for name in ["203.0.113.9"] * 20 + ["203.0.113.10"] * 3 + [LOCAL] * 30]
            codes = await asyncio.gather(*[find_code(waits, LATEST + 1, caller) for caller in callers])
            assert Counter({HEIGHT_NOT_REACHED: 8, LIMIT_EXCEEDED: 12}) == Counter(codes[:20])
            assert {HEIGHT_NOT_REACHED} == set(codes[20:])
        everybody = [find_code(waits, LATEST + 1, Caller(LOCAL)) for _ in range(80)]
        assert {HEIGHT_NOT_REACHED: 64, LIMIT_EXCEEDED: 16} == Counter(await asyncio.gather(*everybody))

    drive(run, height_seconds=0.05)


def test_a_batch_waits_once() -> None:
    """After one of its calls has waited in vain the others are answered at once, and what is there is found."""

    async def run(waits: Waits) -> None:
        caller = Caller(LOCAL)
        waiting = asyncio.ensure_future(find_code(waits, LATEST + 1, caller))
        assert HEIGHT_NOT_REACHED == await waiting
        steps = [find_code(waits, LATEST + 2, caller), find_code(waits, LATEST, caller)]
        async with asyncio.timeout(0):  # nothing that waits at all would come to an end
            assert [HEIGHT_NOT_REACHED, LATEST] == [await step for step in steps]

    drive(run, height_seconds=0.05)


@pytest.mark.parametrize("height", [0, LATEST])
def test_what_is_there_is_not_waited_for(height: int) -> None:
    """Also while there is no room to wait."""

    async def run(waits: Waits) -> None:
        assert await waits.reach(height, Caller("203.0.113.9")) == LATEST

    drive(run, height_seconds=3_600)
