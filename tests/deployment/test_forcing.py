"""A forced action is queued on L1, and the operator's next block has to begin with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.keystore.transitions import Register
from deployment_fixtures import LINES, ROLLUP, fill_directory
from kernel_fixtures import make_key
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.forcing import force_action
from microrollup.deployment.place_file import find_place
from microrollup.errors import MicrorollupError
from zoo import make_zoo

ACTION = Register(b"\1" * 32, b"\2" * 32, b"\3" * 32)
USER = make_key("user")


def test_force(tmp_path: Path) -> None:
    """The queue numbers the actions; each has its sender, its L1 block and a hash of its own."""
    fill_directory(tmp_path, LINES[:5])
    place = find_place(tmp_path, None)
    first, second = (force_action(ROLLUP, place, ACTION, USER) for _ in range(2))
    assert (0, 1) == (first.index, second.index)
    assert compute_address(USER) == first.sender == second.sender
    assert first.action_hash != second.action_hash
    assert first.payload == second.payload
    assert first.inclusion_block is not None


def test_another_rollup_s_inbox(tmp_path: Path) -> None:
    """The inbox of another rollup gets nothing."""
    fill_directory(tmp_path, LINES[:5])
    zoo = make_zoo()
    action = zoo.action_types.by_name["Edit"].cls([], False)
    with pytest.raises(MicrorollupError, match="inbox is of the rollup 'keystore'"):
        force_action(zoo, find_place(tmp_path, None), action, USER)
