"""Signing actions as a wallet does, for tests and samples."""

from __future__ import annotations

import msgspec

from microrollup.action import Action
from microrollup.crypto import PrivateKey, canonicalize_signature, sign_digest
from microrollup.eip712 import compile_digest, compute_domain_separator
from microrollup.errors import UsageError
from microrollup.record import DomainConfig
from microrollup.rollup import MicroRollup

__all__ = ["sign_action"]


def sign_action(
    rollup: MicroRollup, action: Action, nonce: int, key: PrivateKey, domain: DomainConfig | None = None
) -> bytes:
    """One line of JSON (no line end): the action, signed with `key` under the rollup's domain for local settlement.

    Raises `UsageError` if it is no action of the rollup, and `ValueOutOfBounds` for its members.
    """
    action_type = rollup.action_types.by_name.get(type(action).__name__)
    if action_type is None or action_type.cls is not type(action):
        raise UsageError(f"{type(action).__name__} is no action of {rollup.name}")
    action_type.check(action)
    chosen = rollup.make_domain() if domain is None else domain
    separator = compute_domain_separator(chosen.name, chosen.version, chosen.chain_id, chosen.verifying_contract)
    signature = sign_digest(key, compile_digest(action_type.type, separator)(action, nonce))
    return msgspec.json.encode(action_type.to_json(action, nonce, canonicalize_signature(signature)))
