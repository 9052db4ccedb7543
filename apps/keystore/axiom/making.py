"""Signatures and proofs, made: what a user's device and the node's signature prover do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from microrollup import Revert
from microrollup.crypto.ecdsa import PrivateKey, sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.errors import RefusedError

from .keys import M_OF_N_ECDSA_VKEY, decode_key_data, require_signatures
from .messages import compute_sponsor_hash, compute_user_hash
from .proofs import Witness, encode_public_inputs, encode_witness
from .transactions import UpdateTransaction, WithdrawTransaction

__all__ = ["ProofRefused", "authenticate", "prove", "prove_for_sponsor", "prove_for_user", "sign", "sponsor"]

_Signed = TypeVar("_Signed", UpdateTransaction, WithdrawTransaction)


class ProofRefused(RefusedError):
    """What was given does not prove that a message is authentic; the text says why."""


def sign(keys: Sequence[PrivateKey], message_hash: bytes) -> bytes:
    """Auth data: 65 bytes of each key over 32 bytes, v 27 or 28, in the order of the keys."""
    return b"".join([sign_digest(key, message_hash) for key in keys])


def prove(key_data: bytes, auth_data: bytes, data_hash: bytes, message_hash: bytes, vkey: bytes) -> bytes:
    """The proof that these key data's signers have signed a message: 512 bytes and the witness.

    It is checked as the rollup does. Raises `ProofRefused`.
    """
    try:
        if vkey != M_OF_N_ECDSA_VKEY:
            raise Revert("vkey of no known circuit")
        if keccak256(key_data) != data_hash:
            raise Revert("not the account's key data")
        require_signatures(decode_key_data(key_data), message_hash, auth_data)
    except Revert as error:
        raise ProofRefused(error.reason) from None
    return encode_public_inputs(data_hash, message_hash) + encode_witness(Witness(key_data, auth_data))


def prove_for_user(transaction: UpdateTransaction | WithdrawTransaction, witness: Witness) -> bytes:
    """The user's proof for a transaction. Raises `ProofRefused`."""
    user, message_hash = transaction.user, compute_user_hash(transaction)
    return prove(witness.key_data, witness.auth_data, user.data_hash, message_hash, user.vkey)


def prove_for_sponsor(transaction: UpdateTransaction, witness: Witness) -> bytes:
    """The sponsor's proof for an update that names one. Raises `ProofRefused`."""
    account = transaction.sponsor
    if account is None:
        raise ProofRefused("the update names no sponsor")
    message_hash = compute_sponsor_hash(account, compute_user_hash(transaction), transaction.user)
    return prove(witness.key_data, witness.auth_data, account.data_hash, message_hash, account.vkey)


def authenticate(transaction: _Signed, witness: Witness) -> _Signed:
    """The transaction with the user's proof. Raises `ProofRefused`."""
    return replace(transaction, user_proof=prove_for_user(transaction, witness))


def sponsor(transaction: UpdateTransaction, witness: Witness) -> UpdateTransaction:
    """The update with the proof of the sponsor that it names. Raises `ProofRefused`."""
    return replace(transaction, sponsor_proof=prove_for_sponsor(transaction, witness))
