"""Envelopes: formats of an app's own in which actions come, with principals, signatures and replay protection of its
own, instead of a wallet's signature and a kernel nonce.

    class Tickets(Envelope):
        name = "tickets"
        actions = (Redeem,)

        def open(self, raw: bytes) -> Opened: ...
        def encode(self, opened: Opened) -> bytes: ...

    app = MicroRollup(..., stfs=[redeem], envelopes=[Tickets])
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import msgspec

from microrollup.crypto.signatures.schemes import MIN_SIGNATURE_BYTES
from microrollup.declaration.action import Action, ActionType, ActionTypes
from microrollup.errors import DeclarationError
from microrollup.primitives import Bytes32

__all__ = ["MIN_ENVELOPE_BYTES", "Envelope", "EnvelopeType", "Opened", "compile_envelopes"]

MIN_ENVELOPE_BYTES: Final = 20
"""What is shorter does not open: no record of a block has fewer than 32 bytes."""

_NAME: Final = re.compile(r"[a-z0-9-]{1,32}")
_RESERVED: Final = frozenset({"signed", "l1", "block", "upgrade"})
"""Origins of the kernel's own."""

_NO_SIGNATURE: Final = bytes(MIN_SIGNATURE_BYTES)
_OWN: Final = frozenset({"name", "actions", "open", "encode"})

_OF_PYTHON: Final = frozenset({"__dict__", "__weakref__", "__annotations__"})
"""What Python itself puts into a class."""


class Opened(msgspec.Struct, frozen=True):
    """What an envelope holds."""

    action: Action
    """Of one of the envelope's `actions`."""
    hash: Bytes32
    """32 bytes that name what was authorised, such as the digest that was signed: its identity within the format. Two
    envelopes with one hash are the same to the sequencer, whatever else differs in them."""


class Envelope:
    """Base of an app's envelopes; a subclass has these four and nothing that it keeps.

    The actions come through this envelope only: nobody signs them, and no forced payload but the envelope's own has
    them. There is no kernel nonce: the state transition function checks and advances what prevents a replay.
    """

    __slots__ = ()

    name: ClassVar[str]
    """1 to 32 characters of a-z, 0-9 and `-`; what `ctx.origin` says in the state transition function."""
    actions: ClassVar[tuple[type[Action], ...]]
    """What may come in it."""

    def open(self, raw: bytes) -> Opened:
        """Read and authenticate 20 to 16,000 bytes from anybody, knowing nothing of the state.

        It runs metered, together with `encode`, within the budget of one entry. Whatever it raises means that the bytes
        do not open.
        """
        raise NotImplementedError

    def encode(self, opened: Opened) -> bytes:
        """The bytes that `open` read, from what it gave: so one action has one form. Other bytes do not open.

        What the action itself does not hold, as a signature, belongs into a subclass of `Opened`.
        """
        raise NotImplementedError


class EnvelopeType(msgspec.Struct, frozen=True):
    """An envelope of one app, checked."""

    name: str
    cls: type[Envelope]
    types: ActionTypes
    """Of its actions."""
    by_class: Mapping[type[Action], ActionType]

    def encode_action(self, action: Action) -> bytes:
        """A checked action of this envelope as it travels between this package's own processes."""
        return self.by_class[type(action)].encode_record(action, 0, _NO_SIGNATURE)

    def decode_action(self, raw: bytes) -> Action:
        """The way back from `encode_action`."""
        return self.types.to_action(self.types.decode_trusted(raw))


def compile_envelopes(
    envelopes: Iterable[type[Envelope]], handled: Iterable[type[Action]]
) -> tuple[dict[str, EnvelopeType], list[type[Action]]]:
    """The envelopes by name; and which of the actions that are `handled`, in their order, are left to be signed.

    Raises `DeclarationError` for anything that could not be opened, or reached.
    """
    left, found = list(handled), dict[str, EnvelopeType]()
    known: dict[str, type[Action]] = {}
    for action in left:
        if known.setdefault(action.__name__, action) is not action:
            raise DeclarationError(action.__name__, "two actions have this name")
    owners: dict[type[Action], str] = {}
    for cls in envelopes:
        _check_class(cls)
        if cls.name in found:
            raise DeclarationError(cls.__name__, f"two envelopes have the name {cls.name!r}")
        for action in cls.actions:
            if action in owners:
                where = f"{cls.__name__} and {owners[action]}" if owners[action] != cls.__name__ else cls.__name__
                raise DeclarationError(action.__name__, f"is listed twice, in {where}; it comes in one envelope")
            if known.get(action.__name__) is not action:
                raise DeclarationError(action.__name__, f"comes in {cls.__name__}, and no function in `stfs` takes it")
            owners[action] = cls.__name__
            left.remove(action)
        types = ActionTypes(cls.actions)
        found[cls.name] = EnvelopeType(cls.name, cls, types, {each.cls: each for each in types})
    return found, left


def _check_class(cls: Any) -> None:
    if not isinstance(cls, type) or not issubclass(cls, Envelope):
        hint = f"; write envelopes=[{type(cls).__name__}]" if isinstance(cls, Envelope) else ""
        raise DeclarationError("envelopes", f"holds subclasses of Envelope, not {cls!r:.60}{hint}")
    where = cls.__name__
    if cls.__bases__ != (Envelope,):
        raise DeclarationError(where, "derives from Envelope alone: write class X(Envelope)")
    own = vars(cls)
    missing = [name for name in sorted(_OWN) if name not in own]
    if missing:
        raise DeclarationError(where, f"lacks {', '.join(missing)}")
    if not isinstance(cls.name, str) or not _NAME.fullmatch(cls.name):
        raise DeclarationError(where, f"its name {cls.name!r} must be 1 to 32 characters of a-z, 0-9 and -")
    if cls.name in _RESERVED:
        raise DeclarationError(where, f"the name {cls.name!r} is an origin of the kernel's own")
    _check_actions(where, cls.actions)
    for name, parameters in (("open", "(self, raw)"), ("encode", "(self, opened)")):
        function = own[name]
        if not inspect.isfunction(function) or len(inspect.signature(function).parameters) != 2:
            raise DeclarationError(where, f"{name} is a method, def {name}{parameters}")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise DeclarationError(where, f"{name} returns its result: no `async`, no `yield`")
    for name, value in own.items():
        if not (inspect.isfunction(value) or name in _OF_PYTHON or _is_constant(value)):
            raise DeclarationError(
                where, f"keeps {name}, a {type(value).__name__}; it holds methods and constants only"
            )


def _is_constant(value: Any) -> bool:
    """Whether nothing can be changed in a value."""
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return value is None or type(value) in (bool, int, str, bytes) or isinstance(value, type)


def _check_actions(where: str, actions: Any) -> None:
    if not isinstance(actions, tuple) or not actions:
        raise DeclarationError(where, "its actions are a tuple of subclasses of Action: actions = (Redeem,)")
    for action in actions:
        if not isinstance(action, type) or not issubclass(action, Action) or action is Action:
            raise DeclarationError(where, f"its actions are subclasses of Action, not {action!r:.60}")
