"""Signing actions as a wallet does, for tests and samples."""

from __future__ import annotations

from typing import Protocol

import msgspec

from microrollup.action import Action
from microrollup.crypto import PrivateKey, sign_digest
from microrollup.eip712 import compile_digest, compute_domain_separator
from microrollup.errors import UsageError
from microrollup.record import DomainConfig
from microrollup.rollup import MicroRollup
from microrollup.signatures.schemes import canonicalize

__all__ = ["DigestSigner", "sign_action"]


class DigestSigner(Protocol):
    """Whoever signs 32-byte digests, by any scheme: the keys of `microrollup.testing.passkey`, for two."""

    def sign(self, digest: bytes, /) -> bytes:
        """A signature in any form that authentication takes."""
        ...


def sign_action(
    rollup: MicroRollup, action: Action, nonce: int, key: PrivateKey | DigestSigner, domain: DomainConfig | None = None
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
    digest = compile_digest(action_type.type, separator)(action, nonce)
    signature = sign_digest(key, digest) if isinstance(key, PrivateKey) else key.sign(digest)
    return msgspec.json.encode(action_type.to_json(action, nonce, canonicalize(signature)))
