"""A rollup with queries that do what they should not."""

from __future__ import annotations

from microrollup import Action, Context, Map, MethodSet, MicroRollup, State, Uint64, replace


class Tally(State, frozen=True):
    """How often each number came."""

    counts: Map[Uint64, Uint64] = Map()
    total: Uint64 = 0
    zero: Uint64 = 0


class Count(Action, frozen=True):
    """Once more."""

    number: Uint64


def count(state: Tally, action: Count, ctx: Context) -> Tally:
    """Count it."""
    counts = state.counts.set(action.number, state.counts.get(action.number, 0) + 1)
    return replace(state, counts=counts, total=state.total + 1)


app = MicroRollup(
    name="hostile",
    version="1",
    genesis=Tally(),
    stfs=[count],
    libraries=["os", "time"],
    reads="hostile_reads",
    methods="hostile_methods",
    method_sets={
        "legacy": MethodSet("legacy_methods", namespace="old"),
        "clash": MethodSet("clashing_methods", namespace="hostile"),
    },
)
