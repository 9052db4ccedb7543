"""Values and proofs that a node hands out, checked here against the header that they are shown with."""

from __future__ import annotations

from typing import Any

import msgspec

from microrollup.chain.answers.actions import HeaderAnswer
from microrollup.chain.answers.node import NodeConfig
from microrollup.chain.answers.state import EntriesAnswer, StateAnswer, StateProofAnswer
from microrollup.chain.block import Header, compute_block_hash
from microrollup.client.errors import BadAnswer, ForeignNode
from microrollup.codec.json import compile_json_reader, read_hex, to_json_value
from microrollup.codec.schema import TupleType
from microrollup.crypto.merkle.indexed import Proof, compute_tree_key, verify_exclusion, verify_inclusion
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.errors import ProofError, RefusedError, UsageError

__all__ = [
    "EntriesPage",
    "ProvenValue",
    "StateValue",
    "check_header",
    "check_proof",
    "compute_proof_key",
    "key_to_json",
    "prefix_to_json",
    "read_entries",
    "read_value",
]


class StateValue(msgspec.Struct, frozen=True):
    """What a node says that a field holds; nothing is proven."""

    exists: bool
    value: Any
    """A value of the app's own type if the client knows the app, else plain JSON; None if there is none."""
    height: int


class EntriesPage(msgspec.Struct, frozen=True):
    """What a node says that some entries of a map field are; nothing is proven."""

    entries: tuple[tuple[Any, Any], ...]
    """Key and value, of the app's own types if the client knows the app, else plain JSON."""
    next: Any
    """The key to give as `after` for the next page, of the same type; None if this is the last one."""
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


def prefix_to_json(app: MicroRollup | None, field: str, prefix: Any) -> Any:
    """A prefix as the node takes it. Raises `ValueOutOfBounds`, `UsageError`."""
    described = None if app is None else find_field(app, field)
    if prefix is None:
        return None
    if described is not None:
        described.encode_prefix(prefix)
        if isinstance(described.key_type, TupleType):
            return [to_json_value(item, part) for item, part in zip(described.key_type.items, prefix, strict=False)]
    if isinstance(prefix, (tuple, list)):
        return [key_to_json(None, field, part) for part in prefix]
    return key_to_json(None, field, prefix)


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


def check_header(answer: HeaderAnswer, config: NodeConfig) -> Header:
    """The header of an answer, whose hash is computed again. Raises `BadAnswer`, `ForeignNode`."""
    header = Header(**{name: getattr(answer, name) for name in Header.__struct_fields__})
    if compute_block_hash(header) != answer.hash:
        raise BadAnswer("a header with the hash of another one")
    if header.rollup_id != config.rollup_id:
        raise ForeignNode("rollup", expected=config.rollup_id, found=header.rollup_id)
    return header


def read_value(app: MicroRollup | None, field: str, answer: StateAnswer) -> StateValue:
    """The value of an answer, of the app's own type if the app is known. Raises `BadAnswer`."""
    if app is None or answer.value is None:
        return StateValue(answer.exists, answer.value, answer.height)
    return StateValue(answer.exists, _read_app_value(find_field(app, field), answer.value), answer.height)


def read_entries(app: MicroRollup | None, field: str, answer: EntriesAnswer) -> EntriesPage:
    """A page of an answer, of the app's own types if the app is known. Raises `BadAnswer`."""
    if app is None:
        return EntriesPage(tuple([(entry.key, entry.value) for entry in answer.entries]), answer.next, answer.height)
    described = find_field(app, field)
    if described.key_type is None:
        raise BadAnswer(f"entries of {field}, which is a scalar field")
    read_key = compile_json_reader(described.key_type, f"{field} (key)")
    read_stored = compile_json_reader(described.value_type, field)
    try:
        entries = tuple([(read_key(entry.key), read_stored(entry.value)) for entry in answer.entries])
        return EntriesPage(entries, None if answer.next is None else read_key(answer.next), answer.height)
    except RefusedError as error:
        raise BadAnswer(f"not an entry of {field}: {error.detail}") from None


def _read_app_value(field: StateField, value: Any) -> Any:
    try:
        return compile_json_reader(field.value_type, field.name)(value)
    except RefusedError as error:
        raise BadAnswer(f"not a value of {field.name}: {error.detail}") from None


def compute_proof_key(app: MicroRollup | None, config: NodeConfig, field: str, key: Any) -> bytes:
    """The tree key of a settled field's key. Raises `UsageError` or `ValueOutOfBounds`."""
    described = None if app is None else find_field(app, field)
    silo = config.get_silo(field) if described is None else described.number
    if silo is None or (described is not None and not described.settled):
        settled = ", ".join(each.name for each in config.fields if each.settled)
        raise UsageError(f"{field} is not a settled field, so it has no proofs; these have: {settled}")
    if app is None and isinstance(key, str):
        key = _read_text_key(config, field, key)
    return compute_tree_key(silo, encode_key(app, field, key))


def _read_text_key(config: NodeConfig, field: str, key: str) -> str | bytes:
    """A key of JSON: bytes where the node says that the field's keys are bytes, else the text that it is."""
    key_type = next((each.key_type for each in config.fields if each.name == field), None)
    if isinstance(key_type, str) and (key_type.startswith("bytes") or key_type == "address"):
        try:
            return read_hex(key, f"{field} (key)")
        except RefusedError as error:
            raise UsageError(error.detail) from None
    return key


def check_proof(
    answer: StateProofAnswer, header: Header, app: MicroRollup | None, field: str, tree_key: bytes
) -> ProvenValue:
    """Check a proof for the very key that was asked for, under a header's state root.

    Raises `BadAnswer` or `ProofError`.
    """
    proof = Proof(answer.leaf_index, answer.leaf, answer.siblings, answer.is_left)
    if not answer.exists:
        verify_exclusion(header.state_root, tree_key, proof)
        return ProvenValue(exists=False, value=b"", stored=None, proof=proof, header=header)
    if answer.value is None:
        raise BadAnswer("a proof of a key that exists, without its value")
    verify_inclusion(header.state_root, tree_key, answer.value, proof)
    stored = None if app is None or not answer.value else _read_stored(find_field(app, field), answer)
    return ProvenValue(exists=True, value=answer.value, stored=stored, proof=proof, header=header)


def _read_stored(field: StateField, answer: StateProofAnswer) -> Any:
    """The value of the app's own type, which must give the very bytes that are proven."""
    stored = _read_app_value(field, answer.stored)
    if field.encode_leaf(stored) != answer.value:
        raise ProofError(f"the value shown for {field.name} is not the one that is proven")
    return stored
