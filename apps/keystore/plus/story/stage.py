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

__all__ = ["Market", "Stage"]


@dataclass(frozen=True)
class Market:
    """Where orders are filled, and what L1 hears of it: there before the vault, which names them."""

    chain_id: int
    settler: bytes
    """20 bytes, on the L2."""
    verdicts: bytes
    """20 bytes, on L1."""
    l2_gas: int
    l1_gas: int


@dataclass
class Stage:
    """Everything that the acts change is here."""

    cast: Cast
    hub: PlusHub
    l1: Chain
    layer: Layer2
    bridges: Bridges
    market: Market
    telling: Telling
    payer: PrivateKey

    @property
    def account(self) -> bytes:
        """Alice's account on the L2, made or not: its address follows from her name."""
        return self.layer.account_of(self.cast.alice.identity)
