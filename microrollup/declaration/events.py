"""The events of an app: which classes there are, and the members of an emitted one as plain JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from microrollup.codec.json import to_json_value
from microrollup.codec.schema import describe_struct, render_schema
from microrollup.codec.values import compile_checked_encoder, compile_codec
from microrollup.crypto.eip712 import list_types
from microrollup.declaration.action import Event
from microrollup.errors import DeclarationError, DecodeError

__all__ = ["EventReader", "compile_event_encoder", "find_event_classes"]

_Read = Callable[[bytes], dict[str, Any]]


def compile_event_encoder(event_class: type[Event]) -> Callable[[Event], tuple[str, bytes]]:
    """What gives the name and the canonical msgpack of an event of a class, and checks its values.

    Raises `DeclarationError` for a class of something else.
    """
    if not issubclass(event_class, Event):
        raise DeclarationError(event_class.__name__, "an event is a subclass of Event")
    return compile_checked_encoder(describe_struct(event_class, where="event"))


class EventReader:
    """Decodes event bytes to plain JSON objects with camelCase members."""

    def __init__(self, classes: Mapping[str, type[Event]]) -> None:
        self._readers = {name: _compile(cls) for name, cls in sorted(classes.items())}

    @property
    def names(self) -> list[str]:
        """The events that are known, sorted."""
        return list(self._readers)

    def read(self, name: str, data: bytes) -> dict[str, Any] | None:
        """The members of an event; None if its class is not known, or is not what wrote these bytes."""
        reader = self._readers.get(name)
        try:
            return None if reader is None else reader(data)
        except DecodeError:
            return None


def _compile(cls: type[Event]) -> _Read:
    event_type = describe_struct(cls, where="event")
    decode = compile_codec(event_type).decode

    def read(data: bytes) -> dict[str, Any]:
        document: dict[str, Any] = to_json_value(event_type, decode(data))
        return document

    return read


def find_event_classes(
    namespaces: Iterable[Mapping[str, object]], is_own: Callable[[str], bool]
) -> dict[str, type[Event]]:
    """Name -> class of the events in some modules' namespaces, and in the app's own modules that they import.

    Raises `DeclarationError` for an event whose fields cannot be described, and for two of one name: receipts name an
    event by its class, so readers could not tell them apart.
    """
    found: dict[str, type[Event]] = {}
    pending, seen = list(namespaces), set[str]()
    while pending:
        for value in list(pending.pop().values()):
            if isinstance(value, type) and issubclass(value, Event) and value is not Event:
                _add(found, value)
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(name, str) and name not in seen:
                seen.add(name)
                if name in sys.modules and is_own(name):
                    pending.append(vars(sys.modules[name]))
    return found


def _add(found: dict[str, type[Event]], cls: type[Event]) -> None:
    described = describe_struct(cls, where="event")
    list_types(described, nonce=False)  # refuses two structs of one name
    schema = render_schema(described)
    other = found.setdefault(cls.__name__, cls)
    if other is not cls and render_schema(describe_struct(other, where="event")) != schema:
        raise DeclarationError(
            cls.__name__, f"{other.__module__} and {cls.__module__} have an event of this name; give each its own"
        )
