"""Serving a chain in rounds, whatever its node answers, until all is done or a signal ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from microrollup.errors import MicrorollupError

from .node import ChainNode

__all__ = ["RoundWorker", "serve_chain"]

_LONGEST_PAUSE_SECONDS: Final = 30.0


class RoundWorker(Protocol):
    """Serves one chain, one round at a time."""

    idle: bool
    """Whether the last round found nothing that could be sent."""

    async def run_round(self) -> None:
        """Raises `MicrorollupError`s, after which the next may go well."""
        ...


W = TypeVar("W", bound=RoundWorker)


async def serve_chain(
    node: ChainNode,
    connect: Callable[[], Awaitable[W]],
    note_failure: Callable[[W | None, Exception, bool], None],
    *,
    poll_seconds: float,
    once: bool,
    patience: int,
) -> None:
    """Rounds of the worker that `connect` makes, with a pause when it is idle and longer ones after failures.

    With `once`, until it is idle or has failed `patience` times in a row. `note_failure` is told whether the failure is
    another one than in the round before: one that goes on is logged once. Closes the node.
    """
    worker: W | None = None
    pause, failed, said = poll_seconds, 0, ""
    try:
        while True:
            try:
                if worker is None:
                    worker = await connect()
                await worker.run_round()
            except (MicrorollupError, OSError) as error:
                note_failure(worker, error, str(error) != said)
                said = str(error)
                failed += 1
                if once and failed >= patience:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            pause, failed, said = poll_seconds, 0, ""
            if worker.idle:
                if once:
                    return
                await asyncio.sleep(pause)
    finally:
        with suppress(Exception):
            await node.close()
