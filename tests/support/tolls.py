"""Accounts that pay a toll for each move, and a policy by which nodes refuse who cannot pay it."""

from __future__ import annotations

from microrollup import Action, Address, Context, Map, MicroRollup, State, Uint64, replace, require
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256

TOLL = 1
ALICE = load_private_key(keccak256(b"alice of the tolls"))
BOB = load_private_key(keccak256(b"bob of the tolls"))


class Tolls(State, frozen=True):
    """Balances, and what was earned."""

    balances: Map[Address, Uint64] = Map()
    earned: Uint64 = 0


class Move(Action, frozen=True):
    """Pay somebody, beside the toll."""

    to: Address
    amount: Uint64


def pay_toll(state: Tolls, sender: bytes) -> Tolls:
    """Rejected for a sender without money."""
    left = state.balances.get(sender, 0)
    require(left >= TOLL, "cannot pay the toll")
    return replace(state, balances=state.balances.set(sender, left - TOLL), earned=state.earned + TOLL)


def move(state: Tolls, action: Move, ctx: Context) -> Tolls:
    """The toll first."""
    state = pay_toll(state, ctx.sender)
    left = state.balances.get(ctx.sender, 0)
    require(left >= action.amount, "too little")
    balances = state.balances.set(ctx.sender, left - action.amount)
    return replace(state, balances=balances.set(action.to, balances.get(action.to, 0) + action.amount))


app = MicroRollup(
    name="tolls",
    version="1",
    genesis=Tolls(balances=Map({compute_address(ALICE): 100})),
    stfs=[move],
    admission="tolls_admission",
)
