"""Signing actions as a wallet does, for tests and samples."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from microrollup.chain.record import DomainConfig
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import PrivateKey, sign_digest
from microrollup.crypto.eip712 import compile_digest, compile_member_digest, compute_domain_separator
from microrollup.crypto.signatures.schemes import canonicalize, recover_sender
from microrollup.crypto.signatures.statement import Statement
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError

__all__ = ["DigestKey", "StatementKey", "sign_action"]


@runtime_checkable
class StatementKey(Protocol):
    """Signs with more than a digest at hand: some of the keys in `microrollup.testing.keys`."""

    def sign_statement(self, statement: Statement, /) -> bytes:
        """A signature in any form that authentication takes."""
        ...


class DigestKey(Protocol):
    """Signs 32-byte digests, by any scheme: the keys of `microrollup.testing.passkey`, for two."""

    def sign(self, digest: bytes, /) -> bytes:
        """A signature in any form that authentication takes."""
        ...


def sign_action(
    rollup: MicroRollup,
    action: Action,
    nonce: int,
    key: PrivateKey | DigestKey | StatementKey,
    domain: DomainConfig | None = None,
) -> bytes:
    """One line of JSON (no line end): the action, signed with `key` under the rollup's domain for local settlement.

    The line states its sender, so that another domain, message or key is refused instead of being somebody else's.
    Raises `UsageError` unless it is an action of the rollup, and `ValueOutOfBounds` for its members.
    """
    action_type = rollup.action_types.by_name.get(type(action).__name__)
    if action_type is None or action_type.cls is not type(action):
        raise UsageError(f"{type(action).__name__} is not an action of {rollup.name}")
    action_type.check(action)
    chosen = rollup.make_domain() if domain is None else domain
    separator = compute_domain_separator(chosen.name, chosen.version, chosen.chain_id, chosen.verifying_contract)
    digest = compile_digest(action_type.type, separator)(action, nonce)
    statement = Statement(
        digest,
        nonce,
        separator,
        lambda sender: compile_member_digest(action_type.type, separator)(action, nonce, sender),
    )
    if isinstance(key, PrivateKey):
        signature = sign_digest(key, digest)
    elif isinstance(key, StatementKey):
        signature = key.sign_statement(statement)
    else:
        signature = key.sign(digest)
    canonical = canonicalize(signature)
    sender = recover_sender(statement, canonical)
    return msgspec.json.encode({**action_type.to_json(action, nonce, canonical), "sender": hex0x(sender)})
