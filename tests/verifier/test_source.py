"""Where a verifier takes blocks from: files and stores, told apart, read a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from kernel_fixtures import Chain
from microrollup.chain.block import Block
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.chain.record import Genesis
from microrollup.errors import DecodeError, MicrorollupError, StoreCorrupt, UsageError
from microrollup.settlement.batch import decode_batch
from microrollup.settlement.local import LocalSettlement
from microrollup.store.environment import Environment, encode_number
from microrollup.verifier.source import StoreSource, open_source, read_batches


class Places:
    """The same chain as a store and as a file."""

    def __init__(self, root: Path) -> None:
        chain = Chain(root, block_size=3)
        chain.work(Random(1), 5)
        self.genesis: Genesis = chain.genesis
        self.blocks: list[Block] = chain.get_blocks()
        self.rollup_id = chain.ledger.rollup_id
        chain.ledger.close()
        chain.close()
        self.l1 = LocalSettlement.open(root / "l1", lambda: chain.seconds)
        self.store, self.file = root / "builder", root / "blocks"
        write_blocks(self.file, self.genesis, self.blocks)


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    made = Places(tmp_path)
    yield made
    made.l1.close()


def test_both_give_the_same(places: Places) -> None:
    """A store and the file written from it give one genesis, the same blocks from any height on, and equal batches up
    to any height.
    """
    file = open_source(str(places.file))
    store = open_source(str(places.store))
    assert isinstance(file, BlockFile)
    assert isinstance(store, StoreSource)
    assert places.genesis == file.genesis == store.genesis
    assert len(places.blocks) == store.read_tip()
    for first in (1, 3, len(places.blocks), len(places.blocks) + 1):
        expected = places.blocks[first - 1 :]
        assert expected == list(file.read_blocks(first)) == list(store.read_blocks(first))
        for last in (len(places.blocks), 3, 0):
            batches = list(read_batches(store, first, last, places.l1))
            assert list(read_batches(file, first, last, places.l1)) == batches
            decoded = [block for batch in batches for block in decode_batch(batch).blocks]
            wanted = [(block.open, block.records, block.seal) for block in places.blocks[first - 1 : last]]
            assert wanted == [(b.open, b.records, b.seal) for b in decoded]
    store.close()


def test_neither(tmp_path: Path) -> None:
    """What is neither a file nor a store is told in words; a file of something else when it is opened."""
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(UsageError):
            open_source(str(path))
    with pytest.raises(DecodeError):
        open_source(__file__)


def test_damaged_store(places: Places) -> None:
    """A block whose row or entries are damaged is told when it is its turn; those in front of it come."""
    with Environment(places.store) as environment, environment.write() as txn:
        txn.delete(encode_number(2), db=environment.tables["blocks"])
    found: list[Block] = []
    with StoreSource(places.store) as source, pytest.raises(StoreCorrupt, match="blocks/2"):
        for block in source.read_blocks():
            found.append(block)  # noqa: PERF402
    assert places.blocks[:1] == found


def test_store_without_a_genesis(tmp_path: Path) -> None:
    """A store that was never finished is no source."""
    Environment(tmp_path / "store", create=True, map_size=1 << 20).close()
    with pytest.raises(MicrorollupError):
        open_source(str(tmp_path / "store"))
