"""A verifier that goes on reports new blocks until it is stopped, or a block is wrong."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from deployment_fixtures import APP, LINES, fill_directory
from microrollup.deployment import following
from microrollup.deployment.following import follow_blocks
from microrollup.deployment.importing import import_actions
from microrollup.deployment.verifying import make_request
from microrollup.verifier.events import Report


def test_following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that come later are reported too, each report once; stopping is no divergence."""
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    data = tmp_path / "data"
    fill_directory(data, LINES[:10])
    request = make_request(APP, data, tmp_path / "verifier", workers=0, follow=True)
    reports: list[Report] = []
    stop = threading.Event()

    def take(report: Report) -> None:
        reports.append(report)
        if report.verified == 1:
            import_actions(APP, data, LINES[10:20])
        else:
            stop.set()

    assert follow_blocks(request, stop, take) is None
    assert [1, 2] == [report.verified for report in reports]
