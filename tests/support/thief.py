"""What a thief of an account's key can do, played hour by hour against guardians; the table in the documents."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from apps.keystore.plus.authority import compute_owner_hash
from apps.keystore.plus.exits import SetExit
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.pending import settle_policy
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian
from apps.keystore.plus.recovery import CancelRecovery, FinishRecovery, StartRecovery, SupportRecovery
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.state import Plus
from apps.keystore.plus.updates import AcceptUpdate, SetCareful
from apps.keystore.plus.vault import Deposit, Withdraw
from apps.keystore.transitions import Update
from microrollup.testing.execution import at, execute, force
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CODE,
    CODE_2,
    CONFIG,
    CONFIG_2,
    DAY,
    ETHER,
    FRANK,
    PLUS,
    SALT,
    START,
    THIEF,
    VAULT,
    A,
    D,
    E,
    make_state,
)

HOUR: Final = 3_600
THEFT: Final = (START // DAY + 10) * DAY - HOUR
"""An hour before a day of the grid ends: the worst moment for a rule."""
MONEY, LIMIT, DELAY = 1_000, 50, 5 * DAY
NOTICED: Final = 24
"""Hours from the theft to the guardians' threshold."""
LAST: Final = 30 * 24
GUARDIANS: Final = [
    *sorted([Guardian(0, bytes(12) + who) for who in (BOB, CAROL)], key=lambda each: each.id),
    Guardian(1, E),
]
OWN: Final = [Guardian(0, bytes(12) + THIEF)]
OWNER: Final = 255


def set_guardians(guardians: list[Guardian], threshold: int, mode: int) -> SetRecovery:
    hashed = compute_guardians_hash(SALT, guardians)
    return SetRecovery(A, hashed, len(guardians), threshold, DELAY, mode)


class Theft:
    """An account with money, guardians in a mode, and perhaps a rule; its key is stolen at hour 0."""

    def __init__(self, mode: int, before: tuple[Any, ...] = (), noticed: int = NOTICED) -> None:
        self.mode = mode
        self.noticed = noticed
        self.hour = 0
        self.locked: int | None = None
        """Hour from which the account was locked."""
        self.recovered: int | None = None
        self.vetoes = 0
        self.proposals = 0
        """How many reached their threshold."""
        steps = [at(START), force(VAULT, Deposit(1, ETHER, A, MONEY)), at(START + 1)]
        policy = (ALICE, set_guardians(GUARDIANS, 2, mode))
        outcome = execute(
            PLUS, [*steps, policy, *[(ALICE, action) for action in before], at(THEFT)], state=make_state()
        )
        assert {"executed"} == {each.status for each in outcome.outcomes}
        self.state: Plus = outcome.state

    @property
    def now(self) -> int:
        return THEFT + self.hour * HOUR

    @property
    def vk(self) -> bytes:
        """Who has the account."""
        return self.state.keystore.accounts[A].vk

    def do(self, sender: bytes, action: Any) -> bool:
        """Whether an action is executed, at this hour."""
        outcome = execute(PLUS, [at(self.now), (sender, action)], state=self.state)
        self.state = outcome.state
        assert outcome.outcomes[0].status in ("executed", "rejected")
        return outcome.outcomes[0].status == "executed"

    def play(self, thief: Callable[[Theft], None]) -> Theft:
        """Each hour of the first days, then each twelfth: the thief, who vetoes too; the guardians; the thief again."""
        for self.hour in (*range(60), *range(60, LAST + 1, 12)):
            thief(self)
            self._veto()
            if self.hour >= self.noticed:
                self._recover()
                self._veto()
            if self.locked is None and A in self.state.recovery.locks:
                self.locked = self.hour
        return self

    def _veto(self) -> None:
        for proposal in list(self.state.recovery.proposals.keys()):
            for holder in (ALICE, THIEF):
                self.do(holder, CancelRecovery(proposal, OWNER))
            self.vetoes += proposal not in self.state.recovery.proposals

    def _recover(self) -> None:
        if self.recovered is not None:
            return
        if self.do(BOB, StartRecovery(A, CODE_2, CONFIG_2, FRANK, SALT, GUARDIANS)):
            (proposal,) = self.state.recovery.proposals.keys()
            for who in (BOB, CAROL):
                self.do(who, SupportRecovery(proposal, GUARDIANS.index(Guardian(0, bytes(12) + who))))
            self.proposals += self.state.recovery.standings[A].running == proposal
        for proposal in list(self.state.recovery.proposals.keys()):
            if self.do(FRANK, FinishRecovery(proposal)):
                self.recovered = self.hour


class Loot(Struct, frozen=True):
    """What a play brought: (hour, amount) of each withdrawal."""

    taken: list[tuple[int, int]]
    theft: Theft

    @property
    def total(self) -> int:
        return sum(amount for _, amount in self.taken)


def play_money(mode: int, controller: bytes | None, noticed: int = NOTICED) -> Loot:
    """Everything at once, or what the rule lets go; the rule is loosened as soon as it can be.

    `controller` is the rule's; zero bytes: none; None: there is no rule.
    """
    rules = () if controller is None else (SetSpendingRule(A, ETHER, LIMIT, DAY, controller),)
    taken: list[tuple[int, int]] = []

    def take(theft: Theft) -> None:
        if theft.hour == 0:
            theft.do(ALICE, SetSpendingRule(A, ETHER, 2**255, DAY, bytes(32)))
        amounts = (theft.state.vault.balances[A], LIMIT)
        taken.extend(
            [(theft.hour, each) for each in amounts if each and theft.do(ALICE, Withdraw(A, ETHER, each, THIEF))]
        )

    return Loot(taken, Theft(mode, rules, noticed).play(take))


def play_takeover(mode: int, careful: bool) -> Theft:
    """Another vk, at once."""

    def take(theft: Theft) -> None:
        if theft.hour == 0:
            theft.do(ALICE, Update(A, CODE, CONFIG, THIEF))
            theft.do(THIEF, AcceptUpdate(A))
            assert theft.vk == THIEF

    return Theft(mode, (SetCareful(A, True),) if careful else ()).play(take)


def play_guardians(mode: int, noticed: int) -> int | None:
    """Guardians of the thief's own are announced whenever none are: the hour at which they were in force."""
    hours: list[int] = []

    def take(theft: Theft) -> None:
        recovery = settle_policy(theft.state.recovery, A, theft.now)
        if recovery.policies[A].guardians_hash == compute_guardians_hash(SALT, OWN):
            hours.append(theft.hour)
        elif A not in recovery.pending_policies:
            theft.do(ALICE, set_guardians(OWN, 1, mode))

    Theft(mode, noticed=noticed).play(take)
    return hours[0] if hours else None


def play_outbox(mode: int) -> dict[str, int]:
    """The last hour at which an intent, a delegate and an exit of the thief's hold."""
    last: dict[str, int] = {}

    def take(theft: Theft) -> None:
        if theft.hour == 0:
            theft.do(ALICE, Intend(A, 0, 10, THIEF, CODE, theft.now + DAY))
            theft.do(ALICE, SetDelegate(A, 0, CODE, CONFIG, theft.now + 365 * DAY))
            theft.do(ALICE, SetExit(A, THIEF))
        owner = compute_owner_hash(theft.state.keystore.accounts[A])
        intent, delegate = theft.state.outbox.intents[A, 0], theft.state.outbox.delegates[A, 0]
        for name, holds in (
            ("intent", intent.owner_hash == owner and theft.now <= intent.valid_until),
            ("delegate", delegate.owner_hash == owner and theft.now <= delegate.valid_until),
            ("exit", A in theft.state.exits.exits),
        ):
            last[name] = theft.hour if holds else last[name]

    Theft(mode).play(take)
    return last


def _tell_money(loot: Loot) -> str:
    soon = sum(amount for hour, amount in loot.taken if hour <= 1)
    parts = [f"{soon:,} within the hour"]
    later = [(hour, amount) for hour, amount in loot.taken if hour > 1]
    great = [hour for hour, amount in later if amount > LIMIT]
    if great:
        parts.append(f"the rest after {great[0]} hours")
    elif later:
        parts.append(f"{LIMIT} a day, until nothing is left" if loot.total == MONEY else f"{loot.total - soon:,} more")
    elif loot.total < MONEY:
        parts.append(f"no more: locked after {loot.theft.locked} hours")
    return ", ".join(parts)


def _tell_takeover(theft: Theft) -> str:
    if theft.recovered is None:
        return "at once, for good"
    return f"at once; locked after {theft.locked} hours, another's after {theft.recovered}"


def _tell_guardians(hour: int | None) -> str:
    return "never: they fall with each proposal that reaches its threshold" if hour is None else f"after {hour} hours"


def _tell_end(hour: int) -> str:
    return "for good" if hour == LAST else f"for {hour} hours"


def render_thief() -> str:
    """The table of the documents."""
    rows: list[tuple[str, Callable[[int], str]]] = [
        ("takes the money, where there is no rule", lambda mode: _tell_money(play_money(mode, None))),
        ("… under a rule that has no controller", lambda mode: _tell_money(play_money(mode, bytes(32)))),
        ("… if the guardians agree after 72 hours only", lambda mode: _tell_money(play_money(mode, bytes(32), 72))),
        ("… under a rule with a controller", lambda mode: _tell_money(play_money(mode, D))),
        ("takes the account over by `Update`", lambda mode: _tell_takeover(play_takeover(mode, careful=False))),
        ("… if the account is careful", lambda mode: _tell_takeover(play_takeover(mode, careful=True))),
        ("stops the recovery", lambda mode: _tell_vetoes(play_takeover(mode, careful=False))),
        ("has guardians of his own in force", lambda mode: _tell_guardians(play_guardians(mode, NOTICED))),
        ("… if the guardians agree after 121 hours only", lambda mode: _tell_guardians(play_guardians(mode, 121))),
        ("acts by an intent", lambda mode: _tell_end(play_outbox(mode)["intent"])),
        ("acts by a delegate on other chains", lambda mode: _tell_end(play_outbox(mode)["delegate"])),
        ("has an exit for an escape", lambda mode: _tell_end(play_outbox(mode)["exit"])),
    ]
    lines = ["| the thief | mode 0: veto | mode 1: lock |", "|---|---|---|"]
    return "\n".join([*lines, *[f"| {what} | {tell(0)} | {tell(1)} |" for what, tell in rows]])


def _tell_vetoes(theft: Theft) -> str:
    if theft.vetoes == theft.proposals:
        return f"each of {theft.proposals} proposals"
    return f"{theft.vetoes or 'none'} of {theft.proposals}"


if __name__ == "__main__":
    sys.stdout.write(render_thief() + "\n")
