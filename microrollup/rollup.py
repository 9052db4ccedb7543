"""`MicroRollup`: the declaration of a rollup, checked and compiled: state shape, actions, STFs, and the code's id."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Final, get_type_hints

from microrollup.action import Action, ActionTypes, Event
from microrollup.codec.canonical import encode_canonical
from microrollup.codec.schema import describe_struct, render_schema
from microrollup.codec.values import compile_check, compile_codec
from microrollup.crypto import keccak256
from microrollup.errors import DeclarationError, UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.record import DomainConfig
from microrollup.sources import collect_sources
from microrollup.state import State, StateField, StateType, describe_state

__all__ = ["KERNEL_FORMAT", "MicroRollup", "load_rollup"]

KERNEL_FORMAT: Final = 1
"""Version of the rules by which the kernel executes and commits; part of every stfId."""

DEFAULT_CHAIN_ID: Final = 31337
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _.-]{0,63}")

Stf = Callable[[Any, Any, Any], Any]


class MicroRollup:
    """A rollup as its author declares it.

    `name` and `version` are those of the EIP-712 domain; `genesis` is the first state; `stfs` are the state transition
    functions, each `(state, action, ctx) -> state`, annotated with its action's class. Raises `DeclarationError` for
    anything that could not be executed, signed or committed to.
    """

    def __init__(self, *, name: str, version: str, genesis: State, stfs: Sequence[Stf]) -> None:
        if not _NAME.fullmatch(name):
            raise DeclarationError(
                "name", f"{name!r} must be 1 to 64 letters, digits, spaces or _.- and start with a letter"
            )
        if not version or len(version) > 64:
            raise DeclarationError("version", "must be 1 to 64 characters")
        if not stfs:
            raise DeclarationError("stfs", "a rollup has at least one state transition function")
        self.name = name
        self.version = version
        self.genesis = genesis
        self.state_type: StateType = describe_state(type(genesis))
        self.state_fields: tuple[tuple[str, StateField], ...] = tuple(
            (field.name, field) for field in self.state_type.fields
        )
        self.stf_by_action: dict[type[Action], Stf] = {}
        for stf in stfs:
            action = _read_action_class(stf, type(genesis))
            if action in self.stf_by_action:
                raise DeclarationError(action.__name__, "two state transition functions take this action")
            self.stf_by_action[action] = stf
        self.action_types = ActionTypes(tuple(self.stf_by_action))
        self.event_encoders: dict[type[Event], Callable[[Event], tuple[str, bytes]]] = {}

    def make_domain(self, chain_id: int = DEFAULT_CHAIN_ID, verifying_contract: bytes = ZERO_ADDRESS) -> DomainConfig:
        """The EIP-712 domain of the actions; `verifying_contract` is the L1 inbox (zero with local settlement)."""
        return DomainConfig(self.name, self.version, chain_id, verifying_contract)

    @cached_property
    def stf_id(self) -> bytes:
        """32 bytes that name the code: keccak256 of kernel format, app version, schemas and sources.

        A verifier with another stfId runs other code and says so before it starts.
        """
        modules = {type(self.genesis).__module__}
        modules.update(function.__module__ for function in self.stf_by_action.values())
        modules.update(action.__module__ for action in self.stf_by_action)
        sources = tuple(collect_sources(modules).items())
        actions = tuple(render_schema(action_type.type) for action_type in self.action_types)
        return keccak256(encode_canonical((KERNEL_FORMAT, self.version, self.state_type.schema, actions, sources)))

    def encode_event(self, event: Event) -> tuple[str, bytes]:
        """Name and canonical msgpack of an event. Raises if it is no event or a value does not fit its field."""
        encoder = self.event_encoders.get(type(event))
        if encoder is None:
            encoder = self.event_encoders[type(event)] = _compile_event_encoder(type(event))
        return encoder(event)


def _read_action_class(stf: Stf, state_class: type[State]) -> type[Action]:
    """The action class that an STF's annotations name."""
    name = getattr(stf, "__qualname__", repr(stf))
    try:
        parameters = list(inspect.signature(stf).parameters)
        hints = get_type_hints(stf)
    except Exception as error:  # annotations can fail with whatever their expressions raise
        raise DeclarationError(name, f"its annotations cannot be read: {error}") from error
    if len(parameters) != 3:
        raise DeclarationError(name, "a state transition function takes (state, action, ctx)")
    if hints.get(parameters[0]) is not state_class or hints.get("return") is not state_class:
        raise DeclarationError(name, f"must take and return {state_class.__name__}, the class of the genesis state")
    action = hints.get(parameters[1])
    if not (isinstance(action, type) and issubclass(action, Action) and action is not Action):
        raise DeclarationError(name, "annotate the second parameter with a subclass of Action")
    return action


def _compile_event_encoder(event_class: type[Event]) -> Callable[[Event], tuple[str, bytes]]:
    if not issubclass(event_class, Event):
        raise DeclarationError(event_class.__name__, "an event is a subclass of Event")
    event_type = describe_struct(event_class, where="event")
    check, encode, name = compile_check(event_type), compile_codec(event_type).encode, event_class.__name__

    def encode_event(event: Event) -> tuple[str, bytes]:
        check(event)
        return name, encode(event)

    return encode_event


def load_rollup(reference: str) -> MicroRollup:
    """Import a rollup by `module` or `module:name` (name defaults to `app`), from the working directory or installed.

    Raises `UsageError` saying what is missing.
    """
    module_name, _, attribute = reference.partition(":")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module_name):
        raise UsageError(f"{reference!r} names no app: write `module` or `module:name`, for example apps.keystore")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = _import(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UsageError(f"there is no module {module_name!r} here or installed") from None
        raise UsageError(f"{module_name} cannot be imported: {error}") from error
    except Exception as error:
        raise UsageError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    rollup = getattr(module, attribute or "app", None)
    if not isinstance(rollup, MicroRollup):
        raise UsageError(f"{module_name} has no MicroRollup named {attribute or 'app'!r}")
    return rollup


def _import(name: str) -> ModuleType:
    """The module; or, where a plain directory NAME holds NAME.py, as `microrollup new` makes it, that file. So such an
    app works from outside its directory as from within, under the same name.
    """
    module = importlib.import_module(name)
    if getattr(module, "__file__", None) is None and "." not in name:
        for directory in getattr(module, "__path__", ()):
            if (Path(directory) / f"{name}.py").is_file():
                del sys.modules[name]
                sys.path.insert(0, directory)
                return importlib.import_module(name)
    return module
