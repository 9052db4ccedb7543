"""The last acts: everything is rebuilt from L1's calldata alone, and the money leaves without an operator."""

from __future__ import annotations

from typing import Final

from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.testing.anvil import pass_blocks

from ...proofs import encode_proof
from ...smart_account import compute_data
from ...vault_calls import (
    ETHER,
    Escape,
    EscapeOpening,
    PaidDeposit,
    authorize_by_signature,
    compute_escape_digest,
    encode_deposit,
    encode_escape,
    encode_reclaim,
)
from ..vault import Transfer
from .stage import Stage

__all__ = ["escape", "rebuild"]

_SILENCE_BLOCKS: Final = 86_400
_STUCK: Final = 10**16
_HOME: Final = keccak256(b"where Alice's money goes in the end")[12:]


def rebuild(stage: Stage) -> None:
    """The operator is gone with its data. What is on L1 is enough, and nothing else is asked: no blobs, no node."""
    cast, hub, tell = stage.cast, stage.hub, stage.telling
    tell.begin("Rebuild", "The operator disappears with all its data. Anybody rebuilds the state from L1's calldata.")
    ack = hub.act("Alice's last action", Transfer(cast.alice.key, cast.bob.key, ETHER, 1), cast.new_wallet)
    hub.settle("settle it", ack)
    hub.vanish()
    with tell.timed("execute everything again, from calldata", "settlement"):
        report = hub.rebuild()
    tell.expect("the root that the inbox holds", "", hex0x(hub.read_root()), report["stateRoot"])


def escape(stage: Stage) -> None:
    """A deposit waits in the queue for twelve days: then everybody takes what is his."""
    hub, tell, l1, alice = stage.hub, stage.telling, stage.l1, stage.cast.alice
    tell.begin("Escape", "Nobody takes a deposit out of the queue for 12 days. Alice takes her money with a proof.")
    vault, paid_by = hub.custody.vault, l1.bundler
    data = encode_deposit(ETHER, stage.cast.bob.key, _STUCK, paid_by, hub.custody.rollup_id)
    entry = int.from_bytes(l1.ask(bytes.fromhex(hub.place.inbox[2:]), keccak256(b"queueLength()")[:4]), "big")
    number = int.from_bytes(l1.ask(vault, keccak256(b"depositCount()")[:4]), "big")
    with tell.timed("somebody deposits, and nobody takes it", "settlement", "L1") as figures:
        sent = l1.send(vault, data, value=_STUCK, sender=paid_by)
        figures.gas, figures.bytes = sent.gas, sent.bytes
        pass_blocks(l1.anvil, _SILENCE_BLOCKS + 1)
    balance = hub.prove_rebuilt("vault.balances", alice.key)
    account = hub.prove_rebuilt("keystore.accounts", alice.key)
    amount = int.from_bytes(balance.value, "big")
    request = Escape(alice.key, ETHER, _HOME)
    signature = sign_digest(stage.cast.new_wallet, compute_escape_digest(request, vault, l1.chain_id))
    opening = EscapeOpening(
        compute_data(stage.cast.new_phone.configuration), compute_address(stage.cast.new_wallet), False, bytes(32),
        encode_proof(True, account.proof),
    )  # fmt: skip
    call = encode_escape(
        request, amount, opening, encode_proof(True, balance.proof), authorize_by_signature(signature)
    )  # fmt: skip
    with tell.timed("Alice escapes with her money", "use", "L1") as figures:
        done = l1.send(vault, call)
        figures.gas, figures.bytes = done.gas, done.bytes
    tell.expect("Alice's money on L1", "L1", str(amount), str(l1.get_balance(_HOME)))
    frozen = l1.ask(vault, keccak256(b"frozenRoot()")[:4])
    tell.expect("the vault is frozen at the last root", "L1", hex0x(hub.read_root()), hex0x(frozen))
    absent = hub.prove_rebuilt("deposits.deposits", number)
    paid = PaidDeposit(ETHER, _STUCK, paid_by, entry)
    before = l1.get_balance(paid_by)
    with tell.timed("the deposit comes back", "use", "L1") as figures:
        back = l1.send(vault, encode_reclaim(number, paid, frozen, encode_proof(False, absent.proof)))
        figures.gas, figures.bytes = back.gas, back.bytes
    tell.expect("paid back", "L1", str(_STUCK), str(l1.get_balance(paid_by) - before))
