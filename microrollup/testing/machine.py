"""`RollupMachine`: any app under random actions, blocks, restarts and crashes, as a Hypothesis state machine.

    class CounterMachine(RollupMachine):
        app = app

        def check_state(self, state):
            assert state.value < 1_000

    TestCounter = CounterMachine.TestCase

Needs the `test` extra.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any, ClassVar

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from microrollup.chain.block import compute_block_hash
from microrollup.chain.receipt import FAULTED, Receipt
from microrollup.crypto.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.declaration.action import Action
from microrollup.declaration.map import Map
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.errors import RefusedError, UsageError
from microrollup.execution.block_context import BlockContext
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, apply_actions
from microrollup.ledger.reading import prove_state
from microrollup.logs import ensure_logging
from microrollup.maintenance.snapshot.restore import restore_snapshot
from microrollup.maintenance.snapshot.write import write_snapshot
from microrollup.testing.execution import Senders, force
from microrollup.testing.stored import StoredRollup, list_state_rows, open_fast_directory
from microrollup.testing.strategies import Known, app_actions, collect_known

__all__ = ["RollupMachine"]

_EXAMPLES = 10
_STEPS = 20
"""Runs, and steps in each: some seconds for a small app."""

_SLOWNESS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
_KEYS_AT_ONCE = 16
"""Keys of one map that are proven each time."""


class RollupMachine(RuleBasedStateMachine):
    """Subclass it, set `app`, and hand the subclass's `TestCase` to pytest.

    After each step the state is checked, and after each closed block it is compared with the same block executed again
    in memory. In the end of each run the log is replayed into another store, a snapshot is restored, and keys are
    proven: present ones as present, absent ones as absent. A fault of an STF fails the test unless `may_fault`.
    """

    app: ClassVar[MicroRollup]
    """What is tested."""

    senders: ClassVar[Senders] = Senders(3)
    """Who signs and forces actions."""

    may_fault: ClassVar[bool] = False
    """Whether an action may fault, as when a sum does not fit its type."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls, "app"):
            cls.TestCase.settings = settings(
                max_examples=_EXAMPLES, stateful_step_count=_STEPS, deadline=None,
                suppress_health_check=_SLOWNESS,
            )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        ensure_logging()
        if self.app.previous is not None:
            raise UsageError(f"a machine begins with a first version; test version {self.app.version} with `execute`")
        self._outer = sys.exc_info()[1]
        self._resources = ExitStack()
        directory = self._resources.enter_context(open_fast_directory())
        self.rollup = StoredRollup(directory, self.app, self.senders)
        self._resources.callback(self.rollup.close)
        self._replica = ChainState(self.app.genesis, Map(), 0)
        """The state at the newest closed block, by executing its records in memory."""
        self._height = 0
        self._receipts: dict[int, Receipt] = {}
        """Of acknowledged actions whose block is open, by seq."""
        self._known: Known = collect_known(self.app, self.app.genesis, self.senders)
        self._check_state()

    # What happens

    @rule(data=st.data())
    def sign(self, data: st.DataObject) -> None:
        """A sender signs an action."""
        sender, action = self._draw(data)
        outcome = self.rollup.submit(sender, action)
        if isinstance(outcome, RefusedError):
            return
        self._receipts[outcome.receipt.seq] = outcome.receipt
        self._check_status(action, outcome.receipt)
        self._follow()

    @rule(data=st.data())
    def force(self, data: st.DataObject) -> None:
        """Somebody forces an action on L1; the next block takes it."""
        self.rollup.apply(force(*self._draw(data)))

    @rule()
    def close_block(self) -> None:
        """The open block closes."""
        self.rollup.close_block()
        self._follow()

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        """The builder restarts, after a crash or not; nothing that was acknowledged is lost."""
        before = self.rollup.list_rows()
        self.rollup.reopen(crash=crash)
        after = self.rollup.list_rows()
        assert before == after, f"another state after a restart: {_name_difference(before, after)}"
        self._follow()

    def _draw(self, data: st.DataObject) -> tuple[bytes, Action]:
        sender = data.draw(st.sampled_from(list(self.senders)), "sender")
        action = data.draw(app_actions(self.app, self._known), "action")
        note(f"0x{sender.hex()}: {action}")
        return sender, action

    # What must hold

    def check_state(self, state: Any) -> None:
        """Yours to override: assert what holds in each state that the app can be in."""

    def _check_state(self) -> None:
        state = self.rollup.ledger.state.app
        self.check_state(state)

    def _check_status(self, action: object, receipt: Receipt) -> None:
        assert self.may_fault or receipt.status != FAULTED, f"{action} faulted: {receipt.reason}"

    def _follow(self) -> None:
        """Execute the blocks that closed since, in memory, and compare."""
        ledger = self.rollup.ledger
        while self._height < ledger.checkpoint.height:
            self._height += 1
            block = ledger.get_block(self._height)
            assert block is not None
            entries = [ledger.read_entry(record, self._height) for record in block.records]
            header = block.header
            journal = Journal(len(self.app.state_fields))
            context = BlockContext(
                header.height, header.timestamp, header.first_seq, journal, audit=True, rebuilt=True,
                rollup_id=ledger.rollup_id,
            )  # fmt: skip
            self._replica, receipts = apply_actions(self.app, self._replica, entries, context)
            for entry, receipt in zip(entries, receipts, strict=True):
                self._check_status(entry.action, receipt)
                acknowledged = self._receipts.pop(receipt.seq, receipt)
                assert acknowledged == receipt, f"seq {receipt.seq} has another receipt when it is executed again"
        if ledger.block is None or not ledger.block.records:
            state, again = self.rollup.list_rows(), list_state_rows(self.app, self._replica.app)
            assert state == again, f"the store holds another state: {_name_difference(state, again)}"
        self._known = collect_known(self.app, ledger.state.app, self.senders)
        self._check_state()

    def teardown(self) -> None:
        """Check what takes longer, unless the run has failed already; then remove the store."""
        try:
            if sys.exc_info()[1] is self._outer:
                self.close_block()
                self._check_proofs()
                self._check_replay()
                self._check_snapshot()
        finally:
            self._resources.close()

    def _check_proofs(self) -> None:
        for field in self.app.state_type.fields:
            if not field.settled:
                continue
            value = field.read(self._replica.app)
            if not field.is_map:
                self._check_proof(field, b"", value, present=True)
                continue
            for key, item in list(value.items())[:_KEYS_AT_ONCE]:
                self._check_proof(field, field.encode_key(key), item, present=True)
            for key in self._known.get(field.key_type, ())[:_KEYS_AT_ONCE]:
                if key not in value:
                    self._check_proof(field, field.encode_key(key), None, present=False)

    def _check_proof(self, field: StateField, key: bytes, value: Any, *, present: bool) -> None:
        """A value is there if and only if a proof against the newest state root shows it."""
        ledger = self.rollup.ledger
        found = prove_state(ledger.environment, ledger.tree, field, key)
        where = f"{field.name} at 0x{key.hex()}"
        expected = field.encode_leaf(value) if present else b""
        assert ledger.header == found.header
        assert expected == found.value, f"{where}: the state holds 0x{expected.hex()}, proven is 0x{found.value.hex()}"
        if found.exists:
            verify_inclusion(ledger.header.state_root, found.tree_key, expected, found.proof)
        else:
            verify_exclusion(ledger.header.state_root, found.tree_key, found.proof)
        assert found.exists or not present, f"{where}: the state holds a value that cannot be proven"

    def _check_replay(self) -> None:
        differences = self.rollup.replay(self.rollup.directory / "replayed")
        assert not differences, f"replay gives another store: {differences[0]}"

    def _check_snapshot(self) -> None:
        ledger, directory = self.rollup.ledger, self.rollup.directory
        write_snapshot(ledger.environment, self.app, directory / "snapshot")
        block_hash = compute_block_hash(ledger.header)
        with restore_snapshot(
            directory / "snapshot", directory / "restored", self.app, expected_block_hash=block_hash, map_size=1 << 30
        ) as restored:
            assert ledger.header == restored.header
            before, after = self.rollup.list_rows(), list_state_rows(self.app, restored.state.app)
            assert before == after, f"a snapshot restores another state: {_name_difference(before, after)}"


def _name_difference(one: dict[tuple[str, bytes], bytes], other: dict[tuple[str, bytes], bytes]) -> str:
    """The first entry that two states do not share."""
    place = min(place for place in {*one, *other} if one.get(place) != other.get(place))
    values = [f"0x{rows[place].hex()}" if place in rows else "nothing" for rows in (one, other)]
    return f"{place[0]} at 0x{place[1].hex()} is {values[0]}, then {values[1]}"
