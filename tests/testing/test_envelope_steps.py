"""The step `envelope`: in memory, over a real store, in other processes, and through crashes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import tickets
from microrollup.errors import BadEnvelope, DuplicateAction, EnvelopeRejected, UsageError
from microrollup.sequencer.sequencer import Sequenced
from microrollup.testing.crashes import CrashExplorer
from microrollup.testing.determinism import assert_deterministic
from microrollup.testing.execution import ExecutionStep, Senders, envelope, execute, force, next_block, trace
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


@pytest.mark.slow
def test_everywhere_the_same() -> None:
    """Under other hash seeds, time zones and versions of CPython."""
    assert assert_deterministic(tickets.app, make_steps()).surroundings


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="no C compiler")
def test_after_a_crash() -> None:
    """Whatever a crash leaves of the store's files, what was acknowledged is there."""
    assert 40 <= CrashExplorer(tickets.app, make_steps()).explore(60).states
