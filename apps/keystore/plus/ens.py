"""What a gateway answers to `KeystoreResolver`: proofs of accounts and text records (ENS, ERC-3668).

The resolver asks `prove(uint16 silo, bytes32 key)`, and takes `abi.encode(bool exists, bytes value, bytes proof)` under
the root that the inbox holds. It checks all of it, so a gateway needs no key and no trust.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from eth_abi.abi import encode as abi_encode

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Proof
from microrollup.errors import DecodeError, UsageError

from ..proofs import encode_proof

__all__ = ["GATEWAY_FIELDS", "ShownEntry", "answer_gateway", "encode_dns_name", "encode_resolve"]

GATEWAY_FIELDS: Final = {0: "keystore.accounts", 12: "texts.texts"}
"""Silo -> field of which a gateway proves entries; it proves no others."""

_SELECTOR: Final = keccak256(b"prove(uint16,bytes32)")[:4]
_QUESTION_BYTES: Final = 4 + 64
_MAX_LABEL_BYTES: Final = 63


class ShownEntry(Protocol):
    """What a ledger or `proof_from_json` shows of a key."""

    @property
    def exists(self) -> bool:
        """Whether the key was ever set."""
        ...

    @property
    def value(self) -> bytes:
        """What the leaf commits to; empty for an absent or deleted key."""
        ...

    @property
    def proof(self) -> Proof:
        """Of its leaf, or that it has none."""
        ...


def answer_gateway(data: bytes, prove: Callable[[str, bytes], ShownEntry]) -> bytes:
    """The answer to a question of the resolver. `prove(field, key)` proves an entry under the settled root.

    Raises `DecodeError` unless it is a question that a gateway answers, and what `prove` raises.
    """
    if len(data) != _QUESTION_BYTES or data[:4] != _SELECTOR:
        raise DecodeError("gateway's question", "not prove(uint16,bytes32)")
    field = GATEWAY_FIELDS.get(int.from_bytes(data[4:36], "big"))
    if field is None:
        raise DecodeError("gateway's question", "of a silo that no gateway proves")
    shown = prove(field, data[36:])
    return abi_encode(["bool", "bytes", "bytes"], [shown.exists, shown.value, encode_proof(shown.exists, shown.proof)])


def encode_dns_name(name: str) -> bytes:
    """A name as ENSIP-10 gives it to a resolver: each label after its length, and a zero.

    Raises `UsageError` for an empty label or one of more than 63 bytes.
    """
    labels = [label.encode() for label in name.split(".")]
    if not all(1 <= len(label) <= _MAX_LABEL_BYTES for label in labels):
        raise UsageError(f"{name}: each label has 1 to {_MAX_LABEL_BYTES} bytes")
    return b"".join([bytes((len(label),)) + label for label in labels]) + b"\x00"


def encode_resolve(name: str, query: bytes) -> bytes:
    """The call `resolve(name, query)`; `query` is the call that a resolver without wildcards would get."""
    arguments = abi_encode(["bytes", "bytes"], [encode_dns_name(name), query])
    return keccak256(b"resolve(bytes,bytes)")[:4] + arguments
