"""What a settled field holds at a key, or that it holds nothing, under a state root."""

from __future__ import annotations

from pathlib import Path

from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.deployment.directory import open_readable, open_state
from microrollup.ledger.code import get_code_at
from microrollup.ledger.reading import StateProof, prove_state
from microrollup.store.tables import get_checkpoint

__all__ = ["find_version_at", "prove_key"]


def find_version_at(directory: Path, rollup: MicroRollup, height: int | None) -> MicroRollup:
    """The version of the app whose state is that at a height, by default the newest.

    Raises `StoreError`s, `NotRetained`, and `OtherCode` if the app does not know it.
    """
    if rollup.previous is None:
        return rollup
    with open_readable(directory, rollup) as environment, environment.snapshot() as txn:
        at = get_checkpoint(txn, environment.tables).height if height is None else height
        return get_code_at(environment, txn, rollup, at)


def prove_key(
    directory: Path, rollup: MicroRollup, field: StateField, key: bytes, height: int | None = None
) -> StateProof:
    """The proof, checked, under the state root of a block, by default the newest; the store's writer may go on.

    `field` and `key` are as `get_field` and `read_key` of `microrollup.ledger` give them. Raises `StoreError`s, and
    `NotRetained` for a height that the store does not keep.
    """
    with open_state(directory, rollup) as (environment, tree):
        return prove_state(environment, tree, field, key, height)
