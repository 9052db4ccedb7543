"""Files that hold a receipt's proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from microrollup.chain.receipt_proof import ReceiptProof, receipt_proof_from_json
from microrollup.codec.json_text import parse_json
from microrollup.errors import DecodeError, RefusedError

__all__ = ["read_receipt_proof"]

_MAX_FILE_BYTES: Final = 1 << 20
"""A receipt with all the events that it may have, in hex twice, takes a tenth of it."""


def read_receipt_proof(path: Path) -> ReceiptProof:
    """The proof in a file, as `rollup_getReceiptProof` answers it. Raises `DecodeError`, `OSError`."""
    return receipt_proof_from_json(_read_document(path))


def _read_document(path: Path) -> Any:
    """The proof in a file, bare or as the `result` of an RPC answer. Raises `DecodeError`, `OSError`."""
    with path.open("rb") as file:
        raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise DecodeError(str(path), f"longer than {_MAX_FILE_BYTES} bytes, which no receipt proof is")
    try:
        document = parse_json(raw)
    except RefusedError as error:
        raise DecodeError(str(path), error.detail) from None
    if isinstance(document, dict) and "jsonrpc" in document and "result" in document:
        return document["result"]
    return document
