"""Axiom's transactions from L1 and back: through the bridge's contract into a node's blocks, and paid out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apps.keystore.accounts import Account
from apps.keystore.axiom.bridge_calls import (
    compute_axiom_block_hash,
    encode_deposit_data,
    encode_finalize_withdrawal,
    encode_initiate_l1_transaction,
    encode_record_batch,
)
from apps.keystore.axiom.keys import M_OF_N_ECDSA_VKEY
from apps.keystore.axiom.transactions import (
    DEPOSIT,
    UPDATE,
    WITHDRAW,
    DepositTransaction,
    UpdateTransaction,
    WithdrawTransaction,
    compute_transaction_hash,
    compute_withdrawal_hash,
    encode_transaction,
)
from axiom_world import TO, make_update, make_wallet, make_withdrawal, prove_user
from contract_calls import Contract, Reverted
from microrollup.contracts import load_artifact
from microrollup.errors import BadEnvelope, RefusedError
from microrollup.execution.payload import encode_envelope_payload
from plus_site import BRIDGE_FEES, MAKER, PlusSite, run_site

pytestmark = pytest.mark.slow

USER, NEXT = make_wallet(1, 2, 3), make_wallet(11, 1, 2)
AMOUNT = 10**6


def send(site: PlusSite, transaction: UpdateTransaction | WithdrawTransaction) -> str:
    """Hand it in; "" or the code and the reason of the refusal."""
    try:
        enveloped = site.node.ledger.authenticator.open_envelope("axiom", encode_transaction(transaction))
    except BadEnvelope as error:
        return f"{error.code}: {error}"
    ((_, outcome),) = site.sequencer.submit([(None, enveloped)])
    return f"{outcome.code}: {outcome}" if isinstance(outcome, RefusedError) else ""


def initiate(site: PlusSite, kind: int, data: bytes, value: int) -> tuple[int, bytes]:
    """Send through L1: the number and the hash that the bridge's event says."""
    call = encode_initiate_l1_transaction(kind, data)
    receipt = site.pay(site.bridge.address, "0x" + call.hex(), value)
    log = receipt["logs"][-1]
    words = bytes.fromhex(log["data"][2:])
    return int.from_bytes(words[64:96], "big"), words[96:128]


def begin(site: PlusSite, transaction: Any) -> None:
    """Send a proven transaction's list through L1; the event has the hash of the bytes that the node sees."""
    is_update = isinstance(transaction, UpdateTransaction)
    data = encode_transaction(transaction)[2:]
    fee = BRIDGE_FEES[2] if is_update else BRIDGE_FEES[1]
    number, digest = initiate(site, UPDATE if is_update else WITHDRAW, data, fee)
    assert compute_transaction_hash(encode_transaction(replace(transaction, l1_nonce=number))) == digest


def record(site: PlusSite) -> tuple[int, tuple[bytes, bytes, bytes]]:
    """Settle, and have the bridge record the block: its height, and what its output root is of."""
    root = site.settle()
    header = site.node.ledger.header
    site.pay(site.bridge.address, "0x" + encode_record_batch(header).hex(), 0)
    return header.height, (root, root, compute_axiom_block_hash(header, site.sequencer_address))


def test_through_the_bridge_and_back(tmp_path: Path) -> None:
    """A deposit, an update and withdrawals that begin on L1; what others force in their form; claimed once each."""
    with run_site(tmp_path / "rollup", bridge=True) as site:
        number, digest = initiate(site, DEPOSIT, encode_deposit_data(AMOUNT, USER.address), AMOUNT + BRIDGE_FEES[0])
        assert compute_transaction_hash(encode_transaction(DepositTransaction(number, AMOUNT, USER.address))) == digest
        after = USER.rotate(NEXT)
        bare = make_withdrawal(USER, 400)
        begin(site, replace(bare, user_proof=bare.user_proof[:512]))
        initiate(site, UPDATE, b"\xc0", BRIDGE_FEES[2])
        begin(site, make_withdrawal(USER, 300))
        begin(site, make_update(USER.settled, NEXT, 1))
        lie = prove_user(replace(make_withdrawal(after, 1, 2), l1_nonce=9), after)
        inbox = Contract(site.anvil, load_artifact("RollupInbox"), f"0x{site.node.l1.get_inbox().hex()}")
        inbox.send("force", encode_envelope_payload("axiom", encode_transaction(lie)), sender=MAKER)
        site.pass_blocks(60)
        state = site.state
        assert Account(NEXT.key_data, M_OF_N_ECDSA_VKEY) == state.keystore.accounts[USER.address]
        assert (AMOUNT - 300, 2) == (
            state.vault.balances[USER.address], state.vault.axiom_nonces[USER.address]
        )  # fmt: skip

        # At the node: what is refused, why, and that nothing of it is in the log.
        before = site.node.ledger.next_seq
        good = make_withdrawal(after, 500, 2)
        bare = replace(good, user_proof=good.user_proof[:512])
        assert "bad_envelope: axiom: 'proof without a witness'" == send(site, bare)
        assert "envelope_rejected: not from the bridge on L1" == send(site, lie)
        assert before == site.node.ledger.next_seq
        assert "" == send(site, good)
        assert send(site, good).startswith("duplicate")

        # On L1: both are paid once, whatever the tree's neighbours have become since.
        ids = [compute_withdrawal_hash(USER.address, number) for number in (0, 2)]
        height, preimage = record(site)
        for place, amount in zip(ids, (300, 500), strict=True):
            proof = site.find("vault.withdrawals", place).proof
            call = encode_finalize_withdrawal(height, preimage, TO, amount, proof)
            site.pay(site.bridge.address, "0x" + call.hex(), 0)
        assert 800 == site.get_balance(TO)
        for count in range(3, 9):
            assert "" == send(site, make_withdrawal(after, 1, count))
        height, preimage = record(site)
        for place, amount in zip(ids, (300, 500), strict=True):
            leaf = site.find("vault.withdrawals", place).proof
            again = site.bridge.call(
                "finalizeWithdrawal", height, preimage,
                (leaf.leaf.key, bytes([leaf.leaf.next_prefix]), leaf.leaf.next_key, amount, f"0x{TO.hex()}"),
                list(leaf.siblings), leaf.is_left,
            )  # fmt: skip
            assert isinstance(again, Reverted)
            assert "WithdrawalAlreadyClaimed" == again.name
        assert 800 == site.get_balance(TO)
