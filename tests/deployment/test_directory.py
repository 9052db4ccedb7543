"""Data directories are made once, opened by one writer and many readers, and keep their identity."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deployment_fixtures import ROLLUP, fill_directory
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.directory import VerifierChoice, open_readable, open_rollup, open_state
from microrollup.errors import StoreLocked, StoreMissing, UsageError, WrongRollup
from microrollup.keys.files import builder_key_path, read_key, verifier_key_path
from paths import ROOT
from zoo import make_zoo

READ_ROOT = """
import sys
from pathlib import Path
import apps.keystore
from microrollup.deployment.directory import open_state
with open_state(Path(sys.argv[1]), apps.keystore.app) as (_, tree):
    sys.stdout.write(tree.root().hex())
"""


def test_a_directory_is_made_on_first_use(tmp_path: Path) -> None:
    """With verifiers named, a directory is made, with keys of its own; without, it has to be there."""
    with pytest.raises(StoreMissing), open_rollup(tmp_path / "data", ROLLUP):
        pass
    with open_rollup(tmp_path / "data", ROLLUP, verifiers=VerifierChoice()) as opened:
        genesis = opened.ledger.genesis
        assert genesis == opened.l1.get_genesis()
        assert compute_address(opened.key) == genesis.builder
    assert genesis.builder == compute_address(read_key(builder_key_path(tmp_path / "data")))
    assert genesis.verifiers == (compute_address(read_key(verifier_key_path(tmp_path / "data"))),)
    with open_rollup(tmp_path / "data", ROLLUP) as again:
        assert genesis == again.ledger.genesis


def test_one_writer_and_many_readers(tmp_path: Path) -> None:
    """While a directory is open for writing another writer is refused; other processes read it and prove from it."""
    fill_directory(tmp_path)
    with open_state(tmp_path, ROLLUP) as (_, tree):
        expected = tree.root()
    with open_rollup(tmp_path, ROLLUP):
        with pytest.raises(StoreLocked), open_rollup(tmp_path, ROLLUP):
            pass
        reader = subprocess.run(
            [sys.executable, "-c", READ_ROOT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert expected.hex() == reader.stdout


def test_another_rollup_s_directory(tmp_path: Path) -> None:
    """A directory is opened for the rollup that it holds and for no other."""
    fill_directory(tmp_path)
    with pytest.raises(WrongRollup), open_readable(tmp_path, make_zoo()):
        pass
    with pytest.raises(WrongRollup), open_rollup(tmp_path, make_zoo()):
        pass


def test_verifiers_are_chosen_once(tmp_path: Path) -> None:
    """The verifiers of an existing rollup may be named again, and not changed."""
    first = VerifierChoice((b"\1" * 20, b"\2" * 20), 2)
    for _ in range(2):
        with open_rollup(tmp_path, ROLLUP, verifiers=first) as opened:
            assert (first.addresses, 2) == (opened.ledger.genesis.verifiers, opened.ledger.genesis.quorum)
    for other in (VerifierChoice((b"\1" * 20,)), VerifierChoice(first.addresses, 1)):
        with pytest.raises(UsageError, match="exists already"), open_rollup(tmp_path, ROLLUP, verifiers=other):
            pass


def test_without_the_builder_s_key(tmp_path: Path) -> None:
    """A directory without the builder's key is not opened for writing: nothing could be sealed."""
    fill_directory(tmp_path)
    builder_key_path(tmp_path).unlink()
    with pytest.raises(UsageError, match="no block can be sealed"), open_rollup(tmp_path, ROLLUP):
        pass
    with open_readable(tmp_path, ROLLUP):
        pass
