"""Keys and proofs of a state as plain JSON: what the command line prints and RPC answers, the same to the letter."""

from __future__ import annotations

from typing import Any

from microrollup.chain.answers.state import StateProofAnswer
from microrollup.codec.document import to_document
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.declaration.state import StateField
from microrollup.errors import RefusedError, UsageError
from microrollup.ledger.reading import StateProof

__all__ = ["key_to_json", "make_proof_answer", "proof_to_json", "read_key"]


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


def make_proof_answer(field: StateField, proof: StateProof) -> StateProofAnswer:
    """A proof by names; `value` is what the leaf commits to, None for an absent key."""
    return StateProofAnswer(
        key=key_to_json(field, proof.key),
        exists=proof.exists,
        value=proof.value if proof.exists else None,
        leaf=proof.proof.leaf,
        leaf_index=proof.proof.leaf_index,
        siblings=proof.proof.siblings,
        is_left=proof.proof.is_left,
        state_root=proof.header.state_root,
        height=proof.header.height,
        field=proof.field,
        encoded_key=proof.key,
        tree_key=proof.tree_key,
        stored=None if proof.stored is None else to_json_value(field.value_type, proof.stored),
    )


def proof_to_json(field: StateField, proof: StateProof) -> dict[str, Any]:
    """The same as plain JSON objects."""
    return to_document(make_proof_answer(field, proof))
