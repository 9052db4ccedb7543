"""Row: the same actions in the metered form, as forced actions run, and in the plain one, as signed ones do.

CPU time of the thread, both in one run by turns, from the action to its checked and encoded changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from apps.keystore import app as keystore
from benchmarks import loop_app
from benchmarks.context import Bench
from benchmarks.measure import compare
from benchmarks.report import Row, make_ratio_row
from benchmarks.workload import Population
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.execution.attempt import run_action
from microrollup.execution.block_context import BlockContext
from microrollup.execution.journal import Journal
from microrollup.execution.stf import Entry, EntryKind

__all__ = ["Form", "measure"]

_ROUNDS: Final = 20
_LOOPS: Final = 40
"""Keys that one action of the loop's app fills."""

Work = Sequence[tuple[Action, bytes]]
"""Actions with their senders."""


class Form:
    """One form of an app over a state of its own."""

    def __init__(self, rollup: MicroRollup, *, metered: bool) -> None:
        self._rollup = rollup
        self._kind: EntryKind = "forced" if metered else "signed"
        self.state: Any = rollup.genesis
        self.steps = 0
        """Of all actions so far; 0 in the plain form."""

    def run(self, work: Work) -> float:
        """CPU seconds per action."""
        context = BlockContext(1, 0, 0, Journal(len(self._rollup.state_fields)))
        started = time.thread_time()
        for action, sender in work:
            entry = Entry(b"", sender, None, b"", action, kind=self._kind)
            attempt = run_action(self._rollup, self.state, entry, action, context)
            self.state = attempt.app
            context.journal.enter(attempt.changes)
        seconds = time.thread_time() - started
        self.steps += context.steps
        return seconds / len(work)


def measure(bench: Bench) -> list[Row]:
    """The keystore's mix, and a loop over integers."""
    population, size = Population(), bench.sizes.fold
    decode = keystore.action_types

    def make_mix(_: int) -> Work:
        actions = population.make_mix(size)
        return [(decode.to_action(decode.decode_record(action.record)), action.sender) for action in actions]

    def make_fills(number: int) -> Work:
        return [(loop_app.Fill(_LOOPS, number + each), bytes(20)) for each in range(max(1, size // 10))]

    bench.say("running actions in the metered and in the plain form")
    population.make_registers(1)
    return [
        _measure_work(
            bench, keystore, make_mix, "keystore, 60 % Register, 40 % Update", lambda: f"1 to {population.accounts:,}"
        ),
        _measure_work(bench, loop_app.app, make_fills, f"a loop of {20 * _LOOPS} rounds per action", lambda: "no"),
    ]


def _measure_work(
    bench: Bench, rollup: MicroRollup, make: Callable[[int], Work], what: str, say_accounts: Callable[[], str]
) -> Row:
    forms = Form(rollup, metered=True), Form(rollup, metered=False)
    works: dict[int, Work] = {}

    def run(form: Form) -> Callable[[int], float]:
        def run_form(number: int) -> float:
            if number not in works:
                works.clear()
                works[number] = make(number)
            return form.run(works[number])

        return run_form

    for form in forms:
        run(form)(-1)  # the forms are made and warm
    found = compare(run(forms[0]), run(forms[1]), _ROUNDS * bench.sizes.repetitions)
    first, second = forms
    if [*first.state.__struct_fields__] != [*second.state.__struct_fields__] or second.steps:
        raise AssertionError("the two forms are of different apps")
    for name in first.state.__struct_fields__:
        if list(getattr(first.state, name).items()) != list(getattr(second.state, name).items()):
            raise AssertionError(f"the two forms differ in {name}")
    note = "metered, CPU time from action to checked changes; the limit is the plain form"
    return make_ratio_row(
        "metering",
        what,
        found,
        limit_name="plain form",
        accounts=say_accounts(),
        cpu=found.name_cpu("metered", "plain"),
        note=note,
    )
