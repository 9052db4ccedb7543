"""The vault and the rollup agree to the byte: places, leaves, and the actions that the vault forces."""

from __future__ import annotations

import re
from typing import Any, Final

from eth_abi.abi import encode
from eth_abi.packed import encode_packed

from apps.keystore.order_calls import (
    KeystoreOrder,
    compute_fill_tree_key,
    compute_order_tree_key,
    hash_open_order,
)
from apps.keystore.plus.orders import OPEN, EndOrder
from apps.keystore.plus.rollup import app
from apps.keystore.plus.state import Exit, Order, OrderFill, TokenWithdrawal, Withdrawal
from apps.keystore.plus.vault import Deposit, Freeze, compute_withdrawal_id
from apps.keystore.vault_calls import (
    ETHER,
    compute_balance_tree_key,
    compute_deposit_tree_key,
    compute_exit_tree_key,
    compute_withdrawal_tree_key,
)
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.execution.payload import encode_forced_payload
from paths import ROOT

CONTRACTS: Final = ROOT / "apps" / "keystore" / "contracts"
TOKEN, TO, KEY = b"\x11" * 20, b"\x22" * 20, b"\x33" * 32
AMOUNT: Final = 5 * 10**18


def place(name: str, key: Any) -> bytes:
    """Where the rollup puts an entry of a field."""
    field = app.state_type.get_field(name)
    return compute_tree_key(field.number, field.encode_key(key))


def leaf(name: str, value: Any) -> bytes:
    """What the rollup's tree commits to for it."""
    return app.state_type.get_field(name).encode_leaf(value)


def test_places() -> None:
    """Silo and key of each entry that the vault looks for."""
    assert place("vault.balances", KEY) == compute_balance_tree_key(ETHER, KEY)
    assert place("vault.tokens", (TOKEN, KEY)) == compute_balance_tree_key(TOKEN, KEY)
    withdrawal_id = compute_withdrawal_id(KEY, 7)
    assert place("vault.withdrawals", withdrawal_id) == compute_withdrawal_tree_key(ETHER, withdrawal_id)
    assert place("vault.token_withdrawals", withdrawal_id) == compute_withdrawal_tree_key(TOKEN, withdrawal_id)
    assert place("deposits.deposits", 300) == compute_deposit_tree_key(300)
    assert place("orders.orders", KEY) == compute_order_tree_key(KEY)
    assert place("orders.fills", KEY) == compute_fill_tree_key(KEY)
    assert place("exits.exits", KEY) == compute_exit_tree_key(KEY)


def test_leaves() -> None:
    """Values as `VaultLeaves` and `VaultEscape` hash them."""
    assert encode(["uint256"], [AMOUNT]) == leaf("vault.balances", AMOUNT) == leaf("vault.tokens", AMOUNT)
    assert encode_packed(["address", "uint256"], [TO, AMOUNT]) == leaf("vault.withdrawals", Withdrawal(TO, AMOUNT))
    expected = encode(["address", "address", "uint256"], [TOKEN, TO, AMOUNT])
    assert expected == leaf("vault.token_withdrawals", TokenWithdrawal(TOKEN, TO, AMOUNT))
    order = KeystoreOrder(KEY, TOKEN, AMOUNT, 10, KEY, 9)
    stored = Order(KEY, TOKEN, AMOUNT, 10, KEY, 9, OPEN)
    assert hash_open_order(order) == keccak256(leaf("orders.orders", stored))
    assert encode(["address", "uint64"], [TO, 9]) == leaf("orders.fills", OrderFill(TO, 9))
    assert encode(["address", "address", "uint64"], [TOKEN, TO, 9]) == leaf("exits.exits", Exit(TOKEN, TO, 9))


def test_forced_actions() -> None:
    """The types that the vault names are the rollup's, and their members are in its order."""
    source = "".join([(CONTRACTS / f"{name}.sol").read_text("utf-8") for name in ("VaultDeposits", "KeystoreVault")])
    types = re.findall(r'keccak256\(\s*"([^"]+)"\s*\)', source)
    assert [app.action_types.by_name[name].type_string for name in ("Deposit", "Freeze", "EndOrder")] == types
    payload = encode_forced_payload(app, Deposit(9, TOKEN, KEY, AMOUNT))
    members = encode(["uint64", "address", "bytes32", "uint256"], [9, TOKEN, KEY, AMOUNT])
    assert b"\0" + app.action_types.by_name["Deposit"].type_hash + members == payload
    assert b"\0" + app.action_types.by_name["Freeze"].type_hash == encode_forced_payload(app, Freeze())
    members = encode(["bytes32", "bool", "address"], [KEY, True, TO])
    ended = encode_forced_payload(app, EndOrder(KEY, True, TO))
    assert b"\0" + app.action_types.by_name["EndOrder"].type_hash + members == ended
