"""A Keystore+ for tests: accounts of a few senders, money from a vault, and a collector of fees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.keystore.accounts import Account, Keystore, compute_account_key
from apps.keystore.plus.config import Config, OrderSettler, PriceCap
from apps.keystore.plus.orders import OPEN
from apps.keystore.plus.rollup import make_app
from apps.keystore.plus.state import Plus
from apps.keystore.plus.vault import Deposit
from microrollup import ZERO_ADDRESS, Map
from microrollup.testing.execution import Execution, Senders, at, execute, force

DAY = 86_400
START = 1_800_000_000
"""Seconds at which tests begin; the middle of a day."""

ALICE, BOB, CAROL, DAVE, ERIN, FRANK, COLLECTOR, THIEF = SENDERS = Senders(8)
VAULT, BRIDGE = b"\x7a" * 20, b"\x7b" * 20
CHAIN, SETTLER = 10, b"\x7c" * 20
"""Where orders can be filled."""
TOKEN, OTHER_TOKEN = b"\x70" * 20, b"\x71" * 20
PARENT = b"\x9e" * 32
CODE, CONFIG, SALT = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
CODE_2, CONFIG_2 = b"\x11" * 32, b"\x12" * 32
ETHER = ZERO_ADDRESS


def compute_key(sender: bytes) -> bytes:
    """The key of a sender's account."""
    return compute_account_key(SALT, CODE + CONFIG, sender)


A, B, C, D, E, F, COLLECTOR_KEY, T = KEYS = [compute_key(sender) for sender in SENDERS]
PLUS = make_app(
    Config(
        vault=VAULT,
        bridge=BRIDGE,
        settlers=(OrderSettler(CHAIN, SETTLER),),
        parent_node=PARENT,
        collector=COLLECTOR_KEY,
        price_caps=(PriceCap(ETHER, 1_000), PriceCap(TOKEN, 50)),
    )
)


def make_state() -> Plus:
    """All senders have accounts."""
    accounts = {key: Account(CODE + CONFIG, sender) for key, sender in zip(KEYS, SENDERS, strict=True)}
    config = PLUS.genesis.config  # type: ignore[attr-defined]
    return Plus(keystore=Keystore(Map(accounts)), config=config)


def run(*steps: Any, funds: Iterable[tuple[bytes, bytes, int]] = ()) -> Execution:
    """Execute steps after deposits: `funds` are (key, token, amount)."""
    deposits = [
        force(VAULT, Deposit(number, token, key, amount)) for number, (key, token, amount) in enumerate(funds, 1)
    ]
    first = [at(START - 1), *deposits, at(START)]
    outcome = execute(PLUS, [*first, *steps], state=make_state())
    return Execution(outcome.state, outcome.outcomes[len(deposits) :], outcome.height, outcome.timestamp)


def list_reasons(outcome: Execution) -> list[str]:
    """Why each step was rejected; "executed" for those that were not, "faulted" for what never should."""
    return [each.reason or each.status for each in outcome.outcomes]


def count_money(state: Plus, token: bytes) -> int:
    """Balances, withdrawals and open orders of a token."""
    vault = state.vault
    locked = sum(each.amount for each in state.orders.orders.values() if each.status == OPEN and each.token == token)
    if token == ETHER:
        return locked + sum(vault.balances.values()) + sum(each.amount for each in vault.withdrawals.values())
    held = sum(amount for (which, _), amount in vault.tokens.items() if which == token)
    return locked + held + sum(each.amount for each in vault.token_withdrawals.values() if each.token == token)
