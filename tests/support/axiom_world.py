"""Accounts of Axiom's kind for tests: keys, key data, and transactions that their signers have proven."""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from apps.keystore.axiom.keys import M_OF_N_ECDSA_VKEY, KeyData, encode_key_data
from apps.keystore.axiom.making import authenticate, prove_for_sponsor, sign
from apps.keystore.axiom.messages import compute_sponsor_hash, compute_user_hash
from apps.keystore.axiom.proofs import Witness
from apps.keystore.axiom.transactions import (
    NO_SALT,
    AxiomAccount,
    UpdateTransaction,
    WithdrawTransaction,
    compute_keystore_address,
    encode_transaction,
)
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.testing.execution import ExecutionStep, envelope

CODE_HASH: Final = b"\x0c" * 32
TO: Final = b"\x70" * 20
_Signed = TypeVar("_Signed", UpdateTransaction, WithdrawTransaction)


class Wallet(Struct, frozen=True):
    """An account and all that proves for it."""

    keys: tuple[PrivateKey, ...]
    """Those that sign: as many as the threshold."""
    key_data: bytes
    account: AxiomAccount

    @property
    def address(self) -> bytes:
        """Its key."""
        return self.account.keystore_address

    @property
    def settled(self) -> Wallet:
        """As it is named once the state knows it: without a salt, as the SDK does."""
        return replace(self, account=replace(self.account, salt=NO_SALT))

    def rotate(self, other: Wallet) -> Wallet:
        """The account after an update to another's keys."""
        account = AxiomAccount(self.address, NO_SALT, other.account.data_hash, M_OF_N_ECDSA_VKEY)
        return Wallet(other.keys, other.key_data, account)


def make_keys(first: int, count: int) -> list[PrivateKey]:
    """Keys by number."""
    return [load_private_key((first + place).to_bytes(32, "big")) for place in range(count)]


def make_wallet(first: int, threshold: int, count: int, salt: int = 1) -> Wallet:
    """An account that was never changed, of `count` keys from number `first` on."""
    keys = make_keys(first, count)
    data = encode_key_data(KeyData(CODE_HASH, threshold, tuple([compute_address(key) for key in keys])))
    return wrap_key_data(data, tuple(keys[:threshold]), salt)


def wrap_key_data(data: bytes, keys: tuple[PrivateKey, ...], salt: int = 1) -> Wallet:
    """An account of any key data."""
    word, data_hash = salt.to_bytes(32, "big"), keccak256(data)
    address = compute_keystore_address(word, data_hash, M_OF_N_ECDSA_VKEY)
    return Wallet(keys, data, AxiomAccount(address, word, data_hash, M_OF_N_ECDSA_VKEY))


def encode_fee(fee: int) -> bytes:
    """FeePerGas as it is signed."""
    return fee.to_bytes(32, "big")


def make_update(
    user: Wallet, after: Wallet, nonce: int = 0, fee: int = 0, sponsor: Wallet | None = None
) -> UpdateTransaction:
    """An update to another wallet's keys, proven."""
    return prove_update(
        UpdateTransaction(
            None, nonce, encode_fee(fee), after.key_data, M_OF_N_ECDSA_VKEY, user.account,
            sponsor=None if sponsor is None else sponsor.account,
        ),
        user,
        sponsor,
    )  # fmt: skip


def make_withdrawal(user: Wallet, amount: int, nonce: int = 0, fee: int = 0) -> WithdrawTransaction:
    """A withdrawal, proven."""
    return prove_user(WithdrawTransaction(None, nonce, encode_fee(fee), TO, amount, user.account), user)


def prove_user(transaction: _Signed, user: Wallet) -> _Signed:
    """The transaction, signed and proven by its user anew."""
    return authenticate(transaction, Witness(user.key_data, sign(user.keys, compute_user_hash(transaction))))


def prove_update(transaction: UpdateTransaction, user: Wallet, sponsor: Wallet | None = None) -> UpdateTransaction:
    """The same, by its sponsor too."""
    transaction = prove_user(transaction, user)
    if sponsor is None:
        return transaction
    message = compute_sponsor_hash(sponsor.account, compute_user_hash(transaction), transaction.user)
    proof = prove_for_sponsor(transaction, Witness(sponsor.key_data, sign(sponsor.keys, message)))
    return replace(transaction, sponsor_proof=proof)


def send(transaction: UpdateTransaction | WithdrawTransaction, l1_sender: bytes | None = None) -> ExecutionStep:
    """A step of a test: handed in, or forced by an L1 account."""
    return envelope("axiom", encode_transaction(transaction), l1_sender=l1_sender)
