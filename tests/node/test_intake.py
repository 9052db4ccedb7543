"""Lines on their way to the writer: by turns, in order, and nobody waits for others' envelopes. The pools are gates."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from microrollup.errors import BudgetSpent, IntakeStopped, NonceGap
from microrollup.execution.authentication_pool import Started
from microrollup.node.chunk import Chunk
from microrollup.node.errors import Overloaded
from microrollup.node.intake import FEW, Intake
from microrollup.node.load import MAX_CLIENT_ENVELOPES
from waiting import wait_for


class Gate:
    """A pool of one process that begins what it is given, and ends it when it is told to. Refuses everything."""

    workers = 1

    def __init__(self, *, opens_itself: bool = False) -> None:
        self.opens_itself = opens_itself
        self.begun: queue.Queue[str] = queue.Queue()
        self.done: set[str] = set()
        self.calls: dict[str, Callable[[], None]] = {}

    def start_lines(self, lines: Sequence[bytes]) -> Started:
        """Begin."""
        names = [line.decode() for line in lines]
        for name in names:
            self.begun.put(name)
        if self.opens_itself:
            self.done.update(names)
        refusals = [NonceGap(name) for name in names]
        return Started(lambda: refusals, lambda: self.done.issuperset(names), partial(self._when_done, names[-1]))

    start_here = start_lines

    def _when_done(self, name: str, call: Callable[[], None]) -> None:
        if name in self.done:
            call()
        self.calls[name] = call

    def next(self) -> str:
        """What begins next."""
        return self.begun.get(timeout=60)

    def open(self, name: str) -> None:
        """End with this."""
        wait_for(lambda: name in self.calls)
        self.done.add(name)
        self.calls[name]()

    def close(self) -> None:
        """Nothing."""


class Desk:
    """An intake with gates for pools, and a writer that notes what it is given and decides it when it is told to."""

    def __init__(self) -> None:
        self.signed, self.envelopes = Gate(opens_itself=True), Gate()
        self.waits: dict[str | None, float] = {}
        self.intake = Intake(
            lambda: self.signed,  # type: ignore[arg-type, return-value]
            lambda: self.envelopes,  # type: ignore[arg-type, return-value]
            lambda client: self.waits.get(client, 0.0),
        )
        self.intake.deliver = self._take
        self.chunks: queue.Queue[Chunk] = queue.Queue()

    def _take(self, chunk: Chunk) -> None:
        assert chunk.is_ready
        self.chunks.put(chunk)

    def decide(self) -> list[str]:
        """Decide the next chunk; what was in it, or why it was refused unopened."""
        chunk = self.chunks.get(timeout=60)
        outcomes = chunk.wait()
        self.intake.release(chunk.tickets)
        for ticket, outcome in zip(chunk.tickets, outcomes, strict=True):
            ticket.decide(outcome)  # type: ignore[arg-type]
        return [str(outcome) if isinstance(outcome, NonceGap) else type(outcome).__name__ for outcome in outcomes]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.intake.close("the end")


@contextmanager
def at_work(desk: Desk) -> Iterator[None]:
    desk.intake.start()
    yield
    assert 0 == desk.intake.depth
    desk.intake.close("the end")
    desk.intake.join()
    desk.intake.close_pool()


def envelope(name: str) -> bytes:
    return b'{"envelope":"%s"}' % name.encode()


def shown(*names: str) -> list[str]:
    return [f"{envelope(name).decode()}" for name in names]


def test_clients_take_turns(desk: Desk) -> None:
    """A client that comes last waits for two that have begun and for one of each other, however many these have."""
    for client in "abc":
        desk.intake.submit([envelope(f"{client}{number}") for number in range(4)], client)
    desk.intake.submit([envelope("honest")], "d")
    order = ["a0", "b0", "c0", "honest", "a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"]
    with at_work(desk):
        begun = [desk.envelopes.next() for _ in range(2)]
        for name in order:
            desk.envelopes.open(envelope(name).decode())
            assert shown(name) == desk.decide()
        begun += [desk.envelopes.next() for _ in order[2:]]
    assert [envelope(name).decode() for name in order] == begun


def test_who_has_spent_all_takes_no_turn(desk: Desk) -> None:
    """All that such a client has is refused unopened, before others are opened."""
    desk.waits["a"] = 3.0
    spent = desk.intake.submit([envelope(f"a{number}") for number in range(40)], "a")
    desk.intake.submit([envelope("b")], "b")
    with at_work(desk):
        assert ["BudgetSpent"] * 40 == desk.decide()
        assert [BudgetSpent] * 40 == [type(result) for result in spent.result(60)]
        desk.envelopes.open(envelope("b").decode())
        assert shown("b") == desk.decide()
        assert (envelope("b").decode(), 0) == (desk.envelopes.next(), desk.envelopes.begun.qsize())


def test_signed_actions_wait_for_no_envelope(desk: Desk) -> None:
    """While none opens, those of everybody go through, few and many."""
    desk.intake.submit([envelope(f"a{number}") for number in range(40)], "a")
    with at_work(desk):
        desk.envelopes.next()
        for count in (1, FEW + 1):
            for client in ("a", "b", None):
                results = desk.intake.submit([b"%d" % number for number in range(count)], client)
                assert count > FEW or not desk.chunks.empty()  # few are checked where they are handed in
                while not results.done():
                    desk.decide()
        for number in range(40):
            desk.envelopes.open(envelope(f"a{number}").decode())
            assert shown(f"a{number}") == desk.decide()


def test_envelopes_of_a_client_keep_their_order(desk: Desk) -> None:
    """The one that opens first waits for the one that was handed in first."""
    with at_work(desk):
        desk.intake.submit([envelope("first"), envelope("second")], "a")
        assert {desk.envelopes.next(), desk.envelopes.next()} == {envelope(n).decode() for n in ("first", "second")}
        desk.envelopes.open(envelope("second").decode())
        assert desk.chunks.empty()
        desk.envelopes.open(envelope("first").decode())
        assert shown("first", "second") == desk.decide() + desk.decide()


def test_a_mixed_submission_keeps_its_order(desk: Desk) -> None:
    """A signed action waits for an envelope before it in its own submission, and the other way round."""
    with at_work(desk):
        mixed = desk.intake.submit([b"1", b"2", envelope("x"), b"3", envelope("y"), envelope("z"), b"4"], "a")
        assert ["1", "2"] == desk.decide()
        assert envelope("x").decode() == desk.envelopes.next()
        desk.intake.submit([b"other"], "b")
        assert ["other"] == desk.decide()
        assert desk.chunks.empty()
        for name in "xyz":
            desk.envelopes.open(envelope(name).decode())
            assert shown(name) == desk.decide()
            if name == "x":
                assert ["3"] == desk.decide()
        assert ["4"] == desk.decide()
        details = [getattr(result, "detail", "") for result in mixed.result(60)]
        assert ["1", "2", envelope("x").decode(), "3", envelope("y").decode(), envelope("z").decode(), "4"] == details


def test_envelopes_take_no_room_from_others(desk: Desk) -> None:
    """A client may have a thousand; more is turned away, its signed actions and others' envelopes are not."""
    many = desk.intake.submit([envelope("a")] * MAX_CLIENT_ENVELOPES, "a")
    with pytest.raises(Overloaded, match="of this client"):
        desk.intake.submit([b"1", envelope("a")], "a")
    desk.waits["a"] = 1.0
    with at_work(desk):
        desk.intake.submit([envelope("b")], "b")
        desk.intake.submit([b"1"], "a")
        found = {desk.decide()[0], desk.decide()[0]}
        desk.envelopes.open(envelope("b").decode())
        assert {"BudgetSpent", "1", *shown("b")} == found | {desk.decide()[0]}
        assert MAX_CLIENT_ENVELOPES == len(many.result(60))


def test_closing_refuses_envelopes_that_have_not_begun(desk: Desk) -> None:
    """Nobody waits for theirs at the end; what follows them goes to the writer, and so does what has begun."""
    hostile = desk.intake.submit([envelope(f"a{number}") for number in range(40)], "a")
    begun = desk.intake.submit([envelope("b"), b"1"], "b")
    waiting = desk.intake.submit([envelope("c"), b"2"], "c")
    with at_work(desk):
        assert shown("a0", "b") == [desk.envelopes.next(), desk.envelopes.next()]
        desk.intake.close("the end")
        for name in ("a0", "b"):
            desk.envelopes.open(envelope(name).decode())
        while desk.intake.depth:
            desk.decide()
    assert [NonceGap, *[IntakeStopped] * 39] == [type(result) for result in hostile.result(60)]
    assert [NonceGap, NonceGap] == [type(result) for result in begun.result(60)]
    assert [IntakeStopped, NonceGap] == [type(result) for result in waiting.result(60)]
