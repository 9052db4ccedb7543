"""Vectors of the envelope `axiom`: transactions, every hash of theirs, what they open to, and what does not open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from apps.keystore.axiom.messages import compute_sponsor_hash, compute_user_hash
from apps.keystore.axiom.proofs import PUBLIC_BYTES
from apps.keystore.axiom.transactions import (
    UpdateTransaction,
    WithdrawTransaction,
    compute_withdrawal_hash,
    encode_transaction,
)
from apps.keystore.plus import app
from axiom_world import make_update, make_wallet, make_withdrawal, prove_user
from conformance.encoding import show
from microrollup.errors import BadEnvelope
from microrollup.execution.envelope import EnvelopeOpener

Case = dict[str, Any]


def make_transactions() -> list[Case]:
    """Of accounts that the state knows and does not, with sponsors, from L1; then bytes that do not open."""
    user, after, sponsor, free = (
        make_wallet(1, 2, 3), make_wallet(11, 1, 1), make_wallet(21, 1, 2), make_wallet(31, 0, 1)
    )  # fmt: skip
    update = make_update(user, after, fee=7, sponsor=sponsor)
    begun = prove_user(replace(make_update(user, after), l1_nonce=5, fee_per_gas=b""), user)
    moved = prove_user(replace(make_update(user, after), new_data=b"\x01" * 64, new_vkey=b"\x02" * 20), user)
    good: list[UpdateTransaction | WithdrawTransaction] = [
        make_withdrawal(user, 10**18, fee=100),
        make_withdrawal(user.settled, 1, 300),
        make_update(user.settled, after, 2**64),
        update,
        make_update(user, after, sponsor=free),
        begun,
        prove_user(replace(make_withdrawal(user, 1), l1_nonce=2**32), user),
        moved,
    ]
    raw, cut = encode_transaction(update), PUBLIC_BYTES
    bad: dict[str, bytes] = {
        "proof without a witness": encode_transaction(replace(update, user_proof=update.user_proof[:cut])),
        "sponsor's proof without a witness": encode_transaction(
            replace(update, sponsor_proof=update.sponsor_proof[:cut])
        ),
        "proof of another message": encode_transaction(replace(update, fee_per_gas=bytes(32))),
        "sponsor's proof of another message": encode_transaction(
            replace(update, sponsor_proof=make_update(user, after, 1, 7, sponsor).sponsor_proof)
        ),
        "threshold of zero as the user": encode_transaction(make_update(free, after)),
        "byte after the list": raw + b"\x00",
        "length with a leading zero": raw[:2] + b"\xfa\x00" + raw[3:],
        "nonce written as 0x00": raw[:5] + b"\x00" + raw[6:],
        "deposit": bytes(97),
    }
    opener = EnvelopeOpener(app)
    return [_open(opener, transaction) for transaction in good] + [
        _refuse(opener.open, why, case) for why, case in bad.items()
    ]


def _open(opener: EnvelopeOpener, transaction: UpdateTransaction | WithdrawTransaction) -> Case:
    raw = encode_transaction(transaction)
    enveloped, user_hash = opener.open("axiom", raw), compute_user_hash(transaction)
    case = {
        "raw": show(raw),
        "opens": True,
        "hash": show(enveloped.hash),
        "userHash": show(user_hash),
        "action": show(app.envelopes["axiom"].decode_action(enveloped.action)),
    }
    if isinstance(transaction, WithdrawTransaction):
        case["withdrawalHash"] = show(compute_withdrawal_hash(transaction.user.keystore_address, transaction.nonce))
    elif transaction.sponsor is not None:
        case["sponsorHash"] = show(compute_sponsor_hash(transaction.sponsor, user_hash, transaction.user))
    return case


def _refuse(read: Callable[[str, bytes], object], why: str, raw: bytes) -> Case:
    try:
        read("axiom", raw)
    except BadEnvelope:
        return {"raw": show(raw), "opens": False, "why": why}
    raise AssertionError(why)
