"""An event loop in a thread of its own, so that synchronous callers on any thread can use an asynchronous client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from microrollup.errors import UsageError

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """Owns the loop and the thread; `close` ends both."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it to its end and give what it returns or raises. Raises `UsageError` once closed."""
        if self._loop.is_closed():
            coroutine.close()
            raise UsageError("the connection to L1 is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # a caller that is interrupted leaves nothing running
            raise

    def cancel(self) -> None:
        """Cancel what runs and wait for its end, so that nothing uses what is closed next.

        Callers of what ran get `concurrent.futures.CancelledError`.
        """
        self.run(_cancel_others())

    def close(self) -> None:
        """Cancel what runs, end the thread. Closing twice does no harm."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(_cancel_others())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
