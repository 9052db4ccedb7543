"""Block hooks: the block's own entry, first in each block and nowhere else, from sequencer to restored snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import alarms
from alarms import CALM, FAULTS, LOOPS, REJECTS, Clock, Upset, Wake
from kernel_fixtures import BUILDER, VERIFIER_KEY, Chain, list_replay_differences, read_receipts
from microrollup import MicroRollup
from microrollup.chain.block import compute_block_hash
from microrollup.chain.block_entry import BLOCK_RECORD, compute_block_entry_id
from microrollup.chain.receipt import EXECUTED, FAULTED, INVALID_FORCED, REJECTED
from microrollup.crypto.keccak import keccak256
from microrollup.errors import StoreError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import is_forced_record
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.primitives import MAX_BLOCK_ACTIONS
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.verifier.derive import derive_blocks


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, alarms.app)
    yield made
    made.close()


def get_clock(chain: Chain) -> Clock:
    """The newest state."""
    state = chain.ledger.state.app
    assert isinstance(state, Clock)
    return state


def set_alarms(chain: Chain, count: int, seconds: int, name: str = "alice") -> None:
    """Alarms that are due after so many seconds."""
    time = int(chain.seconds) + seconds
    outcomes = chain.submit(*[chain.signer.sign(Wake(time), name) for _ in range(count)])
    assert all(isinstance(outcome, Sequenced) for outcome in outcomes)


def work(chain: Chain) -> None:
    """Four blocks: alarms, forced ones and nonsense, a mood, and a block without actions."""
    set_alarms(chain, 5, 24)
    chain.close_block()
    chain.force(Wake(0), "carol")
    chain.force(b"\x07nonsense", "carol")
    set_alarms(chain, 1, 0, "bob")
    chain.close_block()
    chain.advance()
    chain.submit(chain.signer.sign(Upset(FAULTS)))
    chain.close_block()
    chain.advance()
    chain.close_block(allow_empty=True)


def settle(chain: Chain) -> None:
    """Settle all closed blocks in one batch, as a quorum does."""
    blocks = chain.get_blocks(chain.l1.get_settled().height + 1)
    batch = encode_batch(chain.ledger.rollup_id, blocks)
    head, last = chain.l1.get_settled(), blocks[-1].header
    attestation = create_attestation(head.block_hash, head.height + 1, last, compute_data_hash(batch))
    signed = sign_attestation(VERIFIER_KEY, attestation, 31337, chain.l1.get_inbox())
    chain.l1.settle(batch, last, [signed], submitter=BUILDER)


def test_the_entry_comes_first(chain: Chain) -> None:
    """Each block has it once, before forced actions, with seq, receipt, events and the identity of its height; nobody's
    nonce moves.
    """
    work(chain)
    blocks = chain.get_blocks()
    assert [True] * 4 == [BLOCK_RECORD == block.records[0] for block in blocks]
    assert [1] * 4 == [block.records.count(BLOCK_RECORD) for block in blocks]
    assert [False, True, True, False] == [is_forced_record(record) for record in blocks[1].records]
    assert [6, 4, 2, 1] == [block.header.action_count for block in blocks]
    second = read_receipts(chain.ledger, 2)
    assert [EXECUTED, EXECUTED, INVALID_FORCED, EXECUTED] == [receipt.status for receipt in second]
    assert keccak256(b"block" + chain.ledger.rollup_id + bytes(31) + b"\2") == second[0].action_hash
    assert second[0].action_hash == compute_block_entry_id(chain.ledger.rollup_id, 2)
    assert 6 == chain.sequencer.known.find(second[0].action_hash)
    assert [0, 3, 3, 0] == [len(read_receipts(chain.ledger, height)[0].events) for height in range(1, 5)]
    assert FAULTED == read_receipts(chain.ledger, 4)[0].status
    assert chain.ledger.state.nonces.get(bytes(20)) is None
    assert 2 == chain.ledger.header.forced_count


def test_work_is_done_over_blocks(chain: Chain) -> None:
    """What is due runs in the order of its time, a few per block, without anybody acting for it."""
    set_alarms(chain, 7, 12)
    chain.close_block()
    chain.advance()
    for rung in (3, 6, 7, 7):
        chain.close_block(allow_empty=True)
        assert rung == get_clock(chain).rung
    assert (5, 0) == (get_clock(chain).runs, len(get_clock(chain).due))


@pytest.mark.parametrize(
    ("mood", "status", "reason"),
    [(REJECTS, REJECTED, "not today"), (FAULTS, FAULTED, ""), (LOOPS, FAULTED, "limit: steps")],
)
def test_a_hook_that_fails(chain: Chain, mood: int, status: int, reason: str) -> None:
    """It leaves the state, the block goes on, users too; the next block runs it again on the same state."""
    set_alarms(chain, 1, 0)
    chain.submit(chain.signer.sign(Upset(mood)))
    chain.close_block()
    before = get_clock(chain)
    (outcome,) = chain.submit(chain.signer.sign(Wake(10**12)))
    assert isinstance(outcome, Sequenced)
    assert EXECUTED == outcome.receipt.status
    chain.close_block()
    first = read_receipts(chain.ledger, 2)[0]
    assert (status, reason, ()) == (first.status, first.reason, first.events)
    assert (before.runs, before.rung) == (get_clock(chain).runs, get_clock(chain).rung)
    chain.force(Upset(CALM), "carol")
    chain.close_block(allow_empty=True)
    assert status == read_receipts(chain.ledger, 3)[0].status
    chain.close_block(allow_empty=True)
    assert (1, 2) == (get_clock(chain).rung, get_clock(chain).runs)
    with chain.make_verifier() as verifier:
        chain.verify(verifier)
        assert chain.ledger.header == verifier.header


def test_it_opens_no_block(chain: Chain) -> None:
    """Without an action there is no block, whatever is due: neither by closing nor by looking for forced actions."""
    set_alarms(chain, 1, 12)
    chain.close_block()
    chain.advance(5)
    assert chain.sequencer.close_block() is None
    assert chain.sequencer.poll() is None
    assert (1, 0) == (chain.ledger.checkpoint.height, get_clock(chain).rung)
    chain.close_block(allow_empty=True)
    assert (2, 1) == (chain.ledger.checkpoint.height, get_clock(chain).rung)


@pytest.mark.parametrize("size", [1, 2])
def test_the_entry_takes_no_place(tmp_path: Path, size: int) -> None:
    """A block takes as many actions as without a hook."""
    chain = Chain(tmp_path, alarms.app, block_size=size)
    chain.submit(*[chain.signer.sign(Wake(1)) for _ in range(4)])
    assert [1 + size] * (4 // size) == [block.header.action_count for block in chain.get_blocks()]
    chain.close()


def test_no_block_has_more_entries_than_it_may(tmp_path: Path) -> None:
    """The greatest block size leaves room for the block's own entry."""
    chain = Chain(tmp_path, alarms.app, block_size=MAX_BLOCK_ACTIONS)
    assert chain.sequencer._capacity == MAX_BLOCK_ACTIONS
    chain.close()


@pytest.mark.parametrize("abandon", [False, True])
def test_restart_within_a_block(chain: Chain, abandon: bool) -> None:
    """An open block is executed again from the log, its own entry included, and goes on."""
    set_alarms(chain, 2, 0)
    chain.close_block()
    chain.advance()
    set_alarms(chain, 1, 100)
    before = get_clock(chain)
    chain.reopen(abandon=abandon)
    assert (before.rung, before.runs) == (2, 2) == (get_clock(chain).rung, get_clock(chain).runs)
    set_alarms(chain, 1, 100)
    chain.close_block()
    assert [BLOCK_RECORD] == [record for record in chain.get_blocks(2)[0].records if len(record) < 32]
    with chain.make_verifier() as verifier:
        chain.verify(verifier)


def test_everybody_comes_to_the_same(chain: Chain, tmp_path: Path) -> None:
    """A verifier, a verifier without L1, a derivation from L1 alone, a replay of the log, and a restored snapshot."""
    work(chain)
    settle(chain)
    header = chain.ledger.header
    for name, l1 in (("with", True), ("without", False)):
        with chain.make_verifier(name) as verifier:
            chain.verify(verifier, l1=l1)
            assert header == verifier.header
    with (
        AuthenticationPool("alarms", chain.genesis.domain, 0) as pool,
        chain.make_verifier("derived") as derived,
    ):
        derive_blocks(derived, chain.l1, pool)
        assert header == derived.header
        assert read_receipts(chain.ledger, 2) == read_receipts(derived, 2)
    assert [] == list_replay_differences(chain.ledger, "alarms", tmp_path / "replayed")
    write_snapshot(chain.ledger.environment, alarms.app, tmp_path / "snapshot")
    block_hash = compute_block_hash(header)
    with restore_snapshot(
        tmp_path / "snapshot", tmp_path / "restored", alarms.app, expected_block_hash=block_hash, map_size=1 << 30
    ) as restored:
        set_alarms(chain, 1, 0)
        chain.close_block()
        chain.verify(restored)
        assert chain.ledger.header == restored.header


def test_rebuild(chain: Chain) -> None:
    """A rebuilt block has its own entry at the same seq."""
    work(chain)
    before = [block.records for block in chain.get_blocks()]
    header = chain.ledger.header
    chain.sequencer.rebuild(2)
    assert before == [block.records for block in chain.get_blocks()]
    assert header == chain.ledger.header
    with chain.make_verifier() as verifier:
        chain.verify(verifier)


def test_the_ledger_takes_no_other_block(chain: Chain) -> None:
    """A block of a log that lacks its own entry, or has one too many, is not closed."""
    for records in ([], [BLOCK_RECORD] * 2):
        with chain.make_verifier(f"ledger {len(records)}") as ledger:
            chain.submit(chain.signer.sign(Wake(0)))
            chain.close_block()
            (block, *_) = chain.get_blocks()
            ledger.begin(block.open)
            ledger.execute([ledger.read_entry(record) for record in records])
            with pytest.raises(StoreError, match="does not begin with its own entry"):
                ledger.compute_header()


def test_the_code_is_named_by_it() -> None:
    """The hook is in the manifest, so that the same module without it is other code."""
    without = MicroRollup(name="alarms", version="1", genesis=Clock(), stfs=[alarms.wake, alarms.upset])
    assert (".:ring", None) == (alarms.app.manifest.on_block, without.manifest.on_block)
    assert alarms.app.stf_id != without.stf_id
