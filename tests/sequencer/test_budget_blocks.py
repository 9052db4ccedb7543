"""Blocks end where their budget does: signed actions go on in the next one, forced ones open it; verifiers agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kernel_fixtures import Chain, make_steps, read_statuses, seal
from microrollup.chain.block import Block
from microrollup.chain.receipt import EXECUTED, FAULTED
from microrollup.errors import ActionLimit, Divergence
from microrollup.execution import budget
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.settlement.due import make_may_end
from zoo import Edit, Step

THREE = make_steps(*[("set_guard", key, 1) for key in range(3)])
FIVE = make_steps(*[("set_ticket", key, 1) for key in range(5)])


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """A chain whose blocks change 8 rows at most, and whose entries 4."""
    monkeypatch.setattr(budget, "MAX_ENTRY_CHANGED_ROWS", 4)
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 8)
    made = Chain(tmp_path)
    yield made
    made.close()


def change_guards(first: int, count: int = 3) -> msgspec.Struct:
    return make_steps(*[("set_guard", first + key, 1) for key in range(count)])


def test_signed_actions_go_on_in_the_next_block(chain: Chain, verifier: Ledger) -> None:
    """In one group or one by one: each is acknowledged in its order, in as many blocks as it takes."""
    signed = [chain.signer.sign(change_guards(10 * number), f"sender {number % 2}") for number in range(5)]
    outcomes = chain.submit(*signed[:4]) + chain.submit(signed[4])
    assert [(1, 0), (1, 1), (2, 2), (2, 3), (3, 4)] == [
        (outcome.height, outcome.receipt.seq) for outcome in outcomes if isinstance(outcome, Sequenced)
    ]
    chain.close_block()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    chain.reopen()
    assert 15 == len(chain.ledger.state.app.guards)  # type: ignore[attr-defined]


def test_what_no_block_has_room_for_is_refused(chain: Chain) -> None:
    """It consumes nothing, and those before and after it are taken."""
    outcomes = chain.submit(
        chain.signer.sign(THREE, "alice"), chain.signer.sign(FIVE, "bob"), chain.signer.sign(THREE, "carol")
    )
    assert [Sequenced, ActionLimit, Sequenced] == [type(outcome) for outcome in outcomes]
    assert "limit of rows" in str(outcomes[1])
    (outcome,) = chain.submit(chain.signer.sign(change_guards(1, 2), "bob", nonce=0))
    assert isinstance(outcome, Sequenced)


def test_forced_actions_open_the_next_block(chain: Chain, verifier: Ledger) -> None:
    """The first that exceeds the block is rolled back and opens the next; the cut block holds nothing else."""
    for number in range(5):
        chain.force(change_guards(10 * number), "carol")
    outcome = chain.edit(("count", 0, 1))
    assert 3 == outcome.height
    chain.close_block()
    assert [[EXECUTED] * 2, [EXECUTED] * 2, [EXECUTED] * 2] == [
        read_statuses(chain.ledger, height) for height in (1, 2, 3)
    ]
    assert [2, 4, 5] == [block.header.forced_count for block in chain.get_blocks()]
    assert [2, 2, 2] == [block.header.action_count for block in chain.get_blocks()]
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    assert 15 == len(chain.ledger.state.app.guards)  # type: ignore[attr-defined]


def test_a_forced_action_beyond_any_block_faults(chain: Chain, verifier: Ledger) -> None:
    """It does not hold the queue up, alone or among others; its receipt says why."""
    chain.force(FIVE, "carol")
    chain.force(THREE, "carol")
    assert chain.sequencer.poll() is not None
    assert [FAULTED, EXECUTED] == read_statuses(chain.ledger, 1)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_a_crash_within_a_cut_block(chain: Chain, verifier: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut block that a crash left open takes nothing more after the restart."""
    for number in range(4):
        chain.force(change_guards(10 * number), "carol")
    monkeypatch.setattr(chain.sequencer, "close_block", lambda: None)
    chain.sequencer._open_block()
    chain.ledger.commit()
    chain.reopen(abandon=True)
    assert chain.ledger.block is not None
    assert chain.ledger.block.cut
    assert 2 == chain.edit(("count", 0, 1)).height
    chain.close_block()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header


def test_a_whole_open_block_is_not_cut(chain: Chain) -> None:
    """After a restart an open block that took all that is due goes on; later arrivals are another block's."""
    chain.force(THREE, "carol")
    assert 1 == chain.edit(("count", 0, 1)).height
    chain.force(THREE, "carol")
    chain.reopen(abandon=True)
    assert chain.ledger.block is not None
    assert not chain.ledger.block.cut
    assert 1 == chain.edit(("count", 0, 1)).height


# --- liars -----------------------------------------------------------------------------------------------------------


def refuse(chain: Chain, verifier: Ledger, blocks: list[Block]) -> Divergence:
    with pytest.raises(Divergence) as caught:
        chain.verify(verifier, blocks)
    return caught.value


def test_blocks_over_the_budget_diverge(chain: Chain, verifier: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder without limits builds blocks that no verifier takes: too much in one entry, or in one block."""
    with monkeypatch.context() as patch:
        patch.setattr(budget, "MAX_ENTRY_CHANGED_ROWS", 100)
        patch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 100)
        chain.submit(chain.signer.sign(change_guards(0, 4)))
        chain.close_block()
        entry = chain.get_blocks()
    error = refuse(chain, verifier, entry)
    assert ("budget", 1, 0, "at most 4 rows", 5) == (error.field, error.height, error.seq, error.expected, error.found)
    other = chain.make_verifier("other")
    with monkeypatch.context() as patch:
        patch.setattr(budget, "MAX_ENTRY_CHANGED_ROWS", 100)
        chain.verify(other, entry)
        patch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 100)
        chain.submit(*[chain.signer.sign(change_guards(10 * number)) for number in range(3)])
        chain.close_block()
    error = refuse(chain, other, chain.get_blocks(2))
    assert ("budget", 2, 3, "at most 8 rows") == (error.field, error.height, error.seq, error.expected)
    other.abandon()


@pytest.mark.parametrize("signed", [False, True], ids=["forced alone", "with a signed action"])
def test_forced_actions_left_behind_with_room_diverge(
    chain: Chain, verifier: Ledger, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    """Fewer than are due, though the next one fits: the verifier executes it on trial and says so."""
    for number in range(2):
        chain.force(change_guards(10 * number), "carol")
    with monkeypatch.context() as patch:
        patch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 4 if signed else 3)
        if signed:
            patch.setattr(type(chain.ledger), "cut", False, raising=False)
        chain.sequencer._open_block()
        if signed:
            assert chain.ledger.block is not None
            chain.ledger.block.cut = False
            chain.submit(chain.signer.sign(make_steps()))
        chain.ledger.commit()
        chain.close_block()
    block = chain.get_blocks()[0]
    assert (1 + signed, 1) == (block.header.action_count, block.header.forced_count)
    error = refuse(chain, verifier, [block])
    assert ("forced_count", 1, 1) == (error.field, error.height, error.found)


def test_a_cut_block_with_a_signed_action_diverges(
    chain: Chain, verifier: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a cut must be the next block, or no batch could hold what must settle together."""
    for number in range(3):
        chain.force(change_guards(10 * number), "carol")
    chain.sequencer._open_block()
    assert chain.ledger.block is not None
    chain.ledger.block.cut = False
    chain.submit(chain.signer.sign(make_steps()))
    chain.close_block()
    error = refuse(chain, verifier, chain.get_blocks()[:1])
    assert ("forced_count", 3, 2) == (error.field, error.expected, error.found)


def test_a_rebuilt_block_keeps_its_entries(chain: Chain, verifier: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under other limits, as under other code, what was acknowledged stays where it is: it faults if it must."""
    chain.submit(*[chain.signer.sign(change_guards(10 * number)) for number in range(2)])
    chain.close_block()
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 6)
    chain.sequencer.rebuild(1)
    assert [EXECUTED, FAULTED] == read_statuses(chain.ledger, 1)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    block = chain.get_blocks()[0]
    lie = msgspec.structs.replace(block, seal=seal(block.header))
    assert 1 == block.seal.round
    other = chain.make_verifier("other")
    assert "budget" == refuse(chain, other, [lie]).field
    other.abandon()


# --- batches ---------------------------------------------------------------------------------------------------------


def test_batches_end_where_the_inbox_takes_them(chain: Chain) -> None:
    """A batch goes on over cut blocks, also beyond the length that one should have, and waits for those to come."""
    may_end = make_may_end(chain.l1)
    chain.edit(("count", 0, 1))
    chain.close_block()
    for number in range(5):
        chain.force(change_guards(10 * number), "carol")
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.edit(("count", 0, 1))
    chain.close_block()
    blocks = chain.get_blocks()
    assert [0, 2, 4, 5, 5] == [block.header.forced_count for block in blocks]

    def cut(count: int, max_bytes: int) -> list[list[int]]:
        batches = cut_batches(blocks[:count], max_bytes, may_end=may_end)
        return [[block.header.height for block in batch] for batch in batches]

    assert [[[1]], [[1]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]]] == [cut(count, 1 << 20) for count in range(2, 6)]
    assert [[1], [2, 3, 4], [5]] == cut(5, 1)
    length = len(encode_batch(chain.ledger.rollup_id, blocks[:2]))
    assert [[1], [2, 3, 4], [5]] == cut(5, length + 128)
    assert [[1], [2], [3], [4], [5]] == [[block.header.height for block in batch] for batch in cut_batches(blocks, 1)]


def test_a_batch_may_end_with_64_forced_actions(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many more are due: what was taken since the last batch counts."""
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", 100)
    for _ in range(150):
        chain.l1.force(b"\0", sender=bytes(20))
    chain.advance(2)
    for _ in range(2):
        chain.sequencer._open_block()
        chain.close_block()
    may_end, headers = make_may_end(chain.l1), [block.header for block in chain.get_blocks()]
    assert [64, 128] == [header.forced_count for header in headers]
    assert may_end(0, headers[0])
    assert not may_end(1, headers[0])
    assert may_end(64, headers[1])
    assert not may_end(65, headers[1])


def test_records_after_a_cut_share_its_batch(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks that one batch must hold have no more bytes of records together than one block may have."""
    monkeypatch.setattr("microrollup.sequencer.sequencer.MAX_BLOCK_RECORD_BYTES", 3_000)
    for number in range(5):
        chain.force(change_guards(10 * number), "carol")
    rejected = Edit([Step(1, 1, 1)] * 50, reject=True)
    while chain.ledger.checkpoint.height < 4:
        (outcome,) = chain.submit(chain.signer.sign(rejected))
        assert isinstance(outcome, Sequenced)
    blocks = chain.get_blocks()
    sizes = [sum(map(len, block.records)) for block in blocks]
    assert 3_000 - len(blocks[2].records[-1]) < sum(sizes[:3]) <= 3_000
    assert len(blocks[2].records) < 8 == len(blocks[3].records)
    restarted = chain.make_sequencer()
    assert 0 == restarted._cut_bytes
    restarted.close()


def test_a_restart_knows_the_cut_blocks_before_it(chain: Chain) -> None:
    """The bytes of the cut blocks that the chain ends with are counted again, and no others."""
    chain.edit(("count", 0, 1))
    chain.close_block()
    for number in range(5):
        chain.force(change_guards(10 * number), "carol")
    for height in (2, 3):
        chain.sequencer._open_block()
        chain.close_block()
        known = chain.sequencer._cut_bytes
        assert known == sum([sum(map(len, block.records)) for block in chain.get_blocks(2)])
        chain.reopen()
        assert (height, known) == (chain.ledger.checkpoint.height, chain.sequencer._cut_bytes)
    chain.edit(("count", 0, 1))
    chain.close_block()
    assert 0 == chain.sequencer._cut_bytes
