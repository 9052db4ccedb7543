"""Key files under a passphrase (Web3 Secret Storage, v3): those of others are opened, and ours by others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from command_line import CommandLine
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError
from microrollup.keys.errors import WrongPassphrase
from microrollup.keys.files import create_key, read_key
from microrollup.keys.passphrase import find_passphrase
from microrollup.keys.reference import list_key_warnings, list_secret_warnings
from npm import install_npm
from paths import ROOT

SECRET = keccak256(b"a key that is kept well")
PASSPHRASE = "corréct horse"  # noqa: S105


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\nnot this line\n")
    return path


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_file_of_eth_account(tmp_path: Path, passphrase: Path) -> None:
    """eth-account's files open, with either way of making a key from a passphrase; another passphrase does not."""
    for kdf, iterations in (("scrypt", 2), ("pbkdf2", 10)):
        path = write(tmp_path / kdf, Account.encrypt(SECRET, PASSPHRASE, kdf=kdf, iterations=iterations))
        assert SECRET == read_key(path, passphrase).secret
        (tmp_path / "wrong").write_text("wrong\n")
        with pytest.raises(WrongPassphrase, match=f"is not that of {path}"):
            read_key(path, tmp_path / "wrong")


def test_a_file_of_ethers(tmp_path: Path, passphrase: Path) -> None:
    """A file that ethers wrote opens."""
    folder = install_npm(ROOT / "tests" / "wallets")
    node = shutil.which("node") or ""
    made = subprocess.run(
        [node, "keep_ethers.mjs", f"0x{SECRET.hex()}", PASSPHRASE],
        cwd=folder, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    path = tmp_path / "ethers.json"
    path.write_text(made.stdout)
    assert SECRET == read_key(path, passphrase).secret


def test_our_file_is_opened_by_others(tmp_path: Path) -> None:
    """What is made here has mode 0600, names its address, does not hold the key, and opens with eth-account."""
    path = tmp_path / "keys" / "ours"
    key = create_key(path, PASSPHRASE)
    assert 0o600 == path.stat().st_mode & 0o777
    document = json.loads(path.read_text())
    assert key.secret == bytes(Account.decrypt(document, PASSPHRASE))
    assert compute_address(key).hex() == document["address"].removeprefix("0x")
    assert key.secret.hex() not in path.read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 4}, "cannot be opened|not a Web3 Secret Storage"),
        ({"crypto": None}, "not a Web3 Secret Storage"),
        ({"crypto": {}}, "not a Web3 Secret Storage"),
        ({"address": "11" * 20}, "names the address 0x1111"),
        ({"n": 1 << 40}, "costs too much"),
        ({"n": -2}, "is not a positive number"),
        ({"p": 10_000}, "costs too much"),
        ({"dklen": 1 << 20}, "has not 32 bytes"),
        ({"n": "2"}, "is not a positive number"),
        ({"cipher": "aes-256-gcm"}, "not a Web3 Secret Storage|cannot be opened"),
    ],
)
def test_damaged_and_costly_files(tmp_path: Path, passphrase: Path, change: dict[str, Any], said: str) -> None:
    """A file of another form, or one whose opening would take all memory, is refused by a sentence."""
    document: dict[str, Any] = Account.encrypt(SECRET, PASSPHRASE, kdf="scrypt", iterations=2)
    for name, value in change.items():
        if name in document:
            document[name] = value
        elif name == "cipher":
            document["crypto"][name] = value
        else:
            document["crypto"]["kdfparams"][name] = value
    path = write(tmp_path / "file", document)
    with pytest.raises(UsageError, match=said):
        read_key(path, passphrase)


def test_where_a_passphrase_comes_from(tmp_path: Path, passphrase: Path) -> None:
    """From the file that is named, else from the one that the environment names; without terminal nobody is asked."""
    assert PASSPHRASE == find_passphrase("key", passphrase, {})
    assert PASSPHRASE == find_passphrase("key", None, {"MICROROLLUP_PASSPHRASE_FILE": str(passphrase)})
    with pytest.raises(UsageError, match="--passphrase-file FILE"):
        find_passphrase("key", None, {})
    for raw in (b"", b"\n", b"x" * 1025, b"\xff\n"):
        (tmp_path / "bad").write_bytes(raw)
        with pytest.raises(UsageError, match="passphrase"):
            find_passphrase("key", tmp_path / "bad", {})


def test_keygen_makes_both_forms(
    tmp_path: Path, passphrase: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passphrase makes a v3 file; a plain file has none, and an option without effect is refused."""
    command = CommandLine(capsys, monkeypatch)
    made = command.ask("keygen", tmp_path / "one", "--passphrase-file", passphrase)
    assert made["address"] == f"0x{compute_address(read_key(tmp_path / 'one', passphrase)).hex()}"
    assert "would have no effect" in command.refuse(
        "keygen", tmp_path / "two", "--format", "hex", "--passphrase-file", passphrase
    )
    assert "has a passphrase" in command.refuse("keygen", tmp_path / "two", "--format", "v3")
    assert not (tmp_path / "two").exists()


def test_what_is_dangerous_is_said(tmp_path: Path) -> None:
    """Files of secrets that others may read, and a quorum of keys in one directory; a directory each is fine."""
    keys = [create_key(tmp_path / name / "key") and tmp_path / name / "key" for name in ("a", "b", "c")]
    beside = [create_key(tmp_path / "a" / name) and tmp_path / "a" / name for name in ("d", "e")]
    assert [] == list_key_warnings(keys[0], keys, 2)
    assert [] == list_key_warnings(keys[0], [keys[0], "http://127.0.0.1:9000#0x11"], 2)
    keys[1].chmod(0o640)
    (open_file,) = list_key_warnings(keys[0], keys, 2)
    assert f"chmod 600 {keys[1]}" in open_file
    secret = tmp_path / "it's a token"
    secret.write_text("token")
    secret.chmod(0o644)
    assert [
        f"others may read the token in {secret}: chmod 600 '{tmp_path}/it'\"'\"'s a token'"
    ] == list_secret_warnings([secret, secret, tmp_path / "none", Path("/dev/null")], "token")
    secret.chmod(0o600)
    assert [] == list_secret_warnings([secret], "token")
    (together,) = list_key_warnings("http://127.0.0.1:9000", beside, 2)
    assert "2 verifiers' keys lie in" in together
