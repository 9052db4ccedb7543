"""Operations that somebody else pays for: what `contracts/SigningPaymaster.sol` takes.

The sponsor's key signs the operation with its limits and fees, and the account's key what the sponsor has signed.
Source: OpenZeppelin's `PaymasterSigner` (`UserOperationRequest`).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from microrollup.crypto.ecdsa import PrivateKey, sign_digest
from microrollup.crypto.eip712 import compute_domain_separator
from microrollup.crypto.keccak import keccak256

from .configuration import load_creation_code
from .user_operation import UserOperation, pack_words

__all__ = ["PaymasterOffer", "encode_paymaster_creation", "sponsor", "stub_sponsorship"]

_TYPE_HASH: Final = keccak256(
    b"UserOperationRequest(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
    b"uint256 preVerificationGas,bytes32 gasFees,uint256 paymasterVerificationGasLimit,uint256 paymasterPostOpGasLimit,"
    b"uint48 validAfter,uint48 validUntil)"
)
_STUB: Final = b"\x72" * 32 + b"\x11" * 32 + b"\x1b"
_TIME_BYTES: Final = 6
_GAS_BYTES: Final = 16


class PaymasterOffer(Struct, frozen=True):
    """What a sponsor offers for an operation."""

    paymaster: bytes
    """20 bytes."""
    valid_until: int
    """Seconds; 0 is for ever."""
    valid_after: int = 0
    verification_gas_limit: int = 60_000
    """Its validation takes 11,000."""
    post_op_gas_limit: int = 1
    """It does nothing afterwards; bundlers take no 0."""


def encode_paymaster_creation(entry_point: bytes, signer: bytes, owner: bytes) -> bytes:
    """The paymaster's creation code with its arguments, 20 bytes each: who signs, and who takes deposits out."""
    arguments = b"".join([address.rjust(32, b"\0") for address in (entry_point, signer, owner)])
    return load_creation_code("SigningPaymaster") + arguments


def stub_sponsorship(operation: UserOperation, offer: PaymasterOffer) -> UserOperation:
    """The operation as it is estimated: with a sponsor's signature of the right form that is nobody's."""
    return replace(operation, paymaster_and_data=_encode(offer, _STUB))


def sponsor(operation: UserOperation, offer: PaymasterOffer, chain_id: int, key: PrivateKey) -> UserOperation:
    """The operation, paid for by the sponsor's key. All but the account's signature must be as it will be sent."""
    gas_limits, gas_fees = pack_words(operation)
    numbers = (offer.verification_gas_limit, offer.post_op_gas_limit, offer.valid_after, offer.valid_until)
    words = (
        _TYPE_HASH,
        operation.sender.rjust(32, b"\0"),
        operation.nonce.to_bytes(32, "big"),
        keccak256(operation.init_code),
        keccak256(operation.call_data),
        gas_limits,
        operation.pre_verification_gas.to_bytes(32, "big"),
        gas_fees,
        *[number.to_bytes(32, "big") for number in numbers],
    )
    domain = compute_domain_separator("SigningPaymaster", "1", chain_id, offer.paymaster)
    digest = keccak256(b"\x19\x01" + domain + keccak256(b"".join(words)))
    return replace(operation, paymaster_and_data=_encode(offer, sign_digest(key, digest)))


def _encode(offer: PaymasterOffer, signature: bytes) -> bytes:
    limits = [limit.to_bytes(_GAS_BYTES, "big") for limit in (offer.verification_gas_limit, offer.post_op_gas_limit)]
    times = [time.to_bytes(_TIME_BYTES, "big") for time in (offer.valid_after, offer.valid_until)]
    return offer.paymaster + b"".join(limits) + b"".join(times) + signature
