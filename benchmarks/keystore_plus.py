"""Row: actions of Keystore+, a transfer under a spending rule, a guardian's vote that moves, an intent.

Each in the plain form, as signed actions run, and in the metered one; CPU time from the action to its checked and
encoded changes, over accounts in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from apps.keystore.accounts import Account, Keystore
from apps.keystore.plus import app
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.outbox import SLOTS, Intend
from apps.keystore.plus.policy import Guardian, Policy, RecoveryProposal, Standing
from apps.keystore.plus.recovery import SupportRecovery
from apps.keystore.plus.rules import Limits, Rule
from apps.keystore.plus.state import Plus, Recovery, SpendingRules, Vault
from apps.keystore.plus.vault import Transfer
from benchmarks.context import Bench
from benchmarks.measure import compare
from benchmarks.metering import Form, Work
from benchmarks.report import Row, make_ratio_row
from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Map, MicroRollup
from microrollup.crypto.keccak import keccak256

__all__ = ["measure"]

_ROUNDS: Final = 10
_DAY: Final = 86_400
_POLICY: Final = Policy(compute_guardians_hash(ZERO_BYTES32, []), 2, 2, _DAY, 0, 1)


def _make_key(account: int) -> bytes:
    return keccak256(b"account %d" % account)


def _make_sender(account: int) -> bytes:
    return _make_key(account)[:20]


def _make_proposal(account: int, number: int) -> bytes:
    return keccak256(_make_key(account) + bytes([number]))


def _make_app(accounts: int) -> MicroRollup:
    """Each account has money, a rule, a guardian (the next account's sender) and two proposals."""
    keys = [_make_key(account) for account in range(accounts)]
    limits = Limits(2**200, _DAY, ZERO_BYTES32, 0, 0)
    proposals = {}
    for account, key in enumerate(keys):
        guardians = (Guardian(0, bytes(12) + _make_sender(account + 1)),)
        for number in (0, 1):
            proposals[_make_proposal(account, number)] = RecoveryProposal(
                key, key, key, _make_sender(account), _POLICY, guardians, 0, 0, 0, (), ()
            )
    genesis = Plus(
        keystore=Keystore(Map({key: Account(key + key, key[:20]) for key in keys})),
        vault=Vault(balances=Map(dict.fromkeys(keys, 10**18))),
        spending=SpendingRules(rules=Map({key: (Rule(ZERO_ADDRESS, (limits,)),) for key in keys})),
        recovery=Recovery(
            proposals=Map(proposals), standings=Map(dict.fromkeys(keys, Standing(policies=1, proposals=2)))
        ),
    )
    return MicroRollup(name=app.name, version=app.version, genesis=genesis, stfs=list(app.stf_by_action.values()))


def measure(bench: Bench) -> list[Row]:
    """Three kinds of actions."""
    size = bench.sizes.fold

    def make_transfers(_: int) -> Work:
        return [
            (Transfer(_make_key(each), _make_key((each + 1) % size), ZERO_ADDRESS, 1), _make_sender(each))
            for each in range(size)
        ]

    def make_votes(number: int) -> Work:
        return [
            (SupportRecovery(_make_proposal(each, number % 2), 0), _make_sender(each + 1)) for each in range(size - 1)
        ]

    def make_intents(number: int) -> Work:
        return [
            (Intend(_make_key(each), number % SLOTS, 10, ZERO_ADDRESS, _make_key(each), _DAY), _make_sender(each))
            for each in range(size)
        ]

    bench.say("running actions of Keystore+")
    rollup = _make_app(size)
    return [
        _measure_work(
            bench, rollup, make_transfers, lambda state: len(state.spending.spent), "Transfer, under a spending rule"
        ),
        _measure_work(
            bench, rollup, make_votes, lambda state: len(state.recovery.votes), "SupportRecovery, a vote that moves"
        ),
        _measure_work(bench, rollup, make_intents, lambda state: len(state.outbox.intents), "Intend"),
    ]


def _measure_work(
    bench: Bench, rollup: MicroRollup, make: Callable[[int], Work], count: Callable[[Plus], int], what: str
) -> Row:
    forms = [Form(rollup, metered=True), Form(rollup, metered=False)]
    for form in forms:
        form.run(make(1))  # the forms are made and warm
        if count(form.state) != len(make(1)):
            raise AssertionError(f"{what}: not every action was executed")
    runs = [lambda number, form=form: form.run(make(number)) for form in forms]
    found = compare(runs[0], runs[1], _ROUNDS * bench.sizes.repetitions)
    note = "metered, CPU time from action to checked changes; the limit is the plain form"
    return make_ratio_row(
        "keystore-plus",
        what,
        found,
        limit_name="plain form",
        accounts=f"{bench.sizes.fold:,}",
        cpu=found.name_cpu("metered", "plain"),
        note=note,
    )
