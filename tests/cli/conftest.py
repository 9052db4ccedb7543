"""The command line in this process, and an L1 for those that settle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from command_line import CommandLine
from l1_fixtures import Anvil, run_anvil


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil("--hardfork", "osaka") as anvil:
        anvil.mine(3)
        yield anvil


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)
