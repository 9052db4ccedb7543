"""What users and sponsors sign: EIP-712 over Axiom's domain, without a verifying contract."""

from __future__ import annotations

from typing import Final

from microrollup.crypto.keccak import keccak256

from .transactions import AxiomAccount, UpdateTransaction, WithdrawTransaction

__all__ = [
    "CHAIN_ID",
    "DOMAIN_SEPARATOR",
    "SPONSOR_TYPE",
    "SPONSOR_TYPE_HASH",
    "UPDATE_TYPE",
    "UPDATE_TYPE_HASH",
    "WITHDRAW_TYPE",
    "WITHDRAW_TYPE_HASH",
    "compute_sponsor_hash",
    "compute_update_hash",
    "compute_user_hash",
    "compute_withdraw_hash",
]

CHAIN_ID: Final = 999_999_999

UPDATE_TYPE: Final = (
    b"Update(bytes32 userKeystoreAddress,uint256 nonce,bytes feePerGas,bytes newUserData,bytes newUserVkey)"
)
WITHDRAW_TYPE: Final = b"Withdraw(bytes32 userKeystoreAddress,uint256 nonce,bytes feePerGas,address to,uint256 amt)"
SPONSOR_TYPE: Final = b"Sponsor(bytes32 sponsorKeystoreAddress,bytes32 userMsgHash,bytes32 userKeystoreAddress)"

UPDATE_TYPE_HASH: Final = keccak256(UPDATE_TYPE)
WITHDRAW_TYPE_HASH: Final = keccak256(WITHDRAW_TYPE)
SPONSOR_TYPE_HASH: Final = keccak256(SPONSOR_TYPE)

DOMAIN_SEPARATOR: Final = keccak256(
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId)")
    + keccak256(b"AxiomKeystore")
    + keccak256(b"1")
    + CHAIN_ID.to_bytes(32, "big")
)


def compute_user_hash(transaction: UpdateTransaction | WithdrawTransaction) -> bytes:
    """The 32 bytes that the user's m signers sign."""
    if isinstance(transaction, WithdrawTransaction):
        return compute_withdraw_hash(transaction)
    return compute_update_hash(transaction)


def compute_update_hash(transaction: UpdateTransaction) -> bytes:
    """The hash of an update, with feePerGas as the bytes that it has there."""
    data, vkey = keccak256(transaction.new_data), keccak256(transaction.new_vkey)
    return _compute_digest(UPDATE_TYPE_HASH + _encode_head(transaction) + data + vkey)


def compute_withdraw_hash(transaction: WithdrawTransaction) -> bytes:
    """The hash of a withdrawal, with feePerGas as the bytes that it has there."""
    to, amount = bytes(12) + transaction.to, transaction.amount.to_bytes(32, "big")
    return _compute_digest(WITHDRAW_TYPE_HASH + _encode_head(transaction) + to + amount)


def compute_sponsor_hash(sponsor: AxiomAccount, user_hash: bytes, user: AxiomAccount) -> bytes:
    """What the sponsor's signers sign; `user_hash` is what the user's sign. It has no nonce but the user's."""
    return _compute_digest(SPONSOR_TYPE_HASH + sponsor.keystore_address + user_hash + user.keystore_address)


def _encode_head(transaction: UpdateTransaction | WithdrawTransaction) -> bytes:
    nonce = transaction.nonce.to_bytes(32, "big")
    return transaction.user.keystore_address + nonce + keccak256(transaction.fee_per_gas)


def _compute_digest(members: bytes) -> bytes:
    return keccak256(b"\x19\x01" + DOMAIN_SEPARATOR + keccak256(members))
