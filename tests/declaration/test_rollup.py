"""Declaring a rollup: what is refused, what the stfId binds, events, and finding apps by name."""

from __future__ import annotations

import sys
import textwrap
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from microrollup import Action, Bytes, Context, Event, Map, MicroRollup, State, Uint8, Uint64
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import DeclarationError, MicrorollupError, UsageError
from microrollup.ledger.genesis import make_genesis
from microrollup.primitives import ZERO_ADDRESS
from zoo import Edit, Edited, Misbehave, Zoo, edit, misbehave, zoo

NUMBERS = count()


def declare(**changes: Any) -> MicroRollup:
    """The zoo with changes to its declaration."""
    arguments: dict[str, Any] = {"name": "zoo", "version": "1", "genesis": Zoo(), "stfs": [edit, misbehave]}
    return MicroRollup(**(arguments | changes))


class Small(State, frozen=True):
    value: Uint8 = 0


class Add(Action, frozen=True):
    by: Uint8


def add(state: Small, action: Add, ctx: Context) -> Small:
    return state


def add_twin(state: Small, action: Add, ctx: Context) -> Small:
    return state


def takes_two(state: Small, action: Add) -> Small:
    return state


def takes_no_types(state, action, ctx):  # type: ignore[no-untyped-def]
    return state


def returns_nothing(state: Small, action: Add, ctx: Context) -> None:
    return


def returns_another(state: Small, action: Add, ctx: Context) -> Zoo:
    return Zoo()


def takes_another(state: Zoo, action: Add, ctx: Context) -> Small:
    return Small()


def takes_no_action(state: Small, action: bytes, ctx: Context) -> Small:
    return state


def takes_any_action(state: Small, action: Action, ctx: Context) -> Small:
    return state


def takes_a_union(state: Small, action: Add | Edit, ctx: Context) -> Small:
    return state


def takes_the_unknown(state: Small, action: Unknown, ctx: Context) -> Small:  # type: ignore[name-defined]  # noqa: F821
    return state


async def waits(state: Small, action: Add, ctx: Context) -> Small:
    return state


async def waits_and_yields(state: Small, action: Add, ctx: Context) -> Small:  # type: ignore[misc]
    yield state


def yields(state: Small, action: Add, ctx: Context) -> Small:  # type: ignore[misc]
    yield state


def takes_ctx_by_name(state: Small, action: Add, *, ctx: Context) -> Small:
    return state


def takes_the_rest(state: Small, action: Add, *ctx: Context) -> Small:
    return state


def takes_names(state: Small, action: Add, **ctx: Context) -> Small:
    return state


def test_declared() -> None:
    """A right declaration has its actions by class and a domain of its own name and version."""
    rollup = MicroRollup(name="small", version="2", genesis=Small(), stfs=[add])
    assert {Add: add} == rollup.stf_by_action
    domain = rollup.make_domain(5)
    assert ("small", "2", 5, ZERO_ADDRESS) == (domain.name, domain.version, domain.chain_id, domain.verifying_contract)


@pytest.mark.parametrize(
    "stf",
    [
        takes_two,
        takes_no_types,
        returns_nothing,
        returns_another,
        takes_another,
        takes_no_action,
        takes_any_action,
        takes_a_union,
        takes_the_unknown,
        waits,
        waits_and_yields,
        yields,
        takes_ctx_by_name,
        takes_the_rest,
        takes_names,
        partial(add),
        print,
        7,
        lambda state, action, ctx: state,
    ],
    ids=lambda stf: getattr(stf, "__name__", type(stf).__name__),
)
def test_refused_stf(stf: Any) -> None:
    """An STF that does not say what it takes and returns, or says something else, is refused at declaration."""
    with pytest.raises(DeclarationError):
        MicroRollup(name="small", version="1", genesis=Small(), stfs=[stf])


@pytest.mark.parametrize(
    ("stf", "said"),
    [(waits, "async"), (waits_and_yields, "async"), (yields, "yields"), (takes_ctx_by_name, "position")],
)
def test_stfs_of_another_kind_are_told_what_they_are(stf: Any, said: str) -> None:
    """A function that is accepted and then faults at every action is refused with its name and what is wrong."""
    with pytest.raises(DeclarationError, match=f"{stf.__name__}: .*{said}"):
        MicroRollup(name="small", version="1", genesis=Small(), stfs=[stf])


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "1st"},
        {"name": "a" * 65},
        {"name": "line\nbreak"},
        {"name": "zoo\n"},
        {"name": "zöö"},
        {"version": ""},
        {"version": "1" * 65},
        {"stfs": []},
        {"stfs": [edit, edit]},
        {"genesis": 5},
        {"genesis": Zoo},
        {"genesis": Small()},
    ],
    ids=lambda changed: "-".join(changed) if isinstance(changed, dict) else None,
)
def test_refused_declaration(changes: dict[str, Any]) -> None:
    """Names, versions, first states and lists of STFs that cannot be signed for or executed are refused."""
    with pytest.raises(DeclarationError):
        declare(**changes)


def test_two_stfs_for_an_action() -> None:
    """An action has one STF."""
    with pytest.raises(DeclarationError, match="Add"):
        MicroRollup(name="small", version="1", genesis=Small(), stfs=[add, add_twin])


ACTION_LIES = {
    "float": "by: float",
    "int": "by: int",
    "set": "by: set[Uint8]",
    "tuple": "by: tuple[Uint8, ...]",
    "optional": "by: Uint8 | None",
    "default": "by: Uint8 = 5",
    "nonce": "nonce: Uint64",
    "map": "by: Map[Uint8, Uint8]",
    "any": "by: Any",
    "dict": "by: dict[str, Uint8]",
}

APP = """
from __future__ import annotations
from typing import Any
from microrollup import *
from microrollup import Context, Map, MicroRollup, State, Action, replace

class Counter(State, frozen=True):
    value: Uint64 = 0

class Increment(Action, frozen=True):
    {field}

def increment(state: Counter, action: Increment, ctx: Context) -> Counter:
    return replace(state, value=state.value + {amount})

app = MicroRollup(name="counter", version="{version}", genesis=Counter(), stfs=[increment])
"""


def write_app(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    field: str = "by: Uint64",
    amount: str = "1",
    version: str = "1",
) -> str:
    """A module of its own name with a counter in it; its name."""
    name = f"counter_{next(NUMBERS)}"
    (directory / f"{name}.py").write_text(APP.format(field=field, amount=amount, version=version))
    monkeypatch.syspath_prepend(directory)
    return name


@pytest.mark.parametrize("kind", ACTION_LIES)
def test_refused_action_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """An action whose members wallets cannot sign one by one is refused at import, by the field's name."""
    name = write_app(tmp_path, monkeypatch, field=ACTION_LIES[kind])
    field = ACTION_LIES[kind].split(":")[0]
    with pytest.raises(UsageError, match=rf"DeclarationError: Increment\.{field}"):
        load_rollup(name)


# --- events ----------------------------------------------------------------------------------------------------------


class Noted(Event, frozen=True):
    body: Bytes
    count: Uint64


def test_events() -> None:
    """An event is its class name and the canonical msgpack of its fields; anything else raises."""

    class NotedFloat(Event, frozen=True):
        value: float

    assert ("Noted", encode_canonical((b"x", 5))) == zoo.encode_event(Noted(b"x", 5))
    assert ("Edited", encode_canonical((3,))) == zoo.encode_event(Edited(3))
    for bad in (Noted(b"x", -1), Noted("x", 5), NotedFloat(1.0), Misbehave("x"), None, "Noted"):  # type: ignore[arg-type]
        with pytest.raises(MicrorollupError):
            zoo.encode_event(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 5}, "name: 5 must be"),
        ({"version": 1}, 'version: is text, not int 1: write version="1"'),
        ({"version": None}, "version: is text, not None"),
        ({"genesis": Zoo}, r"genesis: is an instance, not the class: write genesis=Zoo\(\)"),
        ({"genesis": None}, "genesis: is an instance of a class X"),
        ({"genesis": {}}, "genesis: is an instance of a class X"),
        ({"stfs": edit}, r"stfs: is a list of functions, not one: write stfs=\[edit\]"),
        ({"stfs": "edit"}, "stfs: is a list of functions, not str"),
        ({"stfs": None}, "stfs: is a list of functions, not None"),
        ({"stfs": {"edit": edit}}, "stfs: is a list of functions, not dict"),
        ({"stfs": [7]}, "stfs: holds functions, not int 7"),
        ({"on_block": [edit]}, r"on_block: is one function f\(state, ctx\), not list .*: write on_block=f"),
        ({"on_block": edit}, r"edit: a block hook is called as f\(state, ctx\), by position"),
        ({"libraries": "shapely"}, r"libraries: is a list, not str 'shapely': write libraries=\['shapely'\]"),
        ({"libraries": None}, "libraries: is a list, not None"),
        ({"libraries": [5]}, "libraries: name top-level packages"),
        ({"rules": "2"}, "rules: this microrollup executes rules 2 only, not '2'"),
        ({"rules": True}, "rules: .* not True"),
        ({"queries": []}, "there is no `queries`; name the module that holds them as text: reads='zoo_reads'"),
        ({"events": [Edited]}, r"there is no `events`; .*ctx.emit"),
        ({"actions": [Edit]}, "there is no `actions`; .*`stfs`"),
        ({"state": Zoo}, "state: goes with previous"),
        ({"stf": [edit]}, r"there is no `stf`; did you mean `stfs`\?"),
        (
            {"colour": 5},
            "there is no `colour`; it takes name, version, genesis, state, previous, stfs, on_block, envelopes",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_arguments_are_told_in_a_sentence(changes: dict[str, Any], said: str) -> None:
    """Whatever `MicroRollup` is called with, the error is a declaration's and says what to write."""
    with pytest.raises(DeclarationError, match=said) as caught:
        declare(**changes)
    assert "\n" not in str(caught.value)


def test_arguments_go_by_name() -> None:
    """Positional arguments and missing ones are refused with an example of the whole call."""
    for arguments, named, said in (
        (("zoo", "1", Zoo(), [edit]), {}, "takes its arguments by name"),
        (("zoo",), {"version": "1", "genesis": Zoo(), "stfs": [edit]}, "takes its arguments by name"),
        ((), {}, "`name` is missing"),
        ((), {"name": "zoo", "version": "1", "genesis": Zoo()}, "`stfs` is missing"),
    ):
        with pytest.raises(DeclarationError, match=f"{said}.*: MicroRollup\\(name=.*stfs="):
            MicroRollup(*arguments, **named)  # type: ignore[arg-type,call-arg,misc]


EVENT_APP = """
from __future__ import annotations
from microrollup import Action, Context, Event, MicroRollup, State, Uint64
import msgspec
{before}
class Total(State, frozen=True):
    amount: Uint64 = 0
class Add(Action, frozen=True):
    by: Uint64
{event}
def add(state: Total, action: Add, ctx: Context) -> Total:
    return state
app = MicroRollup(name="total", version="1", genesis=Total(), stfs=[add])
"""


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("class Added(Event, frozen=True):\n    by: float", "Added.by: .*float"),
        ("class Added(Event, frozen=True):\n    by: tuple[Uint64, Uint64]", "Added.by: .*list"),
        ("class Added(Event, frozen=True):\n    by: int", "Added.by: .*Uint8"),
        ("from total_events import Inner", "Inner.by: .*float"),
        ("class Twin(Event, frozen=True):\n    by: Uint64", "Twin: .*an event of this name"),
        ("class Added(Event, frozen=True):\n    by: Uint64", ""),
    ],
)
def test_events_that_cannot_be_emitted(event: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event in the app's modules whose fields have no canonical form is refused, and so are two of one name."""
    monkeypatch.syspath_prepend(tmp_path)
    others = f"total_events_{next(NUMBERS)}"
    (tmp_path / f"{others}.py").write_text(
        "from microrollup import Event, Uint8\n"
        "class Inner(Event, frozen=True):\n    by: " + ("float" if "Inner" in event else "Uint8") + "\n"
        "class Twin(Event, frozen=True):\n    by: Uint8\n"
    )
    name = f"total_{next(NUMBERS)}"
    source = EVENT_APP.format(before="import total_events", event=event).replace("total_events", others)
    (tmp_path / f"{name}.py").write_text(source)
    if said:
        with pytest.raises(UsageError, match=f"DeclarationError: {said}"):
            load_rollup(name)
    else:
        assert {"Added", "Inner", "Twin"} == set(load_rollup(name).event_classes)


# --- genesis values and loading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 256, True, 1.0, None, "1"])
def test_genesis_out_of_bounds(value: Any) -> None:
    """A first state that breaks its own bounds is refused at declaration, with the field's name."""
    assert 255 == MicroRollup(name="small", version="1", genesis=Small(255), stfs=[add]).genesis.value
    with pytest.raises(DeclarationError, match=r"genesis\.value"):
        MicroRollup(name="small", version="1", genesis=Small(value), stfs=[add])


@pytest.mark.parametrize("value", [{}, {1: 2}, None, ((1, 2),)], ids=str)
def test_genesis_of_a_map_that_is_not_one(value: Any) -> None:
    """The first value of a map field is a `Map`; a dict would fail at the first action."""
    assert 2 == declare(genesis=Zoo(tickets=Map({1: 2}))).genesis.tickets[1]
    with pytest.raises(DeclarationError, match=r"genesis.tickets: is a \w+; .*Map"):
        declare(genesis=Zoo(tickets=value))


def test_genesis_with_an_entry_out_of_bounds() -> None:
    """Entries of a first map are checked when the genesis is made, by every command that makes one."""
    rollup = declare(genesis=Zoo(tickets=Map({1: -1})))
    with pytest.raises(MicrorollupError):
        make_genesis(
            rollup, builder=bytes(20), verifiers=(b"\x01" * 20,), quorum=1, l1_start=0, genesis_time=0, l1_chain_id=1
        )


def test_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module` means its `app`; `module:name` another one; modules are found in the working directory too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", ".")])
    name = f"here_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(APP.format(field="by: Uint64", amount="1", version="1") + "\nother = app\n")
    assert "counter" == load_rollup(name).name
    assert load_rollup(name) is load_rollup(f"{name}:other") is load_rollup(f"{name}:app")
    assert "keystore" == load_rollup("apps.keystore").name


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("", "names no app"),
        (":app", "names no app"),
        ("a b", "names no app"),
        ("../x", "names no app"),
        ("x;y", "names no app"),
        ("no_such_module_here", "no module"),
        ("no_such_package.module", "no module"),
        ("apps.no_such", "no module"),
        ("json", "no MicroRollup"),
        ("apps.keystore:nothing", "no MicroRollup named 'nothing'; it has app"),
        ("json.py", "named as a module: json"),
        ("some/json.py", "'json' in the directory of that file"),
        ("apps.keystore:__all__", "no MicroRollup"),
        ("apps.keystore:app:app", "no MicroRollup"),
    ],
)
def test_what_cannot_be_loaded(reference: str, said: str) -> None:
    """Each way of naming nothing is one sentence for its user."""
    with pytest.raises(UsageError, match=said):
        load_rollup(reference)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module_at_all", "cannot be imported"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('at import')", "at import"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(broken_\d+\.py:1\)"),
        ("from microrollup import Uint64, State\nclass S(State):\n    a: Uint64\nS()", r"'a' \(broken_\d+\.py:4\)"),
        ("from microrollup import MicroRollup\nMicroRollup(name='a')", r"missing.* \(broken_\d+\.py:2\)"),
        ("app = 5", "no MicroRollup"),
    ],
)
def test_broken_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    """A module that fails while it is imported is told with its reason."""
    name = f"broken_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=said):
        load_rollup(name)
