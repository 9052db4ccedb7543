"""What nodes of the tolls refuse."""

from __future__ import annotations

from microrollup import Action, Context
from tolls import Tolls, pay_toll


def admit(state: Tolls, action: Action, ctx: Context) -> None:
    """Who cannot pay the toll."""
    del action
    pay_toll(state, ctx.sender)
