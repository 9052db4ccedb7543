"""What wakes a thread that waits for work. `threading.Condition` does the same with ten times as many calls."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["Bell"]


class Bell:
    """Rung by any thread, waited for by one: it calls `forget`, looks at what there is, and then waits."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Something has come; call it after that can be seen."""
        self._rings.put(None)

    def forget(self) -> None:
        """What has come until now is about to be looked at."""
        while not self._rings.empty():
            self._rings.get()

    def wait(self, seconds: float) -> None:
        """Return once it has been rung since `forget`, or after so many seconds."""
        with suppress(Empty):
            self._rings.get(timeout=seconds)
