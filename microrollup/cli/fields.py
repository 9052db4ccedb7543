"""A field as a command's argument names it: in full, or by the end of its dotted name."""

from __future__ import annotations

from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import StateField
from microrollup.errors import UsageError
from microrollup.ledger.reading import get_field

__all__ = ["choose_field"]


def choose_field(rollup: MicroRollup, name: str | None) -> StateField:
    """The field of a name, or the one whose name ends with it, as `balances` does `wallets.balances`.

    Without a name, the one settled map. Raises `UsageError` for a name of none, or the end of several.
    """
    names = [field.name for field in rollup.state_type.fields]
    if name is None or name in names:
        return get_field(rollup, name)
    ends = [full for full in names if full.endswith(f".{name}")]
    if len(ends) > 1:
        raise UsageError(f"{name!r} is short for {' and '.join(ends)}; write more of it")
    return get_field(rollup, ends[0] if ends else name)
