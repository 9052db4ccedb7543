"""Lines read by types: the text that msgspec itself would write is taken, whatever else JSON allows is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import astuple

from microrollup.declaration.action import Action, ActionTypes
from microrollup.declaration.signed_line import LineReader
from microrollup.primitives import MAX_JSON_DEPTH, Bytes32, Uint64


class Ping(Action, frozen=True):
    """Members of which one has no type of its own for the reader."""

    a_key: Bytes32
    count: Uint64
    many: list[Uint64]


TYPES = ActionTypes([Ping])
READER = LineReader(TYPES.by_name.values())
KEY = "0x" + "ab" * 32
MESSAGE = {"aKey": KEY, "count": 1, "many": [1, 2], "nonce": 7}
DOCUMENT = {"type": "Ping", "message": MESSAGE, "signature": "0x00"}


def write(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def test_a_plain_line_is_read() -> None:
    """Its values come in declared order, the nonce last, and make the action."""
    found = READER.read(write(DOCUMENT | {"sender": "0x01"}))
    assert found is not None
    action_type, line = found
    assert (TYPES.by_name["Ping"], "0x00", "0x01") == (action_type, line.signature, line.sender)
    assert (Ping(b"\xab" * 32, 1, [1, 2]), 7) == action_type.read_values(astuple(line.message))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        write(DOCUMENT) + b" ",
        write(DOCUMENT).replace(b'"count":1', b'"count":1.0'),
        write(DOCUMENT).replace(b'"count":1', b'"count":1,"count":1'),
        write(DOCUMENT).replace(b"Ping", b"\\u0050ing"),
        write(DOCUMENT | {"type": "Pong"}),
        write(DOCUMENT | {"more": 1}),
        write(DOCUMENT | {"sender": None}),
        write(DOCUMENT | {"message": dict(reversed(MESSAGE.items()))}),
        write(DOCUMENT | {"message": MESSAGE | {"count": True}}),
        write(DOCUMENT | {"message": MESSAGE | {"aKey": None}}),
        write(DOCUMENT).replace(b"[1,2]", b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH),
    ],
)
def test_other_texts_are_left_alone(line: bytes) -> None:
    """Other spellings, members, types and depths are the strict parser's."""
    assert READER.read(line) is None
