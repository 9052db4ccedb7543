"""Where things lie in the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUPPORT: Final = Path(__file__).parent
"""Modules that tests share; importable by name in every test and in the processes that tests start."""

TESTS: Final = SUPPORT.parent
ROOT: Final = TESTS.parent
FOUNDRY: Final = TESTS / "foundry"
VECTORS: Final = TESTS / "vectors"
KEYSTORE_DATA: Final = ROOT / "apps" / "keystore" / "data"

WYCHEPROOF: Final = ROOT.parent / "shared" / "vectors" / "wycheproof"
"""Vectors of others, which lie beside a checkout where they are at hand."""
