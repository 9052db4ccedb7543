"""The log's records in words."""

from __future__ import annotations

from pathlib import Path

from deployment_fixtures import ROLLUP, fill_directory
from microrollup.deployment.records import read_records


def test_records(tmp_path: Path) -> None:
    """Each has its number and kind; a part is what the whole shows there."""
    fill_directory(tmp_path)
    records = read_records(tmp_path, ROLLUP, 0, 100)
    block = ["open", *["action"] * 10, "close"]
    assert ["genesis", *block, *block, *block] == [record["kind"] for record in records]
    assert records[14:17] == read_records(tmp_path, ROLLUP, 14, 3)
    assert [] == read_records(tmp_path, ROLLUP, 37, 1)
