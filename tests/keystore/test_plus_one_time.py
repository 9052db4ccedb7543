"""Keystore+ and keys that sign once: such a key is not left with an account that it could never act for again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apps.keystore.accounts import Account
from apps.keystore.plus.admission import admit
from apps.keystore.plus.authority import put_account
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import FinishRecovery, StartRecovery, SupportRecovery, finish_recovery
from apps.keystore.plus.state import Plus, Recovery
from apps.keystore.plus.updates import AcceptUpdate, SetCareful
from apps.keystore.plus.vault import Transfer
from apps.keystore.transitions import Register, Update
from microrollup import Context, Map, MicroRollup, Revert
from microrollup.execution.payload import encode_carried_payload
from microrollup.testing.execution import Senders, at
from microrollup.testing.keys import WinternitzKey
from microrollup.testing.signing import sign_action
from microrollup.testing.stored import StoredRollup
from plus_world import CODE, CODE_2, CONFIG, CONFIG_2, DAY, PLUS, SALT, compute_key

PEOPLE = Senders(3)
ALICE, BOB, CAROL = PEOPLE
REASON = "a one-time key could not act for the account again"


def make_one_time(number: int) -> bytes:
    """The sender of a key that signs once."""
    key = WinternitzKey(bytes([number]) * 32)
    PEOPLE.keys[key.sender] = key  # type: ignore[assignment]
    return key.sender


ONCE, TWICE, THRICE = [make_one_time(number) for number in (1, 2, 3)]
KEY = compute_key(ALICE)
GUARDIANS = [Guardian(0, bytes(12) + CAROL)]


@pytest.fixture
def rollup(tmp_path: Path) -> Iterator[StoredRollup]:
    """A store in which Alice has an account."""
    recovery = Recovery(policies=Map({KEY: Policy(compute_guardians_hash(SALT, GUARDIANS), 1, 1, DAY, 0, 1)}))
    state: Any = put_account(Plus(recovery=recovery), KEY, Account(CODE + CONFIG, ALICE))
    app = MicroRollup(
        name="keystore-plus", version="1", genesis=state, stfs=list(PLUS.stf_by_action.values()),
        envelopes=[each.cls for each in PLUS.envelopes.values()],
    )  # fmt: skip
    with StoredRollup(tmp_path, app, PEOPLE) as opened:
        yield opened


def submit(rollup: StoredRollup, sender: bytes, action: Any) -> str:
    """Sign with the sender's own scheme; why it was rejected, or nothing."""
    outcome: Any = rollup.submit(sender, action)
    return str(outcome.receipt.reason)


def get_account(rollup: StoredRollup) -> Account:
    """Alice's."""
    state: Any = rollup.ledger.state.app
    found: Account = state.keystore.accounts[KEY]
    return found


def test_it_holds_an_account_and_updates_it(rollup: StoredRollup) -> None:
    """Its one action is the update to the next key, which signs once too."""
    assert ["", "", ""] == [
        submit(rollup, ALICE, Update(KEY, CODE, CONFIG, ONCE)), submit(rollup, ONCE, Update(KEY, CODE, CONFIG, TWICE)),
        submit(rollup, TWICE, Update(KEY, CODE_2, CONFIG_2, BOB)),
    ]  # fmt: skip
    assert Account(CODE_2 + CONFIG_2, BOB) == get_account(rollup)


def test_it_does_not_take_a_careful_account(rollup: StoredRollup) -> None:
    """The update waits on, and the present vk sends another."""
    assert ["", "", REASON] == [
        submit(rollup, ALICE, SetCareful(KEY, True)), submit(rollup, ALICE, Update(KEY, CODE, CONFIG, ONCE)),
        submit(rollup, ONCE, AcceptUpdate(KEY)),
    ]  # fmt: skip
    assert ALICE == get_account(rollup).vk
    assert ["", ""] == [
        submit(rollup, ALICE, Update(KEY, CODE, CONFIG, BOB)), submit(rollup, BOB, AcceptUpdate(KEY))
    ]  # fmt: skip


def test_it_registers_nothing(rollup: StoredRollup) -> None:
    """Registering would be its one action."""
    assert REASON == submit(rollup, ONCE, Register(CODE, CONFIG, SALT))
    assert compute_key(ONCE) not in rollup.ledger.state.app.keystore.accounts  # type: ignore[attr-defined]


def test_a_node_asks_before_it_takes(rollup: StoredRollup) -> None:
    """What would be rejected, or would leave the account without a key that signs, does not use the key up."""
    update = Update(KEY, CODE_2, CONFIG_2, BOB)
    assert "" == submit(rollup, ALICE, Update(KEY, CODE, CONFIG, ONCE))
    ask = Context(ONCE, timestamp=int(rollup.seconds), scheme=7)
    state: Any = rollup.ledger.state.app
    admit(state, update, ask)
    for action, reason in (
        (Transfer(KEY, KEY, bytes(20), 1), "a one-time key only updates an account"),
        (Register(CODE, CONFIG, SALT), "a one-time key only updates an account"),
        (AcceptUpdate(KEY), "a one-time key only updates an account"),
        (replace(update, vk=bytes(20)), "vk of no known kind"),
    ):
        with pytest.raises(Revert, match=reason):
            admit(state, action, ask)
    with pytest.raises(Revert, match="sender is not the account's vk"):
        admit(state, update, replace(ask, sender=TWICE))
    admit(state, Register(CODE, CONFIG, SALT), replace(ask, scheme=6))


def test_it_finishes_no_recovery(rollup: StoredRollup) -> None:
    """Signed or carried: the proposal lapses, or the guardians make another; the account is as it was."""
    for vk in (ONCE, TWICE):
        start = StartRecovery(KEY, CODE_2, CONFIG_2, vk, SALT, GUARDIANS)
        assert "" == submit(rollup, CAROL, start)
    state: Any = rollup.ledger.state.app
    (proposal,) = [name for name, value in state.recovery.proposals.items() if value.vk == TWICE]
    assert "" == submit(rollup, CAROL, SupportRecovery(proposal, 0))
    rollup.apply(at(int(rollup.seconds) + DAY))
    action = FinishRecovery(proposal)
    domain = rollup.app.make_domain(rollup.genesis.domain.chain_id, rollup.genesis.domain.verifying_contract)
    line = sign_action(rollup.app, action, 0, PEOPLE.keys[TWICE], domain)
    signed: Any = rollup.ledger.authenticator.authenticate_line(line)
    rollup.l1.force(encode_carried_payload(signed.record), sender=BOB)
    rollup.seconds += 24
    rollup.close_block()
    height = rollup.ledger.checkpoint.height
    block: Any = rollup.ledger.get_block(height)
    (entry,) = [rollup.ledger.read_entry(record, height) for record in block.records]
    state = rollup.ledger.state.app
    with pytest.raises(Revert, match=REASON):
        finish_recovery(state, action, Context(TWICE, timestamp=block.header.timestamp, scheme=entry.scheme))
    assert 1 == rollup.ledger.state.nonces[TWICE]
    assert Account(CODE + CONFIG, ALICE) == get_account(rollup)
    assert proposal in rollup.ledger.state.app.recovery.proposals  # type: ignore[attr-defined]
