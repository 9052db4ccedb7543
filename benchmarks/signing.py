"""Signed lines: properly signed by made-up keys, in as many processes as there are cores, in the wallet file's mix."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

import msgspec

from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.transitions import Register
from benchmarks.workload import ACTIONS_PER_SENDER, MIX, Population, make_register, make_update
from microrollup.crypto.ecdsa import (
    PrivateKey,
    canonicalize_signature,
    compute_address,
    load_private_key,
    sign_digest,
)
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action

__all__ = ["SignedWork", "find_owners", "sign_senders", "sign_work"]

_SENDERS_AT_ONCE: Final = 200
"""Senders whose actions are interleaved: the first action of each, then the second of each."""

_UPDATES: Final = [position for position, kind in enumerate(MIX) if kind is not Register]
_STRIDE: Final = 7_919
"""A prime: spreads the accounts that are updated one after the other over the whole store."""


class SignedWork(msgspec.Struct, frozen=True):
    """Lines as a wallet sends them, and of each what bare recovery needs."""

    lines: list[bytes]
    digests: list[bytes]
    """32 bytes each."""
    signatures: list[bytes]
    """65 bytes each, `r || s || recovery id`."""


def sign_work(count: int, workers: int, first_sender: int = 0, accounts: int = 0) -> SignedWork:
    """At least `count` signed actions (whole senders), cut to `count`.

    Updates are of accounts that their sender has just registered, or of the first `accounts` ones of a store whose
    owners are those of `find_owners`.
    """
    senders = -(-count // ACTIONS_PER_SENDER)
    spans = [
        (first_sender + first, min(_SENDERS_AT_ONCE, senders - first)) for first in range(0, senders, _SENDERS_AT_ONCE)
    ]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
        parts = list(executor.map(partial(sign_senders, accounts=accounts), spans))
    return SignedWork(
        lines=[line for part in parts for line in part.lines][:count],
        digests=[digest for part in parts for digest in part.digests][:count],
        signatures=[signature for part in parts for signature in part.signatures][:count],
    )


def find_owners(count: int, accounts: int) -> dict[int, bytes]:
    """Who owns those of a store's accounts that `count` signed actions update: the sender's address by the account.

    Raises `ValueError` where two senders would update one account.
    """
    senders = range(-(-count // ACTIONS_PER_SENDER))
    owners = {
        _choose_account(sender, position, accounts): compute_address(_load_key(sender))
        for sender in senders
        for position in _UPDATES
    }
    if len(owners) < len(senders) * len(_UPDATES):
        raise ValueError(f"{accounts:,} accounts are too few for {count:,} actions")
    return owners


def _load_key(sender: int) -> PrivateKey:
    return load_private_key(keccak256(b"benchmark key %d" % sender))


def _choose_account(sender: int, position: int, accounts: int) -> int:
    return _STRIDE * (len(_UPDATES) * sender + _UPDATES.index(position)) % accounts


def sign_senders(span: tuple[int, int], accounts: int = 0) -> SignedWork:
    """The actions of `span[1]` senders from number `span[0]` on, interleaved; `accounts` as for `sign_work`."""
    domain = app.make_domain()
    separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
    types = {cls.cls: (cls, compile_digest(cls.type, separator)) for cls in app.action_types}
    by_nonce: list[list[tuple[bytes, bytes, bytes]]] = [[] for _ in range(ACTIONS_PER_SENDER)]
    for sender in range(span[0], span[0] + span[1]):
        key = _load_key(sender)
        for nonce, action in enumerate(_make_actions(sender, compute_address(key), accounts)):
            action_type, compute_digest = types[type(action)]
            digest = compute_digest(action, nonce)
            signature = canonicalize_signature(sign_digest(key, digest))
            line = json.dumps(action_type.to_json(action, nonce, signature), separators=(",", ":")).encode()
            by_nonce[nonce].append((line, digest, signature))
    flat = [item for items in by_nonce for item in items]
    return SignedWork([line for line, _, _ in flat], [digest for _, digest, _ in flat], [mark for _, _, mark in flat])


def _make_actions(sender: int, address: bytes, accounts: int) -> Sequence[Action]:
    """A sender's actions in the order of `MIX`."""
    population = Population(accounts)
    actions: list[Action] = []
    keys: list[bytes] = []
    for position, kind in enumerate(MIX):
        number = sender * ACTIONS_PER_SENDER + position
        if kind is Register:
            action = make_register(number)
            keys.append(compute_account_key(action.salt, action.code_hash + action.config_hash, address))
            actions.append(action)
        else:
            key = population.get_key(_choose_account(sender, position, accounts)) if accounts else None
            actions.append(make_update(key or keys[position % len(keys)], address, number))
    return actions
