"""Action and event classes out of EIP-712 types, for clients of a rollup without its Python code."""

from __future__ import annotations

import re
from types import GenericAlias
from typing import Any, Final, cast

import msgspec

from microrollup import primitives
from microrollup.client.errors import BadAnswer
from microrollup.declaration.action import Action, Event
from microrollup.errors import UsageError

__all__ = ["declare_action", "declare_event"]

_SCALARS: Final[dict[str, Any]] = {
    "address": primitives.Address,
    "bytes32": primitives.Bytes32,
    "bytes": bytes,
    "string": str,
    "bool": bool,
}
_INTEGER: Final = re.compile(r"(u?)int(\d{1,3})")
_NONCE: Final = {"name": "nonce", "type": "uint64"}


def declare_action(name: str, types: dict[str, Any]) -> type[Action]:
    """The class of an action whose EIP-712 types a node serves: `types[name]`, `nonce` last, and the structs in it.

    Raises `BadAnswer` for types that no action has, and `UsageError` for a name that is not among them. That the
    class means the same as the node's is for the caller to compare, by type hash.
    """
    if name not in types:
        raise UsageError(f"no action {name!r} in this rollup")
    members = types[name]
    if not isinstance(members, list) or not members or members[-1] != _NONCE:
        raise BadAnswer(f"the members of {name} do not end with the nonce")
    try:
        cls = msgspec.defstruct(name, _Declaring(types).read_members(members[:-1]), bases=(Action,), frozen=True)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadAnswer(f"the types of {name} are those of no action: {error}") from None
    return cast("type[Action]", cls)


def declare_event(name: str, types: dict[str, Any]) -> type[Event]:
    """The class of an event whose types a node serves: `types[name]`, and the structs in it. Raises `BadAnswer`."""
    try:
        cls = msgspec.defstruct(name, _Declaring(types).read_members(types[name]), bases=(Event,), frozen=True)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadAnswer(f"the types of {name} are those of no event: {error}") from None
    return cast("type[Event]", cls)


def _read_name(member: dict[str, str]) -> str:
    """The Python name of a member: an underscore keeps it from being a keyword, and is not part of the JSON name."""
    return f"{member['name']}_"


class _Declaring:
    """The structs of one types object, each declared once, however often it is named."""

    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types
        self._structs: dict[str, type[msgspec.Struct] | None] = {}

    def read_members(self, members: list[dict[str, str]]) -> list[tuple[str, Any]]:
        return [(_read_name(member), self._read_type(member["type"])) for member in members]

    def _read_type(self, text: str) -> Any:
        item = text
        dimensions = 0
        while item.endswith("[]"):
            item, dimensions = item[:-2], dimensions + 1
        annotation = self._read_item(item)
        for _ in range(dimensions):
            annotation = GenericAlias(list, (annotation,))
        return annotation

    def _read_item(self, text: str) -> Any:
        if text in _SCALARS:
            return _SCALARS[text]
        if integer := _INTEGER.fullmatch(text):
            return getattr(primitives, f"{'Uint' if integer[1] else 'Int'}{int(integer[2])}")
        if text not in self._structs:
            self._structs[text] = None
            fields = self.read_members(self._types[text])
            self._structs[text] = msgspec.defstruct(
                text, fields, frozen=True, array_like=True, forbid_unknown_fields=True
            )
        declared = self._structs[text]
        if declared is None:
            raise BadAnswer(f"the struct {text} contains itself")
        return declared
