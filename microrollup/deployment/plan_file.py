"""`inbox.plan`: what a rollup's inbox will be created with, written down first: a second call makes the same one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.errors import DecodeError, StoreFormat
from microrollup.system import sync_directory, sync_file

if TYPE_CHECKING:  # web3 takes 0.7 s to import
    from microrollup.settlement.ethereum.deploy import InboxPlan

__all__ = ["forget_plan", "keep_plan", "plan_path", "read_plan"]

_FILE: Final = "inbox.plan"
_MAX_BYTES: Final = 1 << 17


def plan_path(directory: Path) -> Path:
    """Where a data directory keeps the plan of its inbox."""
    return directory / _FILE


def keep_plan(directory: Path, plan: InboxPlan) -> None:
    """Write the plan down, durably."""
    directory.mkdir(parents=True, exist_ok=True)
    aside = directory / f"{_FILE}.part"
    with aside.open("wb") as file:
        file.write(encode_canonical(plan))
        file.flush()
        sync_file(file.fileno())
    aside.replace(plan_path(directory))
    sync_directory(directory)


def read_plan(directory: Path) -> InboxPlan | None:
    """The plan that was written down; None if there is none. Raises `StoreFormat` for a damaged one."""
    from microrollup.settlement.ethereum.deploy import InboxPlan  # noqa: PLC0415

    try:
        raw = plan_path(directory).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return decode_canonical(msgspec.msgpack.Decoder(InboxPlan), raw, what="plan", limit=_MAX_BYTES)
    except DecodeError as error:
        raise StoreFormat(
            f"{plan_path(directory)} is damaged ({error.reason}): remove it to plan another inbox"
        ) from None


def forget_plan(directory: Path) -> None:
    """Remove the plan: the directory has what it was for."""
    plan_path(directory).unlink(missing_ok=True)
