"""Checks of the undo: going back block by block, in memory, must lead to each older header."""

from __future__ import annotations

from typing import Final

import numpy as np

from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.lthash import compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import compute_depth, compute_tree_key
from microrollup.crypto.merkle.levels import HASH_BYTES, UNUSED_HASHES, Indices, compute_row_hashes
from microrollup.errors import DecodeError
from microrollup.maintenance.scrub.scan import Scan
from microrollup.maintenance.scrub.state import show_row
from microrollup.store.environment import encode_number
from microrollup.store.retention import UNDO_TABLES
from microrollup.store.row_changes import RowChange, decode_row_changes, encode_row_changes
from microrollup.store.row_check import unpack_row
from microrollup.store.state_rows import StateRow, StateRowReader
from microrollup.store.tables import REWINDING_KEY, Checkpoint, decode_checkpoint, make_checkpoint
from microrollup.store.tree import FlatTree
from microrollup.store.tree_delta import DeltaView

__all__ = ["check_history"]

_VALUE: Final = slice(67, 99)

_Values = dict[int, tuple[bytes, bytes]]
"""Leaf index -> value hash before a block (that of an empty value if there was no leaf) and after it."""


class _Wrong(Exception):
    """The undo of a block is not what leads to the block before."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(reason)
        self.table = table
        self.reason = reason


def check_history(scan: Scan) -> None:
    """Take back every retained block in memory, from the newest down, and compare with the header of the one below."""
    tip = scan.checkpoint.height
    heights = _list_heights(scan, tip)
    if scan.wrong & {"leaves", "state", "tree", "blocks"} or scan.tree.root() != scan.tip_header.state_root:
        scan.skip("undo: not followed back, because what it starts from is damaged")
        return
    walk = _Walk(scan)
    for done, height in enumerate(reversed(heights), 1):
        try:
            walk.take_back(height)
        except _Wrong as wrong:
            scan.find(wrong.table, height, wrong.reason)
        except DecodeError as error:
            scan.find("undo_tree", height, f"{error.what}: {error.reason}")
        else:
            scan.report("undo_tree", done, len(heights))
            continue
        if height > heights[0]:
            scan.skip(f"undo: the blocks below {height} are not followed back, because its undo is damaged")
        return


def _list_heights(scan: Scan, tip: int) -> list[int]:
    """The heights whose undo is kept, ascending; the three tables must agree, without gaps up to the tip."""
    newest = {"undo_tree": scan.get_number(REWINDING_KEY) or tip}
    heights: dict[str, list[int]] = {}
    for table in UNDO_TABLES:
        found = [int.from_bytes(key, "big") for key in scan.txn.cursor(scan.tables[table]).iternext(values=False)]
        heights[table] = [height for height in found if height <= tip]
        if max(found, default=0) > newest.get(table, tip):
            scan.find(table, max(found), "there is no such block")
    lowest = min((found[0] for found in heights.values() if found), default=tip + 1)
    if tip > scan.start[0] and lowest > tip:
        scan.find("undo_checkpoint", tip, "missing")
    for table, found in heights.items():
        for height in sorted(set(range(lowest, tip + 1)) - set(found)):
            scan.find(table, height, "missing")
    common = set.intersection(*[set(found) for found in heights.values()])
    ordered: list[int] = []
    for height in range(tip, lowest - 1, -1):
        if height not in common:
            break
        ordered.append(height)
    return ordered[::-1]


class _Walk:
    """The state as it was, one block earlier with each `take_back`."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._reader = self._older = StateRowReader(scan.get_code(scan.checkpoint.height))
        self._tree = scan.tree
        self._checkpoint = scan.checkpoint
        self._old_rows: dict[bytes, bytes | None] = {}
        """Metadata and nonces that differ from the state table's; settled ones are bound by their leaves."""

    def take_back(self, height: int) -> None:
        """Raises `_Wrong` and `DecodeError`, and is not to be used any more then."""
        scan = self._scan
        delta = scan.get_delta(height)
        before = scan.get_header(height - 1)
        if (delta.root, delta.root_before) != (scan.get_header(height).state_root, before.state_root):
            raise _Wrong("undo_tree", "does not lead from one header's state root to the other's")
        values = self._rewind(delta)
        self._choose_code(height)
        sizes, lanes = self._take_rows_back(height, values)
        expected = make_checkpoint(before, delta.leaf_count_before, sizes, lanes)
        if compute_metadata_root(lanes) != before.metadata_root:
            raise _Wrong("changes", "metadata and nonces do not go back to the metadata root of the block below")
        raw = scan.get("undo_checkpoint", encode_number(height))
        try:
            found = decode_checkpoint(raw or b"")
        except DecodeError as error:
            raise _Wrong("undo_checkpoint", error.reason) from None
        if found != expected:
            names = [name for name in Checkpoint.__struct_fields__ if getattr(found, name) != getattr(expected, name)]
            raise _Wrong("undo_checkpoint", f"is not the state before the block: {', '.join(names)}")
        self._checkpoint = expected
        self._reader = self._older

    def _choose_code(self, height: int) -> None:
        """Read what the block left by its own code, and what it found by the code of the block below."""
        version = self._scan.get_code(height - 1)
        if version.state_type.fields != self._reader.fields[:-1]:
            self._older = StateRowReader(version)

    def _rewind(self, delta: DeltaView) -> _Values:
        """Take the tree back, and check every leaf and node that this writes."""
        tree = self._tree
        count, depth = delta.leaf_count, compute_depth(delta.leaf_count)
        touched = delta.leaf_indices.astype(np.int64)
        if tree.leaf_count != count or (tree.leaf_rows[touched] != delta.new_leaves).any():
            raise _Wrong("undo_tree", "its new leaves are not those of the tree")
        levels = [np.unique(touched >> level) + (1 << (depth - level)) for level in range(depth, -1, -1)]
        ids = np.concatenate(levels) if len(touched) else touched
        if not np.array_equal(ids, delta.node_ids):
            raise _Wrong("undo_tree", "its nodes are not those above its leaves")
        new = touched >= delta.leaf_count_before
        if delta.old_leaves[new].any():
            raise _Wrong("undo_tree", "a new leaf has an old value")
        tree.rewind([delta])
        _check_old_nodes(tree, touched, delta)
        values: _Values = {}
        for leaf_index, is_new, old, fresh in zip(
            touched.tolist(), new.tolist(), delta.old_leaves, delta.new_leaves, strict=True
        ):
            values[leaf_index] = EMPTY_HASH if is_new else old[_VALUE].tobytes(), fresh[_VALUE].tobytes()
        return values

    def _take_rows_back(self, height: int, values: _Values) -> tuple[tuple[int, ...], bytes]:
        """Check the old rows against the old leaves; the sizes and the set hash before the block."""
        scan = self._scan
        changes = _decode_changes(height, scan.get("changes", encode_number(height)) or b"")
        newer, older = self._reader, self._older
        sizes = _move_sizes(self._checkpoint.sizes, newer, older)
        removed: list[tuple[int, bytes, bytes]] = []
        added: list[tuple[int, bytes, bytes]] = []
        changed = {leaf_index for leaf_index, (old, new) in values.items() if old != new}
        for change in changes:
            key, old = change.key, change.old
            if key[:2] in self._settled_places:
                leaf_index, grown = self._check_settled_row(change, values)
                changed.discard(leaf_index)
                sizes[key[:2]] += grown
                continue
            present = self._old_rows[key] if key in self._old_rows else scan.get_row(key)
            if present != change.new:
                raise _Wrong("changes", f"the new value of {show_row(key)} is not the one that it has after the block")
            for value, entries, growth, reader in ((present, removed, -1, newer), (old, added, 1, older)):
                if value is not None:
                    row = _read_row(reader, key, value)
                    sizes[key[:2]] += growth
                    entries.append((reader.fields[row.place].number, row.encoded_key, row.leaf))
            self._old_rows[key] = old
        if changed:
            raise _Wrong("changes", f"the old row of leaf {min(changed)} is missing")
        found = tuple([sizes[field.row_prefix] for field in older.fields])
        return found, update_lanes(self._checkpoint.lanes, removed, added)

    @property
    def _settled_places(self) -> dict[bytes, int]:
        fields = (*self._older.fields, *self._reader.fields)
        return {field.row_prefix: field.number for field in fields if field.settled}

    def _check_settled_row(self, change: RowChange, values: _Values) -> tuple[int, int]:
        """Leaf index, and by how much the field was larger before the block."""
        key = change.key
        leaf_index = self._scan.find_leaf(compute_tree_key(self._settled_places[key[:2]], key[2:]))
        if leaf_index is None or leaf_index not in values:
            raise _Wrong("changes", f"holds the row {show_row(key)}, which the block did not touch")
        before, after = values[leaf_index]
        pairs = (("old", change.old, before, self._older), ("new", change.new, after, self._reader))
        for name, value, committed, reader in pairs:
            if (EMPTY_HASH if value is None else keccak256(_read_row(reader, key, value).leaf)) != committed:
                raise _Wrong("changes", f"the {name} value of {show_row(key)} is not that of leaf {leaf_index}")
        return leaf_index, (before != EMPTY_HASH) - (after != EMPTY_HASH)


def _read_row(reader: StateRowReader, key: bytes, value: bytes) -> StateRow:
    try:
        return reader.read(key, unpack_row(key, value))
    except DecodeError as error:
        raise _Wrong("changes", f"row {show_row(key)}: {error.reason}") from None


def _move_sizes(sizes: tuple[int, ...], newer: StateRowReader, older: StateRowReader) -> dict[bytes, int]:
    """Entries by field, of both versions: none yet of a field that only the older one has."""
    found = {field.row_prefix: 0 for field in older.fields}
    return found | {field.row_prefix: size for field, size in zip(newer.fields, sizes, strict=True)}


def _decode_changes(height: int, raw: bytes) -> list[RowChange]:
    try:
        changes = decode_row_changes(height, raw)
    except DecodeError as error:
        raise _Wrong("changes", str(error)) from None
    if encode_row_changes(height, changes) != raw:
        raise _Wrong("changes", "not the canonical encoding of its rows")
    return changes


def _check_old_nodes(tree: FlatTree, touched: Indices, delta: DeltaView) -> None:
    """After rewinding: every node above a touched leaf is the hash of its children, up to the root."""
    count, nodes = tree.leaf_count, tree.node_rows
    depth = compute_depth(count)
    old = touched[touched < count]
    expected = compute_row_hashes(tree.leaf_rows[old]) if len(old) else np.empty((0, HASH_BYTES), np.uint8)
    wrong = (nodes[2 * old] != expected).any()
    for level in range(1, depth + 1):
        above = np.unique(touched >> level)
        above = above[(above << level) < count]
        if len(above) == 0:
            continue
        lefts = ((4 * above + 1) << (level - 1)) - 1
        children = np.stack((nodes[lefts], nodes[np.minimum(lefts + (1 << level), len(nodes) - 1)]), axis=1)
        if (2 * int(above[-1]) + 1) << (level - 1) >= count:
            children[-1, 1] = np.frombuffer(UNUSED_HASHES[level - 1], np.uint8)
        hashes = compute_row_hashes(np.ascontiguousarray(children).reshape(-1, 2 * HASH_BYTES))
        wrong = wrong or (nodes[((2 * above + 1) << level) - 1] != hashes).any()
    if wrong or tree.root() != delta.root_before:
        raise _Wrong("undo_tree", "its old leaves and nodes do not hash to the state root of the block below")
    _check_blanks(delta, count, depth)


def _check_blanks(delta: DeltaView, count: int, depth: int) -> None:
    """Nodes that did not exist before the block have zeros for an old hash."""
    positions = delta.compute_node_positions()
    levels = np.zeros(len(positions), np.int64)
    rest = positions + 1
    while (even := rest % 2 == 0).any():
        levels[even] += 1
        rest = np.where(even, rest >> 1, rest)
    indices = rest >> 1
    blank = (levels > depth) | ((indices << levels) >= count)
    if delta.old_hashes[blank].any():
        raise _Wrong("undo_tree", "a node that the block made has an old hash")
