"""The inbox's events as values. They are decoded strictly: the one layout that Solidity itself writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec

from microrollup.chain.block import Header
from microrollup.chain.record import DomainConfig
from microrollup.codec.abi import compile_arguments_decoder
from microrollup.codec.schema import SchemaType, describe_struct
from microrollup.errors import DecodeError
from microrollup.primitives import Address, Bytes32, Uint8, Uint64
from microrollup.settlement.ethereum.answers import L1Log
from microrollup.settlement.ethereum.contract import compute_topic
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.verifiers import VerifierRule

__all__ = [
    "ActionForced",
    "ActionVoided",
    "AnnouncementCancelled",
    "BatchSettled",
    "BuilderChanged",
    "CodeAnnounced",
    "GenesisWords",
    "InboxEvent",
    "KeysRegistered",
    "OwnerChanged",
    "RollupCreated",
    "SetWords",
    "VerifiersChanged",
    "VoidCancelled",
    "decode_event",
]


class GenesisWords(msgspec.Struct, frozen=True):
    """The preimage of the rollup id."""

    name: str
    l1_chain_id: Uint64
    genesis_time: Uint64
    state_root: Bytes32
    metadata_root: Bytes32
    builder: Address
    verifiers: tuple[Address, ...]
    quorum: Uint64
    l1_start: Uint64
    salt: Bytes32


class RollupCreated(msgspec.Struct, frozen=True):
    """The inbox's first event."""

    rollup_id: Bytes32
    genesis_hash: Bytes32
    genesis: GenesisWords
    domain: DomainConfig
    owner: Address
    stf_id: Bytes32


class BatchSettled(msgspec.Struct, frozen=True):
    """A batch was taken."""

    first_height: Uint64
    last_height: Uint64
    submitter: Address
    data_hash: Bytes32
    in_blobs: bool
    header: Header
    signatures: bytes


class ActionForced(msgspec.Struct, frozen=True):
    """An entry of the queue."""

    index: Uint64
    sender: Address
    inclusion_block: Uint64
    payload: bytes
    queue_hash: Bytes32


class ActionVoided(msgspec.Struct, frozen=True):
    """The owner voids an entry."""

    index: Uint64
    effective_block: Uint64


class SetWords(msgspec.Struct, frozen=True):
    """A verifier set as contracts say it."""

    kind: Uint8
    members: tuple[Address, ...]
    quorum: Uint64
    rules: tuple[VerifierRule, ...]


class VerifiersChanged(msgspec.Struct, frozen=True):
    """Another verifier set is announced."""

    effective_block: Uint64
    id: Bytes32
    set: SetWords


class KeysRegistered(msgspec.Struct, frozen=True):
    """A page of BLS keys, 192 bytes each, can be named."""

    page: Address
    keys: bytes


class BuilderChanged(msgspec.Struct, frozen=True):
    """Another builder is announced."""

    effective_block: Uint64
    builder: Address


class CodeAnnounced(msgspec.Struct, frozen=True):
    """Another code is announced."""

    effective_block: Uint64
    stf_id: Bytes32


class OwnerChanged(msgspec.Struct, frozen=True):
    """Another owner is announced."""

    effective_block: Uint64
    owner: Address


class AnnouncementCancelled(msgspec.Struct, frozen=True):
    """The newest announcement of a kind is taken back."""

    kind: Uint8
    effective_block: Uint64


class VoidCancelled(msgspec.Struct, frozen=True):
    """An entry's void is taken back."""

    index: Uint64
    effective_block: Uint64


InboxEvent: TypeAlias = (
    RollupCreated
    | BatchSettled
    | ActionForced
    | ActionVoided
    | VerifiersChanged
    | KeysRegistered
    | BuilderChanged
    | CodeAnnounced
    | OwnerChanged
    | AnnouncementCancelled
    | VoidCancelled
)

_INDEXED: Final[dict[type[InboxEvent], int]] = {
    RollupCreated: 2,
    BatchSettled: 3,
    ActionForced: 2,
    ActionVoided: 1,
    VerifiersChanged: 2,
    KeysRegistered: 1,
    BuilderChanged: 1,
    CodeAnnounced: 1,
    OwnerChanged: 1,
    AnnouncementCancelled: 1,
    VoidCancelled: 1,
}
"""How many of its first members are in topics."""

_Decode: TypeAlias = Callable[[bytes], list[Any]]


@cache
def _compile(cls: type[InboxEvent]) -> tuple[int, _Decode, _Decode]:
    """Count of indexed members, the decoder of their words, the decoder of the data."""
    types: list[SchemaType] = [field.type for field in describe_struct(cls, where="state").fields]
    count = _INDEXED[cls]
    return count, compile_arguments_decoder(types[:count]), compile_arguments_decoder(types[count:])


@cache
def _classes() -> dict[bytes, type[InboxEvent]]:
    return {compute_topic(cls.__name__): cls for cls in _INDEXED}


def decode_event(log: L1Log) -> InboxEvent:
    """The event in a log of the inbox. Raises `L1BadAnswer`: the inbox has no other events."""
    cls = _classes().get(log.topics[0]) if log.topics else None
    if cls is None:
        raise L1BadAnswer("logs", f"no event of an inbox, in block {log.number}")
    count, decode_topics, decode_data = _compile(cls)
    try:
        if len(log.topics) != 1 + count:
            raise DecodeError("event", f"{len(log.topics)} topics")
        members = decode_topics(b"".join(log.topics[1:])) + decode_data(log.data)
    except DecodeError as error:
        raise L1BadAnswer("logs", f"{cls.__name__} in block {log.number}: {error}") from None
    return cls(*members)
