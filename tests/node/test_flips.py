"""Single flipped bits in a store that is in use: an error with a type, or nothing that anybody could tell."""

from __future__ import annotations

from flip_store import ENDED, HARMLESS, NOTICED, run_flips

FLIPS = 32


def test_flipped_bits_are_noticed_or_harmless() -> None:
    """No wrong root, answer or signature follows from one. `tests/support/flip_store.py` runs the long form."""
    said: list[str] = []
    outcomes = run_flips(FLIPS, 7, said.append)
    assert FLIPS == outcomes[NOTICED] + outcomes[HARMLESS] + outcomes[ENDED], said
    assert outcomes[NOTICED] > FLIPS // 6, outcomes
