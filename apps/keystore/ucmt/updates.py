"""Updates of a root: their fields, the message that nodes sign, and their calldata and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from microrollup.codec.abi import compile_arguments_encoder
from microrollup.codec.json import hex0x, read_hex
from microrollup.codec.schema import BoolType, BytesType, IntegerType, SchemaType, SequenceType, TupleType
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MissingMember, OutOfRange, UnknownMember, WrongJsonType, WrongLength

from .nodes import ADDRESS, WORD, encode_proof

__all__ = [
    "RootUpdate",
    "compute_update_message",
    "encode_handle_updates",
    "join_nonce",
    "read_update",
    "split_nonce",
    "update_to_json",
]

_UINT256: Final = IntegerType(256, False)
_BYTES: Final = BytesType()
_ACTION: Final = TupleType((
    WORD, WORD, _UINT256, BoolType(), ADDRESS, _BYTES, _BYTES, _BYTES, _BYTES, _BYTES, _BYTES
))  # fmt: skip
_HANDLE_UPDATES: Final = bytes.fromhex("59f99c78")
_encode_actions: Final = compile_arguments_encoder((SequenceType(_ACTION, tuple),))
_MESSAGE: Final[tuple[SchemaType, ...]] = (WORD, WORD, ADDRESS, _UINT256, WORD, WORD)
_encode_message: Final = compile_arguments_encoder(_MESSAGE)
_SEQUENCE_BITS: Final = 64


class RootUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An `UpdateAction`. Hashes have 32 bytes, the account 20."""

    ref_hash: bytes
    next_hash: bytes
    nonce: int
    """`key(192) || sequence(64)`."""
    use_chain_id: bool = False
    account: bytes
    proof: tuple[bytes, ...] | None
    """Siblings of the node under the current root; None if the node is registered, and `node` then is its hash."""
    node: bytes
    data: bytes = b""
    next_proof: tuple[bytes, ...]
    next_node: bytes = b""
    """Empty if `node` is in the next tree too."""
    next_data: bytes = b""

    @property
    def node_hash(self) -> bytes:
        """32 bytes; the same for a registered node and a proven one."""
        return self.node if self.proof is None else keccak256(self.node)


def join_nonce(key: int, sequence: int) -> int:
    """The nonce of a key (192 bits) and a sequence (64 bits)."""
    return key << _SEQUENCE_BITS | sequence


def split_nonce(nonce: int) -> tuple[int, int]:
    """(key, sequence)."""
    return nonce >> _SEQUENCE_BITS, nonce & (1 << _SEQUENCE_BITS) - 1


def compute_update_message(update: RootUpdate, chain_id: int = 0) -> bytes:
    """The 32 bytes that both nodes sign; `chain_id` counts only if the update uses it.

    It depends on neither proof nor `data`: the same signatures serve a registered node and a proven one.
    """
    encoded = _encode_message((
        update.ref_hash, update.next_hash, update.account, update.nonce, update.node_hash, keccak256(update.next_node)
    ))  # fmt: skip
    return keccak256(encoded + chain_id.to_bytes(32, "big") if update.use_chain_id else encoded)


def encode_handle_updates(updates: Sequence[RootUpdate]) -> bytes:
    """Calldata of `handleUpdates`."""
    actions = tuple(
        (
            update.ref_hash, update.next_hash, update.nonce, update.use_chain_id, update.account,
            b"" if update.proof is None else encode_proof(update.proof), update.node, update.data,
            encode_proof(update.next_proof), update.next_node, update.next_data,
        )
        for update in updates
    )  # fmt: skip
    return _HANDLE_UPDATES + _encode_actions((actions,))


# --- JSON ------------------------------------------------------------------------------------------------------------

_MEMBERS: Final = (
    "refHash", "nextHash", "nonce", "useChainId", "account", "proof", "node", "data", "nextProof", "nextNode",
    "nextData",
)  # fmt: skip
_OPTIONAL: Final = frozenset(("useChainId", "proof", "data", "nextNode", "nextData"))
_MAX_SIBLINGS: Final = 256


def update_to_json(update: RootUpdate) -> dict[str, Any]:
    """The JSON object of an update: camelCase, bytes as 0x-hex, the nonce as a decimal string, proofs as arrays."""
    return {
        "refHash": hex0x(update.ref_hash),
        "nextHash": hex0x(update.next_hash),
        "nonce": str(update.nonce),
        "useChainId": update.use_chain_id,
        "account": hex0x(update.account),
        "proof": None if update.proof is None else [hex0x(sibling) for sibling in update.proof],
        "node": hex0x(update.node),
        "data": hex0x(update.data),
        "nextProof": [hex0x(sibling) for sibling in update.next_proof],
        "nextNode": hex0x(update.next_node),
        "nextData": hex0x(update.next_data),
    }


def read_update(document: Any) -> RootUpdate:
    """The way back. Without `useChainId`, `data`, `nextNode` and `nextData` they are false and empty; without `proof`
    the node is registered. Raises `RefusedError`'s kinds for members that are missing, unknown or not of their form.
    """
    if not isinstance(document, Mapping):
        raise WrongJsonType("an update is an object")
    unknown, missing = set(document) - set(_MEMBERS), set(_MEMBERS) - _OPTIONAL - set(document)
    if unknown:
        raise UnknownMember(f"an update has no member {min(unknown)}")
    if missing:
        raise MissingMember(f"the update lacks {', '.join(name for name in _MEMBERS if name in missing)}")
    proof = document.get("proof")
    use_chain_id = document.get("useChainId", False)
    if type(use_chain_id) is not bool:
        raise WrongJsonType("useChainId is true or false")
    node = read_hex(document["node"], "node")
    if proof is None and len(node) != WORD.size:
        raise WrongLength(f"without a proof, node is the hash of a registered one: {WORD.size} bytes, not {len(node)}")
    return RootUpdate(
        ref_hash=_read_bytes(document, "refHash", WORD.size),
        next_hash=_read_bytes(document, "nextHash", WORD.size),
        nonce=_read_nonce(document["nonce"]),
        use_chain_id=use_chain_id,
        account=_read_bytes(document, "account", ADDRESS.size),
        proof=None if proof is None else _read_siblings(proof, "proof"),
        node=node,
        data=read_hex(document.get("data", "0x"), "data"),
        next_proof=_read_siblings(document["nextProof"], "nextProof"),
        next_node=read_hex(document.get("nextNode", "0x"), "nextNode"),
        next_data=read_hex(document.get("nextData", "0x"), "nextData"),
    )


def _read_bytes(document: Mapping[str, Any], name: str, size: int) -> bytes:
    raw = read_hex(document[name], name)
    if len(raw) != size:
        raise WrongLength(f"{name} has {size} bytes, not {len(raw)}")
    return raw


def _read_siblings(value: Any, name: str) -> tuple[bytes, ...]:
    if type(value) is not list or len(value) > _MAX_SIBLINGS:
        raise WrongJsonType(f"{name} is an array of at most {_MAX_SIBLINGS} hashes")
    siblings = tuple(read_hex(each, name) for each in value)
    if any(len(sibling) != WORD.size for sibling in siblings):
        raise WrongLength(f"each hash of {name} has {WORD.size} bytes")
    return siblings


def _read_nonce(value: Any) -> int:
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= 78:
        value = int(value)
    if type(value) is not int:
        raise WrongJsonType("nonce is an integer or a string of decimal digits")
    if not 0 <= value < 1 << 256:
        raise OutOfRange("nonce has 256 bits")
    return value
