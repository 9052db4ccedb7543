"""The action that `TYPE` and `--member NAME=VALUE` make: what `submit` signs and `force` hands to L1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from microrollup.codec.json import compile_json_reader
from microrollup.codec.json_text import parse_json
from microrollup.codec.schema import BoolType, SchemaType, SequenceType, StructType
from microrollup.declaration.action import Action, ActionType
from microrollup.errors import RefusedError, UsageError

__all__ = ["make_action", "members_option"]

members_option = click.option(
    "--member", "members", multiple=True, metavar="NAME=VALUE", help="Give a member of the action; repeatable."
)


def make_action(action_type: ActionType, members: Sequence[str]) -> Action:
    """The action of a type, its members read from texts. Raises `UsageError`.

    A value is 0x-hex for bytes, decimal or 0x for integers, plain text for texts, JSON for lists and structs.
    """
    name = action_type.type.name
    fields = {field.wire_name: field.type for field in action_type.type.fields}
    texts = _split_members(members)
    if unknown := [member for member in texts if member not in fields]:
        raise UsageError(f"{name} has no member {unknown[0]!r}; it has {', '.join(fields)}")
    if missing := [member for member in fields if member not in texts]:
        raise UsageError(f"{name} needs the member {missing[0]!r} as well: --member {missing[0]}=VALUE")
    return action_type.cls(*[_read_value(member, kind, texts[member]) for member, kind in fields.items()])


def _split_members(members: Sequence[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for member in members:
        name, sign, value = member.partition("=")
        if not sign or name in texts:
            raise UsageError(f"--member {member!r}: write NAME=VALUE, each name once")
        texts[name] = value
    return texts


def _read_value(member: str, kind: SchemaType, text: str) -> Any:
    """The value that a text means. Raises `UsageError`."""
    value: Any = text
    if isinstance(kind, BoolType | SequenceType | StructType):
        try:
            value = parse_json(text.encode(errors="surrogateescape"))
        except RefusedError as error:
            raise UsageError(f"{member} is not written as JSON: {error.detail}") from None
    try:
        return compile_json_reader(kind, member)(value)
    except RefusedError as error:
        raise UsageError(error.detail) from None
