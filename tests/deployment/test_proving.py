"""Proofs of a data directory check against the block's state root alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.keystore.accounts import compute_account_key
from deployment_fixtures import ROLLUP, fill_directory
from microrollup.crypto.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.deployment.proving import prove_key
from microrollup.deployment.records import read_records
from microrollup.errors import MicrorollupError
from microrollup.ledger.reading import get_field

FIELD = get_field(ROLLUP, None)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with three blocks."""
    directory = tmp_path_factory.mktemp("proving") / "data"
    fill_directory(directory)
    return directory


def find_key(data: Path) -> bytes:
    """The account that the log's first action registered."""
    (record,) = read_records(data, ROLLUP, 2, 1)
    code, config, salt = (bytes.fromhex(record["message"][name][2:]) for name in ("codeHash", "configHash", "salt"))
    return compute_account_key(salt, code + config, bytes.fromhex(record["sender"][2:]))


def test_a_key_that_is_absent(data: Path) -> None:
    """Absence is proven under the newest root, and not under another one."""
    proof = prove_key(data, ROLLUP, FIELD, b"\7" * 32)
    assert (False, 3) == (proof.exists, proof.header.height)
    verify_exclusion(proof.header.state_root, proof.tree_key, proof.proof)
    with pytest.raises(MicrorollupError):
        verify_exclusion(b"\0" * 32, proof.tree_key, proof.proof)


def test_a_key_that_is_there(data: Path) -> None:
    """A value is proven under a height's own root; before its action the key is absent."""
    key = find_key(data)
    proof = prove_key(data, ROLLUP, FIELD, key)
    verify_inclusion(proof.header.state_root, proof.tree_key, proof.value, proof.proof)
    assert not prove_key(data, ROLLUP, FIELD, key, 0).exists


def test_a_height_that_is_not_there(data: Path) -> None:
    """A block that is not closed yet proves nothing."""
    with pytest.raises(MicrorollupError):
        prove_key(data, ROLLUP, FIELD, b"\7" * 32, 4)
