"""A directory for work is one user's and one run's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.errors import UsageError
from microrollup.segments.work_directory import hold_directory, make_private


def test_others_may_not_write_there(tmp_path: Path) -> None:
    """What is made is private; what somebody else prepared is refused."""
    make_private(tmp_path / "far" / "work")
    make_private(tmp_path / "far" / "work")
    assert 0o700 == (tmp_path / "far" / "work").stat().st_mode & 0o777
    for mode in (0o720, 0o702, 0o777):
        (tmp_path / "far" / "work").chmod(mode)
        with pytest.raises(UsageError, match="others may write into"):
            make_private(tmp_path / "far" / "work")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="others may write into"):
        make_private(tmp_path / "link")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """It goes once nobody needs it; what a run left is found by the next."""
    work = tmp_path / "work"
    another = pytest.raises(UsageError, match="another verification is at work")
    with hold_directory(work), another, hold_directory(work):
        raise AssertionError("both hold it")
    assert not work.exists()
    with hold_directory(work):
        (work / "left").touch()
    with hold_directory(work):
        assert {"left", "lock"} == {path.name for path in work.iterdir()}
    assert ["left"] == [path.name for path in work.iterdir()]
