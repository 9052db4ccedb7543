"""What is used instead of Axiom's zero-knowledge proof: its public inputs, and the witness that it would hide.

    384 zero bytes || dataHash high, low || msgHash high, low || abi.encode(bytes keyData, bytes authData)

Each half of a hash is a word. The first 512 bytes are what Axiom's own development mode takes as a proof; without the
witness they prove nothing and are refused.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from microrollup import require
from microrollup.crypto.keccak import keccak256

from .keys import M_OF_N_ECDSA_VKEY, KeyData, decode_key_data, require_signatures
from .transactions import AxiomAccount

__all__ = [
    "ACCUMULATOR_BYTES",
    "PUBLIC_BYTES",
    "Witness",
    "decode_witness",
    "encode_public_inputs",
    "encode_witness",
    "require_proof",
]

ACCUMULATOR_BYTES: Final = 384
PUBLIC_BYTES: Final = 512
"""Accumulator and four words."""

_HALF: Final = bytes(16)


class Witness(Struct, frozen=True):
    """Why a message is authentic."""

    key_data: bytes
    auth_data: bytes


def encode_public_inputs(data_hash: bytes, message_hash: bytes) -> bytes:
    """The first 512 bytes: 384 zeros, and four words for the halves of two hashes."""
    halves = (data_hash[:16], data_hash[16:], message_hash[:16], message_hash[16:])
    return bytes(ACCUMULATOR_BYTES) + b"".join([_HALF + half for half in halves])


def encode_witness(witness: Witness) -> bytes:
    """`abi.encode(bytes keyData, bytes authData)`."""
    key_data = _encode_bytes(witness.key_data)
    offsets = (64).to_bytes(32, "big") + (64 + len(key_data)).to_bytes(32, "big")
    return offsets + key_data + _encode_bytes(witness.auth_data)


def decode_witness(raw: bytes) -> Witness:
    """The strict way back. Raises `Revert`."""
    require(raw[:32] == (64).to_bytes(32, "big"), "witness: key data is not where it must be")
    key_data, end = _read_bytes(raw, 64)
    require(raw[32:64] == end.to_bytes(32, "big"), "witness: signatures are not where they must be")
    auth_data, end = _read_bytes(raw, end)
    require(end == len(raw), "witness: bytes after the signatures")
    return Witness(key_data, auth_data)


def require_proof(account: AxiomAccount, message_hash: bytes, proof: bytes) -> tuple[bytes, KeyData]:
    """The key data of an account, in bytes and read, if its signers have signed the message. Raises `Revert`.

    It says nothing about whether this data is authoritative for the address.
    """
    require(account.vkey == M_OF_N_ECDSA_VKEY, "vkey of no known circuit")
    require(len(proof) > PUBLIC_BYTES, "proof without a witness")
    require(
        proof[:PUBLIC_BYTES] == encode_public_inputs(account.data_hash, message_hash),
        "proof of other data or another message",
    )
    witness = decode_witness(proof[PUBLIC_BYTES:])
    require(keccak256(witness.key_data) == account.data_hash, "witness: not the account's key data")
    key_data = decode_key_data(witness.key_data)
    require_signatures(key_data, message_hash, witness.auth_data)
    return witness.key_data, key_data


def _encode_bytes(value: bytes) -> bytes:
    return len(value).to_bytes(32, "big") + value + bytes(-len(value) % 32)


def _read_bytes(raw: bytes, position: int) -> tuple[bytes, int]:
    """A byte string at a position, and where it ends."""
    require(position + 32 <= len(raw), "witness: cut off")
    size = int.from_bytes(raw[position : position + 32], "big")
    start = position + 32
    require(size <= len(raw) - start, "witness: cut off")
    end = start + size + -size % 32
    require(end <= len(raw), "witness: cut off")
    require(raw[start + size : end] == bytes(end - start - size), "witness: padding that is not zero")
    return raw[start : start + size], end
