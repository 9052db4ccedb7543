"""Transactions in Axiom's format: whose they are now, what they pay, what they do."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Bytes32, Context, Event, Uint64, Uint256, replace, require

from ..accounts import Account, compute_account_key, is_known_vk
from ..axiom.envelope import AxiomParty, AxiomUpdate, AxiomWithdraw
from ..axiom.keys import M_OF_N_ECDSA_VKEY, decode_key_data
from ..transitions import Registered
from .acting import draw
from .authority import put_account, require_code, require_unlocked
from .prices import get_price
from .state import Plus
from .updates import change_account
from .vault import take_out

__all__ = ["AXIOM_GAS", "AxiomFeePaid", "axiom_update", "axiom_withdraw"]

AXIOM_GAS: Final = 100_000
"""Of an UPDATE, and of a WITHDRAW."""

_DATA_BYTES: Final = 64
"""`codeHash(32) || configHash(32)`."""


class AxiomFeePaid(Event, frozen=True):
    """What a transaction cost: `gas * gas_price + l1_data_fee` wei, and nothing else."""

    key: Bytes32
    """Whose balance it was drawn from: the user's or the sponsor's."""
    gas: Uint64
    gas_price: Uint256
    """Wei; zero where the transaction was free."""
    l1_data_fee: Uint256
    """Wei."""


def axiom_update(state: Plus, action: AxiomUpdate, ctx: Context) -> Plus:
    """Replace what is authoritative for the user's key: by other key data, or by a sender and its 64 bytes of data."""
    _require_origin(state, action.l1_initiated, ctx)
    user, payer = action.user, action.user
    _require_current(state, user)
    if action.sponsors:
        payer = action.sponsors[0]
        _require_current(state, payer)
    account = _make_account(action.new_data, action.new_vk)
    state = _count(_settle(state, user, ctx), user.key, action.number)
    state = _pay(state, payer.key, action.l1_initiated, action.fee_per_gas, action.size, ctx)
    return change_account(state, user.key, account, ctx)


def axiom_withdraw(state: Plus, action: AxiomWithdraw, ctx: Context) -> Plus:
    """Send ether to an address on L1. A user whom the state did not know is in it from now on."""
    require(not state.vault.frozen, "the vault is frozen")
    _require_origin(state, action.l1_initiated, ctx)
    user = action.user
    _require_current(state, user)
    state = _pay(_settle(state, user, ctx), user.key, action.l1_initiated, action.fee_per_gas, action.size, ctx)
    _require_nonce(state, user.key, action.number)
    return take_out(state, user.key, ZERO_ADDRESS, action.amount, action.to, ctx)


def _require_origin(state: Plus, l1_initiated: bool, ctx: Context) -> None:
    """Only the bridge on L1 says that a transaction began there: it took the fee and numbered it."""
    bridge = state.config.bridge
    require(
        not l1_initiated or (bridge != ZERO_ADDRESS and ctx.forced and ctx.l1_sender == bridge),
        "not from the bridge on L1",
    )


def _require_current(state: Plus, party: AxiomParty) -> None:
    """Reject key data that is not authoritative: another than the state holds, or than the address commits to."""
    require_unlocked(state, party.key)
    account = state.keystore.accounts.get(party.key)
    if account is None:
        key = compute_account_key(party.salt, party.key_data, M_OF_N_ECDSA_VKEY)
        require(key == party.key, "salt, data and vkey do not give the address")
    else:
        current = account.vk == M_OF_N_ECDSA_VKEY and account.data == party.key_data
        require(current, "not the account's current data and vkey")


def _settle(state: Plus, party: AxiomParty, ctx: Context) -> Plus:
    """The state with an account that only its address committed to."""
    if party.key in state.keystore.accounts:
        return state
    ctx.emit(Registered(party.key))
    return put_account(state, party.key, Account(party.key_data, M_OF_N_ECDSA_VKEY))


def _require_nonce(state: Plus, key: bytes, nonce: int) -> None:
    require(nonce == state.vault.axiom_nonces.get(key, 0), "not the account's next nonce")


def _count(state: Plus, key: bytes, nonce: int) -> Plus:
    """The state after the account's next nonce."""
    _require_nonce(state, key, nonce)
    return replace(state, vault=replace(state.vault, axiom_nonces=state.vault.axiom_nonces.set(key, nonce + 1)))


def _pay(state: Plus, key: bytes, l1_initiated: bool, gas_price: int, size: int, ctx: Context) -> Plus:
    """Draw the fee. Free: what the bridge forced, since L1 charged it, and what no collector would get."""
    fee, now, collector = state.fees.axiom, ctx.timestamp, state.config.collector
    l1_data_fee = size * get_price(fee.per_byte, now)
    if l1_initiated or state.vault.frozen or collector in (ZERO_BYTES32, key):
        gas_price, l1_data_fee = 0, 0
    else:
        require(gas_price >= get_price(fee.minimum, now), "feePerGas is below the minimum")
    state = draw(state, key, ZERO_ADDRESS, AXIOM_GAS * gas_price + l1_data_fee, ctx)
    ctx.emit(AxiomFeePaid(key, AXIOM_GAS, gas_price, l1_data_fee))
    return state


def _make_account(data: bytes, vk: bytes) -> Account:
    """Reject what nobody could act for, or what contracts would take for a locked account."""
    if vk == M_OF_N_ECDSA_VKEY:
        require(decode_key_data(data).threshold > 0, "a threshold of zero authenticates no user")
    else:
        require(is_known_vk(vk), "vk of no known kind")
        require(len(data) == _DATA_BYTES, "data of a sender has 64 bytes")
        require_code(data[:32])
    return Account(data, vk)
