"""Axiom's three transactions, to the byte: type, origin, and an RLP list of the fields."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from microrollup import ZERO_BYTES32, require
from microrollup.crypto.keccak import keccak256

from .rlp import encode_integer, encode_items, read_integer, read_items

__all__ = [
    "DEPOSIT",
    "NO_SALT",
    "UPDATE",
    "WITHDRAW",
    "AxiomAccount",
    "DepositTransaction",
    "AxiomTransaction",
    "UpdateTransaction",
    "WithdrawTransaction",
    "compute_keystore_address",
    "compute_transaction_hash",
    "compute_withdrawal_hash",
    "decode_account",
    "decode_transaction",
    "encode_account",
    "encode_transaction",
    "is_address_of",
]

DEPOSIT: Final = 0
WITHDRAW: Final = 1
UPDATE: Final = 2

NO_SALT: Final = ZERO_BYTES32
"""In place of the salt of an account that the state knows."""

_NUMBER_BYTES: Final = 32
_FEE_BYTES: Final = 32
_DEPOSIT_BYTES: Final = 97
_WITHDRAW_FIELDS: Final = 9
_UPDATE_FIELDS: Final = 11
_ACCOUNT_FIELDS: Final = 4


class AxiomAccount(Struct, frozen=True):
    """An account as a transaction names it. Hashes, salt and address have 32 bytes."""

    keystore_address: bytes
    salt: bytes
    """`NO_SALT` once the state knows the account."""
    data_hash: bytes
    """keccak256 of the key data."""
    vkey: bytes


class DepositTransaction(Struct, frozen=True):
    """Money that came in on L1; never sent by a user."""

    l1_nonce: int
    """The bridge's number of it."""
    amount: int
    """Wei."""
    keystore_address: bytes


class WithdrawTransaction(Struct, frozen=True):
    """Money that leaves for L1."""

    l1_nonce: int | None
    """The bridge's number of a transaction that began on L1; None: it was sent to the sequencer."""
    nonce: int
    fee_per_gas: bytes
    """32 bytes as they were signed; of a transaction that began on L1 perhaps empty."""
    to: bytes
    """20 bytes."""
    amount: int
    """Wei."""
    user: AxiomAccount
    user_proof: bytes = b""


class UpdateTransaction(Struct, frozen=True):
    """New data and a new vkey for an account."""

    l1_nonce: int | None
    """As in a withdrawal."""
    nonce: int
    fee_per_gas: bytes
    """As in a withdrawal."""
    new_data: bytes
    new_vkey: bytes
    user: AxiomAccount
    user_proof: bytes = b""
    sponsor: AxiomAccount | None = None
    """Who pays; None: the user."""
    sponsor_proof: bytes = b""


AxiomTransaction = DepositTransaction | WithdrawTransaction | UpdateTransaction


def compute_keystore_address(salt: bytes, data_hash: bytes, vkey: bytes) -> bytes:
    """`keccak256(salt(32) || dataHash(32) || keccak256(vkey))`: the account's key."""
    return keccak256(salt + data_hash + keccak256(vkey))


def is_address_of(account: AxiomAccount) -> bool:
    """Whether an account that was never changed has this address."""
    return compute_keystore_address(account.salt, account.data_hash, account.vkey) == account.keystore_address


def compute_transaction_hash(raw: bytes) -> bytes:
    """keccak256 of a transaction's bytes."""
    return keccak256(raw)


def compute_withdrawal_hash(keystore_address: bytes, nonce: int) -> bytes:
    """`keccak256(keystoreAddress(32) || nonce(32))`: under which a withdrawal is proven on L1."""
    return keccak256(keystore_address + nonce.to_bytes(32, "big"))


def encode_account(account: AxiomAccount) -> bytes:
    """RLP of the four fields."""
    return encode_items([account.keystore_address, account.salt, account.data_hash, account.vkey])


def decode_account(raw: bytes) -> AxiomAccount:
    """The strict way back. Raises `Revert`."""
    return _read_account(read_items(raw, _ACCOUNT_FIELDS))


def encode_transaction(transaction: AxiomTransaction) -> bytes:
    """The bytes that the transaction's hash is over."""
    if isinstance(transaction, DepositTransaction):
        numbers = transaction.l1_nonce.to_bytes(_NUMBER_BYTES, "big") + transaction.amount.to_bytes(32, "big")
        return b"\x00" + numbers + transaction.keystore_address
    user = transaction.user
    account = [user.keystore_address, user.salt, user.data_hash, user.vkey, transaction.user_proof]
    head = [encode_integer(transaction.nonce), transaction.fee_per_gas]
    if isinstance(transaction, WithdrawTransaction):
        items = [*head, transaction.to, encode_integer(transaction.amount), *account]
        return b"\x01" + _encode_origin(transaction.l1_nonce) + encode_items(items)
    sponsor = b"" if transaction.sponsor is None else encode_account(transaction.sponsor)
    items = [*head, transaction.new_data, transaction.new_vkey, *account, sponsor, transaction.sponsor_proof]
    return b"\x02" + _encode_origin(transaction.l1_nonce) + encode_items(items)


def decode_transaction(raw: bytes) -> AxiomTransaction:
    """The strict way back; proofs may be empty, or anything. Raises `Revert` for whatever has no or another form."""
    require(len(raw) > 1, "a transaction has a type and fields")
    require(raw[0] <= UPDATE, "a transaction of no known type")
    if raw[0] == DEPOSIT:
        require(len(raw) == _DEPOSIT_BYTES, "a deposit has 97 bytes")
        return DepositTransaction(int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:65], "big"), raw[65:])
    require(raw[1] <= 1, "isL1Initiated is neither 0 nor 1")
    start, l1_nonce = 2, None
    if raw[1] == 1:
        start = 2 + _NUMBER_BYTES
        require(len(raw) > start, "l1InitiatedNonce has 32 bytes")
        l1_nonce = int.from_bytes(raw[2:start], "big")
    if raw[0] == WITHDRAW:
        return _read_withdrawal(l1_nonce, read_items(raw[start:], _WITHDRAW_FIELDS))
    return _read_update(l1_nonce, read_items(raw[start:], _UPDATE_FIELDS))


def _encode_origin(l1_nonce: int | None) -> bytes:
    return b"\x00" if l1_nonce is None else b"\x01" + l1_nonce.to_bytes(_NUMBER_BYTES, "big")


def _read_withdrawal(l1_nonce: int | None, items: list[bytes]) -> WithdrawTransaction:
    require(len(items[2]) == 20, "to has 20 bytes")
    return WithdrawTransaction(
        l1_nonce, read_integer(items[0]), _read_fee(l1_nonce, items[1]), items[2], read_integer(items[3]),
        _read_account(items[4:8]), items[8],
    )  # fmt: skip


def _read_update(l1_nonce: int | None, items: list[bytes]) -> UpdateTransaction:
    sponsor = decode_account(items[9]) if items[9] else None
    require(sponsor is not None or not items[10], "a sponsor's proof without a sponsor")
    return UpdateTransaction(
        l1_nonce, read_integer(items[0]), _read_fee(l1_nonce, items[1]), items[2], items[3],
        _read_account(items[4:8]), items[8], sponsor, items[10],
    )  # fmt: skip


def _read_fee(l1_nonce: int | None, item: bytes) -> bytes:
    require(len(item) == _FEE_BYTES or (l1_nonce is not None and not item), "feePerGas has 32 bytes")
    return item


def _read_account(items: list[bytes]) -> AxiomAccount:
    require(len(items[0]) == 32, "a keystore address has 32 bytes")
    require(len(items[1]) == 32, "a salt has 32 bytes")
    require(len(items[2]) == 32, "a data hash has 32 bytes")
    return AxiomAccount(items[0], items[1], items[2], items[3])
