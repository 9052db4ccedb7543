"""What a query's annotations say, what cannot be served, and that queries are no part of the stfId."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import zoo as zoo_module
from microrollup import MicroRollup, Uint8, Uint64, View
from microrollup.declaration.query import describe_query, load_reads, name_namespace
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import DeclarationError, RefusedError, UsageError, ValueOutOfBounds
from microrollup.execution.querying import QueryRunner
from trial_subs import Subs
from trial_subs import app as subs
from zoo import Zoo, zoo


class Found(msgspec.Struct, frozen=True):
    """An answer."""

    visitor_count: Uint64
    near: tuple[Uint8, str] | None = None


def good_one(view: View[Zoo], ticket_number: Uint64, keys: tuple[Uint8, ...] = (), note: str = "x") -> list[Found]:
    """Finds.

    More about it.
    """
    return []


def test_what_annotations_say() -> None:
    """Names become camelCase, the first paragraph is the summary, defaults make a parameter optional."""
    query = describe_query(good_one)
    assert query is describe_query(good_one)
    assert ("goodOne", "Finds.") == (query.name, query.summary)
    assert [("ticketNumber", True), ("keys", False), ("note", False)] == [
        (each.wire_name, each.required) for each in query.parameters
    ]
    assert [5, (1, 2), "x"] == query.read_arguments({"ticketNumber": 5, "keys": [1, 2]})
    found = [Found(1, (2, "a")), Found(2**60)]
    document = query.form.write(found)
    assert [{"visitorCount": 1, "near": [2, "a"]}, {"visitorCount": str(2**60), "near": None}] == document
    assert found == query.form.read(document)
    for wrong in ([2], [2, "a", 3], [256, "a"], "2a"):
        with pytest.raises(RefusedError):
            query.form.read([{"visitorCount": 1, "near": wrong}])


def test_arguments_of_a_call() -> None:
    """Arguments are bound as Python does it, and checked before they are written."""
    query = describe_query(good_one)
    assert {"ticketNumber": 5, "keys": [1]} == query.write_arguments([5], {"keys": (1,)})
    assert {"ticketNumber": str(2**60)} == query.write_arguments([2**60], {})
    for arguments, named in (((), {}), ((1, (), "x", 4), {}), ((1,), {"nothing": 1}), ((1,), {"ticket_number": 1})):
        with pytest.raises(UsageError):
            query.write_arguments(arguments, named)
    for arguments in ((-1,), ("1",), (1, [1]), (1, (256,)), (1, (), b"x")):
        with pytest.raises(ValueOutOfBounds):
            query.write_arguments(arguments, {})


def no_view(state: Zoo) -> Uint64:
    return 1


def no_answer(view: View[Zoo]):  # type: ignore[no-untyped-def]
    return 1


def no_type(view: View[Zoo], key) -> Uint64:  # type: ignore[no-untyped-def]
    return 1


def not_a_type(view: View[Zoo], key: float) -> Uint64:
    return 1


def keyword_only(view: View[Zoo], *, key: Uint64) -> Uint64:
    return key


def many(view: View[Zoo], *keys: Uint64) -> Uint64:
    return 1


def wrong_default(view: View[Zoo], key: Uint8 = 256) -> Uint64:
    return 1


def own_height(view: View[Zoo], height: Uint64) -> Uint64:
    return 1


def one_name(view: View[Zoo], a_b: Uint64, aB: Uint64) -> Uint64:  # noqa: N803
    return 1


def answers_set(view: View[Zoo]) -> set[int]:
    return set()


async def is_async(view: View[Zoo]) -> Uint64:
    return 1


def yields(view: View[Zoo]) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "function",
    [
        no_view, no_answer, no_type, not_a_type, keyword_only, many, wrong_default, own_height, one_name, answers_set,
        is_async, yields, len,
    ],
)  # fmt: skip
def test_what_cannot_be_served(function: Callable[..., Any]) -> None:
    """It is refused when the app is loaded, with the function's name."""
    with pytest.raises(DeclarationError, match=function.__name__):
        describe_query(function)


def declare(**more: Any) -> MicroRollup:
    """The zoo again."""
    return MicroRollup(
        name="zoo", version="1", genesis=zoo.genesis, stfs=list(zoo.stf_by_action.values()), allow=zoo.allow, **more
    )


def test_reads_are_no_part_of_the_stf_id() -> None:
    """The module is named as text and imported when queries are served: another one makes no other code."""
    assert declare().stf_id == declare(reads="zoo_reads").stf_id == declare(reads="nowhere.at_all").stf_id
    assert "trial_subs_reads" not in subs.module_names.values()


@pytest.mark.parametrize("reads", ["", "a b", ".reads", "reads.", 1, [], zoo_module])
def test_reads_is_a_name(reads: Any) -> None:
    """Anything but a module's name as text is refused at declaration."""
    with pytest.raises(DeclarationError, match="reads"):
        declare(reads=reads)


def test_the_queries_of_an_app() -> None:
    """All functions of its module but those that begin with an underscore, in order."""
    reads = load_reads(subs)
    assert reads is not None
    assert ("subs", ["plansOf", "overdue", "account"]) == (reads.namespace, list(reads.queries))
    assert {"trial_subs", "trial_subs_reads"} == set(reads.trees)
    assert load_reads(zoo) is None
    assert Subs is subs.state_type.cls


TINY = """
from microrollup import Action, Context, Map, MicroRollup, State, Uint64


class Inner(State, frozen=True):
    counts: Map[Uint64, Uint64] = Map({1: 2})


class Tiny(State, frozen=True):
    value: Uint64 = 0
    inner: Inner = Inner()


class Other(State, frozen=True):
    value: Uint64 = 0


class Keep(Action, frozen=True):
    pass


def keep(state: Tiny, action: Keep, ctx: Context) -> Tiny:
    return state


app = MicroRollup(name="tiny", version="1", genesis=Tiny(), stfs=[keep], reads="tiny_reads")
"""
HEAD = "from tiny import Inner, Other, Tiny\nfrom microrollup import View\n"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Loads the queries of a small app whose module of them has a text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tiny.py").write_text(TINY)

    def load(text: str) -> Any:
        (tmp_path / "tiny_reads.py").write_text(text)
        return load_reads(load_rollup("tiny"))

    yield load
    for name in ("tiny", "tiny_reads"):
        sys.modules.pop(name, None)


def test_a_module_that_can_be_served(tiny: Callable[[str], Any]) -> None:
    """What the cases below lack."""
    assert ["aB"] == list(tiny(HEAD + "def a_b(v: View[Tiny]) -> bool: ...\ndef _helper(x): ...\n").queries)


def test_a_query_of_a_part(tiny: Callable[[str], Any]) -> None:
    """A query may read a part of the state alone; its view is of the part."""
    reads = tiny(HEAD + "def one(v: View[Inner]) -> str:\n    return str(v.state.counts[1] + v.height)\n")
    view = View(load_rollup("tiny").genesis, timestamp=5, height=7)
    assert b'"9"' == QueryRunner(reads).run(reads.queries["one"], view, []).answer


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import nothing_like_this\n", "cannot be imported"),
        ("1 // 0\n", "cannot be imported"),
        ("x = 1\n", "has no query"),
        ("def f(state: int) -> int:\n    return 1\n", "annotated View"),
        (f"import json\n{HEAD}", "imports json"),
        (f"{HEAD}def f(v: View[Other]) -> bool: ...\n", "another state"),
        (f"{HEAD}def a_b(v: View[Tiny]) -> bool: ...\naB = a_b\n", "another query"),
    ],
)
def test_a_module_that_cannot_be_served(tiny: Callable[[str], Any], text: str, error: str) -> None:
    """It is refused before anything is served, in words."""
    with pytest.raises((DeclarationError, UsageError), match=error):
        tiny(text)


def test_the_namespace() -> None:
    """Methods begin with the app's name, which must not be another's namespace."""
    assert "zoo2" == name_namespace("zoo2")
    for name in ("my zoo", "my-zoo", "my_Zoo", "my.zoo-"):
        assert "myZoo" == name_namespace(name)
    for name in ("rollup", "RPC", "eth"):
        with pytest.raises(DeclarationError):
            name_namespace(name)
