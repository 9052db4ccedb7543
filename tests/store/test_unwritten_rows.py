"""Which unwritten blocks changed a row, from one index that is read once per closed block."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from microrollup.errors import StoreCorrupt
from microrollup.store.row_changes import Digests, RowChange, encode_row_changes, read_digests
from microrollup.store.unwritten_rows import UnwrittenRows

KEYS = [bytes((0, 0, number)) for number in range(30)]


class Blocks:
    """Changes of random blocks, and how often one was read."""

    def __init__(self, seed: int, blocks: range) -> None:
        rng = Random(seed)
        self.keys = {number: set(rng.sample(KEYS, rng.randrange(8))) for number in blocks}
        self.reads = 0

    def read(self, number: int) -> Digests:
        self.reads += 1
        changes = [RowChange(key, None, b"x") for key in self.keys[number]]
        return read_digests(number, encode_row_changes(number, changes))


@pytest.mark.parametrize("blocks", [range(1, 1), range(5, 6), range(3, 40)])
def test_each_block_that_changed_a_row_is_found_newest_first(blocks: range) -> None:
    made, rows = Blocks(1, blocks), UnwrittenRows()
    for key in [*KEYS, b"never"]:
        expected = [number for number in reversed(blocks) if key in made.keys[number]]
        assert expected == list(rows.find(key, blocks, b"stamp", made.read))
    assert len(blocks) == made.reads


def test_other_blocks_are_read_anew() -> None:
    """One more block, fewer because some are written out, and a block that was built again."""
    made, rows = Blocks(2, range(1, 10)), UnwrittenRows()
    for blocks, stamp in ((range(1, 9), b"a"), (range(1, 10), b"b"), (range(4, 10), b"b"), (range(4, 10), b"c")):
        before = made.reads
        for key in KEYS:
            expected = [number for number in reversed(blocks) if key in made.keys[number]]
            assert expected == list(rows.find(key, blocks, stamp, made.read))
        assert len(blocks) == made.reads - before


def test_two_rows_of_one_digest_are_both_looked_at() -> None:
    rows = UnwrittenRows()
    digest = read_digests(1, encode_row_changes(1, [RowChange(KEYS[0], None, b"x")]))
    assert [2, 1, 1] == list(rows.find(KEYS[0], range(1, 3), b"", lambda n: np.repeat(digest, 3 - n)))


def test_what_cannot_be_read_is_not_kept() -> None:
    def fail(_: int) -> Digests:
        raise StoreCorrupt("changes/1", "missing")

    rows, made = UnwrittenRows(), Blocks(3, range(1, 3))
    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            rows.find(KEYS[0], range(1, 3), b"", fail)
    rows.find(KEYS[0], range(1, 3), b"", made.read)
    assert 2 == made.reads
