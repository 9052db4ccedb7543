"""Announcing an app's next version to the inbox, by its owner; and what the upgrade would do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from microrollup.chain.receipt import STATUS_NAMES
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.directory import open_readable
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.execution.upgrading import explain_failure
from microrollup.keys.files import builder_key_path, read_key
from microrollup.ledger.trial_upgrade import try_upgrade
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.place import L1Place, LocalPlace, open_l1

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
    directory: Path,
    rollup: MicroRollup,
    delay_blocks: int | None = None,
    *,
    key: SigningKey | None = None,
    force: bool = False,
) -> AnnouncedCode:
    """Announce a version to the inbox of a data directory; the code is in force 21,600 L1 blocks later.

    On Ethereum `key` is the owner's, and pays the gas. The owner of a local settlement is the builder, whose key lies
    in the directory; there `delay_blocks` (of 12 s) may be other than 21,600.

    A node may be running. Raises `UsageError` for the code that is in force; and, unless `force`, for one that does not
    follow on it, or whose migration fails on the state as it is now. `StoreError`s, and what the inbox refuses.
    """
    place = find_place(directory, None)
    if isinstance(place, LocalPlace):
        if key is not None:
            raise UsageError(f"the owner of the local settlement in {directory} is its builder: leave out the key")
    elif key is None:
        raise UsageError(f"{directory} settles on Ethereum: give the key of the inbox's owner, who pays the gas")
    elif delay_blocks is not None:
        raise UsageError(f"the inbox on Ethereum has a delay of its own, {CHANGE_DELAY_BLOCKS} blocks")
    with open_readable(directory, rollup) as environment:
        tried = try_upgrade(environment, rollup, rollup.stf_id)
    if tried is None:
        raise UsageError(f"version {rollup.version} is the code in force")
    if tried.has_failed and not force:
        raise UsageError(f"the upgrade would fail: {explain_failure(tried)}; --force announces it all the same")
    effective = _announce(directory, place, rollup.stf_id, key, delay_blocks)
    status, reason = STATUS_NAMES[tried.receipts[-1].status], explain_failure(tried) if tried.has_failed else ""
    return AnnouncedCode(f"0x{rollup.stf_id.hex()}", rollup.version, effective, status, reason, len(tried.rows))


def _announce(directory: Path, place: L1Place, stf_id: bytes, key: SigningKey | None, delay_blocks: int | None) -> int:
    """The L1 block from which the code is in force."""
    if isinstance(place, LocalPlace):
        owner = compute_address(read_key(builder_key_path(directory)))
        delay = CHANGE_DELAY_BLOCKS if delay_blocks is None else delay_blocks
        with closing(LocalSettlement.open(Path(place.directory))) as settlement:
            return settlement.announce_code(stf_id, caller=owner, delay_blocks=delay)
    if key is None:
        raise UsageError("calling the inbox takes the owner's key")
    with closing(open_l1(place, [key])) as inbox:
        return inbox.announce_code(stf_id, caller=compute_address(key))
