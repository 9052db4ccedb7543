"""A Keystore+ with something on each of its pages, as an app that a node can run.

What has happened lies around a moment that the environment gives: the node's processes have to agree on it.
"""

from __future__ import annotations

import os
from typing import Any, Final

from apps.keystore.accounts import Account, Keystore
from apps.keystore.plus.exits import SetExit
from apps.keystore.plus.fees import SetPrice, Sponsor
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.outbox import Intend, SetDelegate
from apps.keystore.plus.policies import SetRecovery
from apps.keystore.plus.policy import Guardian
from apps.keystore.plus.recovery import StartRecovery, SupportRecovery
from apps.keystore.plus.rollup import make_app
from apps.keystore.plus.spending import SetSpendingRule
from apps.keystore.plus.state import Plus
from apps.keystore.plus.vault import Deposit, Transfer, Withdraw
from microrollup import replace
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_BYTES32
from microrollup.testing.execution import at, execute, force
from plus_world import (
    ALICE,
    BOB,
    CAROL,
    CODE,
    CODE_2,
    COLLECTOR,
    COLLECTOR_KEY,
    CONFIG,
    CONFIG_2,
    DAVE,
    DAY,
    ERIN,
    ETHER,
    FRANK,
    PLUS,
    SALT,
    TOKEN,
    VAULT,
    A,
    B,
    C,
    D,
    E,
    make_state,
)

__all__ = ["NOW_VARIABLE", "app"]

NOW_VARIABLE: Final = "PLUS_SHOWN_NOW"
NOW: Final = int(os.environ.get(NOW_VARIABLE, "1800000000"))
_ETH: Final = 10**18


def _guard(key: bytes, guardians: list[Guardian], threshold: int, mode: int) -> SetRecovery:
    return SetRecovery(key, compute_guardians_hash(SALT, guardians), len(guardians), threshold, 5 * DAY, mode)


def _sender(address: bytes) -> Guardian:
    return Guardian(0, bytes(12) + address)


_OF_ALICE: Final = [*sorted([_sender(BOB), _sender(CAROL), _sender(DAVE)], key=lambda each: each.id), Guardian(1, E)]
_OF_BOB: Final = sorted([_sender(ALICE), _sender(CAROL)], key=lambda each: each.id)


def _play() -> list[Any]:
    """Alice lives; Bob's account is locked since two days; Carol's guardians have not begun to vote."""
    return [
        at(NOW - 20 * DAY),
        *[
            force(VAULT, Deposit(number, token, key, amount))
            for number, (token, key, amount) in enumerate(
                [
                    (ETHER, A, 12 * _ETH), (ETHER, A, _ETH // 3), (TOKEN, A, 2_500_000), (ETHER, B, 5 * _ETH),
                    (ETHER, D, 1), (ETHER, E, 3 * _ETH), (TOKEN, COLLECTOR_KEY, 1),
                ],
                1,
            )
        ],
        (ALICE, _guard(A, _OF_ALICE, 3, 0)),
        (BOB, _guard(B, _OF_BOB, 2, 1)),
        (COLLECTOR, SetPrice(TOKEN, 5)),
        (ALICE, SetSpendingRule(A, ETHER, 4 * _ETH, 7 * DAY, ZERO_BYTES32)),
        at(NOW - 15 * DAY),
        (ALICE, Withdraw(A, ETHER, _ETH // 2, ALICE)),
        (ALICE, Sponsor(A, C, 500, TOKEN, NOW + 30 * DAY)),
        at(NOW - 3 * DAY),
        (ALICE, StartRecovery(B, CODE_2, CONFIG_2, FRANK, SALT, _OF_BOB)),
        at(NOW - 2 * DAY),
        (DAVE, StartRecovery(A, CODE_2, CONFIG_2, ERIN, SALT, _OF_ALICE)),
        at(NOW - DAY // 2),
        (ALICE, Transfer(A, C, ETHER, _ETH)),
        (ALICE, SetDelegate(A, 0, CODE_2, CONFIG_2, NOW + 60 * DAY)),
        (ALICE, SetDelegate(A, 10, ZERO_BYTES32, ZERO_BYTES32, 0)),
        (ALICE, Intend(A, 1, 8453, BOB, b"\x77" * 32, NOW + DAY // 4)),
        (ALICE, SetExit(A, CAROL)),
        (ALICE, SetSpendingRule(A, ETHER, 6 * _ETH, 7 * DAY, C)),
    ]  # fmt: skip


def _make_votes(state: Any) -> list[Any]:
    """Both of Bob's guardians, two of Alice's four."""
    found = {value.key: proposal for proposal, value in state.recovery.proposals.items()}
    bobs, alices = found[B], found[A]
    return [
        (ALICE, SupportRecovery(bobs, _OF_BOB.index(_sender(ALICE)))),
        (CAROL, SupportRecovery(bobs, _OF_BOB.index(_sender(CAROL)))),
        (BOB, SupportRecovery(alices, _OF_ALICE.index(_sender(BOB)))),
        (DAVE, SupportRecovery(alices, _OF_ALICE.index(_sender(DAVE)))),
    ]


def _begin() -> Plus:
    """More accounts than one page shows."""
    state = make_state()
    more = {keccak256(bytes((number,))): Account(CODE + CONFIG, ERIN) for number in range(30)}
    return replace(state, keystore=Keystore(state.keystore.accounts | more))


_steps = _play()
_votes = _make_votes(execute(PLUS, _steps, state=_begin()).state)
_run = execute(PLUS, [*_steps, at(NOW - DAY // 4), *_votes], state=_begin())
assert {"executed"} == {each.status for each in _run.outcomes}, [each.reason for each in _run.outcomes]

app = make_app(PLUS.genesis.config, _run.state)  # type: ignore[attr-defined]
