"""What a spending rule consists of."""

from __future__ import annotations

from msgspec import Struct

from microrollup import Address, Bytes32, Uint64, Uint256

__all__ = ["Limits", "Permit", "Rule", "Spent"]


class Limits(Struct, frozen=True):
    """How much of a token may leave an account, and who may say otherwise."""

    limit: Uint256
    """Smallest units in each period."""
    period: Uint64
    """Seconds; periods lie on a fixed grid, `timestamp // period`."""
    controller: Bytes32
    """The account whose authority loosens the rule and permits exceptions; zero: none."""
    since: Uint64
    """Second from which these limits hold."""
    named: Uint64
    """Second from which this controller holds."""


class Rule(Struct, frozen=True):
    """The rule of one account for one token."""

    token: Address
    """20 bytes of 0xff: every token without a rule of its own."""
    limits: tuple[Limits, ...]
    """Those in force, if there are, then those that are announced, if there are."""


class Permit(Struct, frozen=True):
    """What a controller lets leave beyond the limit, once."""

    extra: Uint256
    """What is left of it."""
    until: Uint64
    epoch: Uint64
    """Of the account: an update ends the permit."""


class Spent(Struct, frozen=True):
    """What left an account, of one token."""

    amount: Uint256
    ends: Uint64
    """Second at which the count begins anew."""
