"""Tickets: an app with an envelope of its own, whose principals are P-256 keys that no wallet has.

A purse is opened by a signed action; its key then signs tickets, which anybody may hand in. The state counts them.
"""

from __future__ import annotations

from typing import Any

from microrollup import (
    Action,
    Address,
    Bytes32,
    Context,
    Envelope,
    Event,
    Map,
    MicroRollup,
    Opened,
    State,
    Uint8,
    Uint64,
    replace,
    require,
)
from microrollup.crypto.checks import verify_p256
from microrollup.crypto.keccak import keccak256

RAW_BYTES = 64 + 8 + 20 + 8 + 1 + 64


class Tickets(State, frozen=True):
    """What the rollup stores."""

    purses: Map[Bytes32, Uint64] = Map()
    """keccak256 of a key -> what it holds."""
    counters: Map[Bytes32, Uint64] = Map()
    """keccak256 of a key -> the number of its next ticket."""
    balances: Map[Address, Uint64] = Map()
    total: Uint64 = 0


class Fill(Action, frozen=True):
    """Give to a purse."""

    purse: Bytes32
    amount: Uint64


class Redeem(Action, frozen=True):
    """Take out of a purse, with a ticket that its key signed."""

    purse: Bytes32
    number: Uint64
    to: Address
    amount: Uint64
    mood: Uint8
    """What it is to do beside that: see `redeem`."""


class Redeemed(Event, frozen=True):
    """A ticket was redeemed."""

    purse: Bytes32
    amount: Uint64
    forced: Uint8


class Signed(Opened, frozen=True):
    """A ticket, with what is no member of its action."""

    key: bytes
    signature: bytes


def digest_ticket(action: Redeem) -> bytes:
    """What a purse's key signs: 32 bytes."""
    return keccak256(
        b"ticket"
        + action.purse
        + action.number.to_bytes(8, "big")
        + action.to
        + action.amount.to_bytes(8, "big")
        + action.mood.to_bytes(1, "big")
    )


class TicketEnvelope(Envelope):
    """`key(64) || number(8) || to(20) || amount(8) || mood(1) || signature(64)`."""

    name = "p256-ticket"
    actions = (Redeem,)

    def open(self, raw: bytes) -> Opened:
        """The ticket, if the key signed it."""
        require(len(raw) == RAW_BYTES, "of another length")
        key = raw[:64]
        action = Redeem(
            keccak256(key),
            int.from_bytes(raw[64:72], "big"),
            raw[72:92],
            int.from_bytes(raw[92:100], "big"),
            raw[100],
        )
        spins = 0
        while action.mood == 9:
            spins = spins + 1
        digest = digest_ticket(action)
        require(verify_p256(key, digest, raw[101:]), "not signed by the key")
        return Signed(action, digest, key, raw[101:])

    def encode(self, opened: Any) -> bytes:
        """The way back."""
        action = opened.action
        return (
            opened.key
            + action.number.to_bytes(8, "big")
            + action.to
            + action.amount.to_bytes(8, "big")
            + action.mood.to_bytes(1, "big")
            + opened.signature
        )


def fill(state: Tickets, action: Fill, ctx: Context) -> Tickets:
    """Anybody may give."""
    require(action.amount < 2**32, "too much")
    return replace(
        state,
        purses=state.purses.set(action.purse, state.purses.get(action.purse, 0) + action.amount),
        total=state.total + action.amount,
    )


def redeem(state: Tickets, action: Redeem, ctx: Context) -> Tickets:
    """The number must be the next one, which is what prevents a replay."""
    assert ctx.origin == "p256-ticket"
    assert ctx.sender == bytes(20)
    assert action.mood != 2
    number, held = state.counters.get(action.purse, 0), state.purses.get(action.purse, 0)
    require(action.number == number, "not the next ticket")
    require(action.amount <= held, "not enough in the purse")
    ctx.emit(Redeemed(action.purse, action.amount, 1 if ctx.forced else 0))
    return replace(
        state,
        purses=state.purses.set(action.purse, held - action.amount),
        counters=state.counters.set(action.purse, number + 1),
        balances=state.balances.set(action.to, state.balances.get(action.to, 0) + action.amount),
    )


app = MicroRollup(name="tickets", version="1", genesis=Tickets(), stfs=[fill, redeem], envelopes=[TicketEnvelope])
