"""Announcing an app's next version: to a local settlement by its owner, who is the builder; and what it would do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import structlog

from microrollup.chain.receipt import STATUS_NAMES
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import OpenRollup, open_readable
from microrollup.deployment.keys import builder_key_path, read_key
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.execution.upgrading import NO_PATH, Upgraded
from microrollup.ledger.trial_upgrade import try_upgrade
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.place import LocalPlace
from microrollup.settlement.upgrades import find_announced

__all__ = ["AnnouncedCode", "announce_code", "tell_of_upgrade"]

_log = structlog.get_logger(__name__)


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


def explain_failure(tried: Upgraded) -> str:
    """Why an upgrade fails, in words."""
    reasons = [receipt.reason for receipt in tried.receipts if receipt.reason]
    if reasons == [NO_PATH]:
        return "this version does not follow on the code in force"
    return f"the migration {f'ends with {reasons[0]!r}' if reasons else 'raises, as the log shows'}"


def tell_of_upgrade(opened: OpenRollup) -> None:
    """Log that a code is announced and, where the app has it, what its migration makes of the closed state."""
    ledger = opened.ledger
    stf_id, since = find_announced(opened.l1)
    if since <= ledger.header.l1_origin or stf_id == ledger.rollup.stf_id:
        return
    version = ledger.app.find_version(stf_id)
    if version is None:
        _log.warning("announced_code_missing", stf_id=f"0x{stf_id.hex()}", since=since)
        return
    tried = try_upgrade(ledger.environment, ledger.app, stf_id)
    if tried is None:
        return
    if tried.has_failed:
        _log.warning("upgrade_would_fail", version=version.version, since=since, reason=explain_failure(tried))
    else:
        _log.info("upgrade_announced", version=version.version, since=since, rows=len(tried.rows))
