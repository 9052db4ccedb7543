"""The alarms with another rule: alarms before a time are refused, the hook rings more at once, `Upset` is gone."""

from __future__ import annotations

from alarms import Clock, Rang, Wake
from alarms import wake as wake_at_any_time
from microrollup import Context, MicroRollup, replace, require

EARLIEST = 10


def wake(state: Clock, action: Wake, ctx: Context) -> Clock:
    """As before, from a time on."""
    require(action.time >= EARLIEST, "too early")
    return wake_at_any_time(state, action, ctx)


def ring(state: Clock, ctx: Context) -> Clock:
    """Ring all that is due."""
    due, rung = state.due, state.rung
    for key, owner in state.due.items(stop=(ctx.timestamp + 1,)):
        due, rung = due.delete(key), rung + 1
        ctx.emit(Rang(key[1], owner))
    return replace(state, due=due, rung=rung, runs=state.runs + 1)


app = MicroRollup(name="alarms", version="1", genesis=Clock(), stfs=[wake], on_block=ring)
