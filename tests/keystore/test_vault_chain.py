"""The vault on a real L1 and Keystore+ behind it: money goes in, moves, comes out, and escapes when nobody operates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest

from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.config import Config
from apps.keystore.plus.rollup import make_app
from apps.keystore.plus.vault import Withdraw, compute_withdrawal_id
from apps.keystore.transitions import Register
from apps.keystore.vault_calls import (
    ETHER,
    UNREGISTERED,
    Escape,
    EscapeOpening,
    PaidDeposit,
    authorize_by_signature,
    compute_escape_digest,
    encode_claim,
    encode_deposit,
    encode_escape,
    encode_reclaim,
)
from contract_calls import Contract, Reverted
from inbox_twin import START
from kernel_fixtures import Chain, fast_directory, make_key
from l1_fixtures import run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address, sign_digest
from microrollup.crypto.keccak import keccak256
from vault_world import CHAIN_ID, PACKAGE, World, pack, raw

CODE, CONFIG, SALT = b"\x0c" * 32, b"\x0f" * 32, b"\x5a" * 32
NOBODY: Final = bytes(32)
"""No account has the key zero: the rollup rejects a deposit to it."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The vault is there first, since its address is in the genesis."""
    with run_anvil("--number", "100000", timestamp=START) as anvil, fast_directory() as directory:
        maker = anvil.call("eth_accounts")[0]
        verifier = Contract.deploy(anvil, load_artifact("EscapeVerifier", PACKAGE), [], maker)
        code_hash = keccak256(raw(load_artifact("RollupInbox").bytecode))
        artifact = load_artifact("KeystoreVault", PACKAGE)
        vault = Contract.deploy(anvil, artifact, [maker, code_hash, verifier.address, bytes(20)], maker)
        with closing(Chain(directory, make_app(Config(vault=raw(vault.address))))) as chain:
            yield World(anvil, chain, vault)


def test_money_goes_in_comes_out_and_escapes(world: World) -> None:
    """Deposits by the real queue, one of them rejected and reclaimed; a withdrawal claimed once; the rest escapes."""
    owner = make_key("alice")
    vk = compute_address(owner)
    data = CODE + CONFIG
    key = compute_account_key(SALT, data, vk)
    for target in (key, NOBODY):
        call = encode_deposit(ETHER, target, 5, raw(world.payer), world.rollup_id, UNREGISTERED)
        world.to_vault(call, 5, world.payer)
    world.take_queue()
    world.chain.submit(world.chain.signer.sign(Register(CODE, CONFIG, SALT)))
    world.chain.submit(world.chain.signer.sign(Withdraw(key, ETHER, 2, raw(world.payer))))
    root = world.settle()
    assert 3 == world.prove("vault.balances", key).stored

    # The rejected deposit comes back, the credited one does not.
    rejected = PaidDeposit(ETHER, 5, raw(world.payer), 1)
    credited = PaidDeposit(ETHER, 5, raw(world.payer), 0)
    world.to_vault(encode_reclaim(1, rejected, root, pack(world.prove("deposits.deposits", 1))))
    again = world.judge(encode_reclaim(0, credited, root, pack(world.prove("deposits.deposits", 0))))
    assert isinstance(again, Reverted)
    assert "WrongProof" == again.name

    # The withdrawal, once.
    withdrawal = compute_withdrawal_id(key, 0)
    claim = encode_claim(
        root, withdrawal, ETHER, raw(world.payer), 2, pack(world.prove("vault.withdrawals", withdrawal))
    )
    before = world.get_balance(world.payer)
    world.to_vault(claim)
    assert before + 2 == world.get_balance(world.payer)
    again = world.judge(claim)
    assert isinstance(again, Reverted)
    assert "AlreadyPaid" == again.name

    # Nobody takes the queue any more: the rest escapes by the holder's signature, sent by anybody.
    world.inbox.send("force", b"\0", sender=world.payer)
    heir = "0x" + "e5" * 20
    escape = Escape(key, ETHER, raw(heir))
    signature = sign_digest(owner, compute_escape_digest(escape, raw(world.vault.address), CHAIN_ID))
    opening = EscapeOpening(data, vk, False, bytes(32), pack(world.prove("keystore.accounts", key)))
    proof = pack(world.prove("vault.balances", key))
    call = encode_escape(escape, 3, opening, proof, authorize_by_signature(signature))
    early = world.judge(call)
    assert isinstance(early, Reverted)
    assert "OperatorAlive" == early.name
    world.fall_silent()
    world.to_vault(call)
    assert 3 == world.get_balance(heir)
    assert 0 == world.get_balance(world.vault.address)

    # The operator comes back: the rollup hears of the freeze, and moves no more money.
    world.take_queue()
    world.chain.submit(world.chain.signer.sign(Withdraw(key, ETHER, 1, raw(world.payer))))
    world.chain.close_block()
    state: Any = world.chain.ledger.state.app
    assert state.vault.frozen
    assert 3 == world.prove("vault.balances", key).stored
