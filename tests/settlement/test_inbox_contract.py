"""The inbox's own tests, in Solidity: unit, fuzz and invariant tests and the gas snapshot, run by forge.

They are in `tests/foundry/inbox`. After a change that is meant to change gas:
`python tests/settlement/test_inbox_contract.py`.
"""

from __future__ import annotations

from pathlib import Path

from forge import ForgeProject

PROJECT = ForgeProject("inbox")


def test_forge(tmp_path: Path) -> None:
    """Every forge test passes, and each measured gas is the one under version control."""
    PROJECT.check(tmp_path)


def test_gas_is_below_the_bars() -> None:
    """A batch with two of three attestations costs less than a rough inbox did, whatever the number of its blobs."""
    kept = PROJECT.read_gas("inbox")
    later = [
        gas for name, gas in kept.items() if name.startswith("settle, later") and "blob" in name and "2 of 3" in name
    ]
    assert 4 == len(later)
    assert max(later) < 97_000
    assert kept["settle, first, 1 blob, 2 of 3"] < 120_000


def test_quorums() -> None:
    """128 of 192 BLS keys settle for less than 260,000 gas and 2,000 bytes; at 48 they are cheaper."""
    kept = PROJECT.read_gas("quorums")
    assert kept["BLS 192, a third absent"] < 260_000
    assert kept["BLS 192, a third absent, calldata"] < 2_000
    for count, cheaper in ((3, False), (12, False), (24, False), (48, True), (96, True), (192, True)):
        assert cheaper == (kept[f"BLS {count}, a third absent"] < kept[f"ECDSA {count}"])


if __name__ == "__main__":
    PROJECT.update()
