"""`testing.machine`: right apps pass, and planted bugs of apps and of the store are found."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings

import nested
from apps.keystore import app as keystore_app
from machine_apps import Bank, bank, losing, small
from microrollup.declaration.map_table import StoreFault
from microrollup.errors import UsageError
from microrollup.ledger.flush import Flushing
from microrollup.ledger.ledger import Ledger
from microrollup.testing import machine as machine_module
from microrollup.testing.execution import Senders
from microrollup.testing.machine import RollupMachine
from shop import v3
from zoo import zoo


class BankMachine(RollupMachine):
    app = bank

    def check_state(self, state: Bank) -> None:
        assert state.total == sum(value for _, value in state.balances.items()), "the total is wrong"


class LosingMachine(BankMachine):
    app = losing


class SmallMachine(RollupMachine):
    app = small


class PatientMachine(SmallMachine):
    may_fault = True


class ZooMachine(RollupMachine):
    app = zoo
    may_fault = True


class NestedMachine(RollupMachine):
    app = nested.app
    may_fault = True

    def check_state(self, state: nested.Game) -> None:
        assert state.wallets.supply == sum(state.wallets.balances.values()), "the supply is wrong"


class KeystoreMachine(RollupMachine):
    app = keystore_app


def run(machine: type[RollupMachine], *, examples: int | None = None) -> None:
    """The machine's test, from the same seed each time, without shrinking."""
    chosen = machine.TestCase.settings
    bounded = settings(
        chosen, derandomize=True, database=None, phases=[Phase.generate], print_blob=False,
        max_examples=examples or chosen.max_examples, report_multiple_bugs=False,
    )  # fmt: skip
    case = machine.TestCase("runTest")
    case.settings = bounded
    case.runTest()


@pytest.mark.parametrize("machine", [BankMachine, PatientMachine, ZooMachine, NestedMachine, KeystoreMachine])
def test_right_apps_pass(machine: type[RollupMachine]) -> None:
    """Apps with maps, metadata, deletions, faults, states within states and their own leaf values pass."""
    run(machine, examples=4)


def test_an_overflow_is_found() -> None:
    """A sum that does not fit its type faults the action, which fails the test; the action is named."""
    with pytest.raises(AssertionError, match=r"Tick\(by=\d+\) faulted: "):
        run(SmallMachine)


def test_a_lost_update_is_found() -> None:
    """An update that another one overwrites breaks the app's own invariant."""
    with pytest.raises(AssertionError, match="the total is wrong"):
        run(LosingMachine)


def test_an_unprovable_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the state holds, and that a proof shows as absent, fails the test; field and key are named."""
    prove = machine_module.prove_state

    def prove_another(environment, tree, field, key, *rest):
        return prove(environment, tree, field, key[:-1] + bytes((key[-1] ^ 1,)) if key else key, *rest)

    monkeypatch.setattr(machine_module, "prove_state", prove_another)
    with pytest.raises(AssertionError, match=r"balances at 0x[0-9a-f]{40}: the state holds 0x\w+, proven is 0x\n"):
        run(BankMachine)


def test_a_lost_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not write out a changed row has another state after a restart, or fewer rows than it counts."""
    put = Flushing.put_slice

    def put_less(flushing, txn, **options):
        layer = flushing.unflushed.frozen
        if layer is not None:
            layer.rows.update(dict.fromkeys(layer.list_rows()[:1]))
        return put(flushing, txn, **options)

    monkeypatch.setattr(Flushing, "put_slice", put_less)
    with pytest.raises(
        (AssertionError, StoreFault), match=r"another state|0 where 1 were stored|its state row is lost"
    ):
        run(BankMachine)


def test_an_acknowledgement_that_a_crash_takes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that does not commit what is acknowledged has another state after a crash."""
    monkeypatch.setattr(Ledger, "commit", lambda _: None)
    with pytest.raises(AssertionError, match="another state after a restart: "):
        run(BankMachine)


def test_pytest_runs_it() -> None:
    """The class that pytest collects has bounds of its own, which a subclass may change."""
    chosen = BankMachine.TestCase.settings
    assert (10, 20, None) == (chosen.max_examples, chosen.stateful_step_count, chosen.deadline)
    BankMachine.TestCase("runTest")


def test_a_later_version_is_no_beginning() -> None:
    """A machine begins with a genesis, which a version that follows on another has not."""

    class Later(RollupMachine):
        app = v3.app
        senders = Senders(1)

    with pytest.raises(UsageError, match="begins with a first version"):
        Later()
