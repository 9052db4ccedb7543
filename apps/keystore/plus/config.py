"""What is chosen once, before a rollup of Keystore+ begins: contracts on L1, whom fees go to, their caps."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Address, Bytes32, Uint64, Uint256

__all__ = ["LOCAL_VAULT", "Config", "PriceCap", "OrderSettler"]

LOCAL_VAULT: Final = b"the local L1's vault"
"""The vault of a rollup that settles on its own machine, for development: an address whose key nobody has. A process
that may write into the data directory can force an action in its name there; on Ethereum it never acts.
"""


class OrderSettler(Struct, frozen=True):
    """A contract on another chain that tells how orders ended."""

    chain_id: Uint64
    address: Address


class PriceCap(Struct, frozen=True):
    """What one action may cost at most, for ever."""

    token: Address
    """Zero: ether."""
    cap: Uint256
    """Of the token's smallest unit."""


class Config(Struct, frozen=True):
    """Part of the genesis; no action changes it."""

    vault: Address = ZERO_ADDRESS
    """The vault on L1: it alone deposits and freezes. Zero: there is none, and no money comes in."""
    bridge: Address = ZERO_ADDRESS
    """The bridge on L1 that forces transactions of Axiom's format. Zero: there is none."""
    settlers: tuple[OrderSettler, ...] = ()
    parent_node: Bytes32 = ZERO_BYTES32
    """ENS namehash under which accounts may have names. Zero: no names."""
    collector: Bytes32 = ZERO_BYTES32
    """Key of the account that fees go to, and that sets prices. Zero: everything is free."""
    price_caps: tuple[PriceCap, ...] = ()
    """A token that is not listed has no price."""
