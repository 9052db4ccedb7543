"""Vectors of Keystore+: the silo of each settled field, how keys are written, and the bytes that leaves commit to."""

from __future__ import annotations

from typing import Any

from apps.keystore.accounts import Account
from apps.keystore.plus import app
from apps.keystore.plus.authority import compute_owner_hash
from apps.keystore.plus.guardians import compute_guardians_hash
from apps.keystore.plus.naming import compute_commitment, compute_named_key, compute_text_key
from apps.keystore.plus.orders import EndOrder, compute_fill_id, compute_order_id
from apps.keystore.plus.policy import Guardian, Policy
from apps.keystore.plus.recovery import StartRecovery, compute_proposal_id
from apps.keystore.plus.state import Exit, Intent, KeyDelegate, Order, OrderFill, TokenWithdrawal, Withdrawal
from apps.keystore.plus.vault import Deposit, Freeze, compute_withdrawal_id
from conformance.encoding import fill, show
from microrollup import MicroRollup
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.execution.payload import encode_forced_payload
from microrollup.primitives import ZERO_ADDRESS

Case = dict[str, Any]


def make_leaves() -> list[Case]:
    """One entry of each settled field, in the order of silos."""
    key, token, to, account = fill("key"), fill("token", 20), fill("to", 20), Account(fill("data", 64), fill("vk", 20))
    owner, amount, place = compute_owner_hash(account), 10**18 + 7, compute_withdrawal_id(fill("key"), 3)
    entries: list[tuple[str, Any, Any]] = [
        ("keystore.accounts", key, account),
        ("vault.balances", key, amount),
        ("vault.axiom_nonces", key, 4),
        ("vault.withdrawals", place, Withdrawal(to, amount)),
        ("vault.tokens", (token, key), amount),
        ("vault.token_withdrawals", place, TokenWithdrawal(token, to, amount)),
        ("outbox.intents", (key, 1_023), Intent(10, to, fill("operation"), 1_700_000_000, 1_700_086_400, owner)),
        ("outbox.delegates", (key, 0), KeyDelegate(fill("code"), fill("config"), 1_800_000_000, owner)),
        ("orders.orders", fill("order"), Order(key, token, amount, 10, fill("outputs"), 1_700_000_000, 1)),
        ("orders.fills", fill("fill"), OrderFill(to, 1_700_000_000)),
        ("deposits.deposits", 5, key),
        ("exits.exits", key, Exit(fill("previous", 20), fill("next", 20), 1_700_172_800)),
        ("texts.texts", keccak256(key + b"avatar"), "https://example.org/face.png"),
    ]
    return [show_entry(app, name, key, value) for name, key, value in entries]


def make_withdrawal_ids() -> list[Case]:
    """The first ids of an account."""
    key = fill("key")
    return [
        {"fromKey": show(key), "nonce": show(number), "id": show(compute_withdrawal_id(key, number))}
        for number in (0, 1, 2**64)
    ]


def make_forced() -> list[Case]:
    """What the vault puts into the inbox."""
    actions = [
        Deposit(0, ZERO_ADDRESS, fill("key"), 10**18),
        Deposit(2**64 - 1, fill("token", 20), fill("key"), 2**256 - 1),
        Freeze(),
        EndOrder(fill("order"), True, fill("claimant", 20)),
        EndOrder(fill("order"), False, bytes(20)),
    ]
    return [
        {
            "action": type(action).__name__,
            "members": show(action),
            "type": app.action_types.by_name[type(action).__name__].type_string,
            "payload": show(encode_forced_payload(app, action)),
        }
        for action in actions
    ]


def make_hashes() -> list[Case]:
    """Lists of guardians, proposals, orders and fills, commitments to names, keys of names and texts, owners."""
    key, salt, sender, parent = fill("key"), fill("salt"), fill("sender", 20), fill("parent")
    guardians = [Guardian(0, bytes(12) + sender), Guardian(1, fill("guardian")), Guardian(2, fill("mail"))]
    guardians_hash = compute_guardians_hash(salt, guardians)
    start = StartRecovery(key, fill("code"), fill("config"), fill("next vk", 20), salt, guardians)
    policy, rollup_id = Policy(guardians_hash, 3, 2, 86_400, 1, 4), fill("rollup")
    account = Account(fill("data", 64), fill("vk", 20))
    ordered: dict[str, Any] = {
        "orderId": fill("order"), "settler": fill("settler", 20), "chainId": 10, "toKey": key,
        "token": fill("token", 20), "amount": 10**18, "fillDeadline": 1_700_000_000,
    }  # fmt: skip
    cases: list[tuple[str, dict[str, Any], bytes]] = [
        ("guardiansHash", {"salt": salt, "guardians": guardians}, guardians_hash),
        ("guardiansHash", {"salt": salt, "guardians": guardians[:1]}, compute_guardians_hash(salt, guardians[:1])),
        (
            "proposal",
            {
                "rollupId": rollup_id,
                "key": key,
                "codeHash": start.code_hash,
                "configHash": start.config_hash,
                "vk": start.vk,
                "guardiansHash": guardians_hash,
                "policyNumber": policy.number,
                "count": 7,
            },
            compute_proposal_id(rollup_id, start, policy, 7),
        ),
        ("ownerHash", {"data": account.data, "vk": account.vk}, compute_owner_hash(account)),
        ("orderId", {"rollupId": rollup_id, "key": key, "count": 7}, compute_order_id(rollup_id, key, 7)),
        ("fillId", ordered, compute_fill_id(*ordered.values())),
        ("textKey", {"key": key, "name": "avatar"}, compute_text_key(key, "avatar")),
    ]
    for label in ("abc", "a" * 63):
        values = {"label": label, "sender": sender, "secret": salt}
        cases.append(("commitment", values, compute_commitment(label, sender, salt)))
        cases.append(("namedKey", {"parentNode": parent, "label": label}, compute_named_key(parent, label)))
    return [{"what": what, "from": show(values), "hash": show(digest)} for what, values, digest in cases]


def show_entry(app: MicroRollup, name: str, key: Any, value: Any) -> Case:
    """An entry of a settled field: where it is, and what the state root commits to."""
    field = app.state_type.get_field(name)
    encoded, leaf = field.encode_key(key), field.encode_leaf(value)
    return {
        "field": name,
        "silo": show(field.number),
        "key": show(key),
        "encodedKey": show(encoded),
        "treeKey": show(compute_tree_key(field.number, encoded)),
        "value": show(value),
        "leaf": show(leaf),
        "valueHash": show(keccak256(leaf)),
    }
