"""Files that hold no receipt's proof are refused before anything is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.deployment.receipts import read_receipt_proof
from microrollup.errors import DecodeError


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b'{"jsonrpc":"2.0","result":7}', b" " * ((1 << 20) + 1)])
def test_what_is_not_a_proof(tmp_path: Path, raw: bytes) -> None:
    """Every other document, and one that is too long, is a decoding error that names the file or the member."""
    (tmp_path / "proof.json").write_bytes(raw)
    with pytest.raises(DecodeError):
        read_receipt_proof(tmp_path / "proof.json")
