"""A visit to an L1: a connection for some questions and transactions, and none afterwards."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from microrollup.settlement.ethereum.failover import open_transport
from microrollup.settlement.ethereum.loop import LoopThread
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["visit_l1"]

T = TypeVar("T")


def visit_l1(options: EthereumOptions, work: Callable[[L1Transport], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives, which is called on a loop of its own. Raises what it raises."""

    async def run() -> T:
        transport = open_transport(options)
        try:
            return await work(transport)
        finally:
            await transport.close()

    loop = LoopThread("l1")
    try:
        return loop.run(run())
    finally:
        loop.close()
