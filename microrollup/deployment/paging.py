"""A page of a map field out of a data directory."""

from __future__ import annotations

from pathlib import Path

from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_state
from microrollup.ledger.paging import PageRequest, StatePage, read_page

__all__ = ["list_entries"]


def list_entries(directory: Path, rollup: MicroRollup, request: PageRequest, height: int | None = None) -> StatePage:
    """The page at a height, by default the newest; the store's writer may go on. Raises what `read_page` raises."""
    with open_state(directory, rollup) as (environment, _):
        return read_page(environment, request, height)
