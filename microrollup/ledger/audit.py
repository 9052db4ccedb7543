"""The verifier's audit of purity: what STFs were handed must not have changed in place."""

from __future__ import annotations

from collections.abc import Callable

from microrollup.declaration.map import ABSENT, get_loaded
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import ImpureStf
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState
from microrollup.store.row_check import pack_row

__all__ = ["audit_values"]


def audit_values(
    rollup: MicroRollup, state: ChainState, journal: Journal, get_stored: Callable[[bytes], bytes | None]
) -> None:
    """Compare every value that was loaded in a block with its row, and every value that was set with its leaf bytes.

    `get_stored` gives a row as it is stored.

    Raises `ImpureStf` for one that an STF changed without saying so.
    """
    for (name, field), touched in zip(rollup.state_fields, journal.fields, strict=True):
        if not field.is_map:
            continue
        for key, value in get_loaded(field.read(state.app)):
            if value is ABSENT:
                continue
            encoded = field.encode_key(key)
            row_key = field.row_prefix + encoded
            change = touched.get(encoded)
            if change is None:
                kept = pack_row(row_key, field.encode_row(value)) == get_stored(row_key)
            else:
                kept = field.encode_leaf(value) == change.leaf
            if not kept:
                raise ImpureStf(f"an STF changed the value of {name} at 0x{encoded.hex()} in place")
