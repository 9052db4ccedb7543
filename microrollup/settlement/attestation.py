"""Attestations: a verifier's EIP-712 signature over what it executed again and found right.

    BatchAttestation(bytes32 rollupId,uint64 firstHeight,uint64 lastHeight,bytes32 parentHash,bytes32 blockHash,
                     bytes32 stateRoot,bytes32 dataHash)

in the domain `{name: microrollup, version: 1, chainId: L1's, verifyingContract: the inbox}`, so that it holds for one
inbox on one chain, for one place in one history, and for the very bytes that are published with it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from microrollup.chain.block import Header, compute_block_hash
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.json_text import parse_json
from microrollup.codec.schema import describe_struct
from microrollup.crypto.ecdsa import SigningKey, canonicalize_signature, recover_address, sign_message
from microrollup.crypto.eip712 import compile_struct_hash, compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, RefusedError
from microrollup.primitives import Bytes, Bytes32, Uint64
from microrollup.settlement.errors import MalleableSignature

__all__ = [
    "BatchAttestation",
    "SignedAttestation",
    "attestation_from_json",
    "attestation_to_json",
    "compute_attestation_digest",
    "create_attestation",
    "recover_attester",
    "sign_attestation",
]

_DOMAIN_NAME: Final = "microrollup"
_DOMAIN_VERSION: Final = "1"


class BatchAttestation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a verifier says: executing heights `first_height ..= last_height` gives this, and these bytes publish it."""

    rollup_id: Bytes32
    first_height: Uint64
    last_height: Uint64
    parent_hash: Bytes32
    """Hash of the block right below `first_height`."""
    block_hash: Bytes32
    """Hash of the block at `last_height`."""
    state_root: Bytes32
    """That block's state root, said outright so that bridges need no header."""
    data_hash: Bytes32
    """See `microrollup.settlement.batch.compute_data_hash`."""


class SignedAttestation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An attestation and the signature over it: 65 bytes `r || s || v`, low s, v 27 or 28."""

    attestation: BatchAttestation
    signature: Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]


_hash_struct: Final = compile_struct_hash(describe_struct(BatchAttestation, where="event"))


def create_attestation(
    parent_hash: bytes, first_height: int, last_header: Header, data_hash: bytes
) -> BatchAttestation:
    """The attestation for the batch that ends with `last_header` and is published under `data_hash`."""
    return BatchAttestation(
        rollup_id=last_header.rollup_id,
        first_height=first_height,
        last_height=last_header.height,
        parent_hash=parent_hash,
        block_hash=compute_block_hash(last_header),
        state_root=last_header.state_root,
        data_hash=data_hash,
    )


def compute_attestation_digest(attestation: BatchAttestation, chain_id: int, inbox: bytes) -> bytes:
    """The 32-byte EIP-712 digest that a verifier signs; `inbox` is a 20-byte address."""
    return keccak256(_encode(attestation, chain_id, inbox))


def _encode(attestation: BatchAttestation, chain_id: int, inbox: bytes) -> bytes:
    separator = compute_domain_separator(_DOMAIN_NAME, _DOMAIN_VERSION, chain_id, inbox)
    return b"\x19\x01" + separator + _hash_struct(attestation)


def sign_attestation(key: SigningKey, attestation: BatchAttestation, chain_id: int, inbox: bytes) -> SignedAttestation:
    """Sign with a verifier's key. The caller answers for never signing two block hashes for one height.

    Raises `SignerUnavailable`.
    """
    return SignedAttestation(attestation, sign_message(key, _encode(attestation, chain_id, inbox)))


def recover_attester(signed: SignedAttestation, chain_id: int, inbox: bytes) -> bytes:
    """The 20-byte address whose key signed; a stranger's if another domain or other words were signed.

    Raises `MalleableSignature` unless the signature is in the one accepted form: a second form of it must not exist.
    """
    signature = signed.signature
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise MalleableSignature(signature)
    digest = compute_attestation_digest(signed.attestation, chain_id, inbox)
    try:
        return recover_address(digest, canonicalize_signature(signature))
    except RefusedError:
        raise MalleableSignature(signature) from None


class AttestationForm(msgspec.Struct, frozen=True):
    """What the JSON holds: `{"attestation": {"rollupId": "0x…", "firstHeight": 1, …}, "signature": "0x…"}`."""

    attestation: BatchAttestation
    signature: Bytes


_JSON_TYPE: Final = describe_struct(AttestationForm, where="event")
_MAX_JSON_BYTES: Final = 4096
_read_json: Final = compile_json_reader(_JSON_TYPE, "$")


def attestation_to_json(signed: SignedAttestation) -> bytes:
    """One line of JSON for files and RPC, with the members' EIP-712 names and bytes as 0x-hex."""
    return msgspec.json.encode(to_json_value(_JSON_TYPE, AttestationForm(signed.attestation, signed.signature)))


def attestation_from_json(raw: bytes) -> SignedAttestation:
    """Read such a line, as strictly as signed actions are read. Raises `DecodeError`."""
    if len(raw) > _MAX_JSON_BYTES:
        raise DecodeError("attestation", f"{len(raw)} bytes, the limit is {_MAX_JSON_BYTES}")
    try:
        form: AttestationForm = _read_json(parse_json(raw))
    except RefusedError as error:
        raise DecodeError("attestation", error.detail) from None
    if len(form.signature) != 65:
        raise DecodeError("attestation", f"a signature has 65 bytes, not {len(form.signature)}")
    return SignedAttestation(form.attestation, form.signature)
