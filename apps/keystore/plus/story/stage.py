"""What the acts play on: who takes part, L1 with the rollup, the L2, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass

from microrollup.crypto.ecdsa import PrivateKey

from ...story.bridges import Bridges
from ...story.chain import Chain
from ...story.layer2 import Layer2
from ...story.telling import Telling
from .cast import Cast
from .hub import PlusHub

__all__ = ["Stage"]


@dataclass
class Stage:
    """Everything that the acts change is here."""

    cast: Cast
    hub: PlusHub
    l1: Chain
    layer: Layer2
    bridges: Bridges
    telling: Telling
    payer: PrivateKey

    @property
    def account(self) -> bytes:
        """Alice's account on the L2, made or not: its address follows from her name."""
        return self.layer.account_of(self.cast.alice.identity)
