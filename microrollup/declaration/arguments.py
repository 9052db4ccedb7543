"""The arguments of `MicroRollup(...)`, checked before anything is made of them: one sentence instead of a traceback."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from microrollup.declaration.manifest import RULES_VERSION
from microrollup.declaration.method_set import MODULE, check_method_sets
from microrollup.declaration.state import State
from microrollup.declaration.upgrade import check_upgrade
from microrollup.errors import DeclarationError
from microrollup.guard.lint import RULES

__all__ = ["check_names", "check_values"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _.-]{0,63}")
_MAX_VERSION: Final = 64
_EXAMPLE: Final = 'MicroRollup(name="zoo", version="1", genesis=Zoo(), stfs=[feed])'

_INSTEAD: Final = {
    "envelope": "name the classes as a list: envelopes=[Tickets]",
    "actions": "actions are those that the functions in `stfs` take",
    "chain_id": "the chain is chosen when a data directory is made",
    "events": "events are those that the functions in `stfs` emit, with ctx.emit",
    "migrate": "write previous=Upgrade(app_before, migrate)",
    "migrations": "write previous=Upgrade(app_before, migrate)",
    "queries": "name the module that holds them as text: reads='zoo_reads'",
}
"""What some expect here, and where it is."""


def check_names(function: Callable[..., object], positional: Sequence[object], named: Mapping[str, object]) -> None:
    """Check that a call gives `function` its parameters, all by name.

    Raises `DeclarationError` for one too many, unknown or missing.
    """
    parameters = {name: p for name, p in inspect.signature(function).parameters.items() if name != "self"}
    if positional:
        raise DeclarationError("MicroRollup", f"takes its arguments by name: {_EXAMPLE}")
    for name in named.keys() - parameters.keys():
        raise DeclarationError("MicroRollup", f"there is no `{name}`; {_suggest(name, list(parameters))}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in named:
            raise DeclarationError("MicroRollup", f"`{name}` is missing: {_EXAMPLE}")


def _suggest(name: str, known: list[str]) -> str:
    if name in _INSTEAD:
        return _INSTEAD[name]
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"it takes {', '.join(known)}"


def check_values(
    name: Any,
    version: Any,
    first: tuple[Any, Any, Any],
    stfs: Any,
    on_block: Any,
    envelopes: Any,
    libraries: Any,
    allow: Any,
    rules: Any,
    method_sets: Any,
    **modules: Any,
) -> None:
    """Check the arguments themselves; `first` is genesis, state and previous. Raises `DeclarationError` that says what
    to write.
    """
    genesis, state, previous = first
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            "name", f"{name!r} must be 1 to 64 letters, digits, spaces or _.- and start with a letter"
        )
    if not isinstance(version, str):
        raise DeclarationError("version", f'is text, not {_kind(version)}: write version="{version}"')
    if not 1 <= len(version) <= _MAX_VERSION:
        raise DeclarationError("version", f"must be 1 to {_MAX_VERSION} characters")
    if previous is None:
        _check_genesis(genesis, state)
    else:
        check_upgrade(previous, name, version, state, genesis)
        _check_state(state)
    _check_stfs(stfs)
    if on_block is not None and not callable(on_block):
        raise DeclarationError("on_block", f"is one function f(state, ctx), not {_kind(on_block)}: write on_block=f")
    if not isinstance(envelopes, (list, tuple)):
        raise DeclarationError("envelopes", f"is a list of classes, not {_kind(envelopes)}: write envelopes=[Tickets]")
    if not isinstance(libraries, (list, tuple)):
        raise DeclarationError("libraries", f"is a list, not {_kind(libraries)}: write libraries=['shapely']")
    if any(not isinstance(library, str) or not library.isidentifier() for library in libraries):
        raise DeclarationError("libraries", "name top-level packages, as in libraries=['shapely']")
    _check_allow(allow)
    if rules != RULES_VERSION or not isinstance(rules, int) or isinstance(rules, bool):
        raise DeclarationError("rules", f"this microrollup executes rules {RULES_VERSION} only, not {rules!r}")
    check_method_sets(method_sets)
    for argument, module in modules.items():
        if module is not None and (not isinstance(module, str) or not MODULE.fullmatch(module)):
            write = f"write {argument}='zoo_{argument}'"
            raise DeclarationError(argument, f"is a module's name as text, not {_kind(module)}: {write}")


def _check_allow(allow: Any) -> None:
    if not isinstance(allow, (list, tuple)):
        raise DeclarationError("allow", f"is a list, not {_kind(allow)}: write allow=['format']")
    for rule in allow:
        if rule not in RULES:
            raise DeclarationError("allow", f"{rule!r} must be one of the lint's rules: {', '.join(RULES)}")


def _check_state(state: Any) -> None:
    if not (isinstance(state, type) and issubclass(state, State)):
        raise DeclarationError("state", f"is a class X(State, frozen=True), not {_kind(state)}")


def _check_genesis(genesis: Any, state: Any) -> None:
    if state is not None:
        raise DeclarationError("state", "goes with previous=...; a first version has genesis=..., an instance of it")
    if isinstance(genesis, type):
        raise DeclarationError("genesis", f"is an instance, not the class: write genesis={genesis.__name__}()")
    if not isinstance(genesis, State):
        raise DeclarationError("genesis", f"is an instance of a class X(State, frozen=True), not {_kind(genesis)}")


def _check_stfs(stfs: Any) -> None:
    if callable(stfs):
        shown = getattr(stfs, "__name__", "f")
        raise DeclarationError("stfs", f"is a list of functions, not one: write stfs=[{shown}]")
    if not isinstance(stfs, (list, tuple)):
        raise DeclarationError("stfs", f"is a list of functions, not {_kind(stfs)}: write stfs=[f, g]")
    if not stfs:
        raise DeclarationError("stfs", "a rollup has at least one state transition function")
    for stf in stfs:
        if not callable(stf):
            raise DeclarationError("stfs", f"holds functions, not {_kind(stf)}")


def _kind(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r}"[:60]
