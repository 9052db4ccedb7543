"""The hash of an L1 block by its header: what a node cannot change of a block without changing its hash.

keccak256 of the RLP of the header's fields in their order (Yellow Paper, section 4.4; later fields: EIP-1559, 4895,
4844, 4788, 7685, 7928, 7843).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import rlp  # type: ignore[import-untyped]

from microrollup.crypto.keccak import keccak256

__all__ = ["compute_header_hash"]

_FIELDS: Final = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
)  # fmt: skip
_LATER_FIELDS: Final = (
    "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
    "blockAccessListHash", "slotNumber",
)  # fmt: skip
_INTEGERS: Final = frozenset(
    {
        "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas",
        "slotNumber",
    }
)  # fmt: skip
_MAX_TEXT: Final = 2_048
"""A bloom has 256 bytes, and no field of a header is longer."""


def compute_header_hash(block: Mapping[str, Any]) -> bytes | None:
    """The 32-byte hash of a block as a node writes it; None if its header cannot be read."""
    names = [*_FIELDS, *[name for name in _LATER_FIELDS if block.get(name) is not None]]
    try:
        fields = [_read(block[name], is_integer=name in _INTEGERS) for name in names]
    except (KeyError, OverflowError, TypeError, ValueError):
        return None
    return keccak256(rlp.encode(fields))


def _read(text: Any, *, is_integer: bool) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x") or len(text) > _MAX_TEXT:
        raise TypeError
    if not is_integer:
        return bytes.fromhex(text[2:])
    value = int(text, 16)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
