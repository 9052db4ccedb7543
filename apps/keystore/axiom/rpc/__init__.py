"""Axiom's JSON-RPC over Keystore+: the methods, and the indexes and the signature prover that they ask."""

from __future__ import annotations

__all__: list[str] = []
