"""The hash of an L1 block by its header: what a node cannot change of a block without changing its hash.

keccak256 of the RLP of the header's fields in their order (Yellow Paper, section 4.4; later fields: EIP-1559, 4895,
4844, 4788, 7685, 7928, 7843). RLP has no names: only because each field has its length, and none is left out before
another, does a hash say which bytes are which field's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import rlp  # type: ignore[import-untyped]

from microrollup.crypto.keccak import keccak256

__all__ = ["compute_header_hash"]

_INTEGER: Final = range(33)
_HASH: Final = range(32, 33)
_FIELDS: Final = {
    "parentHash": _HASH, "sha3Uncles": _HASH, "miner": range(20, 21), "stateRoot": _HASH, "transactionsRoot": _HASH,
    "receiptsRoot": _HASH, "logsBloom": range(256, 257), "difficulty": _INTEGER, "number": _INTEGER,
    "gasLimit": _INTEGER, "gasUsed": _INTEGER, "timestamp": _INTEGER, "extraData": range(1_025), "mixHash": _HASH,
    "nonce": range(8, 9),
}  # fmt: skip
"""Lengths in bytes. Ethereum's `extraData` has at most 32, other chains put signatures there."""
_LATER_FIELDS: Final = {
    "baseFeePerGas": _INTEGER, "withdrawalsRoot": _HASH, "blobGasUsed": _INTEGER, "excessBlobGas": _INTEGER,
    "parentBeaconBlockRoot": _HASH, "requestsHash": _HASH, "blockAccessListHash": _HASH, "slotNumber": _INTEGER,
}  # fmt: skip
"""Each fork's come after those of the forks before it."""
_HEX: Final = re.compile(r"0x([0-9a-fA-F]{0,2050})")


def compute_header_hash(block: Mapping[str, Any]) -> bytes | None:
    """The 32-byte hash of a block as a node writes it; None if it has no such header."""
    later = [name for name in _LATER_FIELDS if block.get(name) is not None]
    if later != list(_LATER_FIELDS)[: len(later)]:
        return None
    lengths = _FIELDS | {name: _LATER_FIELDS[name] for name in later}
    try:
        return keccak256(rlp.encode([_read(block[name], length) for name, length in lengths.items()]))
    except (KeyError, TypeError, ValueError):
        return None


def _read(text: Any, length: range) -> bytes:
    """A field's bytes. Raises `TypeError` or `ValueError` for what no such field is."""
    found = _HEX.fullmatch(text)
    if found is None:
        raise ValueError
    value = int(found[1], 16).to_bytes(1_025).lstrip(b"\0") if length is _INTEGER else bytes.fromhex(found[1])
    if len(value) not in length:
        raise ValueError
    return value
