"""Lines of signed actions become blocks; progress and acknowledgements go to callbacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment_fixtures import APP, LINES, ROLLUP, fill_directory
from microrollup.deployment.directory import VerifierChoice, open_rollup
from microrollup.deployment.importing import import_actions
from microrollup.errors import StoreMissing


def test_import(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The report says what became of all lines; callbacks hear of each; nothing is printed."""
    lines_seen: list[int] = []
    durable: list[tuple[int, int]] = []
    report = import_actions(
        APP,
        tmp_path,
        [*LINES[:20], b"{}", LINES[0]],
        verifiers=VerifierChoice(),
        block_size=8,
        acknowledge=durable.extend,
        on_lines=lines_seen.append,
    )
    assert (22, 20, 3) == (report.lines, report.counts[0], report.height)
    assert [20, 21] == [refusal.line for refusal in report.refusals]
    assert [(number, number) for number in range(20)] == durable
    assert 22 == sum(lines_seen)
    with open_rollup(tmp_path, ROLLUP) as opened:
        assert (report.height, report.state_root) == (opened.ledger.checkpoint.height, opened.ledger.header.state_root)
    assert ("", "") == capfd.readouterr()


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    """Signatures checked in other processes give the same state."""
    alone = fill_directory(tmp_path / "alone")
    pooled = import_actions(APP, tmp_path / "pooled", LINES[:30], verifiers=VerifierChoice(), block_size=10, workers=1)
    assert (alone.counts, alone.state_root) == (pooled.counts, pooled.state_root)


def test_a_directory_is_not_made_unasked(tmp_path: Path) -> None:
    """Without verifiers an import goes on with a directory that is there."""
    with pytest.raises(StoreMissing):
        import_actions(APP, tmp_path / "data", LINES[:1])
    fill_directory(tmp_path / "data", LINES[:10])
    assert 2 == import_actions(APP, tmp_path / "data", LINES[10:20]).height
