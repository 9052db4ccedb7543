"""Keys and proofs of a state as plain JSON: what the command line prints and RPC answers, the same to the letter."""

from __future__ import annotations

from typing import Any

import msgspec

from microrollup.codec.json import compile_json_reader, hex0x, to_json_value
from microrollup.codec.schema import to_camel_case
from microrollup.errors import RefusedError, UsageError
from microrollup.merkle.indexed import Leaf
from microrollup.reading import StateProof
from microrollup.state import StateField

__all__ = ["key_to_json", "proof_to_json", "read_key"]


def read_key(field: StateField, key: Any, name: str = "key") -> bytes:
    """The encoded key that a JSON value or an argument called `name` means; None or no text for a scalar field.

    Raises `UsageError` saying what a key of this field looks like.
    """
    if field.key_type is None:
        if key:
            raise UsageError(f"{field.name} is a scalar field: it has no keys")
        return b""
    if key is None:
        raise UsageError(f"{field.name} is a map: name the {name}")
    try:
        return field.encode_key(compile_json_reader(field.key_type, name)(key))
    except RefusedError as error:
        raise UsageError(error.detail) from None


def key_to_json(field: StateField, encoded: bytes) -> Any:
    """The way back: None for a scalar field."""
    return None if field.key_type is None else to_json_value(field.key_type, field.decode_key(encoded))


def proof_to_json(field: StateField, proof: StateProof) -> dict[str, Any]:
    """A proof by names; `value` is what the leaf commits to, null for an absent key."""
    return {
        "key": key_to_json(field, proof.key),
        "exists": proof.exists,
        "value": hex0x(proof.value) if proof.exists else None,
        "leaf": _leaf_to_json(proof.proof.leaf),
        "leafIndex": proof.proof.leaf_index,
        "siblings": [hex0x(sibling) for sibling in proof.proof.siblings],
        "isLeft": proof.proof.is_left,
        "stateRoot": hex0x(proof.header.state_root),
        "height": proof.header.height,
        "field": proof.field,
        "encodedKey": hex0x(proof.key),
        "treeKey": hex0x(proof.tree_key),
        "stored": None if proof.stored is None else to_json_value(field.value_type, proof.stored),
    }


def _leaf_to_json(leaf: Leaf) -> dict[str, int | str]:
    members = msgspec.structs.asdict(leaf).items()
    return {to_camel_case(name): hex0x(value) if isinstance(value, bytes) else value for name, value in members}
