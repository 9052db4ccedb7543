"""A data directory says where its rollup settles."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.deployment.place_file import find_place, keep_place, local_place, place_path
from microrollup.errors import StoreFormat
from microrollup.settlement.place import EthereumPlace

PLACE = EthereumPlace("http://127.0.0.1:1/secret", f"0x{'ab' * 20}", "calldata", 7)


def test_the_place_is_kept(tmp_path: Path) -> None:
    """What was kept is found again, in a file that only its owner reads; what is named goes before."""
    data = tmp_path / "new" / "data"
    assert local_place(data / "l1") == find_place(data, None)
    keep_place(data, PLACE)
    assert PLACE == find_place(data, None)
    assert 0o600 == place_path(data).stat().st_mode & 0o777
    assert local_place(tmp_path) == find_place(data, local_place(tmp_path))


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"type":"ethereum","url":"u","inbox":"0x"}'])
def test_a_damaged_file(tmp_path: Path, raw: bytes) -> None:
    """A file that does not say it is an error, not the local settlement."""
    place_path(tmp_path).write_bytes(raw)
    with pytest.raises(StoreFormat):
        find_place(tmp_path, None)
