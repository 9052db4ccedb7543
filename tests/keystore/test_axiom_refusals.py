"""What a sequencer answers to Axiom's transactions that it does not take: code, reason, and nothing in its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from apps.keystore.axiom.making import sign
from apps.keystore.axiom.messages import compute_user_hash
from apps.keystore.axiom.proofs import PUBLIC_BYTES, Witness, encode_witness
from apps.keystore.axiom.rlp import encode_items, read_items
from apps.keystore.axiom.transactions import UpdateTransaction, encode_transaction
from apps.keystore.plus.config import Config
from apps.keystore.plus.rollup import make_app
from apps.keystore.plus.vault import Deposit
from axiom_world import make_keys, make_update, make_wallet, make_withdrawal, prove_user, send
from microrollup.errors import RefusedError
from microrollup.testing.execution import Senders, envelope, force
from microrollup.testing.stored import StoredRollup
from plus_world import BRIDGE, ETHER, VAULT

USER, NEXT, SPONSOR = make_wallet(1, 2, 3), make_wallet(11, 1, 1), make_wallet(21, 1, 2)
UPDATE = make_update(USER, NEXT, sponsor=SPONSOR)
PLAIN = make_update(USER, NEXT)
RAW = encode_transaction(PLAIN)
FIELDS = read_items(RAW[2:], 11)


def list_bad_bytes() -> list[tuple[bytes, str]]:
    """Transactions that do not open, with the reason."""
    payload = encode_items(FIELDS)[3:]
    words, witness = PLAIN.user_proof[:PUBLIC_BYTES], PLAIN.user_proof[PUBLIC_BYTES:]
    message, keys = compute_user_hash(PLAIN), make_keys(1, 3)

    def prove(auth_data: bytes) -> bytes:
        return encode_transaction(
            replace(PLAIN, user_proof=words + encode_witness(Witness(USER.key_data, auth_data)))
        )  # fmt: skip

    def change(transaction: UpdateTransaction, **members: Any) -> bytes:
        return encode_transaction(replace(transaction, **members))

    return [
        (RAW + b"\x00", "rlp: bytes after the list"),
        (RAW[:-1], "rlp: content is cut off"),
        (b"\x02\x00\xfa\x00" + len(payload).to_bytes(2, "big") + payload, "rlp: a length has leading zeros"),
        (b"\x02\x00\xf9" + (len(payload) + 1).to_bytes(2, "big") + b"\x81\x00" + payload[1:],
         "rlp: a byte with a needless length"),
        (b"\x02\x00" + encode_items([b"\x00", *FIELDS[1:]]), "rlp: an integer has leading zeros"),
        (b"\x02\x00" + encode_items(FIELDS[:10]), "rlp: too few items"),
        (b"\x02\x00" + encode_items([*FIELDS, b""]), "rlp: too many items"),
        (b"\x02\x02" + RAW[2:], "isL1Initiated is neither 0 nor 1"),
        (b"\x00" + bytes(96), "a deposit comes from L1 only"),
        (change(PLAIN, user_proof=words), "proof without a witness"),
        (change(UPDATE, sponsor_proof=UPDATE.sponsor_proof[:PUBLIC_BYTES]), "proof without a witness"),
        (change(PLAIN, user_proof=b"\x01" + words[1:] + witness), "proof of other data or another message"),
        (change(PLAIN, nonce=1), "proof of other data or another message"),
        (change(UPDATE, sponsor_proof=make_update(USER, NEXT, 1, 0, SPONSOR).sponsor_proof),
         "proof of other data or another message"),
        (prove(sign(keys[:1], message)), "not as many signatures as the threshold"),
        (prove(sign(keys[:1] * 2, message)), "two signatures of one signer"),
        (prove(sign(make_keys(2, 3)[1:], message)), "a signature of no signer"),
    ]  # fmt: skip


def test_refusals(tmp_path: Path) -> None:
    """Codes and reasons; state, nonces and log are as before, handed in or forced."""
    app = make_app(Config(vault=VAULT, bridge=BRIDGE))
    with StoredRollup(tmp_path, app, Senders(1)) as rollup:
        rollup.apply(force(VAULT, Deposit(1, ETHER, USER.address, 1_000)))
        rollup.close_block()
        rows, seq = rollup.list_rows(), rollup.ledger.next_seq

        def refuse(raw: bytes, code: str, reason: str) -> None:
            outcome = rollup.apply(envelope("axiom", raw))
            assert isinstance(outcome, RefusedError), reason
            assert (code, True) == (outcome.code, reason in str(outcome)), str(outcome)
            assert (rows, seq) == (rollup.list_rows(), rollup.ledger.next_seq)

        for raw, reason in list_bad_bytes():
            refuse(raw, "bad_envelope", reason)
        early = prove_user(replace(make_withdrawal(USER, 1), l1_nonce=3), USER)
        wrong_salt = replace(USER, account=replace(USER.account, salt=bytes(32)))
        for transaction, reason in (
            (make_withdrawal(USER, 1, 1), "not the account's next nonce"),
            (make_withdrawal(wrong_salt, 1), "salt, data and vkey do not give the address"),
            (make_withdrawal(USER, 1_001), "balance too low"),
            (early, "not from the bridge on L1"),
        ):
            refuse(encode_transaction(transaction), "envelope_rejected", reason)
        for raw, _ in list_bad_bytes():
            rollup.apply(envelope("axiom", raw, l1_sender=BRIDGE))
        rollup.close_block()  # this one began before them
        rollup.close_block()
        assert (rows, seq + len(list_bad_bytes())) == (rollup.list_rows(), rollup.ledger.next_seq)

        # The right one executes, once; afterwards it is a duplicate, and its nonce is stale for all others.
        first = make_withdrawal(USER, 10)
        assert not isinstance(rollup.apply(send(first)), RefusedError)
        rollup.close_block()
        rows, seq = rollup.list_rows(), rollup.ledger.next_seq
        refuse(encode_transaction(first), "duplicate", "")
        refuse(encode_transaction(make_withdrawal(USER, 11)), "envelope_rejected", "not the account's next nonce")
        refuse(encode_transaction(make_update(USER.settled, NEXT)), "envelope_rejected", "not the account's next nonce")
