"""A resolver of names that does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

__all__ = ["NAME", "HangingResolver", "hang_lookups"]

NAME: Final = "source.invalid"


class HangingResolver:
    """The system's own but for one name, which it leaves open until it is released: then it knows no such name."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = threading.Semaphore(0)
        self._system = socket.getaddrinfo

    def __call__(self, host: Any, *more: Any, **options: Any) -> Any:
        if host not in (NAME, NAME.encode()) or options.get("flags") == socket.AI_NUMERICHOST:
            return self._system(host, *more, **options)
        self.asked.release()
        self.released.wait()
        raise socket.gaierror(socket.EAI_NONAME, "unknown")


@contextmanager
def hang_lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingResolver]:
    """In place of the system's resolver; released at the end."""
    resolver = HangingResolver()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolver)
        try:
            yield resolver
        finally:
            resolver.released.set()
