"""Checks of the state at the newest height: rows, tree keys, leaves and nodes against each other and the header."""

from __future__ import annotations

from typing import Final

import numpy as np

from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.lthash import EMPTY_LANES, compute_metadata_root, update_lanes
from microrollup.crypto.merkle.indexed import DUMMY_LEAF, compute_depth, compute_tree_key, encode_leaf
from microrollup.crypto.merkle.levels import UNUSED_HASHES, compute_node_position, compute_node_rows
from microrollup.errors import DecodeError
from microrollup.maintenance.scrub.scan import Scan, show
from microrollup.store.keys_at import iterate_tree_rows
from microrollup.store.row_check import make_packer, pack_row, unpack_row
from microrollup.store.state_rows import StateRowReader
from microrollup.store.stored_keys import LEAF_INDEX_BYTES, decode_leaf_index, encode_leaf_index
from microrollup.store.tables import Checkpoint, make_checkpoint

__all__ = ["check_nodes", "check_state", "check_tree"]

_EMPTY: Final = np.frombuffer(EMPTY_HASH, np.uint8)
_NEXT: Final = slice(34, 67)
_VALUE: Final = slice(67, 99)
_ROWS_AT_ONCE: Final = 1_000


def check_tree(scan: Scan) -> None:
    """Keys and leaves are one to one, and the leaves' links follow the keys' order from the dummy to the last."""
    leaves = scan.tree.leaf_rows
    if len(leaves) != scan.checkpoint.leaf_count:
        scan.find("meta", "checkpoint", f"counts {scan.checkpoint.leaf_count} leaves, the tree has {len(leaves)}")
    seen = np.zeros(len(leaves), np.bool_)
    seen[0] = True
    previous, total = 0, scan.environment.count("tree")
    if leaves[0, :34].tobytes() != encode_leaf(DUMMY_LEAF)[:34]:
        scan.find("leaves", 0, "is not the dummy")
    _check_unwritten_keys(scan)
    for count, (key, raw) in enumerate(iterate_tree_rows(scan.txn, scan.tables, scan.checkpoint.height), 1):
        scan.report("tree", count, total)
        leaf_index = decode_leaf_index(raw)
        if raw != pack_row(key, raw[:LEAF_INDEX_BYTES]) or not 0 < leaf_index < len(leaves) or seen[leaf_index]:
            scan.find("tree", show(key), f"leaf {leaf_index} does not exist, or is another key's")
            continue
        seen[leaf_index] = True
        if leaves[leaf_index, :34].tobytes() != b"\x01\x01" + key:
            scan.find("leaves", leaf_index, f"is not that of the tree key 0x{key.hex()}, which leads to it")
        if leaves[previous, _NEXT].tobytes() != b"\x01" + key:
            scan.find("leaves", previous, f"does not name 0x{key.hex()} as the next key")
        previous = leaf_index
    if leaves[previous, _NEXT].any():
        scan.find("leaves", previous, "names a next key, though no key is greater")
    for leaf_index in np.flatnonzero(~seen).tolist():
        scan.find("tree", f"leaf {leaf_index}", "no key leads to this leaf")
    scan.count("leaves", len(leaves))


def _check_unwritten_keys(scan: Scan) -> None:
    """Keys that are inserted above the base are in the table as they will be, or not yet."""
    pack = make_packer()
    for key, leaf_index in scan.unwritten_keys.items():
        found = scan.get("tree", key)
        if found is not None and found != pack(key, encode_leaf_index(leaf_index)):
            scan.find("tree", show(key), f"is not the row of leaf {leaf_index}, which is written out later")


def _check_unwritten_rows(scan: Scan) -> None:
    """Rows that change above the base are in the table as some height from there to the newest left them."""
    for key, values in scan.unwritten_rows.items():
        if scan.get("state", key) not in values:
            scan.find("state", show_row(key), f"is not what any block from {scan.base} on has left")


def check_state(scan: Scan) -> None:
    """Rows are canonical; settled ones are what their leaves commit to, the others what the set hash does."""
    reader, leaves = StateRowReader(scan.get_code(scan.checkpoint.height)), scan.tree.leaf_rows
    sizes, lanes, total = [0] * len(reader.fields), EMPTY_LANES, scan.environment.count("state")
    added: list[tuple[int, bytes, bytes]] = []
    seen = np.zeros(len(leaves), np.bool_)
    _check_unwritten_rows(scan)
    for count, (key, raw) in enumerate(scan.iterate_rows(), 1):
        scan.report("state", count, total)
        try:
            row = reader.read(key, unpack_row(key, raw))
        except DecodeError as error:
            scan.find("state", show_row(key), f"{error.what}: {error.reason}")
            continue
        field = reader.fields[row.place]
        sizes[row.place] += 1
        if not field.settled:
            added.append((field.number, row.encoded_key, row.leaf))
            if len(added) >= _ROWS_AT_ONCE:
                lanes = update_lanes(lanes, (), added)
                added.clear()
            continue
        leaf_index = scan.find_leaf(compute_tree_key(field.number, row.encoded_key)) or 0
        if not 0 < leaf_index < len(leaves):
            scan.find("state", show_row(key), "has no leaf")
            continue
        seen[leaf_index] = True
        if leaves[leaf_index, _VALUE].tobytes() != keccak256(row.leaf):
            scan.find("state", show_row(key), f"is not the value that leaf {leaf_index} commits to")
    lanes = update_lanes(lanes, (), added)
    full = (leaves[:, _VALUE] != _EMPTY).any(axis=1)
    for leaf_index in np.flatnonzero(full & ~seen).tolist():
        scan.find("state", f"leaf {leaf_index}", "the row that this leaf commits to is missing, or the leaf is damaged")
    if "state" not in scan.wrong:
        _check_checkpoint(scan, tuple(sizes), lanes)


def show_row(key: bytes) -> str:
    """A row's key: the field's prefix and the encoded key."""
    return f"0x{key.hex()}"


def _check_checkpoint(scan: Scan, sizes: tuple[int, ...], lanes: bytes) -> None:
    """The checkpoint is what header and rows make it."""
    header, found = scan.tip_header, scan.checkpoint
    if compute_metadata_root(lanes) != header.metadata_root:
        scan.find("state", "metadata", "metadata and nonces do not hash to the metadata root of the newest header")
        return
    expected = make_checkpoint(header, scan.tree.leaf_count, sizes, lanes)
    for name in Checkpoint.__struct_fields__:
        if getattr(expected, name) != getattr(found, name):
            scan.find("meta", "checkpoint", f"its {name} is not what header and rows give")


def check_nodes(scan: Scan) -> None:
    """Every node is the hash of what lies below, up to the state root of the newest header."""
    tree, header = scan.tree, scan.tip_header
    total = tree.leaf_count

    def report(leaves_done: int) -> None:
        scan.report("nodes", leaves_done, total)

    wrong = tree.check(report)
    damaged_leaves = [node.index for node in wrong if node.level == 0 and _is_node_confirmed(scan, node.index)]
    for node in wrong:
        if node.level == 0 and node.index in damaged_leaves:
            scan.find("leaves", node.index, "does not hash to its node, which the nodes above confirm")
        else:
            scan.find("nodes", f"level {node.level}, index {node.index}", "is not the hash of what lies below")
    if wrong:
        tree.rehash(report)  # in this process's memory only: do the leaves at least give the right root?
    if tree.root() != header.state_root:
        scan.find("leaves", None, "do not hash to the state root of the newest header")
    scan.count("nodes", compute_node_rows(total))


def _is_node_confirmed(scan: Scan, leaf_index: int) -> bool:
    """Whether the stored hash of a leaf fits the stored hash above it."""
    tree = scan.tree
    if compute_depth(tree.leaf_count) == 0:
        return tree.root() == scan.tip_header.state_root
    pair = []
    for index in (leaf_index & ~1, leaf_index | 1):
        used = index < tree.leaf_count
        pair.append(tree.node_rows[compute_node_position(0, index)].tobytes() if used else UNUSED_HASHES[0])
    above: bytes = tree.node_rows[compute_node_position(1, leaf_index >> 1)].tobytes()
    return above == keccak256(b"".join(pair))
