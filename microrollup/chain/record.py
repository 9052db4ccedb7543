"""The records of the action log: what a block is made of, and all that is needed to derive everything else.

Order in the log: `Genesis`, then for each block `Open`, its entries (`Forced` first, then signed actions), `Close`;
`Rebuild` starts a height again after a C2X. A block that upgrades holds upgrade entries and nothing else. A record is a
canonical msgpack array whose first item names its kind; a signed action's first item is the name of its type: `[type,
[members...], nonce, signature]`.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.primitives import ZERO_ADDRESS, Address, Bytes32, Uint64

__all__ = [
    "GENESIS_FORMAT",
    "Close",
    "DomainConfig",
    "Forced",
    "Genesis",
    "Open",
    "Rebuild",
    "Seal",
    "decode_genesis",
    "encode_record",
]

GENESIS_FORMAT: Final = 2
"""Version of the log's records; raised when one of them changes."""

MAX_GENESIS_BYTES: Final = 64 * 1024

encode_record = encode_canonical


class DomainConfig(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The EIP-712 domain under which wallets sign this rollup's actions."""

    name: str
    version: str
    chain_id: Uint64
    verifying_contract: Address


class Genesis(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="genesis"):
    """Record 0: the preimage of the rollup id, and the signing domain."""

    format: Uint64
    """Version of the log's records: `GENESIS_FORMAT`."""
    name: Annotated[str, msgspec.Meta(max_length=64)]
    l1_chain_id: Uint64
    genesis_time: Uint64
    """Seconds; the timestamp of block 0."""
    state_root: Bytes32
    metadata_root: Bytes32
    builder: Address
    """Signs the seals until the inbox names another; zero for a based rollup, which has none for ever."""
    verifiers: Annotated[tuple[Address, ...], msgspec.Meta(max_length=256)]
    """Strictly ascending 20-byte addresses."""
    quorum: Uint64
    """How many verifiers must attest; more than half of them."""
    l1_start: Uint64
    """L1 block number from which the inbox counts."""
    salt: Bytes32
    domain: DomainConfig

    @property
    def is_based(self) -> bool:
        """Whether the queue on L1 alone says what the blocks are."""
        return self.builder == ZERO_ADDRESS


class Open(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="open"):
    """A block begins; what is fixed before its first entry."""

    height: Uint64
    timestamp: Uint64
    l1_origin: Uint64
    stf_id: Bytes32


class Forced(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="forced"):
    """An entry of the inbox's queue as a block takes it, whole, so that the log explains itself without L1."""

    index: Uint64
    sender: Address
    inclusion_block: Uint64
    payload: bytes
    voided: bool
    """The owner's void had taken effect at the block's L1 origin."""


class Seal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The builder's signature over block hash and round, and unsigned words for diagnosis."""

    round: Uint64
    """How often this height was rebuilt: two seals of one builder for one height and round are equivocation."""
    signature: Annotated[bytes, msgspec.Meta(max_length=65)]
    """65 bytes; empty in a based rollup, and only there."""
    info: Annotated[str, msgspec.Meta(max_length=256)]
    """Versions of Python and the libraries that built the block."""


class Close(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="close"):
    """A block ends."""

    height: Uint64
    seal: Seal


class Rebuild(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="rebuild"):
    """From this height on the same entries are executed again, each block's under its own code; new `Close` records
    follow and replace the old ones.
    """

    height: Uint64


_GENESIS_DECODER: Final = msgspec.msgpack.Decoder(Genesis)


def decode_genesis(raw: bytes) -> Genesis:
    """The genesis record of its canonical bytes. Raises `DecodeError`."""
    return decode_canonical(_GENESIS_DECODER, raw, what="genesis record", limit=MAX_GENESIS_BYTES)
