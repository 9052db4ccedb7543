"""Which version of the app executed a block, and what reads it: a node shows blocks of all versions that it went
through.
"""

from __future__ import annotations

from microrollup.declaration.rollup import MicroRollup
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.code import get_code_at
from microrollup.ledger.ledger import Ledger
from microrollup.store.tables import get_block_row

__all__ = ["Codes"]


class Codes:
    """The versions of one ledger's app; for any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._authenticators: dict[MicroRollup, Authenticator] = {}

    def get(self, height: int) -> MicroRollup:
        """The version that executed a block, closed or open, and whose state is the one after it. Raises
        `OtherCode`.
        """
        ledger = self._ledger
        if ledger.app.previous is None:
            return ledger.rollup
        with ledger.environment.snapshot() as txn:
            if get_block_row(txn, ledger.environment.tables, height) is None:
                return ledger.rollup
            return get_code_at(ledger.environment, txn, ledger.app, height)

    def get_authenticator(self, height: int) -> Authenticator:
        """The authenticator of that version."""
        version = self.get(height)
        found = self._authenticators.get(version)
        if found is None:
            found = self._authenticators[version] = Authenticator.of(version, self._ledger.genesis.domain)
        return found
