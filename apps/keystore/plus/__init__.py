"""Keystore+: the keystore with balances, fees, spending rules, recovery, intents and names, as one rollup."""

from .rollup import app

__all__ = ["app"]
