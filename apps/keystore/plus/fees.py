"""What actions cost, in which token an account pays, and who pays for others."""

from __future__ import annotations

from microrollup import (
    ZERO_ADDRESS,
    Action,
    Address,
    Bytes32,
    Context,
    Event,
    Uint64,
    Uint256,
    replace,
    require,
)

from .acting import begin, charge, make_room
from .authority import find_standing, require_authority
from .prices import change_price, find_price
from .state import AxiomFee, Plus, Price, Sponsorship

__all__ = [
    "PriceSet",
    "SetAxiomFee",
    "SetFeeToken",
    "SetPrice",
    "Sponsor",
    "set_axiom_fee",
    "set_fee_token",
    "set_price",
    "sponsor",
]


class SetPrice(Action, frozen=True):
    """The collector asks for so much an action."""

    token: Address
    price: Uint256


class SetAxiomFee(Action, frozen=True):
    """The collector asks for so much of transactions of Axiom's format."""

    minimum: Uint256
    """Wei per gas."""
    per_byte: Uint256
    """Wei per byte."""


class SetFeeToken(Action, frozen=True):
    """Pay with this token from now on, this action included."""

    key: Bytes32
    token: Address


class Sponsor(Action, frozen=True):
    """Pay for another account's actions, up to a budget, instead of what was promised it before."""

    sponsor_key: Bytes32
    key: Bytes32
    """Zero: any account, once each."""
    budget: Uint256
    """Zero: no more."""
    token: Address
    until: Uint64
    """Last second."""


class PriceSet(Event, frozen=True):
    """A price was changed, or will be."""

    token: Address
    price: Uint256
    effective: Uint64
    """0: at once."""


def set_price(state: Plus, action: SetPrice, ctx: Context) -> Plus:
    """Lower at once, higher a day later, within the cap of the genesis."""
    require_authority(state, state.config.collector, ctx)
    before = state.fees.prices.get(action.token, Price())
    after = change_price(before, action.price, _get_cap(state, action.token), ctx)
    ctx.emit(PriceSet(action.token, action.price, after.effective))
    return replace(state, fees=replace(state.fees, prices=state.fees.prices.set(action.token, after)))


def set_axiom_fee(state: Plus, action: SetAxiomFee, ctx: Context) -> Plus:
    """Both parts move as prices do; neither may exceed the cap of one action in ether."""
    require_authority(state, state.config.collector, ctx)
    cap, before = _get_cap(state, ZERO_ADDRESS), state.fees.axiom
    after = AxiomFee(
        change_price(before.minimum, action.minimum, cap, ctx), change_price(before.per_byte, action.per_byte, cap, ctx)
    )
    return replace(state, fees=replace(state.fees, axiom=after))


def set_fee_token(state: Plus, action: SetFeeToken, ctx: Context) -> Plus:
    """The token must be one that the collector has named a price in; ether is paid while it has none."""
    require_authority(state, action.key, ctx)
    require(action.token in state.fees.prices, "token has no price")
    tokens = state.fees.fee_tokens.set(action.key, action.token)
    return charge(replace(state, fees=replace(state.fees, fee_tokens=tokens)), action.key, ctx)


def sponsor(state: Plus, action: Sponsor, ctx: Context) -> Plus:
    """A limit, not an escrow: the money stays the sponsor's until an action is paid for."""
    state = begin(state, action.sponsor_key, ctx)
    require(action.key != action.sponsor_key, "an account pays for itself anyway")
    place, sponsorships = (action.key, action.sponsor_key), state.fees.sponsorships
    if action.budget == 0:
        require(place in sponsorships, "no such sponsorship")
        return replace(state, fees=replace(state.fees, sponsorships=sponsorships.delete(place)))
    require(find_price(state, action.token, ctx.timestamp) > 0, "token has no price")
    require(action.until > ctx.timestamp, "it would have ended already")
    epoch = find_standing(state, action.sponsor_key).epoch
    promised = Sponsorship(action.budget, action.token, action.until, epoch)
    if place not in sponsorships:
        state = make_room(state, action.key, ctx)
        sponsorships = state.fees.sponsorships
    return replace(state, fees=replace(state.fees, sponsorships=sponsorships.set(place, promised)))


def _get_cap(state: Plus, token: bytes) -> int:
    for known in state.config.price_caps:
        if known.token == token:
            return known.cap
    return 0
