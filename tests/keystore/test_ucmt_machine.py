"""The relayer's rollup under random updates, restarts and crashes: roots only move as their nodes signed."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from apps.keystore.ucmt import RootUpdate, app, compute_update_message
from apps.keystore.ucmt.rollup import Ucmt
from microrollup import MicroRollup
from microrollup.testing.execution import Senders, envelope
from microrollup.testing.machine import RollupMachine
from ucmt_world import KINDS, User, encode_raw

(CARRIER,) = Senders(1)
USERS = 3
KEYS = (0, 1, 2**192 - 1)


class UcmtMachine(RollupMachine):
    app: ClassVar[MicroRollup] = app

    def __init__(self) -> None:
        self.users = [User(f"machine {number}") for number in range(USERS)]
        self.made: list[RootUpdate] = []
        self.roots = {(user.ref_hash, user.account): [user.ref_hash] for user in self.users}
        self.done: set[bytes] = set()
        super().__init__()

    def sign(self, data: st.DataObject) -> None:  # type: ignore[override]
        """Nobody signs actions of this rollup."""

    def force(self, data: st.DataObject) -> None:  # type: ignore[override]
        """Nor forces them as an L1 account."""

    @rule(number=st.integers(0, USERS - 1), kind=st.sampled_from(KINDS), key=st.sampled_from(KEYS), keep=st.booleans())
    def make(self, number: int, kind: str, key: int, keep: bool) -> None:
        """A user signs the next update."""
        self.made.append(self.users[number].rotate(kind, key=key, keep=keep))

    @precondition(lambda self: self.made)
    @rule(data=st.data(), carrier=st.sampled_from((None, CARRIER)), whole=st.sampled_from((True, True, True, False)))
    def hand_in(self, data: st.DataObject, carrier: bytes | None, whole: bool) -> None:
        """Somebody hands one in or carries it: perhaps too early, again, or cut off."""
        update = data.draw(st.sampled_from(self.made), "update")
        raw = encode_raw(update)
        self.rollup.apply(envelope("ucmt", raw if whole else raw[:-1], l1_sender=carrier))
        self._follow()

    @precondition(lambda self: self.made)
    @rule()
    def hand_in_all(self) -> None:
        """In the order in which they were signed."""
        for update in self.made:
            self.rollup.apply(envelope("ucmt", encode_raw(update)))
        self._follow()

    def check_state(self, state: Ucmt) -> None:
        """An account's root is where its updates lead from the first one on, one nonce for each."""
        by_message = {compute_update_message(update): update for update in self.made}
        for user in self.users:
            place = (user.ref_hash, user.account)
            count = sum(state.nonces.get((user.ref_hash, key, user.account), 0) for key in KEYS)
            own = [update for update in by_message.values() if update.ref_hash == user.ref_hash][:count]
            assert state.roots.get(place, user.ref_hash) == (own[-1].next_hash if own else user.ref_hash)
            assert (place in state.keystores) == (count > 0)


def test_random_updates() -> None:
    """Replays, snapshots, crashes and proofs are the machine's own checks."""
    case = UcmtMachine.TestCase("runTest")
    case.settings = settings(
        UcmtMachine.TestCase.settings, derandomize=True, database=None, phases=[Phase.generate], max_examples=6
    )
    case.runTest()
