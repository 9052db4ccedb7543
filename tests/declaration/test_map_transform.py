"""`Map.transform`: the same keys, values made when they are read, and nothing kept by a walk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_fixtures import Chain
from microrollup import Action, Context, Map, MicroRollup, State, Uint8, Uint64, replace
from microrollup.declaration.map import ABSENT, NotDescended, collect_changes, get_loaded
from microrollup.testing.execution import Senders, execute, force

(ALICE,) = Senders(1)


def weigh(key: int, value: int) -> str:
    """A value of another type, which depends on the key."""
    return f"{key}:{value}"


@given(
    rows=st.dictionaries(st.integers(0, 9), st.integers(0, 9)),
    edits=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["set", "delete"]))),
    start=st.none() | st.integers(0, 9),
    reverse=st.booleans(),
)
def test_against_a_dict(rows: dict[int, int], edits: list[tuple[int, str]], start: int | None, reverse: bool) -> None:
    """Reads, ranges, sizes and edits of a transformed map are those of a dict of the new values."""
    entries = Map(rows)
    made, model = entries.transform(weigh), {key: weigh(key, value) for key, value in rows.items()}
    for key, kind in edits:
        assert model.get(key) == made.get(key)
        if kind == "set":
            made, model = made.set(key, "new"), {**model, key: "new"}
        else:
            made = made.delete(key)
            model.pop(key, None)
    expected = sorted((item for item in model.items() if start is None or item[0] >= start), reverse=reverse)
    assert expected == list(made.items(start=start, reverse=reverse))
    assert len(model) == len(made)
    assert rows == dict(entries.items())


def test_what_it_was_made_of_stays() -> None:
    """The map shows its origin as it was at the call, also while newer versions of the origin are made."""
    first = Map({1: 1, 2: 2})
    made = first.transform(weigh)
    second = first.set(1, 5).delete(2).set(3, 3)
    walk = made.items()
    assert (1, "1:1") == next(walk)
    assert {1: 5, 3: 3} == dict(second.items())
    assert [(2, "2:2")] == list(walk)
    assert (None, "1:1", 2) == (made.get(3), made[1], len(made))


def test_lazy_and_bounded() -> None:
    """Nothing is computed before it is read, and a walk over all entries keeps none of them in memory."""
    calls: list[int] = []

    def count(key: int, value: int) -> int:
        calls.append(key)
        return value + 1

    made = Map({key: key for key in range(10_000)}).transform(count)
    assert (10_000, []) == (len(made), calls)
    assert (7, [6]) == (made[6], calls)
    assert 10_000 == sum(1 for _ in made.items())
    assert [(6, 7)] == get_loaded(made)
    assert (0, 1) == made.first()


def test_ordered_by_its_own_keys() -> None:
    """Composite keys keep their order, and prefixes work."""
    made = Map({("b", 1): 1, ("a", 2): 2, ("a", 1): 3}).transform(lambda key, value: (value, key[1]))
    assert [(("a", 1), (3, 1)), (("a", 2), (2, 2))] == list(made.items(prefix=("a",)))
    assert (("b", 1), (1, 1)) == made.last()


def test_twice() -> None:
    """A transformed map may be transformed again."""
    made = Map({1: 1}).transform(weigh).transform(lambda key, value: len(value) + key)
    assert {1: 4} == dict(made.items())


def test_not_descended() -> None:
    """It is not a version of its origin: only a migration may put it in the field's place."""
    first = Map({1: 1})
    with pytest.raises(NotDescended):
        collect_changes(first, first.transform(lambda _, value: value))
    made = first.transform(weigh)
    assert [(1, "1:1", "x"), (2, ABSENT, "y")] == collect_changes(made, made.set(1, "x").set(2, "y"))


class Sums(State, frozen=True):
    values: Map[Uint8, Uint64] = Map({1: 10, 2: 20})
    total: Uint64 = 0


class Add(Action, frozen=True):
    by: Uint64


class Keep(Action, frozen=True):
    pass


def add(state: Sums, action: Add, ctx: Context) -> Sums:
    raised = state.values.transform(lambda key, value: value + key * action.by)
    return replace(state, total=sum(raised.values()) + raised.set(1, 0)[1] + raised.get(3, 100))


def keep(state: Sums, action: Keep, ctx: Context) -> Sums:
    return replace(state, values=state.values.transform(lambda _, value: value))


app = MicroRollup(name="sums", version="1", genesis=Sums(), stfs=[add, keep])


@pytest.mark.parametrize("forced", [False, True])
def test_in_functions(*, forced: bool) -> None:
    """An STF may compute with a transformed map, in both forms; one that returns it has faulted."""
    acts: list[tuple[bytes, Action]] = [(ALICE, Add(1_000)), (ALICE, Keep())]
    run = execute(app, [force(*act) if forced else act for act in acts])
    assert ["executed", "faulted"] == [outcome.status for outcome in run.outcomes]
    assert isinstance(run.state, Sums)
    assert 3_130 == run.state.total


def test_over_a_store(tmp_path: Path) -> None:
    """Keys of another class are refused as by the origin; entries come from the store and from the open block."""
    chain = Chain(tmp_path)
    try:
        chain.edit(("set_ticket", 5, 50), ("set_ticket", 6, 60))
        chain.close_block()
        chain.edit(("set_ticket", 7, 70), ("delete_ticket", 5, 0))
        made = chain.ledger.state.app.tickets.transform(weigh)
        assert {1: "1:10", 3: "3:30", 6: "6:60", 7: "7:70"} == dict(made.items())
        assert [7] == list(made.keys(start=7))
        assert made.get(5) is None
        with pytest.raises(TypeError, match="exactly int, not bool"):
            made.get(True)
    finally:
        chain.close()
