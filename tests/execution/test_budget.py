"""The budget of a block: counted entry by entry against a model, and kept to the row and the byte."""

from __future__ import annotations

from random import Random

import pytest

from kernel_fixtures import make_random_edit, make_steps
from microrollup.chain.receipt import EXECUTED, FAULTED, REJECTED
from microrollup.declaration.map import Map
from microrollup.execution import budget
from microrollup.execution.block_context import BlockContext
from microrollup.execution.budget import NONCE_BYTES
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, Entry, OverBudget, apply_actions
from microrollup.primitives import MAX_BLOCK_CHANGED_BYTES, MAX_BLOCK_CHANGED_ROWS
from zoo import Edit, Edited, Step, Zoo, zoo

SENDER = bytes(range(20))
EVENT_BYTES = sum(map(len, zoo.encode_event(Edited(3))))
FORCED, SIGNED = None, 0


def make_entry(action: Edit, nonce: int | None) -> Entry:
    kind, origin = ("forced", "l1") if nonce is None else ("signed", "signed")
    return Entry(b"", SENDER, nonce, bytes(32), action, kind=kind, origin=origin)


def make_state() -> ChainState:
    assert isinstance(zoo.genesis, Zoo)
    return ChainState(zoo.genesis, Map(), 0)


def make_context(*, rebuilt: bool = False) -> BlockContext:
    return BlockContext(1, 0, 0, Journal(len(zoo.state_fields)), rebuilt=rebuilt)


def measure(context: BlockContext, signed: int, events: int) -> tuple[int, int]:
    """Rows and bytes, counted afresh from the journal."""
    changes = [
        (field.row_prefix + encoded, change)
        for field, touched in zip(zoo.state_type.fields, context.journal.fields, strict=True)
        for encoded, change in touched.items()
    ]
    size = sum([len(key) + len(change.row_before or b"") + len(change.row or b"") for key, change in changes])
    return len(changes) + signed, size + NONCE_BYTES * signed + events


@pytest.mark.parametrize("seed", range(4))
def test_the_count_is_that_of_the_journal(seed: int) -> None:
    """Keys set, set again, deleted and brought back, rejections and events: the running count is the net one."""
    rng, state, context = Random(seed), make_state(), make_context()
    signed, events = 0, 0
    for number in range(80):
        nonce = signed if rng.randrange(3) else FORCED
        action = make_random_edit(rng)
        state, (receipt,) = apply_actions(zoo, state, [make_entry(action, nonce)], context)
        signed += nonce is not None
        events += sum([len(name) + len(body) for name, body in receipt.events])
        assert measure(context, signed, events) == (context.changed_rows, context.changed_bytes), number


def set_limits(monkeypatch: pytest.MonkeyPatch, *, entry: tuple[int, int], block: tuple[int, int]) -> None:
    monkeypatch.setattr(budget, "MAX_ENTRY_CHANGED_ROWS", entry[0])
    monkeypatch.setattr(budget, "MAX_ENTRY_CHANGED_BYTES", entry[1])
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_ROWS", block[0])
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_BYTES", block[1])


MANY = 1 << 40
THREE = make_steps(*[("set_guard", key, 1) for key in range(3)])
THREE_BYTES = 3 * (2 + 20 + 1) + EVENT_BYTES


def test_limits_are_a_quarter_and_a_whole() -> None:
    """The figures of the design: 16 MiB and 100,000 rows per block, one entry at most a quarter."""
    assert (100_000, 16 << 20) == (MAX_BLOCK_CHANGED_ROWS, MAX_BLOCK_CHANGED_BYTES)
    assert (25_000, 4 << 20) == (budget.MAX_ENTRY_CHANGED_ROWS, budget.MAX_ENTRY_CHANGED_BYTES)


@pytest.mark.parametrize(
    ("nonce", "enough", "limit"),
    [
        (FORCED, (3, MANY), "rows"),
        (SIGNED, (4, MANY), "rows"),
        (FORCED, (MANY, THREE_BYTES), "bytes"),
        (SIGNED, (MANY, THREE_BYTES + NONCE_BYTES), "bytes"),
    ],
)
def test_one_entry(monkeypatch: pytest.MonkeyPatch, nonce: int, enough: tuple[int, int], limit: str) -> None:
    """What just fits is executed. With one row or byte less, a signed action is not taken and a forced one faults."""
    set_limits(monkeypatch, entry=enough, block=(MANY, MANY))
    _, (receipt,) = apply_actions(zoo, make_state(), [make_entry(THREE, nonce)], make_context())
    assert EXECUTED == receipt.status
    set_limits(monkeypatch, entry=(enough[0] - 1, enough[1] - 1), block=(MANY, MANY))
    context, state = make_context(), make_state()
    if nonce == FORCED:
        state, (receipt,) = apply_actions(zoo, state, [make_entry(THREE, nonce)], context)
        assert (FAULTED, f"limit: {limit}", ()) == (receipt.status, receipt.reason, receipt.events)
        assert (0, 0, 1) == (context.changed_rows, context.changed_bytes, state.forced_count)
    else:
        with pytest.raises(OverBudget) as caught:
            apply_actions(zoo, state, [make_entry(THREE, nonce)], context)
        assert (limit, True) == (caught.value.excess.limit, caught.value.alone)
        assert caught.value.excess.found > caught.value.excess.most
        assert {} == context.journal.nonces
    assert not any(context.journal.fields)
    assert 0 == len(state.app.guards)  # type: ignore[attr-defined]


@pytest.mark.parametrize("nonce", [FORCED, SIGNED])
@pytest.mark.parametrize("limit", ["rows", "bytes"])
def test_a_full_block(monkeypatch: pytest.MonkeyPatch, limit: str, nonce: int) -> None:
    """An entry for which the block has no room stops execution before it, as if it had never come."""
    context = make_context()
    state, _ = apply_actions(zoo, make_state(), [make_entry(THREE, nonce)], context)
    used = (context.changed_rows, context.changed_bytes)
    journal = [dict(touched) for touched in context.journal.fields]
    nonces = dict(context.journal.nonces)
    full = (used[0], MANY) if limit == "rows" else (MANY, used[1])
    set_limits(monkeypatch, entry=(MANY, MANY), block=full)
    following = make_entry(make_steps(("set_ticket", 7, 7)), FORCED if nonce == FORCED else 1)
    with pytest.raises(OverBudget) as caught:
        apply_actions(zoo, state, [following], context)
    over = caught.value
    assert (limit, False, 1, []) == (over.excess.limit, over.alone, over.seq, over.receipts)
    assert used == (context.changed_rows, context.changed_bytes)
    assert (journal, nonces, 1) == (context.journal.fields, context.journal.nonces, context.next_seq)
    state = over.state
    assert state.app.tickets.get(7) is None  # type: ignore[attr-defined]
    again = make_entry(THREE, FORCED)  # changes nothing that it has not changed before, and emits an event
    monkeypatch.setattr(budget, "MAX_BLOCK_CHANGED_BYTES", MANY)
    _, (receipt,) = apply_actions(zoo, state, [again], context)
    assert (EXECUTED, used[0]) == (receipt.status, context.changed_rows)


def test_what_a_rejection_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rejected or faulted action costs its nonce; a forced one costs nothing."""
    context = make_context()
    rejected = Edit([Step(2, 1, 1)], reject=True)
    _, receipts = apply_actions(zoo, make_state(), [make_entry(rejected, 0), make_entry(rejected, FORCED)], context)
    assert [REJECTED, REJECTED] == [receipt.status for receipt in receipts]
    assert (1, NONCE_BYTES) == (context.changed_rows, context.changed_bytes)
    set_limits(monkeypatch, entry=(MANY, MANY), block=(1, MANY))
    with pytest.raises(OverBudget):
        apply_actions(zoo, make_state(), [make_entry(rejected, 0), make_entry(rejected, 1)], make_context())


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("nonce", [FORCED, SIGNED])
def test_in_a_rebuilt_block_it_faults(monkeypatch: pytest.MonkeyPatch, nonce: int, alone: bool) -> None:
    """The entries of a rebuilt block are given: what exceeds entry or block faults, and those after it go on."""
    few, many = (2, MANY), (MANY, MANY)
    set_limits(monkeypatch, entry=few if alone else many, block=many if alone else few)
    context = make_context(rebuilt=True)
    entries = [make_entry(THREE, nonce), make_entry(make_steps(("set_guard", 1, 1)), FORCED)]
    state, receipts = apply_actions(zoo, make_state(), entries, context)
    assert [(FAULTED, "limit: rows"), (EXECUTED, "")] == [(receipt.status, receipt.reason) for receipt in receipts]
    assert 1 == len(state.app.guards)  # type: ignore[attr-defined]
    assert int(nonce == SIGNED) == len(state.nonces)


def test_a_value_that_goes_counts() -> None:
    """Deleting a value costs what it held, or deleting many large ones would be a way to a block without bounds."""
    state, context = make_state(), make_context()
    state, _ = apply_actions(zoo, state, [make_entry(make_steps(("set_animal", 1, 1)), FORCED)], context)
    held = context.journal.fields[0][b"animal 1"].row
    assert held is not None
    fresh = make_context()
    apply_actions(zoo, state, [make_entry(make_steps(("delete_animal", 1, 0)), FORCED)], fresh)
    assert (1, 2 + len("animal 1") + len(held) + EVENT_BYTES) == (fresh.changed_rows, fresh.changed_bytes)
