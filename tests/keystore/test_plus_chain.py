"""Keystore+ with its vault on a real L1: a deposit is credited, a withdrawal claimed, a rejected deposit reclaimed, and
after an escape the rollup moves no more money.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import StartRecovery, SupportRecovery, compute_proposal_id
from apps.keystore.plus.vault import Transfer, Withdraw, compute_withdrawal_id
from apps.keystore.transitions import Register
from contract_calls import Reverted
from microrollup.crypto.keccak import keccak256
from microrollup.testing.anvil import pass_blocks
from plus_site import MAKER, PlusSite, run_site
from plus_world import ALICE, BOB, CAROL, CODE, CONFIG, DAVE, DAY, ETHER, SALT, A, B, C

pytestmark = pytest.mark.slow

SILENCE = 86_400


def lock_carol(world: PlusSite) -> None:
    """Bob, her guardian, recovers Carol's account for Dave, in mode 1."""
    guardians = [Guardian(0, bytes(12) + BOB)]
    policy = SetRecovery(C, compute_guardians_hash(SALT, guardians), 1, 1, DAY, 1)
    assert [""] * 2 == [world.sign(CAROL, Register(CODE, CONFIG, SALT)), world.sign(CAROL, policy)]
    world.pass_blocks(2 * DAY // 12 + 10)
    start = StartRecovery(C, CODE, CONFIG, DAVE, SALT, guardians)
    assert "" == world.sign(BOB, start)
    (proposal,) = world.state.recovery.proposals.keys()
    in_force = Policy(policy.guardians_hash, 1, 1, DAY, 1, 1)
    assert proposal == compute_proposal_id(world.rollup_id, start, in_force, 0)
    assert "" == world.sign(BOB, SupportRecovery(proposal, 0))


def test_money_comes_in_and_goes_out(tmp_path: Path) -> None:
    """What the contracts read in the tree is what the functions wrote: deposits, withdrawals, balances, the freeze."""
    with run_site(tmp_path / "rollup") as world:
        world.deposit(A, 1_000)
        world.deposit(C, 400)
        world.deposit(bytes(32), 77)  # no account has this key: rejected, and reclaimed below
        world.pass_blocks(60)
        assert {A: 1_000, C: 400} == dict(world.state.vault.balances.items())
        assert [""] * 4 == [
            world.sign(ALICE, Register(CODE, CONFIG, SALT)), world.sign(BOB, Register(CODE, CONFIG, SALT)),
            world.sign(ALICE, Transfer(A, B, ETHER, 300)), world.sign(ALICE, Withdraw(A, ETHER, 200, b"\x0e" * 20)),
        ]  # fmt: skip
        lock_carol(world)
        root = world.settle()
        place = compute_withdrawal_id(A, 0)
        claim = (root, place, ETHER, b"\x0e" * 20, 200, world.prove("vault.withdrawals", place))
        world.vault.send("claim", *claim, sender=MAKER)
        assert 200 == world.get_balance(b"\x0e" * 20)
        again = world.vault.call("claim", *claim)
        assert isinstance(again, Reverted)
        assert "AlreadyPaid" == again.name
        absent = world.prove("deposits.deposits", 2)
        paid = (ETHER, 77, MAKER, 2)
        world.vault.send("reclaim", 2, paid, root, absent, sender=MAKER)
        credited = world.vault.call("reclaim", 0, (ETHER, 1_000, MAKER, 0), root, world.prove("deposits.deposits", 0))
        assert isinstance(credited, Reverted)
        assert 1_200 == world.get_balance(bytes.fromhex(world.vault.address[2:]))

        # The builder stops; an entry waits for twelve days; Bob takes his money at the root that was settled last.
        world.deposit(B, 5)
        pass_blocks(world.anvil, SILENCE + 100)
        opening = (CODE + CONFIG, BOB, False, bytes(32), world.prove("keystore.accounts", B))
        escape = (B, ETHER, b"\x0b" * 20, 300, opening, world.prove("vault.balances", B), b"\x00")
        world.anvil.call("anvil_impersonateAccount", f"0x{BOB.hex()}")
        world.anvil.call("anvil_setBalance", f"0x{BOB.hex()}", hex(10**20))
        world.vault.send("escape", *escape, sender=f"0x{BOB.hex()}")
        assert 300 == world.get_balance(b"\x0b" * 20)

        # Carol's account is locked by a recovery: her key opens nothing, the next one everything.
        opening = (bytes(32) + keccak256(DAVE), CAROL, False, bytes(32), world.prove("keystore.accounts", C))
        escape = (C, ETHER, b"\x0c" * 20, 400, opening, world.prove("vault.balances", C), b"\x00")
        refused = world.vault.call("escape", *escape, sender=f"0x{CAROL.hex()}")
        assert isinstance(refused, Reverted)
        assert "NotAuthorized" == refused.name
        assert () == world.vault.call("escape", *escape, sender=f"0x{DAVE.hex()}")

        # The builder returns: the vault's word stops all money in the rollup.
        world.pass_blocks(60)
        assert world.state.vault.frozen
        assert "the vault is frozen" == world.sign(BOB, Transfer(B, A, ETHER, 1))
