"""Data directories of the keystore, made and filled without a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apps.keystore
from microrollup.deployment.directory import VerifierChoice
from microrollup.deployment.importing import ImportReport, import_actions
from paths import KEYSTORE_DATA

__all__ = ["APP", "LINES", "ROLLUP", "fill_directory"]

APP: Final = "apps.keystore"
ROLLUP: Final = apps.keystore.app
LINES: Final = (KEYSTORE_DATA / "wallet-actions.jsonl").read_bytes().splitlines()


def fill_directory(directory: Path, lines: Sequence[bytes] = LINES[:30], *, block_size: int = 10) -> ImportReport:
    """A data directory made now, with the given actions in blocks."""
    return import_actions(APP, directory, lines, verifiers=VerifierChoice(), block_size=block_size)
