"""`microrollup keygen`: a key that other commands take, and that nobody else reads."""

import stat

import pytest

from command_line import cli
from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError
from microrollup.keys.files import read_attesting_key, read_key

__all__ = ["cli"]


def test_keygen(cli, tmp_path):
    """The file holds 64 hex digits for its owner only, and the address shown is the key's; the key is not shown."""
    path = tmp_path / "new" / "one.key"
    made = cli.ask("keygen", path)
    assert {"address": f"0x{compute_address(read_key(path)).hex()}", "file": str(path)} == made
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    text = path.read_text().strip()
    assert (64, bytes) == (len(text), type(bytes.fromhex(text)))
    shown = cli("keygen", tmp_path / "other.key")
    assert (0, "") == (shown.code, shown.err)
    assert f"0x{compute_address(read_key(tmp_path / 'other.key')).hex()}" in shown.out
    assert (tmp_path / "other.key").read_text().strip() not in shown.out
    assert text not in str(made)


def test_a_file_that_exists(cli, tmp_path):
    """No file is ever overwritten."""
    path = tmp_path / "key"
    path.write_text("mine")
    assert "exists already" in cli.refuse("keygen", path)
    assert "mine" == path.read_text()


def test_a_bls_key(cli, tmp_path):
    """The file holds a key by which verifiers attest; its key and its proof are shown; it signs nothing else."""
    path = tmp_path / "bls.key"
    made = cli.ask("keygen", path, "--bls")
    key = read_attesting_key(path)
    assert isinstance(key, BlsKey)
    assert (f"0x{key.public.hex()}", f"0x{key.prove_possession().hex()}") == (made["key"], made["proof"])
    assert (0o600, "bls12381:") == (stat.S_IMODE(path.stat().st_mode), path.read_text()[:9])
    assert key.secret.hex() not in str(made)
    with pytest.raises(UsageError, match="BLS"):
        read_key(path)
    assert "exists already" in cli.refuse("keygen", path, "--bls")
    assert "--bls" in cli.refuse("keygen", tmp_path / "other", "--bls", "--format", "hex")
    for text in ("bls12381:", "bls12381:zz", "bls12381:" + "00" * 32, "bls12381:" + "ff" * 32):
        path.write_text(text)
        with pytest.raises(UsageError, match="no BLS key"):
            read_attesting_key(path)
