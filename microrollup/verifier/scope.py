"""What a verification is of: the rollup that it must be, and the code that it will need."""

from __future__ import annotations

from microrollup.based.block import require_based
from microrollup.chain.block import compute_rollup_id
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import UsageError, WrongRollup
from microrollup.ledger.code import check_inbox
from microrollup.settlement.protocol import L1View
from microrollup.settlement.upgrades import find_announced
from microrollup.verifier.derive import SettledSource
from microrollup.verifier.events import MissingCode
from microrollup.verifier.source import BlockSource

__all__ = ["check_scope", "find_missing"]


def check_scope(
    rollup: MicroRollup, source: BlockSource | SettledSource, l1: L1View | None, rollup_id: bytes | None
) -> None:
    """The source must be of the rollup that was asked for, if one was, and of the one that L1 knows, run by this code.

    Raises `WrongRollup`, `OtherCode`, and `UsageError` for a based rollup that does not come from L1.
    """
    genesis, is_derived = source.genesis, isinstance(source, SettledSource)
    found = compute_rollup_id(genesis)
    if rollup_id not in (None, found):
        raise WrongRollup(f"the blocks are of rollup 0x{found.hex()}, not 0x{(rollup_id or b'').hex()}")
    if l1 is not None and l1.get_genesis() != genesis:
        raise WrongRollup(f"L1 holds another rollup than 0x{found.hex()}")
    if genesis.is_based:
        require_based(rollup, genesis)
        if not is_derived:
            raise UsageError("the rollup is based: its blocks follow from L1 alone; give --from-l1 instead of --from")
    if l1 is not None:
        stf_id = l1.get_stf_id(0)
        check_inbox(rollup.oldest, stf_id, None if isinstance(source, SettledSource) else source.read_manifest(stf_id))


def find_missing(rollup: MicroRollup, l1: L1View, l1_origin: int) -> MissingCode | None:
    """The announced code that a verifier will need after a block with this origin, and `rollup` does not have."""
    stf_id, since = find_announced(l1)
    if since <= l1_origin or rollup.find_version(stf_id) is not None:
        return None
    return MissingCode(f"0x{stf_id.hex()}", since)
