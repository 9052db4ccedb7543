"""`guard.lint`: what machines could differ over is found, with the rule and what to write; its neighbours are not."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.errors import DeclarationError
from microrollup.guard.lint import RULES, lint_module
from unlawful import ACCEPTED, HEAD, HELD, PROBES

APP = '\napp = MicroRollup(name="sums", version="1", genesis=Sum(), stfs=[add]{})\n'


HOLDS = """
from typing import Any, NamedTuple
import msgspec
class Point(NamedTuple):
    x: int = 0
class Row(msgspec.Struct, frozen=True):
    of: Any = ()
    by: int = msgspec.field(default=3)
class Parts(msgspec.Struct, frozen=True):
    all: list[int] = []
class Kinds:
    ALL = (1, "a", b"b", None, Point(2))
    def double(self, number: int) -> int:
        return number * 2
PLAYERS = [1, 2]
LAST = tuple(PLAYERS)
ROW = Row((Point(), LAST))
def one() -> int:
    return LAST[0] + ROW.by
TABLE = (one, Kinds, Kinds().double)
def add(state: Sum, action: Add, ctx: Context) -> Sum:
    PLAYERS = (TABLE[0](),)
    inner = lambda number: number + 1
    return replace(state, total=inner(PLAYERS[0]) + Kinds().double(2))
"""


def find(source: str) -> list[str]:
    """The rules that are broken."""
    found = lint_module(ast.parse(HEAD + source), "app", lambda module: module == "rules", ())
    return [finding.rule for finding in found]


@pytest.mark.parametrize("name", PROBES)
def test_probe_is_found(name: str) -> None:
    """The rule that the probe breaks is among the findings."""
    rule, source = PROBES[name]
    assert rule in find(source)


@pytest.mark.parametrize("name", ACCEPTED)
def test_neighbour_is_accepted(name: str) -> None:
    """Nothing is found in code that is the same on every machine."""
    assert [] == find(ACCEPTED[name])


def test_every_rule_has_a_probe() -> None:
    """No rule is there without an input that it refuses."""
    assert set(RULES) == {rule for rule, _ in (PROBES | HELD).values()}


def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, more: str = "") -> MicroRollup:
    """An app in a module of its own."""
    name = f"linted_{len(list(tmp_path.iterdir()))}_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(HEAD + source + APP.format(more))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return load_rollup(name)


@pytest.mark.parametrize("name", HELD)
def test_what_a_module_holds_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions without a metered form and values that can change are found where no statement shows them."""
    rule, source = HELD[name]
    assert rule in [finding.rule for finding in load(tmp_path, monkeypatch, source).findings]


def test_what_a_module_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of the app's own functions, constants, Structs and named tuples; lists that only the module uses."""
    assert () == load(tmp_path, monkeypatch, HOLDS).findings


def test_a_module_level_dict_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such code has no stfId, so no ledger opens it (findings K2); the error names place, reason and remedy."""
    rollup = load(tmp_path, monkeypatch, PROBES["module dict"][1])
    with pytest.raises(DeclarationError, match=r":11: uses SEEN: .*write a tuple, or keep it in the state \(mutable\)"):
        _ = rollup.stf_id


def test_a_regular_expression_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`re` cannot be imported, so none can hang an STF (findings K7)."""
    with pytest.raises(DeclarationError, match=r"imports re"):
        _ = load(tmp_path, monkeypatch, PROBES["regular expression"][1]).stf_id


def test_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that the author answers for is not refused, and is part of the stfId; another one still is."""
    source = PROBES["module dict"][1]
    allowed = load(tmp_path, monkeypatch, source, ', allow=["mutable"]')
    both = load(tmp_path, monkeypatch, source, ', allow=["mutable", "set"]')
    assert (("mutable",), {"mutable", "set"}) == (allowed.manifest.allow, {*both.manifest.allow})
    assert allowed.stf_id != both.stf_id
    with pytest.raises(DeclarationError, match="SEEN"):
        _ = load(tmp_path, monkeypatch, source, ', allow=["set"]').stf_id


def test_an_unknown_rule_is_refused() -> None:
    """`allow` takes the lint's rules only, as a list."""
    from escapes import Shelf, put

    for allow, words in ((["sets"], "'sets' must be one of the lint's rules"), ("set", "is a list, not str")):
        with pytest.raises(DeclarationError, match=words):
            MicroRollup(name="a", version="1", genesis=Shelf(), stfs=[put], allow=allow)


@pytest.mark.parametrize("reference", ["apps.keystore", "escapes"])
def test_apps_are_clean(reference: str) -> None:
    """The keystore passes without an exception, and so does the app of the escapes."""
    rollup = load_rollup(reference)
    assert ((), ()) == (rollup.findings, rollup.allow)
