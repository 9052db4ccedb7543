"""The envelope `axiom`: raw UPDATE and WITHDRAW bytes as Axiom's clients send them, with witnesses in their proofs."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from microrollup import Action, Address, Bytes, Bytes32, Envelope, Opened, Revert, Uint64, Uint256

from .messages import compute_sponsor_hash, compute_user_hash
from .proofs import require_proof
from .transactions import (
    AxiomAccount,
    DepositTransaction,
    UpdateTransaction,
    WithdrawTransaction,
    compute_transaction_hash,
    decode_transaction,
    encode_transaction,
)

__all__ = ["AxiomEnvelope", "AxiomOpened", "AxiomParty", "AxiomUpdate", "AxiomWithdraw"]


class AxiomParty(Struct, frozen=True):
    """An account whose signers have signed. Its vkey is that of m-of-n ECDSA."""

    key: Bytes32
    """Its keystore address."""
    salt: Bytes32
    """Counts while the state does not know the account."""
    key_data: Bytes


class AxiomUpdate(Action, frozen=True):
    """An UPDATE."""

    l1_initiated: bool
    """Whether it says that it began on L1; the bytes of anybody may say so."""
    number: Uint256
    """The user's next nonce."""
    fee_per_gas: Uint256
    """Wei."""
    size: Uint64
    """Bytes of the transaction."""
    user: AxiomParty
    new_data: Bytes
    new_vk: Bytes
    sponsors: list[AxiomParty]
    """Who pays: one, or none for the user."""


class AxiomWithdraw(Action, frozen=True):
    """A WITHDRAW."""

    l1_initiated: bool
    """As in an update."""
    number: Uint256
    """The user's next nonce."""
    fee_per_gas: Uint256
    """Wei."""
    size: Uint64
    """Bytes of the transaction."""
    user: AxiomParty
    to: Address
    amount: Uint256
    """Wei."""


class AxiomOpened(Opened, frozen=True):
    """What the bytes hold."""

    transaction: UpdateTransaction | WithdrawTransaction


class AxiomEnvelope(Envelope):
    """A transaction in Axiom's bytes. Its hash is keccak256 of them, as Axiom's clients compute it."""

    name = "axiom"
    actions = (AxiomUpdate, AxiomWithdraw)

    def open(self, raw: bytes) -> Opened:
        """The transaction, if the signers of the user, and of the sponsor, are those of the key data that it brings.

        Whether that key data is the account's now is for the state transition function.
        """
        transaction = decode_transaction(raw)
        if isinstance(transaction, DepositTransaction):
            raise Revert("a deposit comes from L1 only")
        user_hash = compute_user_hash(transaction)
        user = _open_party(transaction.user, user_hash, transaction.user_proof, 1)
        began, fee_per_gas = transaction.l1_nonce is not None, int.from_bytes(transaction.fee_per_gas, "big")
        if isinstance(transaction, WithdrawTransaction):
            withdraw = AxiomWithdraw(
                began, transaction.nonce, fee_per_gas, len(raw), user, transaction.to, transaction.amount
            )
            return AxiomOpened(withdraw, compute_transaction_hash(raw), transaction)
        sponsors = []
        if transaction.sponsor is not None:
            sponsor_hash = compute_sponsor_hash(transaction.sponsor, user_hash, transaction.user)
            sponsors.append(_open_party(transaction.sponsor, sponsor_hash, transaction.sponsor_proof, 0))
        update = AxiomUpdate(
            began, transaction.nonce, fee_per_gas, len(raw), user, transaction.new_data, transaction.new_vkey, sponsors
        )
        return AxiomOpened(update, compute_transaction_hash(raw), transaction)

    def encode(self, opened: Any) -> bytes:
        """The way back."""
        return encode_transaction(opened.transaction)


def _open_party(account: AxiomAccount, message_hash: bytes, proof: bytes, least: int) -> AxiomParty:
    """An account with its key data; `least` signatures at least must authenticate it."""
    raw, key_data = require_proof(account, message_hash, proof)
    if key_data.threshold < least:
        raise Revert("a threshold of zero may sponsor, and authenticates no user")
    return AxiomParty(account.keystore_address, account.salt, raw)
