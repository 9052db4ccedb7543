"""The keystore's operator, its verifiers, and their successor when the operator is gone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.deployment.directory import open_readable, open_rollup, open_state
from microrollup.deployment.importing import ImportReport, import_lines
from microrollup.deployment.l1_rollup import L1Rollup, Settled
from microrollup.deployment.place_file import keep_place
from microrollup.errors import MicrorollupError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.keys.files import builder_key_path, make_key
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.reading import StateProof, get_field, prove_state
from microrollup.maintenance.snapshot.restore import restore_snapshot
from microrollup.maintenance.snapshot.write import write_snapshot
from microrollup.settlement.place import open_l1
from microrollup.testing.anvil import Anvil
from microrollup.testing.signing import DigestKey, sign_action
from microrollup.verifier.events import DivergenceEvent, Report

from ..transitions import Register, Update

__all__ = ["APP", "ActionToSign", "KeystoreOperator"]

APP: Final = "keystore"

ActionToSign = tuple[Register | Update, int, PrivateKey | DigestKey]
"""An action, the sender's nonce, and who signs."""


class KeystoreOperator:
    """The rollup on L1, as its operator runs it, or a successor; and where proofs are made, which needs neither."""

    def __init__(self, directory: Path, l1: Anvil) -> None:
        self.stage = L1Rollup(APP, directory, l1)
        self.store = self.stage.operator
        """Whose store proofs are made from."""
        self._first_height = 1

    def submit(self, actions: Sequence[ActionToSign]) -> tuple[ImportReport, int]:
        """Have actions signed by wallets, authenticated, executed, logged, and sealed in a block; and their bytes.

        Raises `MicrorollupError` unless all are executed.
        """
        with (
            open_rollup(self.stage.operator, self.stage.rollup) as node,
            AuthenticationPool(APP, node.ledger.genesis.domain, 0) as pool,
        ):
            domain = node.ledger.genesis.domain
            lines = [sign_action(self.stage.rollup, action, nonce, key, domain) for action, nonce, key in actions]
            report = import_lines(node, pool, iter(lines))
        if report.counts[0] != len(lines):
            raise MicrorollupError(f"of {len(lines)} actions {report.counts[0]} were executed: {report.refusals}")
        return report, sum(map(len, lines))

    def verify(self) -> list[Report]:
        """The attestations of a quorum. Raises `MicrorollupError` if a verifier refuses a block."""
        return _require_report(self.stage.verify(self._first_height))

    def settle(self, reports: list[Report], submitter: PrivateKey | None = None) -> Settled:
        """The attested batches, in blobs."""
        return self.stage.settle(reports, submitter)

    def prove(self, key: bytes) -> StateProof:
        """What the newest block of the store says about a key."""
        with open_state(self.store, self.stage.rollup) as (environment, tree):
            return prove_state(environment, tree, get_field(self.stage.rollup, None), key)

    def disappear(self) -> None:
        """The operator is gone, with its data and its keys."""
        shutil.rmtree(self.stage.operator)

    def rebuild(self) -> Report:
        """Anybody rebuilds everything from L1 and its blobs; proofs come from there from now on."""
        directory = self.stage.directory / "anybody"
        (report,) = _require_report([self.stage.rebuild(directory, workers=0)])
        self.store = directory / "store"
        return report

    def hand_over(self, owner: PrivateKey) -> int:
        """The inbox's owner names a successor, who starts from what was rebuilt; the L1 block when it may begin."""
        successor = self.stage.directory / "successor"
        builder = make_key(builder_key_path(successor))
        self.stage.send_ether(owner, compute_address(builder))
        snapshot = self.stage.directory / "keystore.snapshot"
        with open_readable(self.store, self.stage.rollup) as environment:
            write_snapshot(environment, self.stage.rollup, snapshot)
        with closing(open_l1(self.stage.place, [owner])) as inbox:
            effective = inbox.change_builder(compute_address(builder), caller=compute_address(owner))
            with restore_snapshot(snapshot, successor, self.stage.rollup, l1=inbox) as ledger:
                self._first_height = _get_next_height(ledger)
        keep_place(successor, self.stage.place)
        self.stage.operator = self.store = successor
        return effective


def _get_next_height(ledger: Ledger) -> int:
    return ledger.checkpoint.height + 1


def _require_report(outcome: DivergenceEvent | Sequence[Report | DivergenceEvent]) -> list[Report]:
    """The reports, if no verifier found anything wrong."""
    outcomes = [outcome] if isinstance(outcome, DivergenceEvent) else outcome
    for each in outcomes:
        if isinstance(each, DivergenceEvent):
            raise MicrorollupError(f"a verifier refuses block {each.height}: {each.field} is {each.found}")
    return [each for each in outcomes if isinstance(each, Report)]
