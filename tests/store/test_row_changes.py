"""What a block changes in the state's rows: every row, found at once, and damaged or hostile bytes."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_fixtures import mutate
from microrollup.errors import DecodeError
from microrollup.store.row_changes import (
    RowChange,
    decode_row_changes,
    encode_row_changes,
    find_row_change,
    read_digests,
)

HEIGHT = 7
VALUES = st.none() | st.binary(max_size=12)
ROWS = st.dictionaries(st.binary(min_size=2, max_size=12), st.tuples(VALUES, VALUES), max_size=12)


@given(ROWS, st.binary(max_size=12))
@settings(max_examples=200)
def test_round_trip(rows: dict[bytes, tuple[bytes | None, bytes | None]], other: bytes) -> None:
    """All rows come back, each is found, what was not touched is told from what was not there; one encoding."""
    changes = [RowChange(key, old, new) for key, (old, new) in rows.items()]
    raw = encode_row_changes(HEIGHT, changes)
    assert sorted(changes) == sorted(decode_row_changes(HEIGHT, raw))
    for view in (raw, memoryview(raw)):
        for change in changes:
            assert change == find_row_change(HEIGHT, view, change.key)
        if other not in rows:
            assert find_row_change(HEIGHT, view, other) is None
    assert raw == encode_row_changes(HEIGHT, reversed(changes))


def test_a_damaged_index_is_noticed() -> None:
    """No flipped bit in count, digests or check hides a change: reading raises, and so does looking a row up."""
    changes = [RowChange(b"key %d" % number, b"old", b"new") for number in range(5)]
    raw = encode_row_changes(HEIGHT, changes)
    for bit in range(8 * (4 + 8 * 5 + 8)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        for read in (read_digests, decode_row_changes, lambda height, raw: find_row_change(height, raw, b"key 3")):
            with pytest.raises(DecodeError):
                read(HEIGHT, bytes(damaged))


def test_changes_of_another_block_are_noticed() -> None:
    """Changes that are found at another height than theirs are not taken for those of that height."""
    raw = encode_row_changes(HEIGHT, [RowChange(b"key", b"old", b"new")])
    assert [RowChange(b"key", b"old", b"new")] == decode_row_changes(HEIGHT, raw)
    for read in (read_digests, decode_row_changes, lambda height, raw: find_row_change(height, raw, b"key")):
        with pytest.raises(DecodeError, match="not of block 8"):
            read(HEIGHT + 1, raw)


def test_a_row_in_the_place_of_another_is_noticed() -> None:
    """A damaged row key does not make the row one that the block left alone."""
    raw = encode_row_changes(HEIGHT, [RowChange(b"key", b"old", b"new"), RowChange(b"other", None, b"new")])
    damaged = raw.replace(b"key", b"kez")
    assert damaged != raw
    with pytest.raises(DecodeError, match="in the place of another"):
        find_row_change(HEIGHT, damaged, b"key")
    assert find_row_change(HEIGHT, damaged, b"kez") is None


def test_hostile_bytes() -> None:
    """Mutated changes give rows or raise `DecodeError`, whoever reads them."""
    rng = Random(1)
    refused = 0
    for count in range(3_000):
        values = (None, rng.randbytes(6))
        rows = [RowChange(rng.randbytes(5), rng.choice(values), rng.choice(values)) for _ in range(count % 6)]
        raw = mutate(rng, encode_row_changes(HEIGHT, rows))
        wanted = rows[0].key if rows else b"key"
        for read in (decode_row_changes, partial(find_row_change, row_key=wanted)):
            try:
                read(HEIGHT, raw)
            except DecodeError:
                refused += 1
    assert refused > 2_000


@pytest.mark.parametrize("raw", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x01", b"\xff\xff\xff\xff" + bytes(64), bytes(4)])
def test_cut_off(raw: bytes) -> None:
    """What is shorter than its own count says, or has no body, is refused."""
    with pytest.raises(DecodeError):
        decode_row_changes(HEIGHT, raw)
