"""Signed lines: properly signed by made-up keys, in as many processes as there are cores, in the wallet file's mix."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import msgspec

from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.transitions import Register
from benchmarks.workload import ACTIONS_PER_SENDER, MIX, make_register, make_update
from microrollup.crypto.ecdsa import canonicalize_signature, compute_address, load_private_key, sign_digest
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action

__all__ = ["SignedWork", "sign_senders", "sign_work"]

_SENDERS_AT_ONCE: Final = 200
"""Senders whose actions are interleaved: the first action of each, then the second of each."""


class SignedWork(msgspec.Struct, frozen=True):
    """Lines as a wallet sends them, and of each what bare recovery needs."""

    lines: list[bytes]
    digests: list[bytes]
    """32 bytes each."""
    signatures: list[bytes]
    """65 bytes each, `r || s || recovery id`."""


def sign_work(count: int, workers: int, first_sender: int = 0) -> SignedWork:
    """At least `count` signed actions (whole senders), cut to `count`."""
    senders = -(-count // ACTIONS_PER_SENDER)
    spans = [
        (first_sender + first, min(_SENDERS_AT_ONCE, senders - first)) for first in range(0, senders, _SENDERS_AT_ONCE)
    ]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
        parts = list(executor.map(sign_senders, spans))
    return SignedWork(
        lines=[line for part in parts for line in part.lines][:count],
        digests=[digest for part in parts for digest in part.digests][:count],
        signatures=[signature for part in parts for signature in part.signatures][:count],
    )


def sign_senders(span: tuple[int, int]) -> SignedWork:
    """The actions of `span[1]` senders from number `span[0]` on, interleaved."""
    domain = app.make_domain()
    separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
    types = {cls.cls: (cls, compile_digest(cls.type, separator)) for cls in app.action_types}
    by_nonce: list[list[tuple[bytes, bytes, bytes]]] = [[] for _ in range(ACTIONS_PER_SENDER)]
    for sender in range(span[0], span[0] + span[1]):
        key = load_private_key(keccak256(b"benchmark key %d" % sender))
        for nonce, action in enumerate(_make_actions(sender, compute_address(key))):
            action_type, compute_digest = types[type(action)]
            digest = compute_digest(action, nonce)
            signature = canonicalize_signature(sign_digest(key, digest))
            line = json.dumps(action_type.to_json(action, nonce, signature), separators=(",", ":")).encode()
            by_nonce[nonce].append((line, digest, signature))
    flat = [item for items in by_nonce for item in items]
    return SignedWork([line for line, _, _ in flat], [digest for _, digest, _ in flat], [mark for _, _, mark in flat])


def _make_actions(sender: int, address: bytes) -> Sequence[Action]:
    """A sender's actions in the order of `MIX`; its updates are of its own accounts."""
    actions: list[Action] = []
    keys: list[bytes] = []
    for position, kind in enumerate(MIX):
        number = sender * ACTIONS_PER_SENDER + position
        if kind is Register:
            action = make_register(number)
            keys.append(compute_account_key(action.salt, action.code_hash + action.config_hash, address))
            actions.append(action)
        else:
            actions.append(make_update(keys[position % len(keys)], address, number))
    return actions
