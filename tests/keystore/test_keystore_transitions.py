"""Register and Update as plain functions: what each requires, in its order, and what it changes."""

from __future__ import annotations

import pytest

from apps.keystore.accounts import Account, Keystore, compute_account_key
from apps.keystore.transitions import Register, Registered, Update, Updated, register, update
from microrollup import Context, Revert

ALICE, BOB = b"\x0a" * 20, b"\x0b" * 20
CODE, CONFIG, SALT = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
KEY = compute_account_key(SALT, CODE + CONFIG, ALICE)


def registered() -> Keystore:
    return register(Keystore(), Register(CODE, CONFIG, SALT), Context(ALICE))


def test_register() -> None:
    """The account of a new key has the given data and the sender as its vk; the key is in the event."""
    before, ctx = Keystore(), Context(ALICE)
    after = register(before, Register(CODE, CONFIG, SALT), ctx)
    assert [(KEY, Account(CODE + CONFIG, ALICE))] == list(after.accounts.items())
    assert [Registered(KEY)] == ctx.events
    assert 0 == len(before.accounts)


def test_register_twice() -> None:
    """The same parameters by the same sender are one account; other salt, data or sender another one."""
    state = registered()
    with pytest.raises(Revert, match="account exists"):
        register(state, Register(CODE, CONFIG, SALT), Context(ALICE))
    for action, sender in (
        (Register(CODE, CONFIG, CODE), ALICE),
        (Register(CONFIG, CODE, SALT), ALICE),
        (Register(CODE, CONFIG, SALT), BOB),
    ):
        assert 2 == len(register(state, action, Context(sender)).accounts)


def test_registering_again_after_an_update() -> None:
    """A key stays taken when its account has moved on to other data and another vk."""
    state = update(registered(), Update(KEY, CONFIG, CODE, BOB), Context(ALICE))
    with pytest.raises(Revert, match="account exists"):
        register(state, Register(CODE, CONFIG, SALT), Context(ALICE))


def test_update() -> None:
    """The present vk replaces data and vk; from then on only the new vk may."""
    ctx = Context(ALICE)
    state = update(registered(), Update(KEY, CONFIG, CODE, BOB), ctx)
    assert Account(CONFIG + CODE, BOB) == state.accounts[KEY]
    assert [Updated(KEY)] == ctx.events
    with pytest.raises(Revert, match="not the account's vk"):
        update(state, Update(KEY, CODE, CODE, ALICE), Context(ALICE))
    assert Account(CODE + CODE, ALICE) == update(state, Update(KEY, CODE, CODE, ALICE), Context(BOB)).accounts[KEY]


@pytest.mark.parametrize(
    ("action", "sender", "reason"),
    [
        (Update(SALT, CODE, CODE, ALICE), ALICE, "no such account"),
        (Update(KEY, CODE, CODE, BOB), BOB, "sender is not the account's vk"),
        (Update(KEY, CODE, CODE, b""), BOB, "sender is not the account's vk"),
        (Update(KEY, CODE, CODE, b""), ALICE, "vk of no known kind"),
        (Update(KEY, CODE, CODE, bytes(20)), ALICE, "vk of no known kind"),
        (Update(KEY, CODE, CODE, ALICE + b"\x00"), ALICE, "vk of no known kind"),
    ],
)
def test_update_rejected(action: Update, sender: bytes, reason: str) -> None:
    """An unknown key, a sender who is not the vk, and a vk that no rule could ever satisfy are rejected."""
    ctx = Context(sender)
    with pytest.raises(Revert, match=reason):
        update(registered(), action, ctx)
    assert [] == ctx.events


def test_vk_decides_and_not_the_sender_at_first() -> None:
    """Whether a change comes from a wallet or from a contract through L1 makes no difference."""
    state = update(registered(), Update(KEY, CONFIG, CODE, BOB), Context(ALICE, origin="l1"))
    assert BOB == state.accounts[KEY].vk
