"""`testing.execution`: an app's actions through the kernel, in memory."""

from __future__ import annotations

from typing import Any

import pytest

from kernel_fixtures import make_steps
from microrollup import Action, Context, Event, Map, MicroRollup, State, Uint8, Uint64, replace, require
from microrollup.errors import ImpureStf, UsageError, ValueOutOfBounds
from microrollup.testing.execution import Senders, at, carry, execute, force, next_block
from zoo import Edited, Zoo, zoo

ALICE, BOB = Senders(2)


class Bank(State, frozen=True):
    """Balances, and a small number."""

    balances: Map[Uint64, Uint64] = Map()
    small: Uint8 = 0


class Paid(Event, frozen=True):
    """Who had what afterwards."""

    to: Uint64
    balance: Uint64


class Pay(Action, frozen=True):
    """Put something on an account."""

    to: Uint64
    amount: Uint64


class Grow(Action, frozen=True):
    """Add to the small number, without looking at its bounds."""

    by: Uint64


def pay(state: Bank, action: Pay, ctx: Context) -> Bank:
    require(action.amount > 0, "nothing to pay")
    balance = state.balances.get(action.to, 0) + action.amount
    ctx.emit(Paid(action.to, balance))
    return replace(state, balances=state.balances.set(action.to, balance))


def grow(state: Bank, action: Grow, ctx: Context) -> Bank:
    if action.by == 77:
        return Bank(balances=Map(), small=state.small)
    return replace(state, small=state.small + action.by)


bank = MicroRollup(name="bank", version="1", genesis=Bank(), stfs=[pay, grow])


def test_outcomes_and_state() -> None:
    """Each action has its outcome, with events as the app's own instances; rejected ones change nothing."""
    run = execute(bank, [(ALICE, Pay(1, 5)), (BOB, Pay(1, 0)), next_block(), (ALICE, Pay(1, 2))])
    assert ["executed", "rejected", "executed"] == [outcome.status for outcome in run.outcomes]
    assert [(Paid(1, 5),), (), (Paid(1, 7),)] == [outcome.events for outcome in run.outcomes]
    assert ["", "nothing to pay", ""] == [outcome.reason for outcome in run.outcomes]
    assert [(0, 1), (1, 1), (2, 2)] == [(outcome.seq, outcome.height) for outcome in run.outcomes]
    assert {1: 7} == dict(run.state.balances.items())
    assert (2, 1) == (run.height, run.timestamp)


@pytest.mark.parametrize("by", [256, 77, 2**64 - 1])
def test_what_a_plain_call_lets_pass_faults(by: int) -> None:
    """A value beyond its field's bounds and a fresh map fault, as on a node; the state stays."""
    run = execute(bank, [(ALICE, Pay(1, 5)), (ALICE, Grow(by)), (ALICE, Grow(3))])
    assert ["executed", "faulted", "executed"] == [outcome.status for outcome in run.outcomes]
    assert (3, {1: 5}) == (run.state.small, dict(run.state.balances.items()))


def test_carried_actions_are_their_signers() -> None:
    """They come first as forced ones do, take the signer's nonce, and the STF sees who carried them."""
    seen: list[tuple[bytes, str, bool, bytes]] = []

    def look(state: Bank, action: Pay, ctx: Context) -> Bank:
        seen.append((ctx.sender, ctx.origin, ctx.forced, ctx.l1_sender))
        return state

    app = MicroRollup(name="bank", version="1", genesis=Bank(), stfs=[look])
    run = execute(app, [(ALICE, Pay(1, 1)), carry(BOB, ALICE, Pay(1, 2)), force(BOB, Pay(1, 3))])
    assert ["executed"] * 3 == [outcome.status for outcome in run.outcomes]
    assert [(ALICE, "signed", True, BOB), (BOB, "l1", True, BOB), (ALICE, "signed", False, bytes(20))] == seen
    with pytest.raises(UsageError):
        execute(app, [carry(b"", ALICE, Pay(1, 1))])


def test_forced_actions_come_first() -> None:
    """Forced actions open their block, without a nonce and with origin l1."""
    seen: list[tuple[bytes, str]] = []

    def look(state: Bank, action: Pay, ctx: Context) -> Bank:
        seen.append((ctx.sender, ctx.origin))
        return state

    app = MicroRollup(name="look", version="1", genesis=Bank(), stfs=[look])
    execute(app, [(ALICE, Pay(1, 1)), force(BOB, Pay(2, 2)), next_block(), (ALICE, Pay(1, 1))])
    assert [(BOB, "l1"), (ALICE, "signed"), (ALICE, "signed")] == seen


def test_the_clock_goes_forward() -> None:
    """`at` closes the block and sets the next one's time; time never goes back."""
    times: list[tuple[int, int]] = []

    def look(state: Bank, action: Pay, ctx: Context) -> Bank:
        times.append((ctx.height, ctx.timestamp))
        return state

    app = MicroRollup(name="look", version="1", genesis=Bank(), stfs=[look])
    pay_once = (ALICE, Pay(1, 1))
    execute(app, [pay_once, at(500), pay_once, next_block(), pay_once], timestamp=100)
    assert [(1, 100), (2, 500), (3, 501)] == times
    with pytest.raises(UsageError, match="goes back"):
        execute(app, [at(99)], timestamp=100)


def test_going_on_from_a_state() -> None:
    """A state may be given, as made by hand or by an earlier run."""
    first = execute(bank, [(ALICE, Pay(1, 5))])
    second = execute(bank, [(ALICE, Pay(1, 5))], state=first.state)
    assert {1: 10} == dict(second.state.balances.items())
    assert {1: 5} == dict(first.state.balances.items())


def test_mistakes_of_the_test_are_told() -> None:
    """Actions that nobody could sign, of other apps, and steps that are none are errors and not outcomes."""
    for step, error in (
        ((ALICE, Pay(1, 2**64)), ValueOutOfBounds),
        ((ALICE, make_steps()), UsageError),
        ("next block", UsageError),
        ((ALICE, Pay(1, 1), 5), UsageError),
        ((ALICE[:19], Pay(1, 1)), UsageError),
        (("alice", Pay(1, 1)), UsageError),
        (force(b"", Pay(1, 1)), UsageError),
        (at("noon"), UsageError),
        (at(1 << 64), UsageError),
    ):
        with pytest.raises(error):
            execute(bank, [step])  # type: ignore[list-item]
    for arguments in ({"timestamp": -1}, {"timestamp": 1.5}, {"state": Zoo()}):
        with pytest.raises(UsageError):
            execute(bank, [], **arguments)  # type: ignore[arg-type]


def test_impure_functions_are_caught() -> None:
    """An STF that changes its pre-state in place is told, since replicas would differ."""

    def write(state: Zoo, action: Any, ctx: Context) -> Zoo:
        object.__setattr__(state, "visitors", 5)
        return state

    write.__annotations__ = {"state": Zoo, "action": type(make_steps()), "ctx": Context, "return": Zoo}
    app = MicroRollup(name="impure", version="1", genesis=Zoo(), stfs=[write])
    with pytest.raises((ImpureStf, AssertionError)):
        outcome = execute(app, [(ALICE, make_steps(("count", 0, 1)))]).outcomes[0]
        assert outcome.status != "faulted"


def test_the_kernel_s_own_app() -> None:
    """Every kind of field and change of the zoo executes here as on a ledger."""
    steps = make_steps(("set_animal", 1, 7), ("set_note", 2, 3), ("set_guard", 4, 5), ("count", 0, 9))
    run = execute(zoo, [(ALICE, steps)])
    assert (("executed", (Edited(4),)), 9) == (
        (run.outcomes[0].status, run.outcomes[0].events),
        run.state.visitors,
    )


def test_senders() -> None:
    """Senders are different, 20 bytes, and the same each time."""
    senders = Senders(50)
    assert (50, {20}) == (len(set(senders)), {len(sender) for sender in senders})
    assert senders[3] == Senders(4)[3]
