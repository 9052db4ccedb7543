"""`microrollup keygen`: a key that other commands take, and that nobody else reads."""

import stat

from command_line import cli
from microrollup.crypto.ecdsa import compute_address
from microrollup.keys.files import read_key

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
