"""Signed actions read from lines of JSON at once, by types, where the text is the one that msgspec itself would write.

Such a text has one meaning: no duplicate members, no spelling of a number that a reader could take for another. Every
other text is left to the strict parser, which is the definition.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET, UnsetType

from microrollup.codec.json_text import is_shallow
from microrollup.codec.schema import BoolType, BytesType, FixedBytesType, IntegerType, SchemaType, StringType
from microrollup.declaration.action import NONCE_TYPE, ActionType

__all__ = ["LineReader", "SignedLine"]


class SignedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag_field="type"):
    """A line's members, JSON types checked and nothing else. Each action type has a subclass of its own."""

    message: Any
    """A Struct of the action's members in declared order, and the nonce."""
    signature: str
    sender: str | UnsetType = UNSET


class LineReader:
    """Reads the lines of one rollup's action types."""

    def __init__(self, types: Iterable[ActionType]) -> None:
        """Compile the types' lines."""
        self._types: Final = {_define_line(each): each for each in types}
        self._is_flat = all(
            _annotate(field.type) is not Any for each in self._types.values() for field in each.type.fields
        )
        self._decode: Final = msgspec.json.Decoder(functools.reduce(operator.or_, self._types)).decode
        self._encode: Final = msgspec.json.Encoder().encode

    def read(self, line: bytes) -> tuple[ActionType, SignedLine] | None:
        """A line's type and members; None for one that only the strict parser may judge."""
        try:
            found = self._decode(line)
        except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError):
            return None
        if self._encode(found) != line or not (self._is_flat or is_shallow(line)):
            return None
        return self._types[type(found)], found


def _define_line(action_type: ActionType) -> type[SignedLine]:
    members = [*[(field.wire_name, field.type) for field in action_type.type.fields], ("nonce", NONCE_TYPE)]
    names = {f"member_{number}": name for number, (name, _) in enumerate(members)}
    message = msgspec.defstruct(
        f"{action_type.name}Message",
        [(attribute, _annotate(t)) for attribute, (_, t) in zip(names, members, strict=True)],
        rename=names,
        frozen=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    line = msgspec.defstruct(
        f"{action_type.name}Line",
        [("message", message), ("signature", str), ("sender", str | UnsetType, UNSET)],
        bases=(SignedLine,),
        tag=action_type.name,
        frozen=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    return cast("type[SignedLine]", line)


def _annotate(t: SchemaType) -> Any:
    """The JSON that a value of a type may have, as far as a reader of it takes it at all."""
    match t:
        case IntegerType():
            return int | str
        case FixedBytesType() | BytesType() | StringType():
            return str
        case BoolType():
            return bool
        case _:
            return Any
