"""Declaring a rollup: what is refused, what the stfId binds, events, and finding apps by name."""

from __future__ import annotations

import sys
import textwrap
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kernel_fixtures import Edit, Edited, Misbehave, Zoo, edit, misbehave, zoo

from microrollup import Action, Bytes, Context, Event, MicroRollup, State, Uint8, Uint64
from microrollup.codec.canonical import encode_canonical
from microrollup.errors import DeclarationError, MicrorollupError, UsageError
from microrollup.genesis import make_genesis
from microrollup.primitives import ZERO_ADDRESS
from microrollup.rollup import load_rollup

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


# --- the stfId -------------------------------------------------------------------------------------------------------


def test_stf_id_binds_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version, schema or line of source gives another stfId; other line endings do not."""

    def compute(text: str) -> bytes:
        path.write_bytes(text.encode())
        sys.modules.pop("one_counter", None)
        return load_rollup("one_counter").stf_id

    path = tmp_path / "one_counter.py"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    plain = APP.format(field="by: Uint64", amount="1", version="1")
    texts = [
        plain,
        APP.format(field="by: Uint64", amount="2", version="1"),
        APP.format(field="by: Uint64", amount="1", version="2"),
        APP.format(field="by: Uint32", amount="1", version="1"),
        plain + "# a comment\n",
    ]
    ids = [compute(text + "\n" * at) for at, text in enumerate(texts)]
    assert len(texts) == len(set(ids))
    assert ids[0] == compute(plain)
    assert ids[0] == compute(plain.replace("\n", "\r\n"))
    assert 32 == len(ids[0])


def test_stf_id_is_the_same_everywhere() -> None:
    """Two declarations of the same code agree, and the id is pinned to the verifier's by nothing but code."""
    assert declare().stf_id == declare().stf_id == zoo.stf_id
    assert declare().stf_id != declare(version="2").stf_id


# --- events ----------------------------------------------------------------------------------------------------------


class Noted(Event, frozen=True):
    body: Bytes
    count: Uint64


class NotedFloat(Event, frozen=True):
    value: float


def test_events() -> None:
    """An event is its class name and the canonical msgpack of its fields; anything else raises."""
    assert ("Noted", encode_canonical((b"x", 5))) == zoo.encode_event(Noted(b"x", 5))
    assert ("Edited", encode_canonical((3,))) == zoo.encode_event(Edited(3))
    for bad in (Noted(b"x", -1), Noted("x", 5), NotedFloat(1.0), Misbehave("x"), None, "Noted"):  # type: ignore[arg-type]
        with pytest.raises(MicrorollupError):
            zoo.encode_event(bad)  # type: ignore[arg-type]


# --- genesis values and loading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 256, True, 1.0, None, "1"])
def test_genesis_out_of_bounds(value: Any) -> None:
    """A first state that breaks its own bounds makes no genesis."""
    rollup = MicroRollup(name="small", version="1", genesis=Small(value), stfs=[add])
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
        ("apps.keystore:nothing", "no MicroRollup"),
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
        ("1 / 0", "ZeroDivisionError"),
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
