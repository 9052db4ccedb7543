"""The sequencer: admission in order, groups, full blocks, duplicates, waiting, stopping and rebuilding after a C2X."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from kernel_fixtures import BUILDER_KEY, VERIFIER_KEY, Chain, get_receipts, make_steps, verify
from microrollup.chain.block import Block, compute_block_hash
from microrollup.chain.receipt import EXECUTED
from microrollup.declaration.context import Context
from microrollup.declaration.map import StoreFault
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import (
    ActionLimit,
    AttestationConflict,
    CommitFailed,
    Divergence,
    DuplicateAction,
    IntakeStopped,
    NonceGap,
    NonceTooHigh,
    RefusedError,
    StoreError,
    UsageError,
)
from microrollup.execution.authentication import Authenticated
from microrollup.ledger.code import OtherCode
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_BLOCK_ACTIONS, MAX_BLOCK_RECORD_BYTES, MAX_CLOCK_LEAD_SECONDS
from microrollup.sequencer.known import LIMITED_SECONDS, MAX_LIMITED, KnownActions
from microrollup.sequencer.opening import CLOCKS
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.store.flat_file import FlatFile
from microrollup.store.row_check import pack_row
from microrollup.store.rows import StoredRows
from microrollup.store.tables import get_receipt
from microrollup.verifier.follow import attest
from microrollup.verifier.signatures import SignedHeights
from zoo import MISCHIEF, Misbehave, Mischief, Zoo, buggy_zoo, zoo

COUNT = make_steps(("count", 0, 1))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, block_size=5)
    yield made
    made.close()


def describe(outcomes: list[Sequenced | RefusedError]) -> list[object]:
    """Seq of an acknowledgement, code of a refusal."""
    return [outcome.code if isinstance(outcome, RefusedError) else outcome.receipt.seq for outcome in outcomes]


# --- admission -------------------------------------------------------------------------------------------------------


def test_nonces_of_one_sender(chain: Chain) -> None:
    """Only the next nonce executes; a used one is refused, as a duplicate if it is the very same action."""
    first, second = chain.signer.sign(COUNT), chain.signer.sign(COUNT)
    other_first = chain.signer.sign(make_steps(("count", 0, 2)), nonce=0)
    assert [0, "duplicate", "nonce_used", 1, "duplicate", "duplicate"] == describe(
        chain.submit(first, first, other_first, second, second, first)
    )
    chain.close_block()
    assert ["duplicate", "nonce_used"] == describe(chain.submit(first, other_first))
    (again,) = chain.submit(second)
    assert isinstance(again, DuplicateAction)
    assert 1 == again.seq
    chain.reopen()
    assert ["duplicate", "nonce_used"] == describe(chain.submit(first, other_first))


def test_rejected_and_faulted_consume_nonces(chain: Chain) -> None:
    """An action that the STF rejects or breaks on is logged with its reason, and its nonce is gone."""
    MISCHIEF["fault"] = lambda state, ctx: 1 // 0
    actions = [chain.signer.sign(make_steps().__class__([], reject=True)), chain.signer.sign(Misbehave("fault"))]
    assert [(1, "rejected as asked"), (2, "")] == get_receipts(chain.submit(*actions))
    assert 2 == chain.ledger.state.nonces[actions[0].sender]
    assert ["duplicate", "duplicate"] == describe(chain.submit(*actions))


def test_waiting_for_lower_nonces(chain: Chain) -> None:
    """Early actions wait across groups and blocks, and are answered with their own tickets once the gap closes."""
    actions = [chain.signer.sign(COUNT) for _ in range(8)]
    assert [] == chain.submit(*actions[4:])
    assert ["duplicate"] == describe(chain.submit(actions[5]))
    assert ["nonce_used"] == describe(chain.submit(chain.signer.sign(make_steps(("count", 0, 9)), nonce=5)))
    assert [] == chain.submit(actions[2])
    assert [0] == describe(chain.submit(actions[0]))
    tickets = [ticket for ticket, _ in chain.sequencer.submit([(100, actions[1]), (101, actions[3])])]
    assert [100, 0, 101, 0, 1, 2, 3] == tickets
    assert 8 == chain.ledger.next_seq
    assert [] == chain.sequencer.give_up_waiting()


def test_giving_up(chain: Chain) -> None:
    """What waits in vain is refused as a gap; a nonce too far ahead at once."""
    assert [] == chain.submit(chain.signer.sign(COUNT, nonce=16))
    (refusal,) = chain.submit(chain.signer.sign(COUNT, nonce=17))
    assert isinstance(refusal, NonceTooHigh)
    ((ticket, outcome),) = chain.sequencer.give_up_waiting()
    assert 0 == ticket
    assert isinstance(outcome, NonceGap)


def test_no_block_for_nothing(chain: Chain) -> None:
    """Refused and waiting actions open no block, and closing then makes none."""
    chain.submit(chain.signer.sign(COUNT, nonce=3), chain.signer.sign(COUNT, nonce=90))
    assert chain.ledger.block is None
    assert chain.sequencer.close_block() is None
    assert 0 == chain.ledger.checkpoint.height
    assert [] == chain.submit()


def test_model_of_admission(tmp_path: Path) -> None:
    """On random groups of known, new, early and late actions the outcomes are those of a plain model."""
    rng = Random(11)
    chain = Chain(tmp_path, block_size=7)
    pool = [chain.signer.sign(COUNT, name, nonce) for name in ("ann", "ben", "cat") for nonce in range(30)]
    rivals = [
        chain.signer.sign(make_steps(("count", 0, 2)), name, nonce) for name in ("ann", "ben") for nonce in range(30)
    ]
    logged: dict[bytes, int] = {}
    nexts: dict[bytes, int] = {}
    waiting: dict[tuple[bytes, int], tuple[int, Authenticated]] = {}
    ticket = 0
    for _ in range(60):
        group = []
        for _ in range(rng.randrange(1, 9)):
            base = rng.choice(pool if rng.random() < 0.8 else rivals)
            nonce = min(max(nexts.get(base.sender, 0) + rng.choice((-2, -1, 0, 0, 0, 1, 2, 18)), 0), 29)
            source = pool if base in pool else rivals
            group.append((ticket, next(a for a in source if a.sender == base.sender and a.nonce == nonce)))
            ticket += 1
        expected: dict[int, object] = {}
        for number, action in group:
            key, following = (action.sender, action.nonce), nexts.get(action.sender, 0)
            if action.nonce < following:
                expected[number] = "duplicate" if action.action_hash in logged else "nonce_used"
            elif action.nonce > following:
                if action.nonce - following > 16:
                    expected[number] = "nonce_too_high"
                elif key in waiting:
                    same = waiting[key][1].action_hash == action.action_hash
                    expected[number] = "duplicate" if same else "nonce_used"
                else:
                    waiting[key] = (number, action)
            else:
                following_action: tuple[int, Authenticated] | None = (number, action)
                while following_action is not None:
                    mine, taken = following_action
                    expected[mine] = logged[taken.action_hash] = len(logged)
                    nexts[taken.sender] = taken.nonce + 1
                    following_action = waiting.pop((taken.sender, taken.nonce + 1), None)
        outcomes = chain.sequencer.submit(group)
        assert expected == dict(
            zip([number for number, _ in outcomes], describe([o for _, o in outcomes]), strict=True)
        )
    assert len(logged) == chain.ledger.next_seq > 50
    chain.close()


# --- blocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block_size", [1, 2, 5, 12, 13])
def test_block_size(tmp_path: Path, block_size: int) -> None:
    """A block closes with exactly `block_size` entries; the rest stays open until it is asked to close."""
    chain = Chain(tmp_path, block_size=block_size)
    chain.submit(*[chain.signer.sign(COUNT) for _ in range(12)])
    full, rest = divmod(12, block_size)
    assert [block_size] * full == [block.header.action_count for block in chain.get_blocks()]
    assert rest == (0 if chain.ledger.block is None else len(chain.ledger.block.records))
    assert (rest > 0) == (chain.sequencer.close_block() is not None)
    assert chain.sequencer.close_block() is None
    chain.close()


def test_block_size_bounds(chain: Chain) -> None:
    """A block holds 1 to 20,000 entries."""
    for size in (0, -1, MAX_BLOCK_ACTIONS + 1):
        with pytest.raises(UsageError):
            Sequencer(chain.ledger, BUILDER_KEY, chain.l1, block_size=size)


def test_block_bytes(tmp_path: Path) -> None:
    """A block closes before its records exceed 700,000 bytes, whatever its size in actions."""
    chain = Chain(tmp_path)
    large = make_steps(*[("set_ticket", 4_000_000_000, 2**64 - 1)] * 1_000)
    actions = [chain.signer.sign(large) for _ in range(50)]
    size = len(actions[0].record)
    assert size > 14_000
    chain.submit(*actions)
    chain.close_block()
    blocks = chain.get_blocks()
    fitting = MAX_BLOCK_RECORD_BYTES // size
    assert [fitting, 50 - fitting] == [len(block.records) for block in blocks]
    verifier = chain.make_verifier()
    chain.verify(verifier)
    verifier.abandon()
    chain.close()


def test_empty_blocks_only_if_asked_for(chain: Chain) -> None:
    """`allow_empty` makes an empty block, of no entries and the parent's roots; without it there is none."""
    assert chain.sequencer.close_block() is None
    before = chain.ledger.header
    header = chain.close_block(allow_empty=True)
    assert (1, 0, bytes(32), bytes(32)) == (
        header.height,
        header.action_count,
        header.actions_root,
        header.receipts_root,
    )
    assert (before.state_root, before.metadata_root) == (header.state_root, header.metadata_root)
    verifier = chain.make_verifier()
    chain.verify(verifier)
    verifier.close()


def test_timestamps(chain: Chain) -> None:
    """The time is the clock's, fixed at opening, at most an hour ahead of the origin's time, and never goes back."""
    start = int(chain.seconds)
    chain.edit(("count", 0, 1))
    chain.advance(3)
    first = chain.close_block()
    assert (start, start // SECONDS_PER_BLOCK - 1) == (first.timestamp, first.l1_origin)
    chain.seconds -= 1_000
    chain.edit(("count", 0, 1))
    second = chain.close_block()
    assert first.timestamp == second.timestamp
    assert second.l1_origin >= first.l1_origin
    chain.sequencer._clock = lambda: chain.seconds + 10 * MAX_CLOCK_LEAD_SECONDS
    chain.edit(("count", 0, 1))
    third = chain.close_block()
    assert third.timestamp <= chain.l1.get_number() * SECONDS_PER_BLOCK
    verifier = chain.make_verifier()
    chain.verify(verifier)
    verifier.close()


def test_timestamps_by_l1_s_clock(chain: Chain) -> None:
    """The time is that of the L1 origin, to the second, after a restart too; a parent that is ahead already, because it
    has its time from the builder's clock, is waited for.
    """
    chain.edit(("count", 0, 1))
    ahead = chain.close_block()
    assert ahead.timestamp > ahead.l1_origin * SECONDS_PER_BLOCK
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(clock=CLOCKS["l1"])
    chain.edit(("count", 0, 1))
    waiting = chain.close_block()
    assert (ahead.l1_origin, ahead.timestamp) == (waiting.l1_origin, waiting.timestamp)
    for days in (1, 40):
        chain.advance(days * 7_200)
        chain.edit(("count", 0, 1))
        chain.sequencer.close()  # the open block keeps its time
        chain.advance(100)
        chain.sequencer = chain.make_sequencer(clock=CLOCKS["l1"])
        chain.edit(("count", 0, 1))
        header = chain.close_block()
        assert (2, header.l1_origin * SECONDS_PER_BLOCK) == (header.action_count, header.timestamp)
        assert waiting.timestamp + days * 86_400 - SECONDS_PER_BLOCK <= header.timestamp
    with closing(chain.make_verifier()) as verifier:
        chain.verify(verifier)
        assert verifier.header == chain.ledger.header


# --- limits and faults -----------------------------------------------------------------------------------------------


def test_refused_before_it_is_logged(chain: Chain) -> None:
    """An action that hits a limit consumes nothing: what stands before and behind it in the group is acknowledged."""

    def recurse(state: Zoo, ctx: Context) -> Zoo:
        return recurse(state, ctx)

    MISCHIEF["recurse"] = recurse
    actions = [
        chain.signer.sign(COUNT, "bob", 0),
        chain.signer.sign(Misbehave("recurse"), "alice", 0),
        chain.signer.sign(COUNT, "alice", 1),
        chain.signer.sign(COUNT, "bob", 1),
        chain.signer.sign(COUNT, "alice", 0),
    ]
    assert [0, "action_limit", 3, 1, 2] == describe(chain.submit(*actions))
    assert 4 == chain.ledger.state.app.visitors  # type: ignore[attr-defined]
    verifier = chain.make_verifier()
    chain.close_block()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.close()


def test_failed_commit_stops_intake(tmp_path: Path) -> None:
    """When the map is full nothing of the group is acknowledged, intake stops, and a restart has what was."""
    chain = Chain(tmp_path, block_size=50, map_size=1 << 19)
    acknowledged = []
    large = make_steps(*[("set_note", 4_000_000, 2**64 - 1)] * 100)
    with pytest.raises(CommitFailed):
        for _ in range(1_000):
            acknowledged += chain.submit(*[chain.signer.sign(large) for _ in range(5)])
    for action in (
        lambda: chain.submit(chain.signer.sign(COUNT, "bob")),
        chain.sequencer.poll,
        lambda: chain.sequencer.close_block(allow_empty=True),
        lambda: chain.sequencer.rebuild(1),
    ):
        with pytest.raises(IntakeStopped):
            action()
    chain.map_size = 1 << 24
    chain.reopen(abandon=True)
    for outcome in acknowledged:
        assert isinstance(outcome, Sequenced)
        assert outcome.receipt.seq == chain.sequencer.known.find(outcome.receipt.action_hash)
    assert len(acknowledged) == chain.ledger.next_seq
    assert get_receipts(chain.submit(chain.signer.sign(COUNT, "bob", 0))) == [(EXECUTED, "")]
    chain.close()


@pytest.mark.parametrize("error", [StoreFault("disk"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_a_fault_of_the_store_is_no_outcome(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A failing disk ends the call and intake; nothing of the group is logged, and a restart takes the same group."""

    def fail(self: StoredRows, key: object) -> object:
        raise error

    MISCHIEF["read"] = lambda state, ctx: state if state.tickets.get(77) is None else None
    actions = [chain.signer.sign(COUNT), chain.signer.sign(Misbehave("read"))]
    chain.submit(chain.signer.sign(COUNT, "bob"))
    with monkeypatch.context() as patch:
        patch.setattr(StoredRows, "load", fail)
        with pytest.raises(type(error)):
            chain.submit(*actions)
        with pytest.raises(IntakeStopped):
            chain.submit(*actions)
        with pytest.raises(IntakeStopped):
            chain.sequencer.close_block()
    chain.reopen(abandon=True)
    assert [1, 2] == describe(chain.submit(*actions))


def spend(seconds: float) -> Mischief:
    def function(state: Zoo, ctx: Context) -> Zoo:
        until = time.thread_time() + seconds  # the CPU's, so that the watchdog looks too, however busy the machine is
        while time.thread_time() < until:
            pass
        return state

    return function


def test_rebuilding_takes_its_time(chain: Chain) -> None:
    """An action that was acknowledged is never interrupted when it executes again, in a rebuild or on opening."""
    MISCHIEF["spend"] = spend(0.3)
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=60)
    chain.submit(chain.signer.sign(Misbehave("spend")))
    chain.close_block()
    chain.submit(chain.signer.sign(Misbehave("spend")))
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.05)
    chain.sequencer.rebuild(1)
    assert 2 == chain.ledger.checkpoint.height
    (outcome,) = chain.submit(chain.signer.sign(Misbehave("spend")))
    assert isinstance(outcome, ActionLimit)


def test_what_cannot_take_over_leaves_no_thread(chain: Chain) -> None:
    """A sequencer that fails while it takes over a ledger, here for an L1 that is closed, leaves no watchdog."""
    chain.force(COUNT)
    chain.sequencer.poll()
    chain.sequencer.close()
    chain.l1.close()
    before = set(threading.enumerate())
    with pytest.raises(StoreError):
        chain.make_sequencer()
    assert [] == [thread for thread in threading.enumerate() if thread not in before]


def test_a_block_opened_in_vain(chain: Chain) -> None:
    """A block whose only action hit a limit stays open and empty; it holds nothing up, and takes no late action."""

    def recurse(state: Zoo, ctx: Context) -> Zoo:
        return recurse(state, ctx)

    MISCHIEF["recurse"] = recurse
    for reopen, one, other in ((False, "bob", "dave"), (True, "erin", "frank")):
        (outcome,) = chain.submit(chain.signer.sign(Misbehave("recurse"), one, 0))
        assert isinstance(outcome, ActionLimit)
        assert chain.ledger.block is not None
        assert [] == chain.ledger.block.records
        assert chain.sequencer.close_block() is None
        if reopen:
            chain.reopen(abandon=True)
        chain.force(COUNT, "carol")
        header = chain.sequencer.poll()
        assert header is not None
        assert (1, header.l1_origin) == (header.action_count, chain.l1.get_number() - 1)
        chain.submit(chain.signer.sign(Misbehave("recurse"), other, 0))
        chain.advance(100)
        acknowledgement = chain.edit(("count", 0, 1))
        assert chain.ledger.block is not None
        assert int(chain.seconds) == chain.ledger.block.open.timestamp
        assert acknowledgement.receipt.seq == header.first_seq + 1
        chain.close_block()
    verifier = chain.make_verifier()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.close()


def test_what_hit_a_limit_is_remembered(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same action is refused at once for ten minutes, without a block; another one of its sender is executed."""
    calls: list[float] = []

    def spend_and_count(state: Zoo, ctx: Context) -> Zoo:
        calls.append(0.0)
        return spend(60)(state, ctx)

    seconds = [0.0]
    MISCHIEF["endless"] = spend_and_count
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.05)
    monkeypatch.setattr(chain.sequencer, "known", KnownActions(chain.ledger, lambda: seconds[0]))
    endless = chain.signer.sign(Misbehave("endless"), "bob", 0)
    (outcome,) = chain.submit(endless)
    assert "hits the limit of time" in str(outcome)
    for seconds[0] in (0.0, LIMITED_SECONDS):
        outcomes = chain.submit(endless, endless)
        assert [ActionLimit, ActionLimit] == [type(outcome) for outcome in outcomes]
        assert "a short time ago" in str(outcomes[0])
    assert 1 == len(calls)
    seconds[0] += 1
    (outcome,) = chain.submit(endless)
    assert "hits the limit of time" in str(outcome)
    assert 2 == len(calls)
    (outcome,) = chain.submit(chain.signer.sign(make_steps(("count", 0, 1)), "bob", 0))
    assert isinstance(outcome, Sequenced)


def test_few_limits_are_remembered(chain: Chain) -> None:
    """The memory of limits is bounded: the oldest is forgotten."""
    known = KnownActions(chain.ledger, lambda: 0.0)
    for number in range(MAX_LIMITED + 1):
        known.remember_limit(number.to_bytes(32, "big"), "time")
    assert (None, "time") == (known.find_limit(bytes(32)), known.find_limit((1).to_bytes(32, "big")))


def test_no_room_for_the_files(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room for the tree's files fails the block before it is committed; later the same block closes."""
    chain.edit(("count", 0, 1))

    def refuse(self: FlatFile, row_count: int) -> None:
        raise CommitFailed("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FlatFile, "reserve", refuse)
        with pytest.raises(CommitFailed):
            chain.sequencer.close_block()
        for use in (chain.sequencer.close_block, chain.sequencer.poll, lambda: chain.sequencer.rebuild(1)):
            with pytest.raises(IntakeStopped):
                use()
    chain.reopen(abandon=True)
    assert 1 == chain.close_block().action_count


# --- C2X and rebuild -------------------------------------------------------------------------------------------------


def list_receipts(chain: Chain) -> dict[bytes, int]:
    """Action hash -> seq of everything that is in closed blocks, by the index and by the receipts."""
    environment = chain.ledger.environment
    found = {}
    for seq in range(chain.ledger.checkpoint.next_seq):
        raw = get_receipt(environment.reader, environment.tables, seq)
        assert raw is not None
        found[msgspec.msgpack.decode(raw)[1]] = seq
    assert found == {key: chain.sequencer.known.find(key) for key in found}
    return found


def build_badly(root: Path) -> tuple[Chain, list[Sequenced]]:
    """Five blocks by code that is wrong about tickets, which come from block 3 on, and an open one."""
    chain = Chain(root, buggy_zoo, block_size=3)
    acknowledged = [chain.edit(("count", 0, value), ("set_note", value, 1)) for value in range(6)]
    chain.force(make_steps(("set_ticket", 80, 8)), "carol")
    acknowledged += [chain.edit(("set_ticket", value, value), ("count", 0, 1), name="bob") for value in range(9)]
    return chain, acknowledged


def test_rebuild_after_a_divergence(tmp_path: Path) -> None:
    """Wrong code makes a block that the verifier refuses (C2X); intake stops; the right code builds the same entries
    again under the same heights, times and seqs, and the verifier goes on where it was.
    """
    chain, acknowledged = build_badly(tmp_path)
    verifier = chain.make_verifier(rollup=zoo)
    bad = chain.get_blocks()
    with pytest.raises(Divergence) as caught:
        verify(verifier, bad, chain.l1)
    assert ("state_root", 3, 2) == (caught.value.field, caught.value.height, verifier.checkpoint.height)
    verifier.abandon()
    chain.sequencer.stop("C2X at height 3")
    with pytest.raises(IntakeStopped, match="C2X at height 3"):
        chain.submit(chain.signer.sign(COUNT))
    seqs = list_receipts(chain) | {ack.receipt.action_hash: ack.receipt.seq for ack in acknowledged}
    opened = chain.ledger.block
    assert opened is not None
    tail = list(opened.records)
    chain.reopen(zoo)
    chain.sequencer.stop("C2X at height 3")
    chain.sequencer.rebuild(caught.value.height)
    good = chain.get_blocks()
    assert list_receipts(chain) == seqs
    assert len(bad) + 1 == len(good)
    for before, after in zip(bad, good, strict=False):
        assert (before.open, before.records) == (after.open, after.records)
        assert (before.header == after.header) is (before.header.height < 3)
    assert tail == list(good[-1].records)
    chain.signer.nonces["alice"] = 6
    assert isinstance(chain.edit(("set_ticket", 1, 1)), Sequenced)
    chain.close_block()
    verifier = Ledger.open(tmp_path / "verifier", zoo, audit=True, map_size=chain.map_size)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.close()
    chain.close()


def test_rebuild_after_a_damaged_row(tmp_path: Path) -> None:
    """A row that was garbled before it was stored makes a bad block; rebuilding from its block mends it."""
    chain = Chain(tmp_path, block_size=3)
    acknowledged = [chain.edit(("count", 0, 1)) for _ in range(6)]
    environment = chain.ledger.environment
    chain.ledger.flushing.flush()
    row_key = zoo.state_type.get_field("visitors").row_prefix
    with environment.write() as txn:
        txn.put(row_key, pack_row(row_key, b"\x07"), db=environment.tables["state"])
    chain.reopen()
    acknowledged += [chain.edit(("count", 0, 1)) for _ in range(3)]
    verifier = chain.make_verifier()
    with pytest.raises(Divergence) as caught:
        chain.verify(verifier)
    assert ("state_root", 3) == (caught.value.field, caught.value.height)
    verifier.abandon()
    chain.sequencer.rebuild(2)
    assert [ack.receipt.seq for ack in acknowledged] == sorted(list_receipts(chain).values())
    assert 9 == chain.ledger.state.app.visitors  # type: ignore[attr-defined]
    verifier = Ledger.open(tmp_path / "verifier", zoo, audit=True, map_size=chain.map_size)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.close()
    chain.close()


def test_no_second_signature_for_a_height(tmp_path: Path) -> None:
    """A verifier that attested a block refuses to attest what a rebuild puts in its place, even from a fresh store."""
    chain, _ = build_badly(tmp_path)
    chain.sequencer.close_block()

    def read_batches(first: int) -> list[bytes]:
        rollup_id = chain.ledger.rollup_id
        return [encode_batch(rollup_id, blocks) for blocks in cut_batches(chain.get_blocks(first))]

    def attest_anew(name: str) -> list[object]:
        ledger = chain.make_verifier(name)
        try:
            chain.verify(ledger)
            return list(attest(ledger, chain.l1, VERIFIER_KEY, signed, read_batches))
        finally:
            ledger.abandon()

    with SignedHeights(tmp_path / "signed") as signed:
        assert 1 == len(attest_anew("one"))
        before = chain.get_blocks()
        assert 1 == len(attest_anew("again"))
        chain.reopen(zoo)
        chain.sequencer.rebuild(3)
        with pytest.raises(AttestationConflict) as caught:
            attest_anew("two")
        assert (3, hash_of(before, 3)) == (caught.value.height, caught.value.signed)
        assert hash_of(chain.get_blocks(), 3) == caught.value.asked
        for block in before:
            assert compute_block_hash(block.header) == signed.get(chain.ledger.rollup_id, block.header.height)
    chain.close()


def hash_of(blocks: list[Block], height: int) -> bytes:
    return compute_block_hash(blocks[height - 1].header)


def test_a_verifiers_old_block_does_not_yield(tmp_path: Path) -> None:
    """A verifier that has stored a block refuses the children of its replacement: it follows one history."""
    chain, _ = build_badly(tmp_path)
    chain.sequencer.close_block()
    verifier = chain.make_verifier()
    chain.verify(verifier)
    chain.reopen(zoo)
    chain.sequencer.rebuild(3)
    chain.edit(("count", 0, 1), name="erin")
    chain.close_block()
    with pytest.raises(Divergence) as caught:
        chain.verify(verifier)
    assert "parent_hash" == caught.value.field
    verifier.abandon()
    chain.close()


def test_stop_by_hand(chain: Chain) -> None:
    """A stopped sequencer takes nothing, still closes its block, and takes actions again after a restart."""
    chain.edit(("count", 0, 1))
    chain.sequencer.stop("maintenance")
    with pytest.raises(IntakeStopped, match="maintenance"):
        chain.sequencer.poll()
    with pytest.raises(IntakeStopped, match="maintenance"):
        chain.submit(chain.signer.sign(COUNT, "bob"))
    assert chain.sequencer.close_block() is not None
    with pytest.raises(IntakeStopped):
        chain.sequencer.close_block(allow_empty=True)
    chain.reopen()
    assert isinstance(chain.edit(("count", 0, 1)), Sequenced)


COUNTER = """
from microrollup import Action, Context, MicroRollup, State, Uint64, replace

class Counter(State, frozen=True):
    value: Uint64 = 0

class Increment(Action, frozen=True):
    by: Uint64

def increment(state: Counter, action: Increment, ctx: Context) -> Counter:
    return replace(state, value=state.value + action.by{mistake})

app = MicroRollup(name="counter", version="1", genesis=Counter(), stfs=[increment])
"""


def test_no_rebuild_under_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are built again by the code that built them; a store does not open under other code to begin with."""
    names = [f"counter_{kind}" for kind in ("wrong", "right")]
    for name, mistake in zip(names, (" + 1", ""), strict=True):
        (tmp_path / f"{name}.py").write_text(COUNTER.format(mistake=mistake))
    monkeypatch.syspath_prepend(tmp_path)
    wrong, right = (load_rollup(name) for name in names)
    assert wrong.stf_id != right.stf_id
    chain = Chain(tmp_path, wrong, block_size=2)
    increment: Any = next(iter(wrong.stf_by_action))
    chain.submit(*[chain.signer.sign(increment(5)) for _ in range(5)])
    with pytest.raises(OtherCode, match=r"built block 2: counter_right changed"):
        chain.reopen(right)
    chain.reopen(wrong)
    chain.sequencer.rebuild(1)
    assert [wrong.stf_id] * 3 == [block.header.stf_id for block in chain.get_blocks()]
    chain.close()


def test_memory_of_actions_ends_with_their_block(chain: Chain) -> None:
    """What is remembered to tell duplicates apart goes when the index on disk has it."""
    for _ in range(3):
        chain.edit(("count", 0, 1))
    assert 3 == len(chain.sequencer.known._open)
    chain.close_block()
    assert {} == chain.sequencer.known._open
