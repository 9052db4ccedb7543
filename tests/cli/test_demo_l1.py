"""`demo --l1`: from wallets' actions to a proof against the inbox, on a real L1; the operator is deleted on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import EXPECTED, CommandLine
from l1_fixtures import find_tool


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line, with the pinned anvil on its path."""
    monkeypatch.setenv("PATH", str(Path(find_tool("anvil")).parent), prepend=":")
    return CommandLine(capsys, monkeypatch)


def test_the_whole_story(command: CommandLine, tmp_path: Path) -> None:
    """Deployed, imported, verified, settled in blobs, forced, deleted, rebuilt, proven: every root is the right one."""
    story = command.ask("demo", "--l1", "--data", tmp_path)
    roots = story["roots"]
    assert story["ok"]
    assert EXPECTED["stateRoot"] == roots["sequencer"] == roots["inbox, first batch"]
    assert roots["inbox contract"] == roots["rebuilt from L1"] == roots["inbox, with the forced action"]
    assert roots["inbox contract"] == story["inclusion"]["stateRoot"] == story["exclusion"]["stateRoot"]
    assert roots["inbox contract"] != EXPECTED["stateRoot"]
    assert not (tmp_path / "operator").exists()
    steps = {row["step"]: row for row in story["steps"]}
    first, forced = steps["settle in blobs"], steps["settle it"]
    assert (2, 1) == (first["blobGas"] // 131_072, forced["blobGas"] // 131_072)
    assert 50_000 < forced["gas"] < 150_000
    assert 50_000 < first["gas"] < 150_000
    assert first["bytes"] + forced["bytes"] == steps["rebuild from L1"]["bytes"]


def test_without_an_l1_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where neither anvil nor Node.js is, the demo says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install Foundry's anvil, or Node.js" in CommandLine(capsys, monkeypatch).refuse("demo", "--l1")
