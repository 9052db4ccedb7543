"""Validators, account and factory in Solidity: unit and fuzz tests and the gas snapshot, run by forge.

They are in `tests/foundry/accounts`. After a change that is meant to change gas:
`python tests/keystore/test_accounts_forge.py`.
"""

from __future__ import annotations

from pathlib import Path

from forge import ForgeProject

PROJECT = ForgeProject("accounts")


def test_forge(tmp_path: Path) -> None:
    """Every forge test passes, and each measured figure is the one under version control."""
    PROJECT.check(tmp_path)


def test_figures_are_below_the_bars() -> None:
    """At depth 30 `validateUserOp` costs less than Stackup's `validate` alone at depth 5, in less than 1,200 bytes.

    The bytes are those beyond the validator's signature. Storage is cold here, at Stackup perhaps not. What the outbox
    opens has two proofs.
    """
    kept = PROJECT.read_gas("accounts")
    assert kept["validateUserOp, storage cold: inclusion, no check"] < 12_338
    assert kept["validateUserOp, storage cold: exclusion, no check"] < 12_338
    assert kept["validateUserOp, storage cold: cached, no check"] < 5_215
    sizes = {name: size - 65 for name, size in kept.items() if name.startswith("signature bytes")}
    outbox = [sizes.pop(f"signature bytes: {name}") for name in ("intent", "delegate, ECDSA")]
    assert max(sizes.values()) < 1_200
    assert max(outbox) < 2_200
    assert kept["validator: multisig 255 of 255, call"] < 1_500_000


if __name__ == "__main__":
    PROJECT.update()
