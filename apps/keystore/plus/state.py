"""The state of Keystore+, all of it.

The number of a settled field is its silo, which contracts compute tree keys with. So every field is declared from the
start, the order never changes, and what is new comes last.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from microrollup import Address, Bytes32, Map, State, Uint8, Uint16, Uint64, Uint256, leaf_value, metadata

from ..accounts import Keystore
from .config import Config
from .policy import DkimKey, Lock, PendingPolicy, Policy, RecoveryProposal, Standing
from .rules import Permit, Rule, Spent

__all__ = [
    "AxiomFee",
    "Deposits",
    "Exit",
    "Exits",
    "FeeTable",
    "Intent",
    "KeyDelegate",
    "NameCommitment",
    "Naming",
    "Order",
    "OrderFill",
    "Orders",
    "Outbox",
    "PendingUpdate",
    "Plus",
    "Price",
    "Recovery",
    "SpendingRules",
    "Sponsorship",
    "TextRecords",
    "TokenWithdrawal",
    "Vault",
    "Withdrawal",
    "encode_withdrawal_leaf",
]


class Withdrawal(Struct, frozen=True):
    """Ether that left the rollup, for `to` to claim on L1."""

    to: Address
    amount: Uint256
    """Wei."""


def encode_withdrawal_leaf(withdrawal: Withdrawal) -> bytes:
    """`to(20) || amount(32)`: 52 bytes, as in Axiom's tree. No other settled value has this length."""
    return withdrawal.to + withdrawal.amount.to_bytes(32, "big")


class TokenWithdrawal(Struct, frozen=True):
    """Tokens that left the rollup. Leaf: `abi.encode(token, to, amount)`."""

    token: Address
    """Never zero."""
    to: Address
    amount: Uint256


class Vault(State, frozen=True):
    """Money: what accounts have, and what has left."""

    balances: Map[Bytes32, Uint256] = Map()
    """Silo 1. Account -> wei; goes to 0, is never deleted."""
    axiom_nonces: Map[Bytes32, Uint256] = Map()
    """Silo 2. Account -> how many withdrawals it has made, of this format or of Axiom's."""
    withdrawals: Annotated[Map[Bytes32, Withdrawal], leaf_value(encode_withdrawal_leaf)] = Map()
    """Silo 3. `keccak256(fromKey || nonce(32))` -> ether that left; never deleted."""
    tokens: Map[tuple[Address, Bytes32], Uint256] = Map()
    """Silo 4. (token, account) -> amount."""
    token_withdrawals: Map[Bytes32, TokenWithdrawal] = Map()
    """Silo 5. The same ids -> tokens that left."""
    credited: Annotated[Map[Address, Uint256], metadata] = Map()
    """Token -> sum of all deposits ever. It has 256 bits, so no balance can exceed them."""
    frozen: Annotated[bool, metadata] = False
    """Whether the vault on L1 was frozen by an escape: then no money moves here any more."""


class Intent(Struct, frozen=True):
    """One operation of one account on one chain, without a signature there. Leaf: `abi.encode` of all members."""

    chain_id: Uint64
    account: Address
    user_op_hash: Bytes32
    valid_after: Uint64
    """Timestamp of the block that made it."""
    valid_until: Uint64
    owner_hash: Bytes32
    """keccak256 of the account's 64-byte value then: a rotation, a lock or a recovery ends the intent."""


class KeyDelegate(Struct, frozen=True):
    """A second configuration that opens the account, on one chain or all. Leaf: `abi.encode` of all members."""

    code_hash: Bytes32
    """Zero: none, on this chain."""
    config_hash: Bytes32
    valid_until: Uint64
    owner_hash: Bytes32


class Outbox(State, frozen=True):
    """What accounts on other chains may do without a signature of their own."""

    intents: Map[tuple[Bytes32, Uint16], Intent] = Map()
    """Silo 6. (account, slot)."""
    delegates: Map[tuple[Bytes32, Uint64], KeyDelegate] = Map()
    """Silo 7. (account, chain id; 0: every chain)."""


class Order(Struct, frozen=True):
    """Money that waits for somebody to fill an order on another chain."""

    key: Bytes32
    token: Address
    amount: Uint256
    chain_id: Uint64
    """Where it is to be filled."""
    output_hash: Bytes32
    """`keccak256(abi.encode(Output[]))`, ERC-7683."""
    fill_deadline: Uint64
    status: Uint8
    """1 open, 2 filled, 3 unfilled."""


class OrderFill(Struct, frozen=True):
    """Who filled an order of another chain here, and when."""

    claimant: Address
    """On the chain of the order."""
    time: Uint64
    """Timestamp of the block."""


class Orders(State, frozen=True):
    """Orders between the keystore and other chains."""

    orders: Map[Bytes32, Order] = Map()
    """Silo 8. Order id -> an order of ours, never deleted."""
    fills: Map[Bytes32, OrderFill] = Map()
    """Silo 9. Fill id -> who filled another chain's order; never deleted."""


class Deposits(State, frozen=True):
    """Deposits that were credited, so that none is twice, and the rest can be reclaimed on L1."""

    deposits: Map[Uint64, Bytes32] = Map()
    """Silo 10. The vault's deposit id -> account; never deleted."""


class Exit(Struct, frozen=True):
    """Who may take an account's money if the vault freezes. Leaf: `abi.encode(previous, next, effective)`."""

    previous: Address
    next: Address
    effective: Uint64
    """Seconds from which `next` counts, and `previous` before."""


class Exits(State, frozen=True):
    """Addresses for an escape, of accounts whose signatures no contract on L1 can check."""

    exits: Map[Bytes32, Exit] = Map()
    """Silo 11."""


class TextRecords(State, frozen=True):
    """Text records of named accounts."""

    texts: Map[Bytes32, str] = Map()
    """Silo 12. keccak256(account || name) -> value."""


class PendingUpdate(Struct, frozen=True):
    """An update of a careful account that waits for its next vk."""

    code_hash: Bytes32
    config_hash: Bytes32
    vk: Address


class Recovery(State, frozen=True):
    """Guardians, their policies, and what they propose."""

    policies: Annotated[Map[Bytes32, Policy], metadata] = Map()
    pending_policies: Annotated[Map[Bytes32, PendingPolicy], metadata] = Map()
    proposals: Annotated[Map[Bytes32, RecoveryProposal], metadata] = Map()
    standings: Annotated[Map[Bytes32, Standing], metadata] = Map()
    votes: Annotated[Map[tuple[Bytes32, Bytes32], Bytes32], metadata] = Map()
    """(account, keccak256 of a guardian) -> the proposal that it supports."""
    starts: Annotated[Map[tuple[Bytes32, Bytes32], Bytes32], metadata] = Map()
    """(account, keccak256 of a guardian) -> the proposal that it made: one at a time, so that they stay few."""
    locks: Annotated[Map[Bytes32, Lock], metadata] = Map()
    updates: Annotated[Map[Bytes32, PendingUpdate], metadata] = Map()
    careful: Annotated[Map[Bytes32, Uint64], metadata] = Map()
    """Account -> second at which it stops being careful; 2^64 - 1: never."""
    dkim_keys: Annotated[Map[Bytes32, DkimKey], metadata] = Map()
    """keccak256 of a public key -> whose mails it signs, and when."""


class SpendingRules(State, frozen=True):
    """How much may leave an account in a period."""

    rules: Annotated[Map[Bytes32, tuple[Rule, ...]], metadata] = Map()
    spent: Annotated[Map[tuple[Bytes32, Address], Spent], metadata] = Map()
    """(account, token)."""
    permits: Annotated[Map[tuple[Bytes32, Address], Permit], metadata] = Map()
    """(account, token)."""


class Price(Struct, frozen=True):
    """A price that changes: lower at once, higher a day later."""

    amount: Uint256 = 0
    """Until `effective`."""
    next: Uint256 = 0
    effective: Uint64 = 0
    """Second from which `next` counts; 0: nothing is announced."""
    raised: Uint64 = 0
    """When the last rise took effect."""
    last: Uint256 = 0
    """The last price that was not zero: what a rise is measured by."""


class AxiomFee(Struct, frozen=True):
    """What a transaction of Axiom's format pays."""

    minimum: Price = Price()
    """Wei per gas, at least."""
    per_byte: Price = Price()
    """Wei per byte of the transaction."""


class Sponsorship(Struct, frozen=True):
    """A limit up to which an account pays for another's actions."""

    budget: Uint256
    """What is left."""
    token: Address
    until: Uint64
    epoch: Uint64
    """Of the sponsor: an update of the sponsor ends the sponsorship."""


class FeeTable(State, frozen=True):
    """What actions cost, and who pays."""

    prices: Annotated[Map[Address, Price], metadata] = Map()
    """Token -> price of one action; none: everything is free."""
    axiom: Annotated[AxiomFee, metadata] = AxiomFee()
    fee_tokens: Annotated[Map[Bytes32, Address], metadata] = Map()
    """Account -> token that it pays with; absent: ether."""
    sponsorships: Annotated[Map[tuple[Bytes32, Bytes32], Sponsorship], metadata] = Map()
    """(account, sponsor); account zero: any account, once each."""
    sponsored: Annotated[Map[tuple[Bytes32, Bytes32], bool], metadata] = Map()
    """(sponsor, account) that a sponsor of any account has paid for."""


class NameCommitment(Struct, frozen=True):
    """A promise to register a name that nobody can read yet."""

    commitment: Bytes32
    height: Uint64
    timestamp: Uint64


class Naming(State, frozen=True):
    """Names that are about to be registered, and how many texts accounts hold."""

    commitments: Annotated[Map[Address, NameCommitment], metadata] = Map()
    """Sender -> its newest commitment."""
    text_counts: Annotated[Map[Bytes32, Uint16], metadata] = Map()


class Plus(State, frozen=True):
    """The whole state. `keystore.accounts` is silo 0, as in the keystore without more."""

    keystore: Keystore = Keystore()
    vault: Vault = Vault()
    outbox: Outbox = Outbox()
    orders: Orders = Orders()
    deposits: Deposits = Deposits()
    exits: Exits = Exits()
    texts: TextRecords = TextRecords()
    recovery: Recovery = Recovery()
    spending: SpendingRules = SpendingRules()
    fees: FeeTable = FeeTable()
    naming: Naming = Naming()
    config: Annotated[Config, metadata] = Config()
    order_counts: Annotated[Map[Bytes32, Uint64], metadata] = Map()
    """Account -> how many orders it has opened."""
