"""What a verifier found wrong, kept until the blocks have been built again: intake stays shut until then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.block import compute_rollup_id
from microrollup.errors import StoreError
from microrollup.genesis import read_genesis
from microrollup.node.confirmations import Divergent
from microrollup.record import Rebuild
from microrollup.recovery import open_tree, take_blocks_back
from microrollup.rollup import MicroRollup
from microrollup.store.environment import Environment
from microrollup.store.tables import get_chain, get_checkpoint, get_log_length, get_log_start

__all__ = ["keep_divergence", "mend_divergence", "read_divergence"]

_FILE: Final = "divergence.json"

_log = structlog.get_logger(__name__)


def keep_divergence(directory: Path, divergent: Divergent) -> None:
    """Write it down, durably."""
    aside = directory / f"{_FILE}.part"
    with aside.open("wb") as file:
        file.write(msgspec.json.encode(divergent))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(directory / _FILE)


def read_divergence(directory: Path) -> Divergent | None:
    """What was written down. Raises `StoreError` if it cannot be read."""
    try:
        raw = (directory / _FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(raw, type=Divergent)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{directory / _FILE} is damaged: {error}") from None


def mend_divergence(directory: Path, rollup: MicroRollup) -> Divergent | None:
    """Take back the blocks from the one that was found wrong, so that they are built again out of the log.

    To be called before the store is opened; whoever opens it executes the same entries under the code that is loaded
    now, and seals the blocks anew. Acknowledged actions keep their seq. What is settled stays: then intake stays shut,
    and what was found is returned. A crash at any point leaves it to the next start.
    """
    divergent = read_divergence(directory)
    if divergent is None:
        return None
    with Environment(directory) as environment:
        txn, tables = environment.reader, environment.tables
        rollup_id = compute_rollup_id(read_genesis(environment))
        checkpoint = get_checkpoint(txn, tables)
        cursor = environment.cursor("settled")
        lowest = int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 1
        start = get_log_start(txn, tables)
        if start is not None:
            lowest = max(lowest, start.height + 1)
        if divergent.height < lowest:
            return divergent
        if divergent.height <= checkpoint.height:
            length = get_log_length(txn, tables)
            chain = get_chain(txn, tables, length - 1, rollup_id)
            tree = open_tree(environment, checkpoint, None)
            try:
                rebuild = Rebuild(divergent.height, rollup.stf_id)
                take_blocks_back(environment, tree, rebuild, checkpoint.height, length, chain)
            finally:
                tree.close()
    (directory / _FILE).unlink()
    _log.warning("blocks_taken_back", height=divergent.height, field=divergent.field)
    return None
