"""From a record of the log to the entry that executes it: signatures are checked, L1 vouches for forced actions."""

from __future__ import annotations

from microrollup.chain.block_entry import is_block_record
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import DecodeError, RefusedError, StoreCorrupt
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import (
    decode_forced,
    is_forced_record,
    make_block_entry,
    make_entry,
    make_forced_entry,
    make_upgrade_entry,
)
from microrollup.execution.stf import Entry

__all__ = ["read_log_entry"]


def read_log_entry(
    rollup: MicroRollup, rollup_id: bytes, authenticator: Authenticator, record: bytes, height: int, index: int
) -> Entry:
    """The entry of a record, at the place `index` of the block at `height`, under the version that executes it.

    Raises `StoreCorrupt` for a record that is not one.
    """
    if is_block_record(record):
        return make_block_entry(rollup_id, height)
    if is_upgrade_record(record):
        return make_upgrade_entry(rollup_id, height, index, record)
    try:
        if is_forced_record(record):
            return make_forced_entry(rollup, rollup_id, decode_forced(record), authenticator)
        return make_entry(rollup, rollup_id, authenticator.authenticate_record(record))
    except (DecodeError, RefusedError) as error:
        raise StoreCorrupt("log", f"an entry of the log is not valid: {error}") from None
