"""The step `envelope`: in memory, over a real store, in other processes, and through crashes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import tickets
from microrollup.errors import BadEnvelope, DuplicateAction, EnvelopeRejected, RefusedError, UsageError
from microrollup.sequencer.sequencer import Sequenced
from microrollup.testing.crashes import CrashExplorer
from microrollup.testing.determinism import assert_deterministic
from microrollup.testing.execution import ExecutionStep, Senders, envelope, execute, force, next_block, trace
from microrollup.testing.machine import RollupMachine
from microrollup.testing.stored import StoredRollup
from ticket_keys import Purse
from tickets import Fill, Redeem, Redeemed

ALICE, BOB = Senders(2)
NAME = "p256-ticket"


def make_steps() -> list[ExecutionStep]:
    """Tickets that are handed in, carried, late, and that do not open."""
    purse = Purse()
    first, second, third = (purse.sign(number) for number in (1, 2, 3))
    return [
        (ALICE, Fill(purse.id, 10)),
        envelope(NAME, first),
        envelope(NAME, first),
        next_block(),
        envelope(NAME, third),
        envelope(NAME, second, l1_sender=BOB),
        envelope(NAME, second[:-1], l1_sender=BOB),
        force(BOB, Fill(purse.id, 1)),
        next_block(),
    ]


def test_in_memory() -> None:
    """Carried ones come first; what is rejected is an outcome; what does not open is one only if it is carried."""
    run = execute(tickets.app, make_steps())
    assert [
        "executed", "executed", "rejected", "executed", "invalid forced", "executed", "executed",
    ] == [outcome.status for outcome in run.outcomes]  # fmt: skip
    assert [0, 1, 0] == [
        event.forced for outcome in run.outcomes for event in outcome.events if isinstance(event, Redeemed)
    ]
    assert 6 == run.state.balances[bytes(19) + b"\1"]
    with pytest.raises(BadEnvelope):
        execute(tickets.app, [envelope(NAME, Purse().sign()[:-1])])
    with pytest.raises(UsageError, match="20 bytes"):
        execute(tickets.app, [envelope(NAME, Purse().sign(), l1_sender=b"")])
    with pytest.raises(UsageError, match="Redeem is not an action of tickets that is signed or forced"):
        execute(tickets.app, [(ALICE, Redeem(bytes(32), 0, bytes(20), 0, 0))])
    assert [None] == [traced.action for traced in trace(tickets.app, [make_steps()[6]])]


def test_over_a_store(tmp_path: Path) -> None:
    """As a sequencer takes it: a duplicate and what is rejected are refused; a replay gives the same."""
    purse = Purse()
    with StoredRollup(tmp_path, tickets.app, Senders(2)) as rollup:
        rollup.submit(ALICE, Fill(purse.id, 10))
        raw = purse.sign(1)
        outcomes = [rollup.apply(envelope(NAME, each)) for each in (raw, raw, purse.sign(number=5), raw[:-1])]
        assert [Sequenced, DuplicateAction, EnvelopeRejected, BadEnvelope] == [type(each) for each in outcomes]
        assert rollup.apply(envelope(NAME, purse.sign(2), l1_sender=BOB)) is None
        rollup.close_block()
        rollup.close_block()
        assert 1 == rollup.ledger.checkpoint.forced_count
        assert [] == rollup.replay(tmp_path / "replayed")


class TicketMachine(RollupMachine):
    """Tickets with any number and amount, handed in again, carried, restarted, replayed, restored from a snapshot."""

    app = tickets.app
    may_fault = True

    def __init__(self) -> None:
        super().__init__()
        self.purse = Purse()
        self.made: list[bytes] = []

    @rule(amount=st.integers(0, 3), step=st.sampled_from((0, 0, 0, -1, 1)), mood=st.sampled_from((0, 0, 0, 2)))
    def make(self, amount: int, step: int, mood: int) -> None:
        """A ticket is signed, mostly the next one."""
        number = self.rollup.ledger.state.app.counters.get(self.purse.id, 0) + step
        self.made.append(self.purse.sign(amount, number=max(0, number), mood=mood))

    @precondition(lambda self: self.made)
    @rule(data=st.data(), carrier=st.sampled_from((None, ALICE)), whole=st.sampled_from((True, True, True, False)))
    def hand_in(self, data: st.DataObject, carrier: bytes | None, whole: bool) -> None:
        """Somebody hands one in or carries it, perhaps again, perhaps cut off."""
        raw = data.draw(st.sampled_from(self.made), "ticket")
        step = envelope(NAME, raw if whole else raw[:-1], l1_sender=carrier)
        if isinstance(self.rollup.apply(step), RefusedError):
            before = self.rollup.list_rows()  # of the open block, which began with what was forced
            assert isinstance(self.rollup.apply(step), RefusedError)
            assert before == self.rollup.list_rows()
        self._follow()

    @rule()
    def fill(self) -> None:
        """The purse gets something."""
        self.rollup.submit(ALICE, Fill(self.purse.id, 2))
        self._follow()

    def check_state(self, state: tickets.Tickets) -> None:
        """What was taken out of purses is what was given to somebody."""
        assert state.total == sum(state.purses.values()) + sum(state.balances.values())


@pytest.mark.slow
def test_random_tickets() -> None:
    """Whatever happens to tickets, everybody comes to the same state, and nothing is redeemed twice."""
    case = TicketMachine.TestCase("runTest")
    case.settings = settings(
        TicketMachine.TestCase.settings, derandomize=True, database=None, phases=[Phase.generate], max_examples=10
    )
    case.runTest()


@pytest.mark.slow
def test_everywhere_the_same() -> None:
    """Under other hash seeds, time zones and versions of CPython."""
    assert assert_deterministic(tickets.app, make_steps()).surroundings


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="no C compiler")
def test_after_a_crash() -> None:
    """Whatever a crash leaves of the store's files, what was acknowledged is there."""
    assert 40 <= CrashExplorer(tickets.app, make_steps()).explore(60).states
