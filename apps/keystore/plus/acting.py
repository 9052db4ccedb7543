"""How an account acts: its authority, its lock and its fee, asked for in this one place."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Address, Bytes32, Context, Event, Revert, Uint256, replace

from .authority import find_standing, require_authority
from .money import credit, find_obstacle, spend
from .prices import find_price
from .state import Plus, Sponsorship

__all__ = ["MAX_SPONSORS", "FeePaid", "begin", "charge", "draw", "make_room"]

MAX_SPONSORS: Final = 8
"""Sponsorships of one account, and as many of any account: an action looks at all of them."""


class FeePaid(Event, frozen=True):
    """An action was paid for."""

    key: Bytes32
    """Whose balance it was drawn from."""
    token: Address
    amount: Uint256


def begin(state: Plus, key: bytes, ctx: Context) -> Plus:
    """The state after the account has paid for the action. Rejects it unless the sender may act for the account."""
    require_authority(state, key, ctx)
    return charge(state, key, ctx)


def charge(state: Plus, key: bytes, ctx: Context) -> Plus:
    """Draw the fee from a sponsor, else from the account, in its token; in ether while that token has no price, and
    nothing where ether has none either. Free too: an L1 account's own forced action, which L1 charges.
    """
    collector = state.config.collector
    if ctx.origin == "l1" or state.vault.frozen or collector in (ZERO_BYTES32, key):
        return state
    token = state.fees.fee_tokens.get(key, ZERO_ADDRESS)
    amount = find_price(state, token, ctx.timestamp)
    if amount == 0 and token != ZERO_ADDRESS:
        token, amount = ZERO_ADDRESS, find_price(state, ZERO_ADDRESS, ctx.timestamp)
    if amount == 0:
        return state
    for beneficiary in (key, ZERO_BYTES32):
        state, paid = _charge_sponsors(state, beneficiary, key, ctx)
        if paid:
            return state
    return draw(state, key, token, amount, ctx)


def _charge_sponsors(state: Plus, beneficiary: bytes, key: bytes, ctx: Context) -> tuple[Plus, bool]:
    """Draw the fee from the first sponsor that can pay. The sponsorships of those that cannot, end."""
    for _, sponsor in state.fees.sponsorships.keys(prefix=(beneficiary,)):
        if sponsor == key or (beneficiary == ZERO_BYTES32 and (sponsor, key) in state.fees.sponsored):
            continue
        sponsorship = state.fees.sponsorships[beneficiary, sponsor]
        amount = find_price(state, sponsorship.token, ctx.timestamp)
        if not _can_sponsor(state, sponsor, sponsorship, amount, ctx):
            state = _put_sponsorship(state, beneficiary, sponsor, replace(sponsorship, budget=0))
            continue
        state = _put_sponsorship(state, beneficiary, sponsor, replace(sponsorship, budget=sponsorship.budget - amount))
        if beneficiary == ZERO_BYTES32:
            state = replace(state, fees=replace(state.fees, sponsored=state.fees.sponsored.set((sponsor, key), True)))
        return draw(state, sponsor, sponsorship.token, amount, ctx), True
    return state, False


def make_room(state: Plus, beneficiary: bytes, ctx: Context) -> Plus:
    """The state with a place for one more sponsorship: where all are taken, the first that cannot pay ends.

    Rejects the action if all can. An action of who has nothing ends none, since it is rejected: so more than it looks
    at would hide the others from it.
    """
    sponsors = [sponsor for _, sponsor in state.fees.sponsorships.keys(prefix=(beneficiary,))]
    if len(sponsors) < MAX_SPONSORS:
        return state
    for sponsor in sponsors:
        sponsorship = state.fees.sponsorships[beneficiary, sponsor]
        if not _can_sponsor(state, sponsor, sponsorship, find_price(state, sponsorship.token, ctx.timestamp), ctx):
            return _put_sponsorship(state, beneficiary, sponsor, replace(sponsorship, budget=0))
    raise Revert("eight others sponsor it already")


def _can_sponsor(state: Plus, sponsor: bytes, sponsorship: Sponsorship, amount: int, ctx: Context) -> bool:
    """Whether it pays an amount now; without a price it pays for nothing."""
    return (
        0 < amount <= sponsorship.budget
        and ctx.timestamp <= sponsorship.until
        and sponsorship.epoch == find_standing(state, sponsor).epoch
        and not find_obstacle(state, sponsor, sponsorship.token, amount, ctx.timestamp)
    )


def _put_sponsorship(state: Plus, beneficiary: bytes, sponsor: bytes, sponsorship: Sponsorship) -> Plus:
    """One without a budget goes."""
    place, sponsorships = (beneficiary, sponsor), state.fees.sponsorships
    kept = sponsorships.set(place, sponsorship) if sponsorship.budget else sponsorships.delete(place)
    return replace(state, fees=replace(state.fees, sponsorships=kept))


def draw(state: Plus, payer: bytes, token: bytes, amount: int, ctx: Context) -> Plus:
    """A fee is an outflow like any other: locks and rules bind it."""
    if amount == 0:
        return state
    state = spend(state, payer, token, amount, ctx.timestamp)
    ctx.emit(FeePaid(payer, token, amount))
    return credit(state, state.config.collector, token, amount)
