"""Outcomes of state transition functions: what executes, is rejected, faults, hits a limit; and nothing else happens.

Every function runs twice: on a store that was just opened, and on one that has everything in memory. What is in memory
must never decide.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import numpy as np
import pytest

from kernel_fixtures import Chain, make_steps
from microrollup import Context, Event, Map, Revert, State, Uint64, replace, require
from microrollup.chain.receipt import EXECUTED, FAULTED, REJECTED, Receipt
from microrollup.chain.record import Open
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.declaration.map import NotDescended, StoreFault
from microrollup.errors import ImpureStf, IntakeStopped, LimitExceeded
from microrollup.execution.block_context import BlockContext, Interrupted
from microrollup.execution.journal import Journal
from microrollup.execution.stf import (
    ChainState,
    Entry,
    LimitHit,
    NonceMismatch,
    apply_actions,
)
from microrollup.execution.watchdog import Watchdog
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_EVENT_BYTES, MAX_EVENTS, MAX_REASON_BYTES
from microrollup.sequencer.sequencer import Sequenced
from microrollup.store.environment import Environment
from microrollup.store.rows import StoredRows
from zoo import MISCHIEF, Animal, Edited, Misbehave, Mischief, Zoo, apply_step, make_animal, make_guard, zoo

SENDER = bytes(range(20))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("rig"))
    yield made
    made.chain.close()


class Rig:
    """A closed chain with some entries in every field, opened afresh for every run."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root)
        self.chain.edit(
            ("set_animal", 1, 5), ("set_animal", 2, 6), ("set_ticket", 4, 1), ("set_guard", 1, 1), ("count", 0, 1)
        )
        self.chain.close_block()
        self.before = dump(self.chain.ledger.state.app)  # type: ignore[arg-type]
        """All values of the state that every run begins with."""

    def run(
        self, function: Mischief, *, warm: bool, audit: bool = False, twice: bool = False
    ) -> tuple[Receipt, Zoo, Journal]:
        """Execute one action that is `function`, behind one that reads every entry if `warm`."""
        chain = self.chain
        chain.sequencer.close()
        chain.ledger.abandon()
        ledger = chain.ledger = Ledger.open(chain.root / "builder", zoo, audit=audit, map_size=chain.map_size)
        ledger.twice = twice
        chain.sequencer = chain.make_sequencer()
        MISCHIEF["read all"] = read_all
        MISCHIEF["function"] = function
        ledger.begin(Open(2, ledger.header.timestamp, ledger.header.l1_origin, zoo.stf_id))
        assert ledger.block is not None
        if warm:
            (receipt,) = ledger.execute([make_entry(Misbehave("read all"), 0)])
            assert EXECUTED == receipt.status
        (receipt,) = ledger.execute([make_entry(Misbehave("function"), int(warm))])
        assert int(warm) + 1 == ledger.state.nonces[SENDER]
        assert isinstance(ledger.state.app, Zoo)
        return receipt, ledger.state.app, ledger.block.context.journal

    def run_both(self, function: Mischief) -> tuple[Receipt, Zoo]:
        """The receipt and the state, which are the same on a cold and on a warm store."""
        cold, state, journal = self.run(function, warm=False)
        expected = dump(state)
        unchanged = not any(journal.fields)
        warm, state, _ = self.run(function, warm=True)
        assert (cold.status, cold.reason, cold.events) == (warm.status, warm.reason, warm.events)
        assert expected == dump(state)
        assert unchanged is not any(journal.fields)
        if cold.status != EXECUTED:
            assert unchanged
            assert () == cold.events
        return cold, state


def read_all(state: Zoo, ctx: Context) -> Zoo:
    """Bring every entry, and a few absences, into memory."""
    for name in ("animals", "tickets", "notes", "guards"):
        entries = getattr(state, name)
        for key in list(entries):
            assert entries[key] is not None
    for key in range(5):
        state.tickets.get(key)
    return state


def make_entry(action: Any, nonce: int | None = None) -> Entry:
    kind, origin = ("forced", "l1") if nonce is None else ("signed", "signed")
    return Entry(b"record", SENDER, nonce, bytes(32), action, kind=kind, origin=origin)


def dump(state: Zoo) -> list[Any]:
    """All values of a state."""
    return [list(value.items()) if isinstance(value, Map) else value for value in msgspec.structs.astuple(state)]


# --- faults ----------------------------------------------------------------------------------------------------------


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


class OwnBase(BaseException):
    pass


class SubZoo(Zoo, frozen=True):
    pass


class OtherState(State, frozen=True):
    value: Uint64 = 0


class SubAnimal(Animal, frozen=True):
    pass


class TwinAnimal(msgspec.Struct, frozen=True, array_like=True):
    weight: int
    sound: str
    legs: tuple[int, ...]


class SubInt(int):
    pass


class SubStr(str):
    __slots__ = ()


def throw(error: BaseException) -> Mischief:
    def function(state: Zoo, ctx: Context) -> Zoo:
        raise error

    return function


class BigEvent(Event, frozen=True):
    body: bytes


class OpenEvent(Event, frozen=True):
    count: Uint64


class LooseEvent(msgspec.Struct):
    count: int


def emit(*events: Any) -> Mischief:
    def function(state: Zoo, ctx: Context) -> Zoo:
        for event in events:
            ctx.emit(event)
        return replace(state, visitors=9)

    return function


KEPT: list[Any] = []


FAULTS: dict[str, Mischief] = {
    # raises
    "raises": throw(ValueError("no")),
    "raises key error": throw(KeyError("x")),
    "assertion": throw(AssertionError()),
    "stop iteration": throw(StopIteration()),
    "group": throw(ExceptionGroup("several", [Revert("inside"), ValueError()])),
    "sys.exit": lambda state, ctx: sys.exit("out"),
    "exit code": throw(SystemExit(0)),
    "generator exit": throw(GeneratorExit()),
    "cancelled": throw(asyncio.CancelledError()),
    "own base exception": throw(OwnBase()),
    "unprintable": throw(Unprintable()),
    "not descended": throw(NotDescended()),
    "limit by its name": throw(LimitExceeded("not really")),
    # returns
    "returns None": lambda state, ctx: None,
    "returns nothing after setting": lambda state, ctx: state.tickets.set(1, 2) and None,
    "returns a number": lambda state, ctx: 7,
    "returns the class": lambda state, ctx: Zoo,
    "returns a map": lambda state, ctx: state.tickets,
    "returns another state": lambda state, ctx: OtherState(),
    "returns a subclass": lambda state, ctx: SubZoo(*msgspec.structs.astuple(state)),
    "returns a tuple": lambda state, ctx: (state,),
    # scalars
    "negative": lambda state, ctx: replace(state, visitors=-1),
    "too large": lambda state, ctx: replace(state, visitors=2**64),
    "bool for int": lambda state, ctx: replace(state, visitors=True),
    "equal bool": lambda state, ctx: replace(replace(state, visitors=1), visitors=True),
    "float": lambda state, ctx: replace(state, visitors=1.0),
    "numpy": lambda state, ctx: replace(state, visitors=np.uint64(1)),
    "text for int": lambda state, ctx: replace(state, visitors="1"),
    "None": lambda state, ctx: replace(state, visitors=None),
    "int subclass": lambda state, ctx: replace(state, visitors=SubInt(1)),
    "bytearray": lambda state, ctx: replace(state, motto=bytearray(state.motto)),
    "memoryview": lambda state, ctx: replace(state, motto=memoryview(state.motto)),
    "text for bytes": lambda state, ctx: replace(state, motto="born"),
    # values of maps
    "map value negative": lambda state, ctx: replace(state, tickets=state.tickets.set(1, -1)),
    "map value too large": lambda state, ctx: replace(state, tickets=state.tickets.set(9, 2**64)),
    "map value None": lambda state, ctx: replace(state, tickets=state.tickets.set(1, None)),
    "map value float": lambda state, ctx: replace(state, tickets=state.tickets.set(9, 1.5)),
    "map value equal float": lambda state, ctx: replace(state, tickets=state.tickets.set(1, 10.0)),
    "map value equal bool": lambda state, ctx: replace(state, tickets=state.tickets.set(4, True)),
    "map value equal bool, twice set": lambda state, ctx: replace(state, tickets=state.tickets.set(4, 7).set(4, True)),
    "map value equal bytearray": lambda state, ctx: replace(state, notes=state.notes.set(b"7", bytearray(b"seven"))),
    "map value numpy": lambda state, ctx: replace(state, tickets=state.tickets.set(1, np.int64(10))),
    "map value of a subclass": lambda state, ctx: replace(
        state, animals=state.animals.set("animal 1", SubAnimal(*msgspec.structs.astuple(make_animal(5))))
    ),
    "map value of a twin": lambda state, ctx: replace(
        state, animals=state.animals.set("animal 1", TwinAnimal(1, "", ()))
    ),
    "nested too large": lambda state, ctx: replace(state, animals=state.animals.set("x", Animal(1, "", (256,)))),
    "nested list": lambda state, ctx: replace(state, animals=state.animals.set("x", Animal(1, "", [1]))),  # type: ignore[arg-type]
    "nested wide": lambda state, ctx: replace(state, animals=state.animals.set("x", Animal(2**256, "", ()))),
    "nested surrogate": lambda state, ctx: replace(state, animals=state.animals.set("x", Animal(1, "\ud800", ()))),
    "nested str subclass": lambda state, ctx: replace(
        state, animals=state.animals.set("x", Animal(1, SubStr("a"), ()))
    ),
    # keys of maps
    "key text": lambda state, ctx: replace(state, tickets=state.tickets.set("1", 2)),  # type: ignore[arg-type]
    "key negative": lambda state, ctx: replace(state, tickets=state.tickets.set(-1, 2)),
    "key too large": lambda state, ctx: replace(state, tickets=state.tickets.set(2**32, 2)),
    "key bool": lambda state, ctx: replace(state, tickets=state.tickets.set(True, 2)),
    "key float": lambda state, ctx: replace(state, tickets=state.tickets.set(1.0, 2)),  # type: ignore[arg-type]
    "key int subclass": lambda state, ctx: replace(state, tickets=state.tickets.set(SubInt(1), 2)),
    "key short": lambda state, ctx: replace(state, guards=state.guards.set(b"short", 2)),
    "key long": lambda state, ctx: replace(state, notes=state.notes.set(bytes(257), b"")),
    "key long text": lambda state, ctx: replace(state, animals=state.animals.set("ä" * 129, make_animal(1))),
    "key surrogate": lambda state, ctx: replace(state, animals=state.animals.set("\ud800", make_animal(1))),
    "key str subclass": lambda state, ctx: replace(
        state, animals=state.animals.set(SubStr("animal 1"), make_animal(1))
    ),
    "key unhashable": lambda state, ctx: replace(state, notes=state.notes.set(bytearray(b"7"), b"")),
    "reads with a bool": lambda state, ctx: replace(state, visitors=state.tickets.get(True, 0)),
    "reads with a float": lambda state, ctx: replace(state, visitors=state.tickets[1.0]),  # type: ignore[index]
    "asks with a float": lambda state, ctx: replace(state, visitors=int(1.0 in state.tickets)),
    "deletes with a bool": lambda state, ctx: replace(state, tickets=state.tickets.delete(True)),
    "reads with a view": lambda state, ctx: replace(state, motto=state.notes.get(memoryview(b"7"), b"")),  # type: ignore[call-overload]
    "reads beyond the range": lambda state, ctx: replace(state, visitors=state.tickets.get(2**32, 5)),
    "reads a short key": lambda state, ctx: replace(state, visitors=state.guards.get(b"x", 5)),
    # maps
    "dict for a map": lambda state, ctx: replace(state, tickets={1: 2}),
    "None for a map": lambda state, ctx: replace(state, tickets=None),
    "a new map": lambda state, ctx: replace(state, tickets=Map()),
    "a new map of the same entries": lambda state, ctx: replace(state, tickets=Map(dict(state.tickets.items()))),
    "a map of another field": lambda state, ctx: replace(state, tickets=state.guards),
    "a map made from another field": lambda state, ctx: replace(state, tickets=state.guards.set(make_guard(1), 5)),
    # events
    "65 events": emit(*[Edited(1)] * (MAX_EVENTS + 1)),
    "many events": emit(*[Edited(1)] * 10_000),
    "large events": emit(BigEvent(bytes(MAX_EVENT_BYTES))),
    "large events together": emit(*[BigEvent(bytes(MAX_EVENT_BYTES // 4))] * 4),
    "no event": emit("Edited"),
    "None as an event": emit(None),
    "an action as an event": emit(make_steps()),
    "a loose struct as an event": emit(LooseEvent(1)),
    "an event out of bounds": emit(OpenEvent(-1)),
    "an event of the wrong type": emit(OpenEvent("1")),  # type: ignore[arg-type]
    "an event class": emit(Edited),
    # reasons
    "long reason": throw(Revert("x" * (MAX_REASON_BYTES + 1))),
    "long reason in bytes": throw(Revert("ä" * (MAX_REASON_BYTES // 2 + 1))),
    "surrogate reason": throw(Revert("\ud800")),
    "number as a reason": throw(Revert(5)),  # type: ignore[arg-type]
    "None as a reason": throw(Revert(None)),  # type: ignore[arg-type]
    "bytes as a reason": throw(Revert(b"no")),  # type: ignore[arg-type]
    "str subclass as a reason": throw(Revert(SubStr("no"))),
    "formatted require": lambda state, ctx: require(False, 12),  # type: ignore[arg-type]
}


class Bare(Revert):
    def __init__(self) -> None:
        Exception.__init__(self)


class Trap(Revert):
    def __init__(self) -> None:
        Exception.__init__(self)

    @property
    def reason(self) -> str:  # type: ignore[override]
        raise OSError


FAULTS["a Revert without a reason"] = throw(Bare())
FAULTS["a Revert whose reason raises"] = throw(Trap())


@pytest.mark.parametrize("name", FAULTS)
def test_faulted(rig: Rig, name: str) -> None:
    """The action is faulted: nonce consumed, status only, no events, state and journal as they were."""
    receipt, state = rig.run_both(FAULTS[name])
    assert (FAULTED, "", ()) == (receipt.status, receipt.reason, receipt.events)
    assert rig.before == dump(state)


def test_rejected(rig: Rig) -> None:
    """`Revert` and `require` reject with their reason, up to 256 bytes of it; what was emitted does not count."""

    def emit_and_reject(state: Zoo, ctx: Context) -> Zoo:
        emit(Edited(1))(state, ctx)
        replace(state, tickets=state.tickets.set(1, 5))
        raise Revert("in the end not")

    cases: list[tuple[Mischief, str]] = [
        (throw(Revert("no")), "no"),
        (throw(Revert("")), ""),
        (throw(Revert("x" * MAX_REASON_BYTES)), "x" * MAX_REASON_BYTES),
        (throw(Revert("ä" * (MAX_REASON_BYTES // 2))), "ä" * (MAX_REASON_BYTES // 2)),
        (lambda state, ctx: require(False, "never"), "never"),
        (lambda state, ctx: require(0, "zero"), "zero"),
        (emit_and_reject, "in the end not"),
    ]
    for function, reason in cases:
        receipt, _ = rig.run_both(function)
        assert (REJECTED, reason, ()) == (receipt.status, receipt.reason, receipt.events)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (emit(*[Edited(1)] * MAX_EVENTS), MAX_EVENTS),
        (emit(BigEvent(bytes(MAX_EVENT_BYTES - len("BigEvent") - 4))), 1),
        (emit(), 0),
    ],
    ids=["64 events", "16 KiB", "none"],
)
def test_most_events(rig: Rig, function: Mischief, count: int) -> None:
    """64 events, and 16 KiB of them, are kept; the action executes."""
    receipt, state = rig.run_both(function)
    assert (EXECUTED, count) == (receipt.status, len(receipt.events))
    assert sum(len(name) + len(body) for name, body in receipt.events) <= MAX_EVENT_BYTES
    assert 9 == state.visitors


def test_values_at_their_bounds(rig: Rig) -> None:
    """The least and the greatest values and keys execute."""

    def function(state: Zoo, ctx: Context) -> Zoo:
        tickets = state.tickets.set(0, 0).set(2**32 - 1, 2**64 - 1)
        animals = state.animals.set("", Animal(2**256 - 1, "", ())).set("x" * 256, Animal(0, "ä", (0, 255)))
        notes = state.notes.set(b"", b"").set(bytes(256), bytes(10_000))
        return replace(state, tickets=tickets, animals=animals, notes=notes, visitors=2**64 - 1, motto=b"")

    receipt, state = rig.run_both(function)
    assert EXECUTED == receipt.status
    assert 2**64 - 1 == state.tickets[2**32 - 1]


def test_siblings(rig: Rig) -> None:
    """Of two versions derived from one state, the returned one counts, whichever was made or read last."""

    def function(state: Zoo, ctx: Context) -> Zoo:
        one = state.tickets.set(1, 100).set(50, 1).delete(3)
        other = state.tickets.set(1, 200).set(60, 1)
        assert (100, 200, 10) == (one[1], other[1], state.tickets[1])
        return replace(state, tickets=one)

    receipt, state = rig.run_both(function)
    assert EXECUTED == receipt.status
    assert [(1, 100), (4, 1), (50, 1)] == list(state.tickets.items())


def test_net_changes_only(rig: Rig) -> None:
    """What an action sets and takes back, or deletes and sets again, is no change."""

    def function(state: Zoo, ctx: Context) -> Zoo:
        tickets = state.tickets.set(1, 5).set(1, 10).set(70, 1).delete(70).delete(4).set(4, 1).delete(99)
        animals = state.animals.set("animal 1", make_animal(5))
        return replace(state, tickets=tickets, animals=animals, visitors=int(state.visitors))

    for warm in (False, True):
        receipt, _, journal = rig.run(function, warm=warm)
        assert EXECUTED == receipt.status
        assert not any(journal.fields)
        assert [] == journal.order


def test_order_of_leaves(rig: Rig) -> None:
    """Within an action settled changes stand in the order of (silo, tree key), whatever the order of their making."""
    steps = [("set_guard", key, 1) for key in range(5)] + [("set_ticket", key, 8) for key in range(5)]
    steps += [("set_animal", key, 8) for key in range(5)] + [("count", 0, 1), ("set_note", 1, 1), ("set_motto", 0, 8)]
    orders = []
    for chosen in (steps, steps[::-1]):
        _, _, journal = rig.run(
            lambda state, ctx, chosen=chosen: apply_all(state, chosen),
            warm=False,  # type: ignore[misc]
        )
        fields = zoo.state_type.fields
        placed = [(fields[at].number, compute_tree_key(fields[at].number, key)) for at, key in journal.order]
        assert sorted(placed) == placed
        assert all(fields[at].settled for at, _ in journal.order)
        orders.append(journal.order)
    assert orders[0] == orders[1]
    assert 15 == len(orders[0])


def apply_all(state: Zoo, steps: list[tuple[str, int, int]]) -> Zoo:
    for step in make_steps(*steps).steps:
        state = apply_step(state, step)
    return state


# --- states from elsewhere -------------------------------------------------------------------------------------------


def test_earlier_states(tmp_path: Path) -> None:
    """A map kept from an earlier action faults if the state has moved on since, from an earlier block always."""
    kept: list[Zoo] = []
    chain = Chain(tmp_path)

    def keep(state: Zoo, ctx: Context) -> Zoo:
        kept.append(state)
        return replace(state, tickets=state.tickets.set(1, 1))

    MISCHIEF["keep"] = keep
    MISCHIEF["return kept"] = lambda state, ctx: kept[-1]
    MISCHIEF["build on kept"] = lambda state, ctx: replace(state, tickets=kept[-1].tickets.set(1, 9))
    MISCHIEF["read kept"] = lambda state, ctx: replace(state, visitors=kept[-1].tickets.get(1, 0))

    def run(*names: str) -> list[int]:
        outcomes = chain.submit(*[chain.signer.sign(Misbehave(name)) for name in names])
        return [o.receipt.status for o in outcomes if isinstance(o, Sequenced)]

    assert [EXECUTED, FAULTED, FAULTED] == run("keep", "return kept", "build on kept")
    assert 1 == chain.ledger.state.app.tickets[1]  # type: ignore[attr-defined]
    chain.close_block()
    assert [FAULTED, FAULTED, FAULTED] == run("return kept", "build on kept", "read kept")
    chain.close_block()
    chain.close()


# --- limits ----------------------------------------------------------------------------------------------------------


def recurse(state: Zoo, ctx: Context) -> Zoo:
    return recurse(state, ctx)


class OwnMemoryError(MemoryError):
    pass


class OwnRecursionError(RecursionError):
    pass


@pytest.mark.parametrize(
    ("function", "limit"),
    [
        (recurse, "recursion"),
        (throw(OwnRecursionError()), "recursion"),
        (lambda state, ctx: bytes(1 << 62), "memory"),
        (lambda state, ctx: np.zeros(1 << 48, np.uint8).sum(), "memory"),
        (lambda state, ctx: [0] * (1 << 60), "memory"),
        (throw(OwnMemoryError()), "memory"),
        (throw(Interrupted()), "time"),
    ],
    ids=["recursion", "its subclass", "bytes", "numpy", "list", "subclass", "interrupted"],
)
def test_limits(rig: Rig, function: Mischief, limit: str) -> None:
    """What exhausts recursion or memory is neither executed nor faulted: an error with what was done until then."""
    with pytest.raises(LimitHit) as caught:
        rig.run(function, warm=True)
    ledger = rig.chain.ledger
    assert (limit, 2) == (caught.value.limit, caught.value.seq)
    assert [] == caught.value.receipts
    assert (1, 2) == (ledger.state.nonces[SENDER], ledger.next_seq)
    assert ledger.block is not None
    assert not ledger.block.context.ticket & 1
    (receipt,) = ledger.execute([make_entry(make_steps(("count", 0, 1)), 1)])
    assert (EXECUTED, 2) == (receipt.status, receipt.seq)


def spin() -> None:
    while True:
        pass


def spin_swallowing(state: Zoo, ctx: Context) -> Zoo:
    try:
        spin()
    except BaseException:
        return replace(state, visitors=99, guards=state.guards.set(make_guard(99), 9))
    return state


def spin_rejecting(state: Zoo, ctx: Context) -> Zoo:
    try:
        spin()
    except BaseException:
        raise Revert("slow") from None
    return state


def spin_faulting(state: Zoo, ctx: Context) -> Zoo:
    try:
        spin()
    finally:
        raise ValueError


@pytest.mark.parametrize(
    "function",
    [lambda state, ctx: spin(), spin_swallowing, spin_rejecting, spin_faulting],
    ids=["plain", "swallowing", "rejecting", "faulting"],
)
def test_infinite_loop(tmp_path: Path, function: Mischief) -> None:
    """An action that runs too long is refused before it is logged, however it takes the interruption; others pass."""
    chain = Chain(tmp_path)
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.1)
    MISCHIEF["spin"] = function
    actions = [
        chain.signer.sign(make_steps(("count", 0, 1)), "bob"),
        chain.signer.sign(Misbehave("spin"), "alice", 0),
        chain.signer.sign(make_steps(("count", 0, 1)), "bob"),
        chain.signer.sign(make_steps(("count", 0, 1)), "alice", 0),
    ]
    outcomes = chain.submit(*actions)
    assert ["0", "action_limit", "1", "2"] == [
        str(o.receipt.seq) if isinstance(o, Sequenced) else o.code for o in outcomes
    ]
    assert 3 == chain.ledger.state.app.visitors  # type: ignore[attr-defined]
    assert 3 == chain.close_block().action_count
    verifier = chain.make_verifier()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.close()
    chain.close()


def descend(depth: int) -> int:
    return 0 if depth == 0 else 1 + descend(depth - 1)


def call_at_depth(depth: int, function: Callable[[], None]) -> None:
    if depth:
        call_at_depth(depth - 1, function)
    else:
        function()


def test_deep_recursion_executes_again(tmp_path: Path) -> None:
    """The deepest action that is acknowledged executes again when the store is opened from further down the stack."""
    chain = Chain(tmp_path)
    depth = [0]
    MISCHIEF["descend"] = lambda state, ctx: replace(state, visitors=descend(depth[0]))
    low, high = 0, sys.getrecursionlimit()
    while high - low > 1:
        depth[0] = (low + high) // 2
        (outcome,) = chain.submit(chain.signer.sign(Misbehave("descend"), "alice", chain.ledger.next_seq))
        low, high = (depth[0], high) if isinstance(outcome, Sequenced) else (low, depth[0])
    assert low > 100
    depth[0] = low
    limit = sys.getrecursionlimit()
    call_at_depth(200, lambda: chain.reopen(abandon=True))
    assert limit == sys.getrecursionlimit()
    chain.close_block()
    chain.close()


# --- impurity and disks ----------------------------------------------------------------------------------------------


def change_in_place(state: Zoo, ctx: Context) -> Zoo:
    msgspec.structs.force_setattr(state, "visitors", 77)
    return state


def change_value(state: Zoo, ctx: Context) -> Zoo:
    msgspec.structs.force_setattr(state.animals["animal 1"], "sound", "moo")
    return state


def change_set_value(state: Zoo, ctx: Context) -> Zoo:
    animals = state.animals.set("animal 1", make_animal(9))
    KEPT.append(animals["animal 1"])
    return replace(state, animals=animals)


def change_kept_value(state: Zoo, ctx: Context) -> Zoo:
    msgspec.structs.force_setattr(KEPT[-1], "sound", "moo")
    return state


def test_audit_of_scalars(rig: Rig) -> None:
    """A verifier notices an STF that changes its pre-state in place, at once."""
    rig.run(change_in_place, warm=False)
    with pytest.raises(ImpureStf, match="Misbehave"):
        rig.run(change_in_place, warm=False, audit=True)


def test_audit_of_values(rig: Rig) -> None:
    """A verifier notices values of maps that were changed in place, at the block's end: loaded ones and set ones."""
    rig.run(change_value, warm=False, audit=True)
    with pytest.raises(ImpureStf, match="animals"):
        rig.chain.ledger.compute_header()
    rig.run(change_set_value, warm=False, audit=True)
    rig.chain.ledger.compute_header()
    MISCHIEF["function"] = change_kept_value
    rig.chain.ledger.execute([make_entry(Misbehave("function"), 1)])
    with pytest.raises(ImpureStf, match="animals"):
        rig.chain.ledger.compute_header()


CALLS: list[None] = []
"""What STFs keep between calls."""


def keep_in_state(state: Zoo, ctx: Context) -> Zoo:
    CALLS.append(None)
    return replace(state, visitors=len(CALLS))


def keep_in_entry(state: Zoo, ctx: Context) -> Zoo:
    CALLS.append(None)
    return apply_all(state, [("set_ticket", 90, len(CALLS))])


def keep_in_event(state: Zoo, ctx: Context) -> Zoo:
    CALLS.append(None)
    ctx.emit(Edited(len(CALLS)))
    return state


def keep_in_reason(state: Zoo, ctx: Context) -> Zoo:
    CALLS.append(None)
    raise Revert(f"call {len(CALLS)}")


def fail_first(state: Zoo, ctx: Context) -> Zoo:
    CALLS.append(None)
    if len(CALLS) % 2:
        raise ValueError("the first time")
    return state


@pytest.mark.parametrize("function", [keep_in_state, keep_in_entry, keep_in_event, keep_in_reason, fail_first])
def test_executed_twice(rig: Rig, function: Mischief) -> None:
    """An STF that keeps something between calls is noticed, signed or forced, by whatever differs; not if run once."""
    CALLS.clear()
    rig.run(function, warm=False)
    CALLS.clear()
    with pytest.raises(ImpureStf, match="Misbehave gives another outcome"):
        rig.run(function, warm=False, twice=True)
    CALLS.clear()
    with pytest.raises(ImpureStf, match="Misbehave gives another outcome"):
        rig.chain.ledger.execute([make_entry(Misbehave("function"))])


def test_executing_twice_changes_nothing(rig: Rig) -> None:
    """What is pure comes out as if it had been executed once: outcome, state and journal."""
    steps = [("set_animal", 1, 7), ("delete_animal", 2, 0), ("set_ticket", 1, 10), ("count", 0, 1), ("set_note", 7, 7)]
    once, state, journal = rig.run(lambda state, ctx: apply_all(state, steps), warm=True)
    expected = once, dump(state), repr(journal.fields)
    twice, state, journal = rig.run(lambda state, ctx: apply_all(state, steps), warm=True, twice=True)
    assert expected == (twice, dump(state), repr(journal.fields))


def test_audit_passes_what_is_pure(rig: Rig) -> None:
    """An audited block of ordinary changes is not complained about."""
    steps = [("set_animal", 1, 7), ("delete_animal", 2, 0), ("set_ticket", 1, 10), ("count", 0, 1), ("set_note", 7, 7)]
    rig.run(lambda state, ctx: apply_all(state, steps), warm=True, audit=True)
    rig.chain.ledger.compute_header()


def swallow_read(state: Zoo, ctx: Context) -> Zoo:
    try:
        return replace(state, visitors=state.tickets.get(77, 5))
    except BaseException:
        return replace(state, visitors=99)


def swallow_walk(state: Zoo, ctx: Context) -> Zoo:
    try:
        return replace(state, visitors=len(list(state.tickets)))
    except BaseException:
        raise Revert("disk") from None


@pytest.mark.parametrize(
    "function",
    [lambda state, ctx: state.tickets.get(77), lambda state, ctx: list(state.tickets), swallow_read, swallow_walk],
    ids=["read", "walk", "swallowed read", "swallowed walk"],
)
def test_store_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Mischief) -> None:
    """A disk that fails under an STF is nobody's outcome, whatever the STF makes of it: the call ends, intake stops."""
    chain = Chain(tmp_path)
    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.05)
    MISCHIEF["function"] = function
    action = chain.signer.sign(Misbehave("function"))
    chain.edit(("count", 0, 1), name="bob")

    prefix, get = zoo.state_type.get_field("tickets").row_prefix, Environment.get

    def fail(self: Environment, table: str, key: bytes = b"") -> bytes | None:
        if table == "state" and key[:2] in (prefix, b""):
            raise lmdb.CorruptedError("page")
        return get(self, table, key)

    with monkeypatch.context() as patch:
        patch.setattr(Environment, "get", fail)
        patch.setattr(Environment, "cursor", fail)
        with pytest.raises(StoreFault):
            chain.submit(action)
    for _ in range(20):
        time.sleep(0.01)  # the watchdog has nothing to interrupt any more
    with pytest.raises(IntakeStopped):
        chain.submit(action)
    chain.reopen(abandon=True)
    assert 1 == chain.ledger.next_seq
    (outcome,) = chain.submit(action)
    assert isinstance(outcome, Sequenced)
    chain.close()


def test_damaged_row(tmp_path: Path) -> None:
    """A state row that does not decode is a fault of the store as well, in a map and in a scalar."""
    chain = Chain(tmp_path)
    environment = chain.ledger.environment
    field = zoo.state_type.get_field("tickets")
    with environment.write() as txn:
        txn.put(field.row_prefix + field.encode_key(1), b"\xc1", db=environment.tables["state"])
    rows = StoredRows(environment, field, 1)
    for read in (lambda: rows.load(1), lambda: list(rows.iterate())):
        with pytest.raises(StoreFault, match="tickets"):
            read()
    chain.close()


# --- apply_actions itself --------------------------------------------------------------------------------------------


def make_state() -> ChainState:
    assert isinstance(zoo.genesis, Zoo)
    return ChainState(zoo.genesis, Map(), 0)


def test_pure_but_for_its_context() -> None:
    """The state that was given is as it was, readable, and gives the same results again."""
    state, results = make_state(), []
    entries = [make_entry(make_steps(("set_ticket", 1, value), ("count", 0, value)), value) for value in range(5)]
    for _ in range(3):
        context = BlockContext(1, 0, 0, Journal(len(zoo.state_fields)))
        post, receipts = apply_actions(zoo, state, entries, context)
        assert ([(1, 10), (3, 30)], 0, 0) == (list(state.app.tickets.items()), len(state.nonces), state.app.visitors)  # type: ignore[attr-defined]
        results.append((dump(post.app), dict(post.nonces.items()), receipts, context.next_seq))  # type: ignore[arg-type]
    assert results[0] == results[1] == results[2]
    assert 5 == results[0][3]


def test_nonces_in_order() -> None:
    """A signed entry with another nonce than the next one stops everything, with what was done before it."""
    for nonces, expected, found in (([0, 2], 1, 2), ([0, 0], 1, 0), ([1], 0, 1), ([0, 1, 1], 2, 1)):
        context = BlockContext(1, 0, 5, Journal(len(zoo.state_fields)))
        with pytest.raises(NonceMismatch) as caught:
            apply_actions(zoo, make_state(), [make_entry(make_steps(), nonce) for nonce in nonces], context)
        assert (5 + len(nonces) - 1, expected, found) == (caught.value.seq, caught.value.expected, caught.value.found)
        assert len(nonces) - 1 == len(caught.value.receipts)


def test_forced_entries_have_no_nonce() -> None:
    """Entries from L1 count the queue up and leave the sender's nonce alone; without an action they pass through."""
    seen: list[tuple[str, bytes, int, int]] = []

    def look(state: Zoo, ctx: Context) -> Zoo:
        seen.append((ctx.origin, ctx.sender, ctx.height, ctx.timestamp))
        return state

    MISCHIEF["look"] = look
    entries = [
        make_entry(Misbehave("look")),
        Entry(b"", SENDER, None, bytes(32), None, 3, "forced", "l1"),
        make_entry(Misbehave("look"), 0),
    ]
    state, receipts = apply_actions(zoo, make_state(), entries, BlockContext(7, 99, 0, Journal(len(zoo.state_fields))))
    assert [("l1", SENDER, 7, 99), ("signed", SENDER, 7, 99)] == seen
    assert [EXECUTED, 3, EXECUTED] == [receipt.status for receipt in receipts]
    assert (2, 1) == (state.forced_count, state.nonces[SENDER])


def test_the_watchdog_leaves_quick_actions_alone() -> None:
    """Actions that together take far longer than the limit are not interrupted; one that does so by itself is."""
    context, clock, looks = BlockContext(1, 0, 0, Journal(len(zoo.state_fields))), itertools.count(0, 900), 1
    with Watchdog(1_000) as watchdog:

        def take_time(state: Zoo, ctx: Context) -> Zoo:
            for _ in range(looks):
                watchdog._look(next(clock))
            return state

        MISCHIEF["take time"] = take_time
        watchdog.watch(context)
        entries = [make_entry(Misbehave("take time"), nonce) for nonce in range(20)]
        state, receipts = apply_actions(zoo, make_state(), entries, context)
        assert [EXECUTED] * 20 == [receipt.status for receipt in receipts]
        looks = 3
        with pytest.raises(LimitHit, match="time"):
            apply_actions(zoo, state, [make_entry(Misbehave("take time"), 20)], context)
