"""microrollup.crypto.lthash: the set hash of metadata fields and nonces."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.crypto.lthash import (
    EMPTY_LANES,
    LANES_BYTES,
    MetadataEntry,
    compute_metadata_root,
    encode_entry,
    update_lanes,
)

entries = st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=24), st.binary(max_size=24))


def slow_lanes(added: list[MetadataEntry], removed: list[MetadataEntry]) -> bytes:
    """Lane by lane in plain integers."""
    lanes = [0] * 1024
    for sign, chosen in ((1, added), (-1, removed)):
        for field, key, value in chosen:
            message = bytes([field >> 8, field & 0xFF]) + len(key).to_bytes(4, "big") + key + value
            spread = blake3(message).digest(length=2048)
            for lane in range(1024):
                number = spread[2 * lane] + 256 * spread[2 * lane + 1]
                lanes[lane] = (lanes[lane] + sign * number) % 65536
    return b"".join(bytes([lane & 0xFF, lane >> 8]) for lane in lanes)


def test_no_entries() -> None:
    """No entries are 2,048 zero bytes, and the root is their BLAKE3."""
    assert bytes(2048) == EMPTY_LANES == update_lanes(EMPTY_LANES, [], [])
    assert blake3(bytes(2048)).digest() == compute_metadata_root(EMPTY_LANES)


def test_pinned_vector() -> None:
    """The format does not drift: a nonce, a replaced map entry and a scalar, as the slow loop gave them."""
    added = [(0xFFFF, bytes(range(20)), (7).to_bytes(8, "big")), (0, b"key", b"value"), (3, b"", b"scalar")]
    lanes = update_lanes(EMPTY_LANES, [(0, b"key", b"old value")], added)
    assert "d168979ccc333c5dc37a491734ab00b4" == lanes[:16].hex()
    assert "5a2251f3daad940e17840983dcece1856e72df63c63eaa7752f724b3b18ee359" == compute_metadata_root(lanes).hex()


@settings(max_examples=20, deadline=None)
@given(st.lists(entries, max_size=6), st.lists(entries, max_size=6))
def test_equals_the_slow_loop(added: list[MetadataEntry], removed: list[MetadataEntry]) -> None:
    """The sums are those of a plain loop over integers modulo 2^16."""
    assert slow_lanes(added, removed) == update_lanes(EMPTY_LANES, removed, added)


@given(st.lists(entries, max_size=20))
def test_order_does_not_matter(some: list[MetadataEntry]) -> None:
    """The lanes are those of the set, in whatever order and portions it came."""
    shuffled = sorted(some, key=lambda entry: blake3(encode_entry(*entry)).digest())
    at_once = update_lanes(EMPTY_LANES, [], some)
    one_by_one = EMPTY_LANES
    for entry in shuffled:
        one_by_one = update_lanes(one_by_one, [], [entry])
    assert at_once == one_by_one


@given(st.lists(entries, max_size=10), st.lists(entries, max_size=10))
def test_what_was_added_can_be_removed(kept: list[MetadataEntry], gone: list[MetadataEntry]) -> None:
    """Adding and removing entries leaves the others' lanes as they were."""
    lanes = update_lanes(EMPTY_LANES, [], kept)
    assert lanes == update_lanes(update_lanes(lanes, [], gone), gone, [])
    assert lanes == update_lanes(lanes, gone, gone)


def test_many_entries() -> None:
    """More entries than are summed at once come to the same as entry by entry."""
    many = [(1, number.to_bytes(4, "big"), b"value") for number in range(600)]
    lanes = update_lanes(EMPTY_LANES, [], many)
    assert lanes == update_lanes(update_lanes(EMPTY_LANES, [], many[:300]), [], many[300:])
    assert EMPTY_LANES == update_lanes(lanes, iter(many), iter(()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0, b"ab", b"c"), (0, b"a", b"bc")),
        ((0, b"a", b""), (0, b"", b"a")),
        ((1, b"a", b"b"), (2, b"a", b"b")),
        ((0, b"a", b"b"), (0, b"a", b"c")),
    ],
)
def test_entries_do_not_run_together(one: MetadataEntry, other: MetadataEntry) -> None:
    """Field, key and value are kept apart: another division of the same bytes is another entry."""
    assert update_lanes(EMPTY_LANES, [], [one]) != update_lanes(EMPTY_LANES, [], [other])


def test_multiplicity_counts() -> None:
    """An entry twice is not an entry once."""
    entry = (0, b"key", b"value")
    assert update_lanes(EMPTY_LANES, [], [entry]) != update_lanes(EMPTY_LANES, [], [entry, entry])


@pytest.mark.parametrize("size", [0, LANES_BYTES - 1, LANES_BYTES + 1])
def test_other_lengths_are_refused(size: int) -> None:
    """Lanes have 2,048 bytes."""
    with pytest.raises(ValueError, match="2048"):
        update_lanes(bytes(size), [], [])
