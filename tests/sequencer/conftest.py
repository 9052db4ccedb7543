"""A chain of a test's own, and a verifier's ledger of it; files with chains of another kind have their own fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel_fixtures import Chain
from microrollup.ledger.ledger import Ledger


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path)
    yield made
    made.close()


@pytest.fixture
def verifier(chain: Chain) -> Iterator[Ledger]:
    ledger = chain.make_verifier()
    yield ledger
    ledger.abandon()
