"""Following a chain's newest block: a node that is late, and blocks that are taken back."""

from __future__ import annotations

from typing import Final

import structlog

from microrollup.settlement.ethereum.answers import L1Block
from microrollup.settlement.ethereum.errors import L1BadAnswer

from .errors import AnotherChain
from .node import ChainNode

__all__ = ["HeadWatch"]

_PATIENT_ROUNDS: Final = 3

_log = structlog.get_logger(__name__)


class HeadWatch:
    """Of one chain's node."""

    def __init__(self, node: ChainNode) -> None:
        self._node = node
        self._anchor: L1Block | None = None
        self._rounds_behind = 0

    async def read_head(self) -> L1Block:
        """The newest block. Raises `AnotherChain`, and `L1BadAnswer` while it is an earlier one than before.

        At a URL several machines may answer, and one of them be late. After a while it is taken for a chain that went
        back.
        """
        found = await self._node.read_chain_id()
        if found != self._node.chain_id:
            raise AnotherChain(self._node.place, found, f"not {self._node.chain_id} as before")
        head = await self._node.read_head()
        anchor = self._anchor
        if anchor is None or head.number >= anchor.number or self._rounds_behind >= _PATIENT_ROUNDS:
            self._rounds_behind = 0
            return head
        self._rounds_behind += 1
        raise L1BadAnswer("eth_getBlockByNumber", f"the newest block is {head.number}, and was {anchor.number}")

    async def notice_reorg(self, head: L1Block) -> bool:
        """Whether the newest block that was seen before is no longer there."""
        anchor = self._anchor
        if anchor is None or anchor.hash == head.hash:
            self._anchor = head
            return False
        found = await self._node.read_block_hash(anchor.number)
        self._anchor = head
        if found == anchor.hash:
            return False
        _log.warning("relay_reorg", chain=self._node.chain_id, block=anchor.number)
        return True
