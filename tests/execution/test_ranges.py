"""Apps over composite keys and ranges: the same in memory, over a store, for a verifier, and with steps counted."""

from __future__ import annotations

from pathlib import Path

import pytest

import trial_auction
import trial_token
from kernel_fixtures import Chain
from microrollup import Action, Map
from microrollup.errors import ValueOutOfBounds
from microrollup.ledger.proof_json import key_to_json, read_key
from microrollup.testing.execution import Senders, at, execute, force, next_block
from trial_auction import Bid, House, Open, Settle, Won
from trial_token import Approve, Mint, Revoke, Revoked, Token, TransferFrom

ALICE, BOB, CAROL = sorted(Senders(3))


def test_allowances() -> None:
    """An allowance is found by (owner, spender); walking a prefix while deleting it sees each key once."""
    steps = [
        (ALICE, Mint(10)),
        (ALICE, Approve(BOB, 5)),
        (ALICE, Approve(CAROL, 6)),
        (BOB, Approve(CAROL, 7)),
        (BOB, TransferFrom(ALICE, CAROL, 3)),
        (BOB, TransferFrom(ALICE, CAROL, 3)),
        (ALICE, Revoke()),
    ]
    run = execute(trial_token.app, steps)
    assert ["executed"] * 5 + ["rejected", "executed"] == [outcome.status for outcome in run.outcomes]
    assert (Revoked(ALICE, BOB), Revoked(ALICE, CAROL)) == tuple(run.outcomes[6].events)
    assert isinstance(run.state, Token)
    assert [((BOB, CAROL), 7)] == list(run.state.allowances.items())
    assert [(CAROL, BOB)] == list(run.state.spenders)


def play_auctions(*, forced: bool) -> tuple[list[str], House]:
    """Five auctions with bids, settled three at a time, in two blocks; every action forced, or every one signed."""
    acts: list[tuple[bytes, Action]] = [(ALICE, Open(seconds)) for seconds in (50, 10, 30, 20, 40)]
    acts += [(BOB, Bid(number, number)) for number in range(1, 5)]
    acts += [(CAROL, Bid(2, 1)), (CAROL, Bid(2, 9)), (BOB, Bid(2, 300)), (CAROL, Settle())]
    later: list[tuple[bytes, Action]] = [(CAROL, Settle()), (CAROL, Bid(1, 5)), (CAROL, Settle()), (CAROL, Settle())]
    steps = [force(*act) if forced else act for act in acts]
    steps += [at(1_000_045), *[force(*act) if forced else act for act in later]]
    run = execute(trial_auction.app, [at(1_000_000), *steps])
    assert isinstance(run.state, House)
    return [f"{outcome.status} {outcome.reason}".strip() for outcome in run.outcomes], run.state


def test_auctions() -> None:
    """The best bid is the last of a prefix, what is due is a range, and a few are settled at a time."""
    outcomes, state = play_auctions(forced=False)
    assert ["executed"] * 9 + ["rejected too low", "executed", "executed", "rejected nothing is due"] == outcomes[:13]
    assert ["executed", "executed", "executed", "rejected nothing is due"] == outcomes[13:]
    assert {2: BOB, 3: BOB, 4: BOB} == dict(state.won.items())
    assert [1] == [number for _, number in state.due]


def test_metered_ranges_agree() -> None:
    """Forced actions, whose steps are counted, have the same results."""
    signed, forced = play_auctions(forced=False), play_auctions(forced=True)
    assert signed == forced


def test_settling_says_who_won() -> None:
    """The events name the highest bids, the oldest deadline first."""
    steps = [at(1_000_000), (ALICE, Open(5)), (ALICE, Open(3)), (BOB, Bid(1, 7)), (CAROL, Bid(2, 8)), at(1_000_009)]
    run = execute(trial_auction.app, [*steps, next_block(), (BOB, Settle())])
    assert [Won(2, CAROL, 8), Won(1, BOB, 7)] == list(run.outcomes[-1].events)


def test_over_a_store(tmp_path: Path) -> None:
    """Ranges merge what blocks have stored with what the open block changed; a verifier and a restart agree."""
    chain = Chain(tmp_path, trial_auction.app)
    verifier = chain.make_verifier(rollup=trial_auction.app)
    try:
        for block in range(3):
            chain.submit(chain.signer.sign(Open(2 + block)), chain.signer.sign(Open(60)))
            chain.submit(chain.signer.sign(Bid(2 * block + 1, 5)), chain.signer.sign(Bid(2 * block + 1, 300)))
            chain.force(Bid(2 * block + 2, 1))
            chain.close_block()
            chain.advance(2)
        chain.force(Settle())
        chain.submit(chain.signer.sign(Open(70)))
        chain.reopen()
        chain.close_block()
        state = chain.ledger.state.app
        assert isinstance(state, House)
        assert list(range(1, 8)) == list(state.auctions)
        assert list(reversed(list(state.bids.items()))) == list(state.bids.items(reverse=True))
        assert 300 == next(state.bids.keys(prefix=(1,), reverse=True))[1]
        assert 1 in state.won
        chain.verify(verifier)
        assert verifier.header == chain.ledger.header
    finally:
        verifier.abandon()
        chain.close()


def test_keys_are_of_their_classes(tmp_path: Path) -> None:
    """A composite key with a part of another class is refused, whether or not an equal one is in memory."""
    chain = Chain(tmp_path, trial_auction.app)
    try:
        state = chain.ledger.state.app
        assert isinstance(state, House)
        due = state.due.set((1, 1), True)
        for key in ((1, True), (1.0, 1), [1, 1], (1,), (1, 1, 1), 1):
            with pytest.raises(TypeError, match="exactly a tuple of int, int"):
                due.get(key)  # type: ignore[call-overload]
        for bounds in ({"prefix": (True,)}, {"start": (1, True)}, {"stop": (1, 1, 1)}, {"prefix": 1}):
            with pytest.raises(ValueOutOfBounds):
                due.items(**bounds)
        assert True is due[1, 1]
    finally:
        chain.close()


def test_composite_keys_in_json() -> None:
    """A composite key is an array at the edges."""
    field = trial_auction.app.state_type.get_field("bids")
    encoded = read_key(field, [1, str(2**64), f"0x{ALICE.hex()}"])
    assert (1).to_bytes(32, "big") + (2**64).to_bytes(32, "big") + ALICE == encoded
    assert [1, str(2**64), f"0x{ALICE.hex()}"] == key_to_json(field, encoded)


def test_first_after_many_reads() -> None:
    """`first` reads what changed and the first stored entry, not what else is in memory."""
    version: Map[int, int] = Map(dict.fromkeys(range(1_000), 1))
    for key in range(1_000):
        version = version.delete(key).set(key + 1_000, 2)
    assert ((1_000, 2), (1_999, 2)) == (version.first(), version.last())
    assert (1_500, 2) == version.first(start=1_500, stop=1_501)
    assert None is version.first(stop=1_000)
