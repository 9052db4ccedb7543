"""JSON text is read only where all readers agree on its meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.codec.json_text import FloatText, HugeInteger, NegativeZero, clip, is_shallow, parse_json
from microrollup.errors import DuplicateMember, InvalidUtf8, NotJson, RefusedError, TooDeep

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def compute_depth(value: Any) -> int:
    """How deep plain objects nest."""
    if isinstance(value, dict):
        return 1 + max([compute_depth(item) for item in value.values()], default=0)
    if isinstance(value, list):
        return 1 + max([compute_depth(item) for item in value], default=0)
    return 0


@given(PLAIN)
def test_plain_objects_survive(value: Any) -> None:
    """What another library writes of plain objects is read back."""
    assert value == parse_json(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(b"1.0", FloatText), (b"1e0", FloatText), (b"-0.0", FloatText), (b"-0", NegativeZero), (b"9" * 81, HugeInteger)],
)
def test_doubtful_numbers_are_marked(raw: bytes, kind: type) -> None:
    """Numbers that are no plain integers stay as text of a type of their own, which no field takes."""
    assert kind is type(parse_json(raw))


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", NotJson),
        (b"{", NotJson),
        (b"01", NotJson),
        (b"NaN", NotJson),
        (b"-Infinity", NotJson),
        (b"{} {}", NotJson),
        (b"'x'", NotJson),
        (b'"\n"', NotJson),
        (b"\xef\xbb\xbf{}", NotJson),
        (b"[1,]", NotJson),
        (b'"\xff"', InvalidUtf8),
        (b'"\xed\xa0\x80"', InvalidUtf8),
        (b'{"a":1,"a":1}', DuplicateMember),
        (b'{"a":1,"\\u0061":1}', DuplicateMember),
        (b'[{"b":{"a":1,"c":2,"a":1}}]', DuplicateMember),
        (b"[" * 33 + b"]" * 33, TooDeep),
        (b"[" * 16000, TooDeep),
        (b'{"a":' * 3000, TooDeep),
    ],
)
def test_doubtful_texts_are_refused(raw: bytes, error: type[RefusedError]) -> None:
    """One class a cause."""
    with pytest.raises(error) as caught:
        parse_json(raw)
    assert error is type(caught.value)


def test_32_levels_are_read() -> None:
    """The limit itself is allowed."""
    assert 32 == compute_depth(parse_json(b"[" * 32 + b"]" * 32))


@given(st.lists(st.sampled_from(["[]", "{}", '"["', '"\\"{"', '"\\\\"', "1"]), max_size=60), st.integers(0, 33))
def test_depth_is_told_from_the_bytes(items: list[str], levels: int) -> None:
    """Brackets inside strings do not count, neighbours do not add up."""
    text = "[" * levels + ",".join(items) + "]" * levels
    inner = 1 if any(item in ("[]", "{}") for item in items) else 0
    assert (levels + inner <= 32) == is_shallow(text.encode())


def test_names_in_errors_are_short_and_printable() -> None:
    """A name from outside is quoted, escaped and cut."""
    assert "'\\ud800'" == clip("\ud800")
    assert f"'{'x' * 40}'..." == clip("x" * 16000)
