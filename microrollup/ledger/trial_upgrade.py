"""An upgrade on trial: what a migration would make of the newest closed state. Nothing is written."""

from __future__ import annotations

from microrollup.declaration.rollup import MicroRollup
from microrollup.execution.block_context import BlockContext
from microrollup.execution.journal import Journal
from microrollup.execution.upgrading import Upgraded, list_steps, run_upgrade
from microrollup.ledger.code import get_code_at
from microrollup.ledger.reading import read_header
from microrollup.store.environment import Environment
from microrollup.store.rows import StateRows
from microrollup.store.tables import get_checkpoint

__all__ = ["try_upgrade"]


def try_upgrade(environment: Environment, app: MicroRollup, stf_id: bytes) -> Upgraded | None:
    """What an upgrade to the code with a 32-byte `stfId` would make of the newest closed state; None if that code is in
    force. The block would have the height and the time of the next one, and other actions before it may change the
    outcome.

    For any thread. Raises `OtherCode` if the app does not know the code in force, and `StoreError`s.
    """
    with environment.snapshot() as txn:
        checkpoint = get_checkpoint(txn, environment.tables)
        in_force = get_code_at(environment, txn, app, checkpoint.height)
        if in_force.stf_id == stf_id:
            return None
        header = read_header(txn, environment, checkpoint.height)
        context = BlockContext(
            header.height + 1, header.timestamp, checkpoint.next_seq, Journal(0), rollup_id=header.rollup_id
        )
        rows = StateRows(environment, checkpoint.height, txn)
        return run_upgrade(app, list_steps(app, in_force.stf_id, stf_id), rows, checkpoint.sizes[:-1], context)
