"""Attestations: one verifier's signature over what it executed again and found right, by EIP-712 or by BLS.

    BatchAttestation(bytes32 rollupId,uint64 firstHeight,uint64 lastHeight,bytes32 parentHash,bytes32 blockHash,
                     bytes32 stateRoot,bytes32 dataHash)

in the domain `{name: microrollup, version: 1, chainId: L1's, verifyingContract: the inbox}`, so that it holds for one
inbox on one chain, for one place in one history, and for the very bytes that are published with it. A BLS key signs the
same 32-byte digest.
"""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.chain.block import Header, compute_block_hash
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.json_text import parse_json
from microrollup.codec.schema import describe_struct
from microrollup.crypto.bls_shares import KEY_BYTES, SIGNATURE_BYTES, BlsKey, is_share
from microrollup.crypto.ecdsa import SigningKey, canonicalize_signature, compute_address, recover_address, sign_message
from microrollup.crypto.eip712 import compile_struct_hash, compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, RefusedError
from microrollup.primitives import Bytes, Bytes32, Uint64
from microrollup.settlement.errors import MalleableSignature
from microrollup.settlement.quorum_errors import FalseShare

__all__ = [
    "ECDSA_BYTES",
    "BatchAttestation",
    "SignedAttestation",
    "attestation_from_json",
    "attestation_to_json",
    "compute_attestation_digest",
    "create_attestation",
    "get_attester",
    "recover_attester",
    "recover_signer",
    "sign_attestation",
]

_DOMAIN_NAME: Final = "microrollup"
_DOMAIN_VERSION: Final = "1"

ECDSA_BYTES: Final = 65
"""A secp256k1 signature, `r || s || v`."""


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


class SignedAttestation(msgspec.Struct, frozen=True):
    """An attestation and one verifier's signature over it."""

    attestation: BatchAttestation
    signature: bytes
    """65 bytes `r || s || v`, low s, v 27 or 28; or a BLS key's 48."""
    key: bytes = b""
    """The 96-byte BLS key, which its signature does not give; empty for secp256k1."""


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


def sign_attestation(
    key: SigningKey | BlsKey, attestation: BatchAttestation, chain_id: int, inbox: bytes
) -> SignedAttestation:
    """Sign with a verifier's key. The caller answers for never signing two block hashes for one height.

    Raises `SignerUnavailable`.
    """
    message = _encode(attestation, chain_id, inbox)
    if isinstance(key, BlsKey):
        return SignedAttestation(attestation, key.sign(keccak256(message)), key.public)
    return SignedAttestation(attestation, sign_message(key, message))


def get_attester(key: SigningKey | BlsKey) -> bytes:
    """How a verifier set names a key: its 20-byte address, or the 96-byte public key of BLS."""
    return key.public if isinstance(key, BlsKey) else compute_address(key)


def recover_attester(signed: SignedAttestation, chain_id: int, inbox: bytes) -> bytes:
    """Who signed: a 20-byte address, a stranger's if another domain or other words were signed; or a 96-byte BLS key.

    Raises `MalleableSignature` unless the signature is in the one accepted form: a second form of it must not exist.
    Raises `FalseShare` if the BLS key did not sign.
    """
    digest = compute_attestation_digest(signed.attestation, chain_id, inbox)
    if not signed.key:
        return recover_signer(digest, signed.signature)
    if not is_share(signed.key, digest, signed.signature):
        raise FalseShare(signed.key)
    return signed.key


def recover_signer(digest: bytes, signature: bytes) -> bytes:
    """The 20-byte address whose key signed a 32-byte digest. Raises `MalleableSignature`."""
    if len(signature) != ECDSA_BYTES or signature[64] not in (27, 28):
        raise MalleableSignature(signature)
    try:
        return recover_address(digest, canonicalize_signature(signature))
    except RefusedError:
        raise MalleableSignature(signature) from None


class AttestationForm(msgspec.Struct, frozen=True):
    """What the JSON holds: `{"attestation": {"rollupId": "0x…", "firstHeight": 1, …}, "signature": "0x…"}`."""

    attestation: BatchAttestation
    signature: Bytes


class ShareForm(AttestationForm, frozen=True):
    """The same of a BLS key, with the member `key`."""

    key: Bytes


_JSON_TYPE: Final = describe_struct(AttestationForm, where="event")
_SHARE_TYPE: Final = describe_struct(ShareForm, where="event")
_MAX_JSON_BYTES: Final = 4096
_read_json: Final = compile_json_reader(_JSON_TYPE, "$")
_read_share: Final = compile_json_reader(_SHARE_TYPE, "$")


def attestation_to_json(signed: SignedAttestation) -> bytes:
    """One line of JSON for files and RPC, with the members' EIP-712 names and bytes as 0x-hex."""
    if signed.key:
        share = ShareForm(signed.attestation, signed.signature, signed.key)
        return msgspec.json.encode(to_json_value(_SHARE_TYPE, share))
    return msgspec.json.encode(to_json_value(_JSON_TYPE, AttestationForm(signed.attestation, signed.signature)))


def attestation_from_json(raw: bytes) -> SignedAttestation:
    """Read such a line, as strictly as signed actions are read. Raises `DecodeError`."""
    if len(raw) > _MAX_JSON_BYTES:
        raise DecodeError("attestation", f"{len(raw)} bytes, the limit is {_MAX_JSON_BYTES}")
    try:
        document = parse_json(raw)
        is_of_bls = isinstance(document, dict) and "key" in document
        form: AttestationForm = (_read_share if is_of_bls else _read_json)(document)
    except RefusedError as error:
        raise DecodeError("attestation", error.detail) from None
    key = form.key if isinstance(form, ShareForm) else b""
    size, key_size = (SIGNATURE_BYTES, KEY_BYTES) if is_of_bls else (ECDSA_BYTES, 0)
    if (len(form.signature), len(key)) != (size, key_size):
        raise DecodeError("attestation", f"a signature has {size} bytes here, and its BLS key {key_size}")
    return SignedAttestation(form.attestation, form.signature, key)
