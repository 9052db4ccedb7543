"""Functions of parts of a state: the kernel takes the part out, and puts it back; in memory, over a store, forced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel_fixtures import Chain
from microrollup import Action, Context, Map, MicroRollup, State, Uint8, replace
from microrollup.chain.receipt import EXECUTED, FAULTED
from microrollup.errors import ImpureStf
from microrollup.execution.block_context import BlockContext
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, Entry, apply_actions
from microrollup.testing.execution import Senders, execute, force, next_block
from nested import Buy, Clock, Game, Grid, Mark, Mint, Tick, app, make_genesis
from nested_wallets import Sent, Transfer, Wallets

ALICE, BOB = Senders(2)
RICH = (1).to_bytes(20, "big")


def play(*, forced: bool) -> tuple[list[tuple[str, str]], Game]:
    """Actions of every part and of the whole, signed or forced, in two blocks."""
    acts: list[tuple[bytes, Action]] = [
        (RICH, Transfer(ALICE, 40)),
        (ALICE, Transfer(BOB, 41)),
        (BOB, Mint(7)),
        (ALICE, Tick(101)),
        (ALICE, Tick(13)),
        (ALICE, Mark(4, 2)),
        (ALICE, Buy(4)),
        (BOB, Buy(5)),
        (ALICE, Mark(5, 0)),
        (ALICE, Transfer(BOB, 2**64 - 1)),
    ]
    steps = [force(*act) if forced else act for act in acts]
    run = execute(app, [*steps[:5], next_block(), *steps[5:]])
    assert isinstance(run.state, Game)
    return [(outcome.status, outcome.reason) for outcome in run.outcomes], run.state


def test_the_kernel_lifts() -> None:
    """Each function sees its part only, and the state after it has that part in its place."""
    outcomes, state = play(forced=False)
    assert ["executed", "rejected", "executed", "executed", "rejected"] == [status for status, _ in outcomes[:5]]
    assert ["executed", "executed", "executed", "executed", "rejected"] == [status for status, _ in outcomes[5:]]
    assert ("rejected", "never thirteen") == outcomes[4]
    expected = {RICH: 60, (2).to_bytes(20, "big"): 100, (3).to_bytes(20, "big"): 100, ALICE: 35, BOB: 2}
    assert expected == dict(state.wallets.balances.items())
    assert (297, 2, 103, 2) == (state.wallets.supply, state.players, state.grid.clock.ticks, state.grid.clock.round)
    assert [4] == list(state.grid.cells)
    assert {RICH: 1} == dict(state.wallets.sent.items())


def test_metered_functions_agree() -> None:
    """Forced actions, whose steps are counted, have the same outcomes and leave the same state."""
    assert play(forced=False) == play(forced=True)


class Outer(State, frozen=True):
    inner: Inner
    value: Uint8 = 0
    entries: Map[Uint8, Uint8] = Map()


class Inner(State, frozen=True):
    value: Uint8 = 0
    entries: Map[Uint8, Uint8] = Map({1: 1})


class Do(Action, frozen=True):
    how: Uint8


class DoWhole(Action, frozen=True):
    how: Uint8


class Seen:
    """What an impure function keeps between calls."""

    calls = 0


def do(state: Inner, action: Do, ctx: Context) -> Inner:
    results: list[Any] = [
        state,
        replace(state, value=5),
        Outer(inner=state),
        replace(state, value=256),
        replace(state, entries=Map({1: 2})),
        None,
    ]
    if action.how == 9:
        Seen.calls += 1
        return replace(state, value=Seen.calls)
    return results[action.how]  # type: ignore[no-any-return]


def do_whole(state: Outer, action: DoWhole, ctx: Context) -> Outer:
    results: list[Any] = [
        replace(state, inner=replace(state.inner, value=6)),
        replace(state, inner=state),
        replace(state, inner=None),
        replace(state, entries=state.inner.entries),
        replace(state, inner=Inner(value=state.inner.value, entries=state.inner.entries)),
    ]
    return results[action.how]  # type: ignore[no-any-return]


outer = MicroRollup(name="outer", version="1", genesis=Outer(inner=Inner()), stfs=[do, do_whole])


def apply(action: Action, state: Outer, *, twice: bool = False) -> tuple[Outer, int, list[tuple[int, bytes]]]:
    """The state after one action, its status, and the changed keys: (field position, encoded key)."""
    journal = Journal(len(outer.state_fields))
    context = BlockContext(1, 0, 0, journal, twice=twice)
    entry = Entry(b"", ALICE, 0, bytes(32), action)
    after, (receipt,) = apply_actions(outer, ChainState(state, Map(), 0), [entry], context)
    changed = [(position, key) for position, touched in enumerate(journal.fields) for key in touched]
    assert isinstance(after.app, Outer)
    return after.app, receipt.status, changed


def test_what_is_outside_stays() -> None:
    """What is outside of the function's part is the same objects; without a change, so is the state."""
    state = outer.genesis
    assert isinstance(state, Outer)
    after, status, changed = apply(Do(1), state)
    assert (EXECUTED, [(0, b"")], 5, 0) == (status, changed, after.inner.value, after.value)
    assert state.entries is after.entries
    assert state.inner.entries is after.inner.entries
    after, status, changed = apply(Do(0), state)
    assert (EXECUTED, []) == (status, changed)
    assert state is after


@pytest.mark.parametrize("action", [*[Do(how) for how in (2, 3, 4, 5)], *[DoWhole(how) for how in (1, 2, 3)]], ids=repr)
def test_wrong_results_fault(action: Action) -> None:
    """Another class where a part belongs, a value out of bounds and another field's map: faulted, the state stays."""
    state = outer.genesis
    assert isinstance(state, Outer)
    after, status, changed = apply(action, state)
    assert (FAULTED, []) == (status, changed)
    assert state is after


@pytest.mark.parametrize(("how", "changed"), [(0, [(0, b"")]), (4, [])])
def test_the_whole_changes_parts(how: int, changed: list[tuple[int, bytes]]) -> None:
    """A function of the whole state may change its parts; a part with the same fields is no change."""
    state = outer.genesis
    assert isinstance(state, Outer)
    assert (EXECUTED, changed) == apply(DoWhole(how), state)[1:]


def test_an_impure_function_of_a_part_is_caught() -> None:
    """Executed twice, a function of a part that remembers its calls gives two outcomes; a pure one passes."""
    state = outer.genesis
    assert isinstance(state, Outer)
    assert EXECUTED == apply(Do(1), state, twice=True)[1]
    with pytest.raises(ImpureStf, match="STF of Do gives another outcome"):
        apply(Do(9), state, twice=True)


def test_over_a_store(tmp_path: Path) -> None:
    """A genesis of 1,000 entries in a part, restarts, forced actions of parts, and a verifier that agrees."""
    rollup = MicroRollup(name="nested", version="1", genesis=make_genesis(1_000), stfs=list(app.stf_by_action.values()))
    chain = Chain(tmp_path, rollup)
    verifier = chain.make_verifier(rollup=rollup)
    try:
        sender = chain.signer.sign(Mint(20)).sender
        chain.submit(chain.signer.sign(Mint(20), nonce=0), chain.signer.sign(Mark(3, 7), nonce=1))
        chain.force(Tick(101))
        chain.close_block()
        chain.reopen()
        chain.force(Mark(3, 0))
        chain.submit(chain.signer.sign(Buy(9), nonce=2), chain.signer.sign(Transfer(RICH, 4), nonce=3))
        chain.reopen()
        chain.close_block()
        state = chain.ledger.state.app
        assert isinstance(state, Game)
        assert (11, 104) == (state.wallets.balances[sender], state.wallets.balances[RICH])
        assert (1_001, 100_015) == (len(state.wallets.balances), state.wallets.supply)
        assert (102, 2) == (state.grid.clock.ticks, state.grid.clock.round)
        assert [9] == list(state.grid.cells)
        chain.verify(verifier)
        assert verifier.header == chain.ledger.header
        assert (Grid, Clock, Wallets) == (type(state.grid), type(state.grid.clock), type(state.wallets))
    finally:
        verifier.abandon()


def test_events_of_a_part() -> None:
    """A function of a part emits events as any other."""
    run = execute(app, [(RICH, Transfer(ALICE, 40))])
    assert (Sent(40),) == run.outcomes[0].events
