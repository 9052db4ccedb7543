"""What an upgrade block does to the ledger: its entries executed, and what they change in tree, set hash and rows."""

from __future__ import annotations

from collections.abc import Sequence

from microrollup.chain.upgrade_entry import decode_upgrade
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.lthash import update_lanes
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, ImpureStf, StoreError
from microrollup.execution.block_context import BlockContext
from microrollup.execution.migration_rows import RowReader
from microrollup.execution.stf import Entry
from microrollup.execution.upgrading import Upgraded, list_steps, run_upgrade
from microrollup.ledger.closing import StateChanges
from microrollup.ledger.code import OtherCode
from microrollup.store.row_changes import RowChange
from microrollup.store.row_check import make_packer
from microrollup.store.tables import Checkpoint
from microrollup.store.tree import FlatTree
from microrollup.store.tree_index import KeyIndex

__all__ = ["compute_upgrade_changes", "execute_upgrade"]


def execute_upgrade(
    app: MicroRollup,
    in_force: MicroRollup,
    entries: Sequence[Entry],
    rows: RowReader,
    checkpoint: Checkpoint,
    context: BlockContext,
) -> Upgraded:
    """Execute all entries of an upgrade block on the state after `checkpoint`; `app` knows the versions.

    Raises `OtherCode` if it does not know where they lead to, and `StoreError` for entries that are not those from the
    code in force to there.
    """
    try:
        steps = [decode_upgrade(entry.record) for entry in entries]
    except DecodeError as error:
        raise StoreError(f"block {context.height}: {error}") from None
    target = steps[-1].new
    if app.find_version(target) is None:
        raise OtherCode(context.height, expected=target, found=app.stf_id)
    if steps != list_steps(app, in_force.stf_id, target):
        raise StoreError(f"block {context.height} upgrades over other versions than lead to 0x{target.hex()}")
    seq = context.next_seq
    done = run_upgrade(app, steps, rows, checkpoint.sizes[:-1], context)
    if context.twice:
        context.next_seq = seq
        if run_upgrade(app, steps, rows, checkpoint.sizes[:-1], context) != done:
            raise ImpureStf(f"the migration in block {context.height} gives another outcome when it is executed again")
    return done


def compute_upgrade_changes(
    app: MicroRollup,
    in_force: MicroRollup,
    done: Upgraded,
    rows: RowReader,
    checkpoint: Checkpoint,
    tree: FlatTree,
    keys: KeyIndex,
) -> StateChanges:
    """What an executed upgrade changes; new leaves are in the order of (silo, tree key). Changes nothing itself."""
    reached = app.find_version(done.stf_id) or in_force
    before = {field.row_prefix: field for field in in_force.state_type.fields}
    fields = before | {field.row_prefix: field for field in reached.state_type.fields}
    leaves: list[tuple[int, bytes, bytes]] = []
    changes: list[RowChange] = []
    removed: list[tuple[int, bytes, bytes]] = []
    added: list[tuple[int, bytes, bytes]] = []
    pack = make_packer()
    for row_key in sorted(done.rows):
        staged, old = done.rows[row_key], rows.get(row_key)
        if staged.row is None and old is None:
            continue  # made and deleted on the way
        prefix, encoded = row_key[:2], row_key[2:]
        field = fields[prefix]
        packed = [None if row is None else pack(row_key, row) for row in (old, staged.row)]
        changes.append(RowChange(row_key, *packed))  # also where only the leaf differs: `scrub` follows leaves by rows
        if field.settled:
            value_hash = EMPTY_HASH if staged.row is None else keccak256(staged.leaf)
            leaves.append((field.number, compute_tree_key(field.number, encoded), value_hash))
            continue
        if old is not None:
            known = before[prefix]
            removed.append((known.number, encoded, known.encode_leaf(known.decode_row(old))))
        if staged.row is not None:
            added.append((field.number, encoded, staged.leaf))
    leaves.sort()
    return StateChanges(
        delta=tree.compute_delta({tree_key: value_hash for _, tree_key, value_hash in leaves}, keys),
        lanes=update_lanes(checkpoint.lanes, removed, added) if removed or added else checkpoint.lanes,
        rows=changes,
        sizes=(*done.sizes, checkpoint.sizes[-1]),
    )
