"""`Upgrade`: how a version of an app follows on the one before: which one, by what migration, and which fields go on
under another name.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from microrollup.codec.schema import render_schema
from microrollup.declaration.signature import read_migration
from microrollup.errors import DeclarationError

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup
    from microrollup.declaration.state import StateField, StateType

__all__ = ["Migration", "Upgrade", "check_migration", "check_upgrade", "passes_unchanged"]

Migration: TypeAlias = Callable[[Any, Any], Any]
"""`(old state, ctx) -> new state`, pure"""


class Upgrade(msgspec.Struct, frozen=True):
    """`MicroRollup(..., previous=Upgrade(v1.app, migrate))`: the version before, and what makes its state the new one.

    `migrate(state, ctx)` takes the old state and returns the new one. A map passes as it is if keys, values and leaf
    function are the same; else `state.m.transform(f)` makes the new one. `renamed` is old dotted name -> new one, of
    fields that keep their number under another name.
    """

    app: MicroRollup
    migrate: Migration
    renamed: Mapping[str, str] = {}


def check_upgrade(upgrade: Any, name: str, version: str, state: Any, genesis: Any) -> None:
    """Check the arguments that an upgrade goes with. Raises `DeclarationError` that says what to write."""
    if not isinstance(upgrade, Upgrade):
        kind = type(upgrade).__name__
        raise DeclarationError("previous", f"is Upgrade(app_before, migrate), not {kind}: write previous=Upgrade(...)")
    before: Any = upgrade.app
    migrate, renamed = cast("Any", upgrade.migrate), cast("Any", upgrade.renamed)
    if not hasattr(before, "state_type"):
        raise DeclarationError("previous", f"the version before is a MicroRollup, not {type(before).__name__}")
    if genesis is not None:
        raise DeclarationError("genesis", "belongs to the oldest version: leave it out beside `previous`, write state=")
    if state is None:
        raise DeclarationError("state", f"is the class of the state: write state={before.state_type.cls.__name__}")
    if name != before.name:
        raise DeclarationError("name", f"is {name!r}; a rollup keeps its name for ever, {before.name!r}")
    if version in (known := [each.version for each in before.versions]):
        raise DeclarationError("version", f"{version!r} is that of an earlier version; these were {', '.join(known)}")
    if not callable(migrate):
        kind = type(migrate).__name__
        raise DeclarationError("previous", f"`migrate` is one function f(state, ctx), not {kind}")
    if not isinstance(renamed, Mapping):
        kind = type(renamed).__name__
        raise DeclarationError("previous", f"`renamed` is old name -> new name, not {kind}: write renamed={{'a': 'b'}}")
    old_names = {field.name for field in before.state_type.fields}
    for old, new in renamed.items():
        if old not in old_names:
            raise DeclarationError("renamed", f"{before.name} {before.version} has no field {old!r}")
        if new in old_names and new not in renamed:
            raise DeclarationError("renamed", f"{new!r} is a field of the version before: it keeps its own number")
    if len(set(renamed.values())) != len(renamed):
        raise DeclarationError("renamed", "two fields cannot go on as one")


def check_migration(upgrade: Upgrade, state_type: StateType) -> None:
    """Check the migration against the two state shapes: its annotations, kept fields, and maps that must be
    transformed.

    Raises `DeclarationError`.
    """
    read_migration(upgrade.migrate, upgrade.app.state_type.cls, state_type.cls)
    fields = {field.name: field for field in state_type.fields}
    for new in set(upgrade.renamed.values()) - fields.keys():
        raise DeclarationError("renamed", f"{state_type.cls.__name__} has no field {new!r}")
    tree = _read_function(upgrade.migrate)
    for old in upgrade.app.state_type.fields:
        new_field = fields.get(upgrade.renamed.get(old.name, old.name))
        if new_field is None:
            continue
        if old.is_map != new_field.is_map:
            raise DeclarationError(
                new_field.name, "a map and a single value cannot be one field: give the new one another name"
            )
        if not old.is_map or passes_unchanged(old, new_field):
            continue
        if _render_keys(old) != _render_keys(new_field):
            raise DeclarationError(
                new_field.name, "a map's keys keep their type: give the new map another name, and fill it in `migrate`"
            )
        if tree is not None and _passes_as_it_is(tree, old.name.rpartition(".")[2]):
            raise DeclarationError(
                new_field.name,
                f"its values, or its leaf function, differ from the version before: pass state.{old.name}.transform(f)"
                " in `migrate`, f(key, value) being the new value",
            )


def passes_unchanged(old: StateField, new: StateField) -> bool:
    """Whether a field's stored entries are right under the new version as they are: the same types and leaf
    function.
    """
    return (old.is_map, old.schema, old.leaf) == (new.is_map, new.schema, new.leaf)


def _render_keys(field: StateField) -> str:
    return "" if field.key_type is None else render_schema(field.key_type)


def _read_function(function: Migration) -> ast.AST | None:
    """The syntax tree of a function; None where there is no source. What it misses shows when the migration runs."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None


def _passes_as_it_is(tree: ast.AST, name: str) -> bool:
    """Whether a function hands on `x.name` itself, and not what a method or a look-up gives of it."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred))}
    return any(
        isinstance(node, ast.keyword) and _is_attribute(node.value, name) and id(node.value) not in inner
        for node in ast.walk(tree)
    )


def _is_attribute(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name
