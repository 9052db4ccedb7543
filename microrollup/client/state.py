"""Values and proofs that a node hands out, checked here against the header that they are shown with."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup.block import Header, compute_block_hash
from microrollup.block_json import header_from_json
from microrollup.client.config import NodeConfig, read_hash, read_uint64
from microrollup.client.errors import BadAnswer, ForeignNode
from microrollup.codec.json import compile_json_reader, read_hex, to_json_value
from microrollup.codec.schema import describe_struct
from microrollup.errors import DecodeError, ProofError, RefusedError, UsageError
from microrollup.merkle.indexed import Leaf, Proof, compute_tree_key, verify_exclusion, verify_inclusion
from microrollup.rollup import MicroRollup
from microrollup.state import StateField

__all__ = ["ProvenValue", "StateValue", "check_proof", "compute_proof_key", "key_to_json", "read_header", "read_value"]


class StateValue(msgspec.Struct, frozen=True):
    """What a node says that a field holds; nothing is proven."""

    exists: bool
    value: Any
    """A value of the app's own type if the client knows the app, else plain JSON; None if there is none."""
    height: int


class ProvenValue(msgspec.Struct, frozen=True):
    """What a settled field holds under `header.state_root`, present or absent, checked here."""

    exists: bool
    """Whether the key was ever set."""
    value: bytes
    """The bytes that the leaf commits to; empty for an absent or deleted key."""
    stored: Any
    """The value, which commits to these bytes, if the client knows the app; else None."""
    proof: Proof
    header: Header


_LEAF: Final = describe_struct(Leaf, where="event")
_read_leaf: Final = compile_json_reader(_LEAF, "leaf")


def find_field(app: MicroRollup, name: str) -> StateField:
    """The app's field of a name. Raises `UsageError`."""
    for field in app.state_type.fields:
        if field.name == name:
            return field
    raise UsageError(f"{app.name} has no field {name!r}")


def key_to_json(app: MicroRollup | None, field: str, key: Any) -> Any:
    """A key as the node takes it: bytes as 0x-hex, large integers as text. Raises `ValueOutOfBounds`, `UsageError`."""
    if app is not None:
        described = find_field(app, field)
        if described.key_type is None:
            if key is not None:
                raise UsageError(f"{field} is a scalar field: it has no keys")
            return None
        described.encode_key(key)
        return to_json_value(described.key_type, key)
    if isinstance(key, bytes):
        return f"0x{key.hex()}"
    return str(key) if type(key) is int else key


def encode_key(app: MicroRollup | None, field: str, key: Any) -> bytes:
    """The key's bytes in the tree; without the app, by the key's own Python type."""
    if app is not None:
        return find_field(app, field).encode_key(key)
    match key:
        case None:
            return b""
        case bytes():
            return key
        case str():
            return key.encode()
        case int() if 0 <= key < 1 << 256:
            return key.to_bytes(32, "big")
        case _:
            raise UsageError(f"{key!r} cannot be a key")


def read_header(document: Any, config: NodeConfig) -> Header:
    """The header of a `rollup_getHeader` answer, whose hash is computed again. Raises `BadAnswer`, `ForeignNode`."""
    try:
        stated = read_hash(document["hash"])
        header = header_from_json({name: word for name, word in document.items() if name != "hash"})
    except (KeyError, TypeError, AttributeError, RefusedError, DecodeError) as error:
        raise BadAnswer(f"no header: {error}") from None
    if compute_block_hash(header) != stated:
        raise BadAnswer("a header with the hash of another one")
    if header.rollup_id != config.rollup_id:
        raise ForeignNode("rollup", expected=config.rollup_id, found=header.rollup_id)
    return header


def read_value(app: MicroRollup | None, field: str, document: Any) -> StateValue:
    """The value of a `rollup_getState` answer. Raises `BadAnswer`."""
    try:
        exists, value, height = document["exists"] is True, document["value"], read_uint64(document["height"])
        if app is not None and value is not None:
            value = compile_json_reader(find_field(app, field).value_type, field)(value)
    except (KeyError, TypeError, RefusedError) as error:
        raise BadAnswer(f"no value: {error}") from None
    return StateValue(exists, value, height)


def compute_proof_key(app: MicroRollup | None, config: NodeConfig, field: str, key: Any) -> bytes:
    """The tree key of a settled field's key. Raises `UsageError` or `ValueOutOfBounds`."""
    described = None if app is None else find_field(app, field)
    silo = config.get_silo(field) if described is None else described.number
    if silo is None or (described is not None and not described.settled):
        raise UsageError(f"{field} is no settled field: it has no proofs")
    return compute_tree_key(silo, encode_key(app, field, key))


def check_proof(document: Any, header: Header, app: MicroRollup | None, field: str, tree_key: bytes) -> ProvenValue:
    """Check a `rollup_getProof` answer for the very key that was asked for, under a header's state root.

    Raises `BadAnswer` or `ProofError`.
    """
    try:
        proof = Proof(
            read_uint64(document["leafIndex"]),
            _read_leaf(document["leaf"]),
            tuple([read_hash(sibling) for sibling in document["siblings"]]),
            read_uint64(document["isLeft"]),
        )
        exists = document["exists"] is True
        value = read_hex(document["value"], "value") if exists else b""
        stored = document.get("stored")
    except (KeyError, TypeError, AttributeError, RefusedError) as error:
        raise BadAnswer(f"no proof: {error}") from None
    if exists:
        verify_inclusion(header.state_root, tree_key, value, proof)
    else:
        verify_exclusion(header.state_root, tree_key, proof)
    if app is None or not value:
        return ProvenValue(exists, value, None, proof, header)
    return ProvenValue(exists, value, _read_stored(find_field(app, field), stored, value), proof, header)


def _read_stored(field: StateField, document: Any, value: bytes) -> Any:
    """The value of the app's own type, which must give the very bytes that are proven."""
    try:
        stored = compile_json_reader(field.value_type, field.name)(document)
    except RefusedError as error:
        raise BadAnswer(f"no value of {field.name}: {error.detail}") from None
    if field.encode_leaf(stored) != value:
        raise ProofError(f"the value shown for {field.name} is not the one that is proven")
    return stored
