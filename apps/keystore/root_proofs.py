"""What `KeystoreRoots.proveRoot` takes: the inbox's storage in an L1 block, from what any L1 node answers.

The header comes from `eth_getBlockByNumber`, the proofs from `eth_getProof` for the inbox and `STORAGE_SLOTS` in that
block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, ProofError, UsageError

__all__ = ["RootProof", "STORAGE_SLOTS", "encode_header", "make_root_proof"]

STORAGE_SLOTS: Final = (f"0x{0:064x}", f"0x{1:064x}")
"""Where the inbox keeps its state root, and its height with the times; as `eth_getProof` takes them."""

_WHAT: Final = "L1 block"
_MAX_HEX: Final = 64 * 1024
_MAX_NODES: Final = 65
"""A path through a trie of 32-byte keys has no more nodes than nibbles, and the root."""

_FIELDS: Final = (
    ("parentHash", 32), ("sha3Uncles", 32), ("miner", 20), ("stateRoot", 32), ("transactionsRoot", 32),
    ("receiptsRoot", 32), ("logsBloom", 256), ("difficulty", 0), ("number", 0), ("gasLimit", 0), ("gasUsed", 0),
    ("timestamp", 0), ("extraData", None), ("mixHash", 32), ("nonce", 8),
)  # fmt: skip
"""Names and sizes in the header's order; 0 is an integer, None any length."""

_LATER_FIELDS: Final = (
    ("baseFeePerGas", 0), ("withdrawalsRoot", 32), ("blobGasUsed", 0), ("excessBlobGas", 0),
    ("parentBeaconBlockRoot", 32), ("requestsHash", 32), ("blockAccessListHash", 32),
)  # fmt: skip
"""What London, Shanghai, Cancun, Prague and Amsterdam have added, in this order; a header ends where its fork does."""


class RootProof(msgspec.Struct, frozen=True):
    """The arguments of `KeystoreRoots.proveRoot`, in its order."""

    number: int
    """Of the L1 block."""
    header: bytes
    """In RLP; its keccak256 is the block hash."""
    account_proof: tuple[bytes, ...]
    """The inbox's account under the header's state root, the root's node first."""
    root_proof: tuple[bytes, ...]
    """Slot 0 under the account's storage root."""
    head_proof: tuple[bytes, ...]
    """Slot 1, likewise."""


def encode_header(block: Mapping[str, Any]) -> bytes:
    """The RLP of an L1 block's header, from the JSON of `eth_getBlockByNumber`.

    Raises `DecodeError` if the JSON is not a block, or the header's hash is not the one that it states, as after a fork
    that added a field which is not known here; `UsageError` without the extra `ethereum`.
    """
    try:
        import rlp  # type: ignore[import-untyped]  # noqa: PLC0415 - slow, and only those who talk to L1 have it
    except ImportError:
        raise UsageError("L1 headers need RLP: pip install 'microrollup[ethereum]'") from None

    names = [*_FIELDS, *[field for field in _LATER_FIELDS if field[0] in block]]
    header: bytes = rlp.encode([_read_field(block, name, size) for name, size in names])
    found = keccak256(header)
    if found != (stated := _read_hex(block, "hash", 32)):
        raise DecodeError(_WHAT, f"its header hashes to 0x{found.hex()}, not to 0x{stated.hex()}")
    return header


def make_root_proof(block: Mapping[str, Any], proof: Mapping[str, Any]) -> RootProof:
    """Everything that the contract wants, from the JSON of `eth_getBlockByNumber` and of `eth_getProof`.

    Only the contract checks the proofs. Raises `DecodeError` for malformed answers, and `ProofError` if the node
    answers for other slots than `STORAGE_SLOTS`.
    """
    header = encode_header(block)
    try:
        storage = {int(entry["key"], 16): _read_nodes(entry["proof"]) for entry in proof["storageProof"]}
        account_proof = _read_nodes(proof["accountProof"])
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError("L1 proof", repr(error)) from None
    if {0, 1} != set(storage):
        raise ProofError("the L1 node proves other slots than were asked for")
    number = int.from_bytes(_read_field(block, "number", 0), "big")
    return RootProof(number, header, account_proof, storage[0], storage[1])


def _read_field(block: Mapping[str, Any], name: str, size: int | None) -> bytes:
    """A header's field as the byte string that RLP takes: integers without leading zeros."""
    if size != 0:
        return _read_hex(block, name, size)
    text = block.get(name)
    if not isinstance(text, str) or not text.startswith("0x") or not 3 <= len(text) <= 66:
        raise DecodeError(_WHAT, f"{name} is not a quantity")
    try:
        number = int(text, 16)
    except ValueError:
        raise DecodeError(_WHAT, f"{name} is not a quantity") from None
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _read_hex(block: Mapping[str, Any], name: str, size: int | None) -> bytes:
    try:
        raw = _decode_hex(block[name])
    except (KeyError, TypeError, ValueError):
        raise DecodeError(_WHAT, f"{name} is not a byte string") from None
    if size is not None and len(raw) != size:
        raise DecodeError(_WHAT, f"{name} has {len(raw)} bytes, not {size}")
    return raw


def _read_nodes(nodes: Any) -> tuple[bytes, ...]:
    """Raises `TypeError` or `ValueError`."""
    if not isinstance(nodes, list) or len(nodes) > _MAX_NODES:
        raise TypeError(type(nodes))
    return tuple([_decode_hex(node) for node in nodes])


def _decode_hex(text: Any) -> bytes:
    """Raises `TypeError` or `ValueError`."""
    if not isinstance(text, str) or not text.startswith("0x") or len(text) > _MAX_HEX:
        raise TypeError(type(text))
    return bytes.fromhex(text[2:])
