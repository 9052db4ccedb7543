"""What an account's holders sign for a contract (ERC-1271), nested after ERC-7739.

The account's domain goes into the hash, so that one signer's accounts cannot be taken for each other. The signature is
made over the digest, then encoded as for an operation (`encode_signature`). Source: https://eips.ethereum.org/EIPS/eip-7739
"""

from __future__ import annotations

from typing import Final

from microrollup.crypto.eip712 import compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

__all__ = [
    "compute_personal_sign_digest",
    "compute_typed_data_digest",
    "encode_typed_data_signature",
]

_NAME: Final = "KeystoreAccount"
_VERSION: Final = "1"
_PERSONAL_SIGN: Final = keccak256(b"PersonalSign(bytes prefixed)")
_MAX_TYPE_BYTES: Final = 0xFFFF


def compute_personal_sign_digest(account: bytes, chain_id: int, message_hash: bytes) -> bytes:
    """What is signed for a text whose EIP-191 hash a contract asks about; `account` has 20 bytes."""
    domain = compute_domain_separator(_NAME, _VERSION, chain_id, account)
    return keccak256(b"\x19\x01" + domain + keccak256(_PERSONAL_SIGN + message_hash))


def compute_typed_data_digest(
    account: bytes, chain_id: int, app_domain: bytes, contents_hash: bytes, contents_type: str
) -> bytes:
    """What is signed for an app's EIP-712 struct: `app_domain` its domain separator, `contents_hash` its struct hash.

    `contents_type` is the struct's encodeType. Raises `UsageError` if that has no name.
    """
    name, bracket, _members = contents_type.partition("(")
    if not (name and bracket):
        raise UsageError("the contents' type has no name")
    type_hash = keccak256(
        f"TypedDataSign({name} contents,string name,string version,uint256 chainId,address verifyingContract,"
        f"bytes32 salt){contents_type}".encode()
    )
    words = (
        type_hash,
        contents_hash,
        keccak256(_NAME.encode()),
        keccak256(_VERSION.encode()),
        chain_id.to_bytes(32, "big"),
        account.rjust(32, b"\0"),
        bytes(32),
    )
    return keccak256(b"\x19\x01" + app_domain + keccak256(b"".join(words)))


def encode_typed_data_signature(signature: bytes, app_domain: bytes, contents_hash: bytes, contents_type: str) -> bytes:
    """The signature over `compute_typed_data_digest`, encoded for the account, with what the account needs to see it.

    Raises `UsageError` if the type is longer than 65,535 bytes.
    """
    description = contents_type.encode()
    if len(description) > _MAX_TYPE_BYTES:
        raise UsageError(f"the contents' type has at most {_MAX_TYPE_BYTES} bytes")
    return signature + app_domain + contents_hash + description + len(description).to_bytes(2, "big")
