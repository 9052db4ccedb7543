"""Exported blocks verify elsewhere; exported actions are imported elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from deployment_fixtures import LINES, ROLLUP, fill_directory
from microrollup.chain.export import BlockFile
from microrollup.deployment.exporting import export_actions, export_blocks
from microrollup.deployment.records import read_records
from microrollup.errors import SenderMismatch, UsageError, WrongRollup
from microrollup.execution.authentication import Authenticator
from zoo import make_zoo


def test_blocks(tmp_path: Path) -> None:
    """All closed blocks, or those from a height on, are in the file; progress counts them."""
    fill_directory(tmp_path / "data")
    seen: list[tuple[int, int]] = []
    exported = export_blocks(tmp_path / "data", ROLLUP, tmp_path / "all", on_progress=lambda *done: seen.append(done))
    assert [(1, 3), (2, 3), (3, 3)] == seen
    headers = [block.header for block in BlockFile(tmp_path / "all").read_blocks()]
    assert [1, 2, 3] == [header.height for header in headers]
    assert {exported.rollup_id} == {header.rollup_id for header in headers}
    assert 2 == export_blocks(tmp_path / "data", ROLLUP, tmp_path / "later", first_height=2).count
    with pytest.raises(WrongRollup):
        export_blocks(tmp_path / "data", make_zoo(), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_actions_go_elsewhere(tmp_path: Path) -> None:
    """Another directory of the same rollup imports the actions and has the same state."""
    report = fill_directory(tmp_path / "data")
    assert 30 == export_actions(tmp_path / "data", ROLLUP, tmp_path / "actions")
    lines = (tmp_path / "actions").read_bytes().splitlines()
    again = fill_directory(tmp_path / "again", lines)
    assert (report.counts, report.state_root) == (again.counts, again.state_root)


def test_lines_state_their_sender(tmp_path: Path) -> None:
    """Each exported line has the sender under whom it was executed; under another domain it is refused for that."""
    fill_directory(tmp_path / "data")
    export_actions(tmp_path / "data", ROLLUP, tmp_path / "actions")
    lines = (tmp_path / "actions").read_bytes().splitlines()
    actions = [record for record in read_records(tmp_path / "data", ROLLUP, 0, 100) if record["kind"] == "action"]
    assert [action["sender"] for action in actions] == [json.loads(line)["sender"] for line in lines]
    domain = msgspec.structs.replace(ROLLUP.make_domain(), chain_id=1)
    with pytest.raises(SenderMismatch):
        Authenticator(ROLLUP.action_types, domain).authenticate_line(lines[0])


def test_a_line_is_never_too_long_to_come_back(tmp_path: Path) -> None:
    """Where the sender would make a line longer than what is taken, it is left out."""
    fill_directory(tmp_path / "data", LINES[:1])
    record = (tmp_path / "actions", len(LINES[0]) + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microrollup.deployment.exporting.MAX_ACTION_BYTES", record[1])
        export_actions(tmp_path / "data", ROLLUP, record[0])
    assert LINES[0] == record[0].read_bytes().rstrip()


def test_actions_after_a_block(tmp_path: Path) -> None:
    """Only later actions, those of the open block included; a block that does not exist is refused."""
    fill_directory(tmp_path / "data", LINES[:20])
    assert 10 == export_actions(tmp_path / "data", ROLLUP, tmp_path / "actions", after=1)
    assert 0 == export_actions(tmp_path / "data", ROLLUP, tmp_path / "actions", after=2)
    with pytest.raises(UsageError, match="no block 3 yet"):
        export_actions(tmp_path / "data", ROLLUP, tmp_path / "actions", after=3)
