"""What a settled field holds at a key, or that it holds nothing, under a state root."""

from __future__ import annotations

from pathlib import Path

from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.deployment.directory import open_state
from microrollup.ledger.reading import StateProof, prove_state

__all__ = ["prove_key"]


def prove_key(
    directory: Path, rollup: MicroRollup, field: StateField, key: bytes, height: int | None = None
) -> StateProof:
    """The proof, checked, under the state root of a block, by default the newest; the store's writer may go on.

    `field` and `key` are as `get_field` and `read_key` of `microrollup.ledger` give them. Raises `StoreError`s, and
    `NotRetained` for a height that the store does not keep.
    """
    with open_state(directory, rollup) as (environment, tree):
        return prove_state(environment, tree, field, key, height)
