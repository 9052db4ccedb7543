"""Key files are made once, whole, for their owner only, and read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.errors import UsageError
from microrollup.keys.files import create_key, make_key, read_key


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """The file is readable by its owner only, in a directory of the same kind, and kept on a second call."""
    path = tmp_path / "keys" / "one.key"
    key = make_key(path)
    assert (0o600, 0o700) == (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)
    assert key.secret == make_key(path).secret == read_key(path).secret == bytes.fromhex(path.read_text().strip())
    assert [path] == list(path.parent.iterdir())


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """A new key needs a new file; what is there stays, a dangling link included."""
    key = create_key(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    for name in ("key", "link"):
        with pytest.raises(UsageError, match="never overwritten"):
            create_key(tmp_path / name)
    assert key.secret == read_key(tmp_path / "key").secret


@pytest.mark.parametrize("text", ["11" * 32, f"0x{'11' * 32}", f"  {'11' * 32}\n"])
def test_a_key_is_read(tmp_path: Path, text: str) -> None:
    """64 hex digits, with or without 0x, with blanks around."""
    (tmp_path / "key").write_text(text)
    assert b"\x11" * 32 == read_key(tmp_path / "key").secret


@pytest.mark.parametrize(
    "text", ["", "11" * 31, "11" * 33, "00" * 32, "ff" * 32, "zz" * 32, "0x", "11" * 32 + "x" * 300]
)
def test_what_is_not_a_key(tmp_path: Path, text: str) -> None:
    """Any other text, and a number that the curve does not have, is refused by name."""
    (tmp_path / "key").write_text(text)
    with pytest.raises(UsageError, match="64 hex digits"):
        read_key(tmp_path / "key")
