"""Alarms: an app whose block hook rings what is due, a few at a time, and misbehaves on request."""

from __future__ import annotations

from typing import Final

from microrollup import (
    Action,
    Address,
    Context,
    Event,
    Map,
    MicroRollup,
    State,
    Uint8,
    Uint64,
    replace,
    require,
)

RUNG_AT_ONCE: Final = 3

CALM: Final = 0
REJECTS: Final = 1
FAULTS: Final = 2
LOOPS: Final = 3


class Clock(State, frozen=True):
    """What the rollup stores."""

    due: Map[tuple[Uint64, Uint64], Address] = Map()
    """(time, number) -> who asked."""
    set_so_far: Uint64 = 0
    rung: Uint64 = 0
    runs: Uint64 = 0
    mood: Uint8 = CALM


class Wake(Action, frozen=True):
    """Ring at a time, in seconds."""

    time: Uint64


class Upset(Action, frozen=True):
    """From the next block on the hook behaves so."""

    mood: Uint8


class Rang(Event, frozen=True):
    """An alarm was due."""

    number: Uint64
    owner: Address


def wake(state: Clock, action: Wake, ctx: Context) -> Clock:
    """Whoever signs or forces it is woken."""
    number = state.set_so_far + 1
    return replace(state, set_so_far=number, due=state.due.set((action.time, number), ctx.sender))


def upset(state: Clock, action: Upset, ctx: Context) -> Clock:
    """A mood that the hook knows."""
    require(action.mood <= LOOPS, "no such mood")
    return replace(state, mood=action.mood)


def ring(state: Clock, ctx: Context) -> Clock:
    """Ring what is due, the oldest first."""
    assert ctx.origin == "block"
    assert ctx.sender == bytes(20)
    require(state.mood != REJECTS, "not today")
    assert state.mood != FAULTS
    while state.mood == LOOPS:
        require(state.mood > 0, "never")
    due, rung = state.due, state.rung
    for key, owner in state.due.items(stop=(ctx.timestamp + 1,)):
        if rung == state.rung + RUNG_AT_ONCE:
            break
        due, rung = due.delete(key), rung + 1
        ctx.emit(Rang(key[1], owner))
    return replace(state, due=due, rung=rung, runs=state.runs + 1)


app = MicroRollup(name="alarms", version="1", genesis=Clock(), stfs=[wake, upset], on_block=ring)
