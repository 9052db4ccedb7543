"""Keystore+ with its accounts' contracts on a real EVM: as `account_world`, with an outbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from account_world import Keystore, World, make_key
from apps.keystore.plus import app
from kernel_fixtures import Chain, fast_directory
from l1_fixtures import run_anvil
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.reading import StateProof, prove_state
from microrollup.testing.signing import sign_action

__all__ = ["PlusKeystore", "run_plus_world"]

_HOUR: Final = 3_600


class PlusKeystore(Keystore):
    """A ledger of Keystore+."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.authenticator = Authenticator(app.action_types, app.make_domain())
        self.nonces = {}

    def act(self, action: Any, name: str) -> None:
        """Have an action of the name executed and its block closed."""
        nonce = self.nonces.get(name, 0)
        self.nonces[name] = nonce + 1
        self.chain.submit(self.authenticator.authenticate_line(sign_action(app, action, nonce, make_key(name))))
        self.chain.close_block()
        self.chain.advance()

    _submit = act

    def show(self, field: str, key: Any) -> StateProof:
        """What the newest block holds."""
        found = app.state_type.get_field(field)
        return prove_state(self.chain.ledger.environment, self.chain.ledger.tree, found, found.encode_key(key))

    def prove(self, key: bytes) -> StateProof:
        return self.show("keystore.accounts", key)


@contextmanager
def run_plus_world(*arguments: str) -> Iterator[tuple[World, PlusKeystore]]:
    """An L2 whose clock is the keystore's and an hour more, and Keystore+."""
    with fast_directory() as directory, closing(Chain(directory, app)) as chain:
        keystore = PlusKeystore(chain)
        with run_anvil("--hardfork", "osaka", *arguments, timestamp=int(chain.seconds) + _HOUR) as anvil:
            yield World(anvil, keystore), keystore
