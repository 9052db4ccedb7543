"""Stackup's interface in Solidity: unit and fuzz tests and the gas snapshot, run by forge.

They are in `tests/foundry/ucmt`. After a change that is meant to change gas:
`python tests/keystore/test_ucmt_forge.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from forge import ForgeProject

PROJECT = ForgeProject("ucmt")

STACKUP: Final = {
    "1. registerNode": 76_859,
    "2. validate (with proof)": 12_338,
    "3. validate (without proof)": 5_215,
    "4. handleUpdates (with proof)": 63_774,
    "5. handleUpdates (without proof)": 56_642,
}
"""The gas snapshot of stackup-wallet/keystore at 806fc6a, for the same tree, node and proof."""

STACKUP_OPERATIONS: Final = {
    "handleOps: account made, node registered": 337_944,
    "handleOps: registered node": 91_598,
    "handleOps: proof again": 96_705,
    "handleOps: another node's first use": 156_266,
}
"""Execution gas of Stackup's contracts for an operation that sends one wei, with a tree of four nodes."""


def test_forge(tmp_path: Path) -> None:
    """Every forge test passes, and each measured figure is the one under version control."""
    PROJECT.check(tmp_path)


def test_gas_is_not_above_stackups() -> None:
    """Each of the five calls, and each kind of operation, costs no more than with Stackup's contracts."""
    kept = PROJECT.read_gas("ucmt")
    above = {name: kept[name] for name, gas in {**STACKUP, **STACKUP_OPERATIONS}.items() if kept[name] > gas}
    assert {} == above


if __name__ == "__main__":
    PROJECT.update()
