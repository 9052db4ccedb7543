"""What a block's rows were before it: every row, found at once, and hostile bytes."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_fixtures import mutate

from microrollup.errors import DecodeError
from microrollup.store.undo import NOT_TOUCHED, decode_row_undo, encode_row_undo, find_old_row

ROWS = st.dictionaries(st.binary(min_size=2, max_size=12), st.none() | st.binary(max_size=12), max_size=12)


@given(ROWS, st.binary(max_size=12))
@settings(max_examples=200)
def test_round_trip(rows: dict[bytes, bytes | None], other: bytes) -> None:
    """All rows come back, each is found, what was not touched is told from what was not there; one encoding."""
    raw = encode_row_undo(rows)
    assert rows == dict(decode_row_undo(raw))
    for view in (raw, memoryview(raw)):
        for key, old in rows.items():
            assert old == find_old_row(view, key)
        if other not in rows:
            assert find_old_row(view, other) is NOT_TOUCHED
    assert raw == encode_row_undo(dict(reversed(rows.items())))


def test_hostile_undo() -> None:
    """Mutated undo gives rows or raises `DecodeError`, whoever reads it."""
    rng = Random(1)
    refused = 0
    for count in range(3_000):
        rows = {rng.randbytes(5): rng.choice((None, rng.randbytes(6))) for _ in range(count % 6)}
        raw = mutate(rng, encode_row_undo(rows))
        for read in (decode_row_undo, lambda raw: find_old_row(raw, next(iter(rows), b"key"))):  # noqa: B023
            try:
                read(raw)
            except DecodeError:
                refused += 1
    assert refused > 2_000


@pytest.mark.parametrize("raw", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x01", b"\xff\xff\xff\xff" + bytes(64), bytes(4)])
def test_cut_off(raw: bytes) -> None:
    """What is shorter than its own count says, or has no body, is refused."""
    with pytest.raises(DecodeError):
        decode_row_undo(raw)
