"""The writer without the checks of what it reads from its store, to tell their cost. Its stores are not fit for use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from microrollup.crypto.merkle import levels
from microrollup.store.row_check import CHECK_BYTES
from microrollup.store.tree import FlatTree

__all__ = ["without_checks"]

_NO_CHECK: Final = bytes(CHECK_BYTES)


def _pack(_key: bytes, value: bytes) -> bytes:
    return value + _NO_CHECK


def _unpack(_key: bytes, stored: bytes) -> bytes:
    return stored[:-CHECK_BYTES]


def _pass(*_: object) -> None:
    pass


def _change_nodes(*args: Any, **named: Any) -> levels.NodeChanges:
    return levels.change_nodes(*args, **{**named, "old_hashes": None, "known": None})


_REPLACED: Final = (
    ("microrollup.store.row_check.unpack_row", _unpack),
    ("microrollup.store.rows.unpack_row", _unpack),
    ("microrollup.store.rows.make_unpacker", lambda: _unpack),
    ("microrollup.store.rows.check_absent", _pass),
    ("microrollup.store.stored_keys.StoredKeys.holds", lambda *_: True),
    ("microrollup.store.stored_keys.StoredKeys.check_deleted", _pass),
    ("microrollup.store.tree_leaves.check_keys", _pass),
    ("microrollup.store.tree.change_nodes", _change_nodes),
    ("microrollup.store.tree.FlatTree.hash_old_leaves", lambda *_: np.empty((0, 32), np.uint8)),
    ("microrollup.ledger.closing.make_packer", lambda: _pack),
    ("microrollup.ledger.closing.check_put", _pass),
    ("microrollup.ledger.flush.check_put", _pass),
)


@contextmanager
def without_checks() -> Iterator[None]:
    """Rows are written with zeros for their checks, and read without looking at them; old nodes are not hashed."""
    if not hasattr(FlatTree, "hash_old_leaves"):
        raise AttributeError("what is replaced here has another name")
    with ExitStack() as stack:
        for name, other in _REPLACED:
            stack.enter_context(patch(name, other))
        yield
