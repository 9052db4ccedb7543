"""The work that is measured: the keystore's actions in the mix of the wallet file, three registers to two updates.

Unsigned work has made-up senders, and records whose signatures are dummies of the right length. Everything follows from
indices, so a store of a million accounts needs no list of them.
"""

from __future__ import annotations

import random
from typing import Final

from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.transitions import Register, Update
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.execution.authentication import Authenticated

__all__ = [
    "ACTIONS_PER_SENDER",
    "MIX",
    "Population",
    "make_register",
    "make_sender",
    "make_update",
]

ACTIONS_PER_SENDER: Final = 5
"""As in the wallet file: 2,000 actions of 400 senders."""

MIX: Final = (Register, Register, Update, Register, Update)
"""60 % registers, 40 % updates, as in the wallet file."""

_CODE_HASHES: Final = tuple(keccak256(b"validator %d" % number) for number in range(4))
_SEED: Final = 20_000


def _hash_number(what: bytes, number: int) -> bytes:
    return keccak256(what + number.to_bytes(8, "big"))


def make_sender(number: int) -> bytes:
    """The 20 bytes of a made-up sender."""
    return _hash_number(b"sender", number)[12:]


def make_register(account: int) -> Register:
    """The action that registers the account of that number."""
    return Register(_CODE_HASHES[account % 4], _hash_number(b"config", account), account.to_bytes(32, "big"))


def make_update(key: bytes, sender: bytes, change: int) -> Update:
    """A change of an account's configuration that leaves it to the same sender."""
    return Update(key, _CODE_HASHES[change % 4], _hash_number(b"change", change), sender)


class Population:
    """The made-up users of a store: who registered which account, and everybody's next nonce.

    Account `i` is registered by sender `i // ACTIONS_PER_SENDER`; only it may update the account. `first_sender` keeps
    several populations of one store apart.
    """

    def __init__(self, accounts: int = 0, first_sender: int = 0) -> None:
        """A population that has registered `accounts` accounts and done nothing else."""
        self.accounts = accounts
        self._built = accounts
        self._first_sender = first_sender
        self._nonces: dict[int, int] = {}
        self._changes = 0
        self._random = random.Random(_SEED)

    def make_registers(self, count: int) -> list[Authenticated]:
        """`count` new accounts."""
        return [self._register() for _ in range(count)]

    def make_updates(self, count: int) -> list[Authenticated]:
        """`count` updates of accounts taken at random."""
        return [self._update(self.accounts) for _ in range(count)]

    def make_mix(self, count: int) -> list[Authenticated]:
        """`count` actions in the wallet file's mix; updates are of accounts that were there before."""
        before = self.accounts
        return [
            self._register() if MIX[number % len(MIX)] is Register else self._update(before) for number in range(count)
        ]

    def get_key(self, account: int) -> bytes:
        """The 32-byte key of a registered account."""
        action = make_register(self._number(account))
        sender = make_sender(self._first_sender + account // ACTIONS_PER_SENDER)
        return compute_account_key(action.salt, action.code_hash + action.config_hash, sender)

    def _number(self, account: int) -> int:
        return self._first_sender * ACTIONS_PER_SENDER + account

    def _register(self) -> Authenticated:
        account = self.accounts
        self.accounts += 1
        return self._sign(account // ACTIONS_PER_SENDER, make_register(self._number(account)))

    def _update(self, accounts: int) -> Authenticated:
        account = self._random.randrange(accounts)
        self._changes += 1
        owner = account // ACTIONS_PER_SENDER
        sender = make_sender(self._first_sender + owner)
        return self._sign(owner, make_update(self.get_key(account), sender, self._changes))

    def _sign(self, owner: int, action: Action) -> Authenticated:
        nonce = self._nonces.get(owner)
        if nonce is None:
            nonce = max(0, min(self._built - owner * ACTIONS_PER_SENDER, ACTIONS_PER_SENDER))
        self._nonces[owner] = nonce + 1
        sender = make_sender(self._first_sender + owner)
        action_hash = keccak256(sender + nonce.to_bytes(8, "big"))
        action_type = app.action_types.by_name[type(action).__name__]
        record = action_type.encode_record(action, nonce, action_hash * 2 + b"\0")
        return Authenticated(record, sender, nonce, action_hash)
