"""The members of emitted events, for people and pages: decoded by the app's own event classes where they are found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from microrollup.action import Event
from microrollup.codec.json import to_json_value
from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.errors import MicrorollupError
from microrollup.rollup import MicroRollup

__all__ = ["EventReader"]

_Read = Callable[[bytes], dict[str, Any]]


class EventReader:
    """Decodes event bytes to plain objects with camelCase members.

    Event classes are those in the modules of the app's STFs and actions; an event whose class stands elsewhere has its
    bytes only.
    """

    def __init__(self, rollup: MicroRollup) -> None:
        self._readers: dict[str, _Read] = {}
        modules = {function.__module__ for function in rollup.stf_by_action.values()}
        modules.update(action.__module__ for action in rollup.stf_by_action)
        for name in sorted(modules):
            for value in vars(sys.modules[name]).values():
                if isinstance(value, type) and issubclass(value, Event) and value is not Event:
                    self._readers.setdefault(value.__name__, _compile(value))

    @property
    def names(self) -> list[str]:
        """The events that are known."""
        return sorted(self._readers)

    def read(self, name: str, data: bytes) -> dict[str, Any] | None:
        """The members of an event; None if its class is not known, or is not what wrote these bytes."""
        reader = self._readers.get(name)
        if reader is None:
            return None
        try:
            return reader(data)
        except MicrorollupError:
            return None


def _compile(event_class: type[Event]) -> _Read:
    event_type = describe_struct(event_class, where="event")
    decode = compile_codec(event_type).decode

    def read(data: bytes) -> dict[str, Any]:
        document: dict[str, Any] = to_json_value(event_type, decode(data))
        return document

    return read
