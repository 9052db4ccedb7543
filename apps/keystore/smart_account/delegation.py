"""An EOA that delegates to the keystore's code (EIP-7702, `Keystore7702`) and keeps its address.

It signs operations and messages as any account of the keystore does. Its own private key sets the key, and stays a
master key.
"""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode as abi_encode

from microrollup.crypto.eip712 import compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

from .addresses import ENTRY_POINT, compute_deployed_address
from .configuration import load_creation_code

__all__ = [
    "compute_eoa_delegate_address",
    "compute_set_key_digest",
    "encode_eoa_delegate_creation",
    "encode_set_key",
]

_SET_KEY: Final = keccak256(b"SetKey(address delegate,bytes32 key,uint256 sequence)")
_SELECTOR: Final = keccak256(b"setKey(bytes32,uint256,bytes)")[:4]
_ADDRESS_BYTES: Final = 20
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 65


def encode_eoa_delegate_creation(roots: bytes, entry_point: bytes = ENTRY_POINT) -> bytes:
    """The delegate's creation code with its arguments, for the deployment proxy.

    `roots` and `entry_point` have 20 bytes. One contract serves all EOAs of a chain.
    """
    arguments = b"".join([address.rjust(32, b"\0") for address in (entry_point, roots)])
    return load_creation_code("Keystore7702") + arguments


def compute_eoa_delegate_address(roots: bytes, entry_point: bytes = ENTRY_POINT) -> bytes:
    """The 20 bytes that an EIP-7702 authorization names; the same on all chains where `roots` is."""
    return compute_deployed_address(encode_eoa_delegate_creation(roots, entry_point))


def compute_set_key_digest(account: bytes, delegate: bytes, key: bytes, sequence: int, chain_id: int) -> bytes:
    """What the EOA's private key signs (EIP-712) so that the account lives by a 32-byte key of the keystore.

    `sequence` is larger than the last one (`keySequence()` of the account, 0 before the first). Account and delegate
    have 20 bytes. Raises `UsageError` for other lengths, the key zero, and a sequence that does not fit.
    """
    if len(account) != _ADDRESS_BYTES or len(delegate) != _ADDRESS_BYTES:
        raise UsageError("account and delegate have 20 bytes")
    _check(key, sequence)
    words = (_SET_KEY, delegate.rjust(32, b"\0"), key, sequence.to_bytes(32, "big"))
    domain = compute_domain_separator("KeystoreAccount", "1", chain_id, account)
    return keccak256(b"\x19\x01" + domain + keccak256(b"".join(words)))


def encode_set_key(key: bytes, sequence: int, signature: bytes) -> bytes:
    """The call to the EOA that sets its key; anybody may send it. A `pushRoot` must follow.

    `signature` is `r || s || v` over `compute_set_key_digest`, 65 bytes. Raises `UsageError` if a part cannot be right.
    """
    _check(key, sequence)
    if len(signature) != _SIGNATURE_BYTES:
        raise UsageError("a signature has 65 bytes: r, s, v")
    return _SELECTOR + abi_encode(["bytes32", "uint256", "bytes"], [key, sequence, signature])


def _check(key: bytes, sequence: int) -> None:
    if len(key) != _KEY_BYTES or not any(key):
        raise UsageError("a key has 32 bytes, which are not all zero")
    if not 0 < sequence < 1 << 256:
        raise UsageError("a sequence is between 1 and 2**256 - 1")
