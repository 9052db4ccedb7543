"""`guard.metered`: the metered form stops by steps what the interpreter would not, and agrees with the plain form."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from escapes import ESCAPES, FAULTS, Escape, Put, app, map_skips, map_walks
from microrollup.testing.execution import Senders, execute, force

ALICE, BOB = Senders(2)
MANY = 10**9


@pytest.mark.parametrize("which", range(len(ESCAPES)), ids=[each.__name__ for each in ESCAPES])
def test_escape_is_stopped(which: int) -> None:
    """A forced native escape has faulted with the limit that it reached, and the action after it goes on."""
    run = execute(app, [force(ALICE, Escape(which, MANY)), (BOB, Put(4))])
    assert ["faulted", "executed"] == [outcome.status for outcome in run.outcomes]
    assert run.outcomes[0].reason in ("limit: steps", "limit: depth", "limit: size")
    assert 4 == run.state.total


@pytest.mark.parametrize("which", range(len(FAULTS)), ids=[each.__name__ for each in FAULTS])
def test_it_faults_and_no_more(which: int) -> None:
    """A builtin method that has no metered form is not called; what an error holds is not written out at any length."""
    with capture_logs() as logs:
        run = execute(app, [force(ALICE, Escape(len(ESCAPES) + which, MANY)), (BOB, Put(4))])
    assert [("faulted", ""), ("executed", "")] == [(outcome.status, outcome.reason) for outcome in run.outcomes]
    (log,) = [each for each in logs if each["event"] == "stf_faulted"]
    assert (which == 3) == (log["exc_info"] is None)
    assert len(log["error"]) < 200


@pytest.mark.parametrize("count", [0, 1, 7, 100, 2_000])
def test_forms_agree(count: int) -> None:
    """Below the budget a forced action and a signed one have the same results."""
    signed = execute(app, [(ALICE, Put(count)), (BOB, Put(count // 2))])
    forced = execute(app, [force(ALICE, Put(count)), force(BOB, Put(count // 2))])
    assert ["executed", "executed"] == [outcome.status for outcome in forced.outcomes]
    assert dict(signed.state.numbers.items()) == dict(forced.state.numbers.items())
    assert (signed.state.total, signed.state.text) == (forced.state.total, forced.state.text)


SKIPS = ESCAPES.index(map_skips)


def test_deleted_keys_are_charged() -> None:
    """A walk over 10,000 deleted keys takes a step for each, besides the 5,000 with which every walk begins."""
    run = execute(app, [force(ALICE, Escape(SKIPS, 60)), force(ALICE, Escape(SKIPS, 70))])
    assert [("executed", ""), ("faulted", "limit: steps")] == [(each.status, each.reason) for each in run.outcomes]


def test_what_was_not_taken_is_no_one_s_to_walk_over() -> None:
    """A faulted action leaves a hundred thousand keys in memory, none of which is in the state: what follows takes as
    many steps as without it.
    """
    walks = force(BOB, Escape(ESCAPES.index(map_walks), 190))
    for steps in ([walks], [force(ALICE, Put(1_000_000)), walks, walks]):
        assert "executed" == execute(app, steps).outcomes[-1].status
    assert {} == app.genesis.numbers._table.changed


def test_too_much_honest_work() -> None:
    """The same loop has faulted where it takes more than a million steps, and kept the state."""
    run = execute(app, [force(ALICE, Put(1_000_000))])
    assert ("faulted", "limit: steps") == (run.outcomes[0].status, run.outcomes[0].reason)
    assert 0 == run.state.total
