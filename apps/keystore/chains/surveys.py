"""The surveys of this process, one for each data directory whose node serves the methods about chains."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from microrollup import require

from .survey import ChainNews, Survey
from .watched import WATCHED_FILE, read_watched

__all__ = ["ask_chains", "get_survey"]

_PATIENCE_SECONDS: Final = 1.5
_WAITING: Final = threading.BoundedSemaphore(2)
"""So few calls wait for chains at a time; the others are told what is known. All reading threads are never taken."""

_surveys: Final[dict[Path, Survey]] = {}
_lock: Final = threading.Lock()


def ask_chains(directory: Path, keys: list[bytes]) -> list[ChainNews]:
    """What the chains of a data directory know of these 32-byte keys, as far as they have said by now."""
    survey = get_survey(directory)
    may_wait = _WAITING.acquire(blocking=False)
    try:
        return survey.ask(keys, _PATIENCE_SECONDS if may_wait else 0.0)
    finally:
        if may_wait:
            _WAITING.release()


def get_survey(directory: Path) -> Survey:
    """Of a data directory, in this process; its file is read once."""
    with _lock:
        survey = _surveys.get(directory)
        if survey is None:
            chains = read_watched(directory)
            require(len(chains) > 0, f"the operator names no chains: {WATCHED_FILE} in the node's data directory")
            survey = _surveys[directory] = Survey(chains)
        return survey
