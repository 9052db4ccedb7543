"""A forced action that never ends: the node says so, publishes nothing of the block, and blames nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.declaration.context import Context
from microrollup.execution.payload import encode_forced_payload
from microrollup.node.runtime import Node
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.protocol import Reorg
from node_fixtures import BUILDER_KEY, Site
from waiting import wait_for
from zoo import MISCHIEF, Misbehave, Zoo


def test_the_reason_is_the_forced_action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a reorg of L1, on which what the failed block has in memory would look stale."""

    def loop(state: Zoo, ctx: Context) -> Zoo:
        while True:
            pass

    def make_sequencer(node: Node) -> Sequencer[object]:
        return Sequencer(node.ledger, BUILDER_KEY, node.l1, action_seconds=0.02)

    MISCHIEF["loop"] = loop
    monkeypatch.setattr(Node, "_make_sequencer", make_sequencer)
    site = Site(tmp_path)
    with site.open() as node:
        node.l1.force(b"\x07nonsense", sender=bytes(20))
        index = node.l1.force(encode_forced_payload(site.rollup, Misbehave("loop")), sender=bytes(20))
        site.ahead += 3 * SECONDS_PER_BLOCK
        reason = wait_for(lambda: node.stopped)
        assert reason is not None
        assert f"the forced action {index} hits the limit of time" in reason
        node.reactions.note_reorg(Reorg(0, node.l1.get_settled()))
        assert reason == node.stopped
        assert [] == node.read_receipts(0, 10)
        assert node.lookups.get_tip() == 0
