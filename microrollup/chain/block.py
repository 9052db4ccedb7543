"""Blocks: the header as 32-byte words, its hash, the rollup id, and the block that travels.

A contract rebuilds the block hash with `keccak256(abi.encode(...))` over the header's words in their order here.
"""

from __future__ import annotations

import platform
import sys
from functools import cache
from typing import Final

import msgspec

from microrollup.chain.record import Genesis, Open, Seal
from microrollup.codec.abi import compile_arguments_encoder
from microrollup.codec.schema import FixedBytesType, IntegerType, SequenceType, StringType
from microrollup.crypto.ecdsa import SigningKey, canonicalize_signature, recover_address, sign_message
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, RefusedError
from microrollup.primitives import ZERO_BYTES32, Bytes32, Uint64

__all__ = [
    "EMPTY_SEAL",
    "Block",
    "Header",
    "compute_block_hash",
    "compute_genesis_header",
    "compute_rollup_id",
    "compute_seal_digest",
    "compute_verifiers_hash",
    "decode_header_words",
    "encode_header_words",
    "recover_sealer",
    "seal_header",
]


EMPTY_SEAL: Final = Seal(0, b"", "")
"""Of a based rollup's blocks, which nobody builds."""


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a block commits to: fourteen ABI words, integers as uint256, everything else bytes32."""

    rollup_id: Bytes32
    height: Uint64
    parent_hash: Bytes32
    timestamp: Uint64
    """Seconds, fixed when the block opens; never goes back."""
    stf_id: Bytes32
    """Which code executes; see `MicroRollup.stf_id`."""
    l1_origin: Uint64
    """Number of the L1 block up to which the inbox was read."""
    forced_count: Uint64
    """Forced actions taken since genesis, this block's included."""
    forced_hash: Bytes32
    """The inbox's `queueHash[forced_count]`."""
    first_seq: Uint64
    action_count: Uint64
    """Entries of this block, forced ones included."""
    actions_root: Bytes32
    receipts_root: Bytes32
    state_root: Bytes32
    metadata_root: Bytes32


class Block(msgspec.Struct, frozen=True):
    """A closed block as it travels: header, how it was opened, its entries' record bytes in order, the seal."""

    header: Header
    open: Open
    records: tuple[bytes, ...]
    seal: Seal


_NUMBERS: Final = frozenset({"height", "timestamp", "l1_origin", "forced_count", "first_seq", "action_count"})


def _word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value


def compute_block_hash(header: Header) -> bytes:
    """keccak256 of the header's fourteen 32-byte words."""
    return keccak256(encode_header_words(header))


def encode_header_words(header: Header) -> bytes:
    """The header's fourteen 32-byte words, as the inbox takes them."""
    return b"".join([_word(value) for value in msgspec.structs.astuple(header)])


def decode_header_words(raw: bytes) -> Header:
    """The header of such words. Raises `DecodeError` for another length, and for a number of more than 64 bits."""
    fields = Header.__struct_fields__
    if len(raw) != 32 * len(fields):
        raise DecodeError("header", f"{len(raw)} bytes, not {32 * len(fields)}")
    words = [raw[place : place + 32] for place in range(0, len(raw), 32)]
    values = [
        int.from_bytes(word, "big") if name in _NUMBERS else word for name, word in zip(fields, words, strict=True)
    ]
    if any(isinstance(value, int) and value >> 64 for value in values):
        raise DecodeError("header", "a number has more than 64 bits")
    return Header(*values)  # type: ignore[arg-type]  # each of its field's type


def compute_verifiers_hash(verifiers: tuple[bytes, ...]) -> bytes:
    """`keccak256(abi.encode(address[]))` of the verifiers' 20-byte addresses, strictly ascending."""
    return keccak256(_encode_addresses([verifiers]))


_UINT256, _BYTES32, _ADDRESS = (
    IntegerType(256, signed=False),
    FixedBytesType(32, "bytes32"),
    FixedBytesType(20, "address"),
)
_encode_addresses: Final = compile_arguments_encoder([SequenceType(_ADDRESS, tuple)])
_encode_identity: Final = compile_arguments_encoder(
    [StringType(), _UINT256, _UINT256, _BYTES32, _BYTES32, _ADDRESS, _BYTES32, _UINT256, _UINT256, _BYTES32]
)


def compute_rollup_id(genesis: Genesis) -> bytes:
    """`keccak256(abi.encode(name, l1ChainId, genesisTime, stateRoot, metadataRoot, builder, verifiersHash, quorum,
    l1Start, salt))`: it holds no inbox and no stfId, because the inbox's constructor computes it.
    """
    return keccak256(
        _encode_identity(
            [
                genesis.name,
                genesis.l1_chain_id,
                genesis.genesis_time,
                genesis.state_root,
                genesis.metadata_root,
                genesis.builder,
                compute_verifiers_hash(genesis.verifiers),
                genesis.quorum,
                genesis.l1_start,
                genesis.salt,
            ],
        )
    )


def compute_genesis_header(genesis: Genesis) -> Header:
    """The header of height 0: rollup id, time, L1 start and the two state roots; every other word is zero."""
    return Header(
        rollup_id=compute_rollup_id(genesis),
        height=0,
        parent_hash=ZERO_BYTES32,
        timestamp=genesis.genesis_time,
        stf_id=ZERO_BYTES32,
        l1_origin=genesis.l1_start,
        forced_count=0,
        forced_hash=ZERO_BYTES32,
        first_seq=0,
        action_count=0,
        actions_root=ZERO_BYTES32,
        receipts_root=ZERO_BYTES32,
        state_root=genesis.state_root,
        metadata_root=genesis.metadata_root,
    )


def compute_seal_digest(block_hash: bytes, round_: int) -> bytes:
    """What a builder signs: `keccak256(abi.encode(blockHash, round))`.

    The round keeps an honest rebuild apart from equivocation: both give one height two hashes.
    """
    return keccak256(_encode_seal(block_hash, round_))


def _encode_seal(block_hash: bytes, round_: int) -> bytes:
    return block_hash + _word(round_)


def seal_header(key: SigningKey, header: Header, round_: int) -> Seal:
    """The builder's seal of a block, and unsigned what it was built with; `round_` counts the height's rebuilds.

    Raises `SignerUnavailable`.
    """
    return Seal(round_, sign_message(key, _encode_seal(compute_block_hash(header), round_)), _describe_build())


def recover_sealer(block_hash: bytes, seal: Seal) -> bytes | None:
    """The 20-byte address whose key sealed a block hash; None if no key can have.

    None also for a signature in another form than builders write (low s, v 27 or 28).
    """
    signature = seal.signature
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    try:
        return recover_address(compute_seal_digest(block_hash, seal.round), canonicalize_signature(signature))
    except RefusedError:
        return None


@cache
def _describe_build() -> str:
    """Versions, for finding out why two machines differ."""
    from importlib import metadata  # noqa: PLC0415  # takes 10 ms

    packages = ("microrollup", "msgspec", "lmdb", "blake3", "coincurve")
    versions = "; ".join([f"{package} {metadata.version(package)}" for package in packages])
    return f"python {platform.python_version()} {sys.platform}; {versions}"
