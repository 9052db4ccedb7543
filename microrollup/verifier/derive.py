"""Deriving a rollup from L1 and DA alone: no operator, no file, no node.

What L1 settled comes batch by batch. A batch holds blocks without headers; these are computed here, and the last one of
each batch must be, word for word, the one that the inbox took with the attestations of a quorum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from microrollup.chain.block import Header
from microrollup.errors import DecodeError, Divergence
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.batch import Batch, BatchBlock, decode_batch
from microrollup.settlement.protocol import L1View, SettledBatch
from microrollup.verifier.follow import authenticate_blocks
from microrollup.verifier.verify import derive_block

__all__ = ["SettledSource", "derive_blocks", "read_settled_blocks"]

_FIELD: Final = "batch"


class SettledSource:
    """What L1 settled, as a source of blocks."""

    def __init__(self, l1: L1View) -> None:
        self.l1 = l1
        self.genesis = l1.get_genesis()

    def read_tip(self) -> int:
        """The height of the last settled block."""
        return self.l1.get_settled().height


def read_settled_blocks(l1: L1View, rollup_id: bytes, first_height: int) -> Iterator[tuple[BatchBlock, Header | None]]:
    """Every settled block from a height on, and for the last one of each batch the header that L1 settled.

    A batch is checked to be this rollup's, and to hold exactly the heights that it was settled for. Raises `Divergence`
    if it does not, `DecodeError` if it is not a batch, and what the view raises, as when its data cannot be had.
    """
    height = first_height
    while (read := _read_batch(l1, height)) is not None:
        settled, batch = read
        if batch.rollup_id != rollup_id:
            raise Divergence(_FIELD, height=height, expected=rollup_id, found=batch.rollup_id)
        wanted = (settled.first_height, settled.header.height)
        found = (batch.blocks[0].open.height, batch.blocks[-1].open.height)
        if found != wanted or not wanted[0] <= height <= wanted[1]:
            raise Divergence(_FIELD, height=height, expected=_describe(wanted), found=_describe(found))
        for block in batch.blocks[height - settled.first_height :]:
            yield block, settled.header if block.open.height == settled.header.height else None
        height = settled.header.height + 1


def _read_batch(l1: L1View, height: int) -> tuple[SettledBatch, Batch] | None:
    """The settled batch with this height, or `None`. Raises `DecodeError` for data that is not a batch."""
    try:
        settled = l1.get_settled_at(height)
        return None if settled is None else (settled, decode_batch(settled.batch))
    except DecodeError as error:
        raise DecodeError(
            "settled batch",
            f"height {height}: {error.reason}: a quorum attested data that nobody can read. A holder of the blocks"
            " (`verify --from`, with the same --data) leads past it; from L1 alone nothing above can be derived",
        ) from None


def _describe(heights: tuple[int, int]) -> str:
    return f"heights {heights[0]} to {heights[1]}"


def derive_blocks(
    ledger: Ledger,
    l1: L1View,
    pool: AuthenticationPool,
    on_block: Callable[[Header], None] = lambda _: None,
    *,
    last_height: int | None = None,
) -> None:
    """Execute and store all that L1 settled above the ledger's last block, or what of it is not above `last_height`.

    Ends at the settled head: its state root is then the ledger's. Raises what `derive_block` and `read_settled_blocks`
    raise, at the first block that is not right; `Divergence` if L1 settled another block at the ledger's own height.
    """
    _check_parent(ledger, l1)
    headers: dict[int, Header] = {}

    def read() -> Iterator[BatchBlock]:
        for block, header in read_settled_blocks(l1, ledger.rollup_id, ledger.checkpoint.height + 1):
            if last_height is not None and block.open.height > last_height:
                return
            if header is not None:
                headers[header.height] = header
            yield block

    for block, outcomes in authenticate_blocks(read(), pool):
        on_block(derive_block(ledger, block, l1, outcomes, headers.pop(block.open.height, None)))


def _check_parent(ledger: Ledger, l1: L1View) -> None:
    """What was derived before must be what L1 settled, also after L1 has changed its mind.

    Asks for no data below: those may be gone, and nothing needs them any more. A batch that the ledger ends within is
    checked by its own last header.
    """
    height, ours = ledger.checkpoint.height, ledger.checkpoint.block_hash
    settled = l1.get_settled()
    found = settled.block_hash if settled.height == height else None
    if settled.height > height and (read := _read_batch(l1, height + 1)) is not None:
        following = read[0]
        found = following.attestation.parent_hash if following.first_height == height + 1 else None
    if found not in (None, ours):
        raise Divergence("settled", height=height, expected=ours, found=found)
