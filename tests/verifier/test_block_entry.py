"""Lies about the block's own entry: a block without it, with two, with it elsewhere, or of an app without a hook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import alarms
from alarms import Wake
from kernel_fixtures import Chain, seal, verify
from microrollup.chain.block import Block
from microrollup.chain.block_entry import BLOCK_RECORD
from microrollup.chain.record import encode_record
from microrollup.crypto.merkle.items import compute_items_root
from microrollup.errors import Divergence
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.batch import BatchBlock
from microrollup.verifier.verify import derive_block


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A block with its own entry, a forced action and two signed ones."""
    made = Chain(tmp_path, alarms.app)
    made.force(Wake(5), "carol")
    made.submit(made.signer.sign(Wake(1)), made.signer.sign(Wake(2), "bob"))
    made.close_block()
    yield made
    made.close()


def lie(block: Block, *records: bytes) -> Block:
    """The block with other records, under a header that says so and the builder's own seal."""
    header = msgspec.structs.replace(
        block.header, action_count=len(records), actions_root=compute_items_root(list(records))
    )
    return Block(header, block.open, records, seal(header))


def refuse(chain: Chain, block: Block) -> Divergence:
    """What a new verifier says, also of the block as a batch carries it."""
    ledger = chain.make_verifier(f"verifier {block.header.action_count} {hash(block.records)}")
    try:
        with pytest.raises(Divergence) as caught:
            verify(ledger, [block], chain.l1)
        with pytest.raises(Divergence) as derived:
            derive_block(ledger, BatchBlock(block.open, block.records, block.seal), chain.l1, [], None)
    finally:
        ledger.abandon()
    assert str(caught.value) == str(derived.value)
    return caught.value


def test_lies_about_the_entry(chain: Chain) -> None:
    """The name of the divergence is `block_entry`, its place is that of the entry which is wrong; the honest block of
    the same records passes.
    """
    (block,) = chain.get_blocks()
    begin, forced, one, two = block.records
    assert BLOCK_RECORD == begin
    cases = {
        "missing": ((forced, one, two), 0, "none"),
        "twice": ((begin, begin, forced, one, two), 1, "2, at the places [0, 1]"),
        "after the forced action": ((forced, begin, one, two), 1, "1, at the places [1]"),
        "last": ((forced, one, two, begin), 3, "1, at the places [3]"),
        "first and last": ((begin, forced, one, two, begin), 4, "2, at the places [0, 4]"),
    }
    for name, (records, seq, found) in cases.items():
        error = refuse(chain, lie(block, *records))
        assert ("block_entry", seq, found) == (error.field, error.seq, error.found), name
    with chain.make_verifier() as verifier:
        verify(verifier, [lie(block, *block.records)], chain.l1)
        assert block.header == verifier.header


def test_an_empty_block_has_it_too(chain: Chain) -> None:
    """A block without any record is refused as well; with its own entry alone it is right."""
    chain.advance()
    chain.close_block(allow_empty=True)
    first, second = chain.get_blocks()
    assert (BLOCK_RECORD,) == second.records
    with chain.make_verifier() as verifier:
        verify(verifier, [first], chain.l1)
        with pytest.raises(Divergence) as caught:
            verify(verifier, [lie(second)], chain.l1)
        assert ("block_entry", 4, "none") == (caught.value.field, caught.value.seq, caught.value.found)
        verify(verifier, [second], chain.l1)


def test_not_the_entry(chain: Chain) -> None:
    """What looks like it and has a member more is neither it nor an action."""
    (block,) = chain.get_blocks()
    begin, forced, one, two = block.records
    longer = encode_record(["block", b"\0" * 40])
    error = refuse_record(chain, lie(block, begin, forced, longer, one, two))
    assert ("record", 2) == (error.field, error.seq)


def refuse_record(chain: Chain, block: Block) -> Divergence:
    ledger = chain.make_verifier("verifier of records")
    try:
        with pytest.raises(Divergence) as caught:
            verify(ledger, [block], chain.l1)
    finally:
        ledger.abandon()
    return caught.value


def test_an_app_without_a_hook(tmp_path: Path) -> None:
    """There the entry is refused by the same name, wherever it is."""
    chain = Chain(tmp_path)
    chain.edit(("count", 0, 1))
    chain.close_block()
    (block,) = chain.get_blocks()
    for place, records in enumerate(((BLOCK_RECORD, *block.records), (*block.records, BLOCK_RECORD))):
        ledger = Ledger.create(tmp_path / f"verifier {place}", chain.rollup, chain.genesis, map_size=chain.map_size)
        with pytest.raises(Divergence) as caught:
            verify(ledger, [lie(block, *records)], chain.l1)
        assert ("block_entry", place) == (caught.value.field, caught.value.seq)
        assert "no hook" in str(caught.value.expected)
        ledger.abandon()
    chain.close()
