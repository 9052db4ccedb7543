"""How many processes check signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from microrollup.store.environment import DATA_FILE
from microrollup.system import count_cores

__all__ = ["choose_workers"]

SMALL_INPUT_BYTES: Final = 1_000_000
"""Up to here a file is authenticated sooner (2,000 actions in 0.1 s) than worker processes start."""


def choose_workers(workers: int | None, path: Path | None) -> int:
    """How many worker processes to start: what was asked for, none for a small file or store, or one a usable core."""
    if workers is not None:
        return workers
    file = None if path is None else path / DATA_FILE if path.is_dir() else path
    if file is not None and file.is_file() and file.stat().st_size <= SMALL_INPUT_BYTES:
        return 0
    return count_cores()
