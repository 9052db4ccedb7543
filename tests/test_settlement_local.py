"""The local settlement: the contract suite, and what is its own: directories, the clock, damage, processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.record import Genesis
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.protocol import Inbox
from microrollup.testing.settlement_suite import SettlementContract

START_NUMBER = 150_000_000


class LocalHarness:
    """Local inboxes in directories of a test, on a clock that stands still until told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seconds = float((START_NUMBER + 10) * SECONDS_PER_BLOCK)
        self.places: dict[int, Path] = {}

    def create_inbox(self, genesis: Genesis, owner: bytes) -> Inbox:
        directory = self.root / f"inbox-{len(self.places)}"
        inbox = LocalSettlement.create(directory, genesis, owner, lambda: self.seconds)
        self.places[id(inbox)] = directory
        return inbox

    def reopen_inbox(self, inbox: Inbox) -> Inbox:
        inbox.close()
        return LocalSettlement.open(self.places[id(inbox)], lambda: self.seconds)

    def get_start(self) -> tuple[int, int]:
        return START_NUMBER, START_NUMBER * SECONDS_PER_BLOCK

    def advance_to(self, inbox: Inbox, number: int) -> None:
        self.seconds = float(number * SECONDS_PER_BLOCK)


class TestContract(SettlementContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> LocalHarness:
        return LocalHarness(tmp_path)
