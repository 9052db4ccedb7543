"""An app's admission policy: asked before a signed action is executed, by the node that takes it and by nobody else;
and the rations of what may be rejected.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel_fixtures import BUILDER_KEY, Chain, make_key, make_steps
from microrollup import Action, Context, MicroRollup, require
from microrollup.chain.receipt import EXECUTED, REJECTED
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.admission import load_admission
from microrollup.errors import (
    ActionLimit,
    DeclarationError,
    NotAdmitted,
    RejectionsSpent,
    UsageError,
)
from microrollup.execution.authentication import Authenticated
from microrollup.sequencer.rations import (
    MAX_RATIONED_SENDERS,
    MAX_REJECTIONS,
    REJECTION_SECONDS,
    RationedAdmission,
)
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from zoo import MISCHIEF, Edit, Misbehave, Zoo, edit, zoo

COUNT = make_steps(("count", 0, 1))
REJECTED_EDIT = Edit([], reject=True)
LIMIT = 3


def admit(state: Zoo, action: Action, ctx: Context) -> None:
    """Three visitors at most."""
    require(isinstance(action, Misbehave) or state.visitors < LIMIT, f"{LIMIT} visitors are enough")


class Clock:
    """Seconds that pass when a test says so."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chain(tmp_path: Path, clock: Clock) -> Iterator[Chain]:
    made = Chain(tmp_path)
    made.sequencer.spending.admission = RationedAdmission(admit, clock)
    yield made
    made.close()


def count(chain: Chain, name: str = "alice", nonce: int | None = None) -> Authenticated:
    return chain.signer.sign(COUNT, name, nonce)


def test_judged_in_the_state_that_it_would_be_executed_in(chain: Chain) -> None:
    """Within one group as well: what comes before counts. Nothing of what is refused is in the log, and its nonce is
    free.
    """
    group = [count(chain, name, 0) for name in ("alice", "bob", "carol", "dave")]
    outcomes = chain.submit(*group, count(chain, "erin", 0))
    assert [Sequenced] * 3 + [NotAdmitted] * 2 == [type(outcome) for outcome in outcomes]
    assert "3 visitors are enough" in str(outcomes[3])
    assert (3, 3) == (chain.ledger.next_seq, chain.ledger.state.app.visitors)  # type: ignore[attr-defined]
    assert isinstance(chain.submit(chain.signer.sign(Misbehave("nothing"), "dave", 0))[0], Sequenced)
    assert 1 == chain.ledger.state.nonces[compute_address(make_key("dave"))]


def test_those_behind_a_refused_one_wait(chain: Chain) -> None:
    """A later nonce of its sender has its turn when the sender has sent another action with the refused one's."""
    chain.submit(*[count(chain, "alice", nonce) for nonce in range(LIMIT)])
    late = chain.signer.sign(Misbehave("nothing"), "bob", 1)
    assert [NotAdmitted] == [type(outcome) for outcome in chain.submit(count(chain, "bob", 0), late)]
    first = chain.signer.sign(Misbehave("nothing"), "bob", 0)
    assert [Sequenced] * 2 == [type(outcome) for outcome in chain.submit(first)]


def test_refusing_many_makes_few_ready(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is behind a refused action is made ready again. It is one action after a refusal, and more and more as they
    are taken, so a crowd that is refused costs what it is, and the others go together again.
    """
    chain.submit(*[count(chain, "alice", nonce) for nonce in range(LIMIT)])
    made: list[str] = []
    arrivals = chain.sequencer._arrivals
    make_entry = arrivals.make_entry
    monkeypatch.setattr(arrivals, "make_entry", lambda action: made.append("") or make_entry(action))
    crowd = [count(chain, f"stranger {number}", 0) for number in range(200)]
    assert {NotAdmitted} == {type(outcome) for outcome in chain.submit(*crowd)}
    assert len(made) <= 2 * len(crowd)
    made.clear()
    MISCHIEF["nothing"] = lambda state, _: state
    welcome = [chain.signer.sign(Misbehave("nothing"), "bob", number) for number in range(200)]
    assert {Sequenced} == {type(outcome) for outcome in chain.submit(*welcome)}
    assert len(welcome) == len(made)
    assert chain.sequencer.spending.admission is not None
    assert 1 + len(welcome) == chain.sequencer.spending.admission.stride


def test_nobody_else_asks(chain: Chain, tmp_path: Path) -> None:
    """A node without the policy builds what this one refuses; its verifiers, and a restart here, ask nobody. What is
    forced is not asked either.
    """
    chain.submit(*[count(chain, "alice", nonce) for nonce in range(LIMIT)])
    chain.close_block()
    chain.force(COUNT, "bob")
    assert chain.sequencer.poll() is not None
    assert LIMIT + 1 == chain.ledger.state.app.visitors  # type: ignore[attr-defined]
    with closing(Sequencer[int](chain.ledger, BUILDER_KEY, chain.l1, clock=lambda: chain.seconds)) as other:
        ((_, outcome),) = other.submit([(0, count(chain, "carol", 0))])
        assert isinstance(outcome, Sequenced)
        other.close_block()
    with closing(chain.make_verifier()) as verifier:
        chain.verify(verifier)
        assert LIMIT + 2 == verifier.state.app.visitors  # type: ignore[attr-defined]


def test_a_policy_that_fails(chain: Chain) -> None:
    """It refuses, and the node goes on; one that goes too long or too deep is a limit of the action, as in an STF."""
    alice, bob, carol = [compute_address(make_key(name)) for name in ("alice", "bob", "carol")]

    def fail(state: Zoo, action: Action, ctx: Context) -> None:
        if ctx.sender == alice:
            raise KeyError("a bug")
        if ctx.sender == bob:
            fail(state, action, ctx)
        if ctx.sender == carol:
            until = time.thread_time() + 60
            while time.thread_time() < until:
                pass

    chain.sequencer.close()
    chain.sequencer = chain.make_sequencer(action_seconds=0.1)
    chain.sequencer.spending.admission = RationedAdmission(fail)
    outcomes = chain.submit(*[count(chain, name, 0) for name in ("alice", "bob", "carol", "dave")])
    by_type = {type(outcome) for outcome in outcomes}
    assert {NotAdmitted, ActionLimit, Sequenced} == by_type
    assert "the node's log says why" in str(outcomes[0])
    assert ["recursion", "time"] == sorted(str(outcome).rpartition(" ")[2] for outcome in outcomes[1:3])
    assert isinstance(outcomes[3], Sequenced)


def test_rejections_are_rationed(chain: Chain, clock: Clock) -> None:
    """So many of one sender at once, within one group too, then one every while; others are not touched, and what is
    executed costs nothing.
    """
    group = [chain.signer.sign(REJECTED_EDIT, "alice", nonce) for nonce in range(MAX_REJECTIONS)]
    outcomes = chain.submit(*group, chain.signer.sign(REJECTED_EDIT, "alice", MAX_REJECTIONS), count(chain, "bob", 0))
    assert [Sequenced] * MAX_REJECTIONS + [RejectionsSpent, Sequenced] == [type(outcome) for outcome in outcomes]
    assert f"try again in {REJECTION_SECONDS:.1f} s" in str(outcomes[MAX_REJECTIONS])
    assert RejectionsSpent is type(chain.submit(count(chain, "alice", MAX_REJECTIONS))[0])
    clock.seconds += REJECTION_SECONDS
    assert isinstance(chain.submit(count(chain, "alice", MAX_REJECTIONS))[0], Sequenced)
    again = [chain.signer.sign(REJECTED_EDIT, "alice", MAX_REJECTIONS + number) for number in (1, 2)]
    assert [Sequenced, RejectionsSpent] == [type(outcome) for outcome in chain.submit(*again)]


def test_the_table_of_rations_is_bounded(clock: Clock) -> None:
    """The sender whose last rejection is longest ago is forgotten; a bucket fills to what it holds at first."""
    admission = RationedAdmission(admit, clock)
    for number in range(MAX_RATIONED_SENDERS + 1):
        admission.note(number.to_bytes(20, "big"), REJECTED)
    admission.note(bytes(19) + b"\xff", EXECUTED)
    assert MAX_RATIONED_SENDERS == len(admission)
    for _ in range(MAX_REJECTIONS):
        admission.note(b"\x01" * 20, REJECTED)
    assert admission.is_spent(b"\x01" * 20)
    clock.seconds += 100 * MAX_REJECTIONS * REJECTION_SECONDS
    for _ in range(MAX_REJECTIONS - 1):
        admission.note(b"\x01" * 20, REJECTED)
    assert not admission.is_spent(b"\x01" * 20)
    admission.note(b"\x01" * 20, REJECTED)
    assert admission.is_spent(b"\x01" * 20)


def declare(admission: object) -> MicroRollup:
    return MicroRollup(
        name="zoo", version="1", genesis=zoo.genesis, stfs=[edit], allow=zoo.allow, admission=admission,  # type: ignore[arg-type]
    )  # fmt: skip


def test_declared_by_its_module() -> None:
    """The module is imported by who runs a node, and is no part of the code's identity."""
    assert load_admission(zoo) is None
    assert admit is load_admission(declare(__name__))
    assert declare(None).stf_id == declare(__name__).stf_id
    with pytest.raises(UsageError, match="cannot be imported"):
        load_admission(declare("no_such_module"))
    with pytest.raises(DeclarationError, match=r"has no function admit\(state, action, ctx\)"):
        load_admission(declare("zoo"))
    with pytest.raises(DeclarationError, match="a module's name as text"):
        declare(admit)
