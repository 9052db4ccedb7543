"""The act of the theft: a stolen key, a rule that holds it up, guardians who undo it, one of them by mail."""

from __future__ import annotations

from microrollup.client import read_events
from microrollup.crypto.ecdsa import compute_address

from ...smart_account import compute_data, make_update, open_present
from ...story.holder import Identity
from ...vault_calls import ETHER
from ..guardians import ACCOUNT
from ..mailing import make_envelope, sign_mail, write_subject
from ..recovery import FinishRecovery, RecoveryStarted, StartRecovery, SupportRecovery
from ..spending import NO_LIMIT, SetSpendingRule
from ..vault import Transfer
from .away import SIGNATURE_ERROR, bring_root, handle, sign_as_delegate, try_on_l2
from .cast import MAIL_ADDRESS, MAIL_SALT
from .hub import DAY, HOUR
from .money import DAILY_LIMIT
from .stage import Stage

__all__ = ["be_robbed", "recover"]


def be_robbed(stage: Stage) -> None:
    """The thief has Alice's wallet key: the account is the thief's within a second, the money is not."""
    cast, hub, alice, thief = stage.cast, stage.hub, stage.cast.alice, stage.cast.thief
    stage.telling.begin(
        "Theft", "Eight days later a thief has Alice's key, takes her account, and reaches for the money."
    )
    hub.pass_time(8 * DAY)
    take = make_update(alice.key, thief.device.configuration, thief.identity.vk)
    hub.act("the thief takes the account", take, alice.wallet)
    hub.refuse(
        "Alice's own key is worth nothing now", "not_admitted: sender is not the account's vk",
        Transfer(alice.key, cast.bob.key, ETHER, 1), alice.wallet,
    )  # fmt: skip
    hub.act("the thief takes what the rule allows", Transfer(alice.key, thief.key, ETHER, DAILY_LIMIT), thief.wallet)
    hub.refuse(
        "the thief takes more", "rejected: more than the spending rule allows",
        Transfer(alice.key, thief.key, ETHER, DAILY_LIMIT), thief.wallet,
    )  # fmt: skip
    loosen = SetSpendingRule(alice.key, ETHER, NO_LIMIT, DAY, bytes(32))
    hub.act("the thief lifts the rule, from the day after tomorrow on", loosen, thief.wallet)


def recover(stage: Stage) -> None:
    """Bob proposes Alice's new keys and supports them, Ann supports them by a mail: the account is locked everywhere,
    and a day later it is Alice's again.
    """
    cast, hub, tell, alice = stage.cast, stage.hub, stage.telling, stage.cast.alice
    tell.begin("Recovery", "Bob and Ann, who has only a mail address, give the account back. It is locked meanwhile.")
    lost = hub.get_balance(alice.key)
    data = compute_data(cast.new_phone.configuration)
    vk = compute_address(cast.new_wallet)
    start = StartRecovery(alice.key, data[:32], data[32:], vk, MAIL_SALT, cast.guardians)
    ack = hub.act("Bob proposes new keys", start, cast.bob.wallet)
    proposal = read_events(ack, RecoveryStarted)[0].proposal
    hub.act("Bob supports them", SupportRecovery(proposal, cast.find_place(ACCOUNT)), cast.bob.wallet)
    raw = make_envelope(
        sign_mail(cast.provider, MAIL_ADDRESS, write_subject(proposal)), cast.provider.public, MAIL_SALT
    )
    with tell.timed("Ann supports them by a mail", "authentication") as figures:
        figures.bytes = len(raw)
        ack = hub.client.submit_envelope("dkim", raw)
    tell.expect("Ann supports them by a mail", "", "executed", ack.status)
    hub.refuse(
        "the thief, on the keystore", "not_admitted: account is locked",
        Transfer(alice.key, cast.thief.key, ETHER, 1), cast.thief.wallet,
    )  # fmt: skip
    hub.settle("settle the lock", ack)
    bring_root(stage, "the lock")
    second = cast.helpers[1]
    locked = sign_as_delegate(stage, second, second)
    try_on_l2(stage, f"{second.name} on the L2, while it is locked", SIGNATURE_ERROR, locked)
    hub.pass_time(DAY + HOUR)
    hub.act("Alice's new key takes the account", FinishRecovery(proposal), cast.new_wallet)
    tell.expect("her money is as the thief had to leave it", "", str(lost), str(hub.get_balance(alice.key)))
    pay = Transfer(alice.key, cast.bob.key, ETHER, 1)
    hub.settle("settle the recovery", hub.act("Alice pays Bob, by her new key", pay, cast.new_wallet))
    bring_root(stage, "the recovery")
    identity = Identity("Alice", alice.key, vk, bytes(32))
    shown = hub.prove("keystore.accounts", alice.key)
    opening = open_present(alice.key, cast.new_phone.configuration, vk, shown.proof)
    handle(stage, "Alice's new phone acts on the L2", stage.layer.make_operation(identity, cast.new_phone, opening, 12))
