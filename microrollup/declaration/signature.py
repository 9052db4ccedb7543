"""What a state transition function says of itself: which action it takes, and that it can be called as STFs are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, Final, TypeAlias, get_type_hints

from microrollup.codec.annotations import show_annotation
from microrollup.declaration.action import Action
from microrollup.declaration.state import State
from microrollup.declaration.state_part import StatePart
from microrollup.errors import DeclarationError

__all__ = ["BlockHook", "Stf", "lift_hook", "read_hook", "read_migration", "read_stf"]

Stf: TypeAlias = Callable[[Any, Any, Any], Any]
"""`(state, action, ctx) -> state`, of the whole state or of a part"""

BlockHook: TypeAlias = Callable[[Any, Any], Any]
"""`(state, ctx) -> state`"""

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def read_stf(stf: Stf, parts: Mapping[type[State], StatePart]) -> tuple[StatePart, type[Action]]:
    """The part of the state and the action class that an STF's annotations name; `parts` has the whole state first.

    Raises `DeclarationError` for what cannot be an STF.
    """
    name = getattr(stf, "__qualname__", repr(stf))
    parameters, hints = _read_signature(name, stf)
    _check_kind(name, stf)
    if len(parameters) != 3:
        raise DeclarationError(name, "a state transition function is called as f(state, action, ctx), by position")
    state, action, _ = parameters
    part = _read_part(name, state, hints, parts)
    found = hints.get(action)
    if not (isinstance(found, type) and issubclass(found, Action) and found is not Action):
        raise DeclarationError(name, f"annotate {action} with one subclass of Action; it has {_show(hints, action)}")
    return part, found


def read_hook(hook: BlockHook, parts: Mapping[type[State], StatePart]) -> StatePart:
    """The part of the state that a block hook's annotations name; `parts` has the whole state first.

    Raises `DeclarationError` for what cannot be a block hook, `f(state, ctx) -> state`.
    """
    name = getattr(hook, "__qualname__", repr(hook))
    parameters, hints = _read_signature(name, hook)
    _check_kind(name, hook)
    if len(parameters) != 2:
        raise DeclarationError(name, "a block hook is called as f(state, ctx), by position")
    return _read_part(name, parameters[0], hints, parts)


def read_migration(migrate: Callable[..., Any], before: type[State], after: type[State]) -> None:
    """Check the annotations of a migration, `f(state: before, ctx) -> after`. Raises `DeclarationError`."""
    name = getattr(migrate, "__qualname__", repr(migrate))
    parameters, hints = _read_signature(name, migrate)
    _check_kind(name, migrate)
    if len(parameters) != 2:
        raise DeclarationError(name, "a migration is called as f(state, ctx), by position")
    if hints.get(parameters[0]) is not before or hints.get("return") is not after:
        takes, gives = _show(hints, parameters[0]), _show(hints, "return")
        raise DeclarationError(
            name,
            f"takes {takes} and returns {gives}; it must take the version before's {before.__name__} and return this"
            f" version's {after.__name__}",
        )


def _read_part(name: str, state: str, hints: dict[str, Any], parts: Mapping[type[State], StatePart]) -> StatePart:
    """The part that a function takes as its parameter `state`, and returns."""
    part = parts.get(hints.get(state, State)) if isinstance(hints.get(state), type) else None
    if part is None or hints.get("return") is not part.cls:
        takes, gives = _show(hints, state), _show(hints, "return")
        whole, *inner = [each.cls.__name__ for each in parts.values()]
        which = f", or one of its parts ({', '.join(inner)})" if inner else ""
        raise DeclarationError(
            name, f"takes {takes} and returns {gives}; it must be {whole} both, as the genesis state is{which}"
        )
    return part


def lift_hook(hook: BlockHook) -> Stf:
    """The hook as it is called for the block's own entry, `f(state, entry, ctx)`."""
    return lambda state, _, ctx: hook(state, ctx)


def _read_signature(name: str, function: Callable[..., Any]) -> tuple[list[str], dict[str, Any]]:
    """The names of the positional parameters, none if there are others, and the annotations."""
    try:
        parameters = inspect.signature(function).parameters
        hints = get_type_hints(function)
    except Exception as error:  # annotations can fail with whatever their expressions raise
        raise DeclarationError(name, f"its annotations cannot be read: {error}") from error
    if any(parameter.kind not in _POSITIONAL for parameter in parameters.values()):
        return [], hints
    return list(parameters), hints


def _show(hints: dict[str, Any], name: str) -> str:
    return show_annotation(hints[name]) if name in hints else "nothing stated"


def _check_kind(name: str, stf: Callable[..., Any]) -> None:
    """Raises `DeclarationError` for functions whose call gives something other than their result."""
    if inspect.iscoroutinefunction(stf) or inspect.isasyncgenfunction(stf):
        raise DeclarationError(name, "is async; an STF waits for nothing: write `def`, and return the new state")
    if inspect.isgeneratorfunction(stf):
        raise DeclarationError(name, "yields; an STF returns the new state")
