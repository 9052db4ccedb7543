"""Announcing an app's next version: to a local settlement by its owner, who is the builder; and what it would do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from microrollup.chain.receipt import STATUS_NAMES
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_readable
from microrollup.deployment.keys import builder_key_path, read_key
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.execution.upgrading import explain_failure
from microrollup.ledger.trial_upgrade import try_upgrade
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.place import LocalPlace

__all__ = ["AnnouncedCode", "announce_code"]


class AnnouncedCode(msgspec.Struct, frozen=True, rename="camel"):
    """What was announced, and what the migration makes of the state as it is now."""

    stf_id: str
    version: str
    effective: int
    """The L1 block from which the code is in force."""
    outcome: str
    """"executed" or "faulted"."""
    reason: str
    rows: int
    """State rows that change."""


def announce_code(
    directory: Path, rollup: MicroRollup, delay_blocks: int = CHANGE_DELAY_BLOCKS, *, force: bool = False
) -> AnnouncedCode:
    """Announce a version to the local settlement of a data directory, so many L1 blocks (of 12 s) before its effect.

    A node may be running. Raises `UsageError` for a rollup that settles on Ethereum, where the owner calls the inbox;
    for the code that is in force; and, unless `force`, for one that does not follow on it, or whose migration fails on
    the state as it is now. `StoreError`s.
    """
    place = find_place(directory, None)
    if not isinstance(place, LocalPlace):
        raise UsageError(
            f"{directory} settles on Ethereum: the inbox's owner calls announceCode(0x{rollup.stf_id.hex()}) there"
        )
    with open_readable(directory, rollup) as environment:
        tried = try_upgrade(environment, rollup, rollup.stf_id)
    if tried is None:
        raise UsageError(f"version {rollup.version} is the code in force")
    if tried.has_failed and not force:
        raise UsageError(f"the upgrade would fail: {explain_failure(tried)}; --force announces it all the same")
    with closing(LocalSettlement.open(Path(place.directory))) as settlement:
        owner = compute_address(read_key(builder_key_path(directory)))
        effective = settlement.announce_code(rollup.stf_id, caller=owner, delay_blocks=delay_blocks)
    status, reason = STATUS_NAMES[tried.receipts[-1].status], explain_failure(tried) if tried.has_failed else ""
    return AnnouncedCode(f"0x{rollup.stf_id.hex()}", rollup.version, effective, status, reason, len(tried.rows))
