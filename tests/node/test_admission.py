"""A node of an app with an admission policy, as its clients and its verifier see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from microrollup.client import ActionRefused, SyncClient
from microrollup.crypto.ecdsa import compute_address
from microrollup.sequencer.rations import MAX_REJECTIONS
from node_fixtures import Site
from tolls import ALICE, BOB, Move

BOBS, MOVE = compute_address(BOB), Move(to=b"\x01" * 20, amount=1)


def test_a_client_that_cannot_pay(tmp_path: Path) -> None:
    """Refused with the policy's own words, with its nonce free for the next try; what is rejected all the same is
    rationed, and the client is told when to come again. The verifier finds every block right.
    """
    site = Site(tmp_path, "tolls:app")
    with site.serve(verifiers=1) as caller, SyncClient(caller.url, site.rollup) as client:
        for _ in range(2):
            with pytest.raises(ActionRefused, match="cannot pay the toll") as refused:
                client.submit(MOVE, BOB)
            assert "not_admitted" == refused.value.refusal
        assert "executed" == client.submit(Move(to=BOBS, amount=9), ALICE).status
        assert "executed" == client.submit(MOVE, BOB).status
        much = Move(to=BOBS, amount=1_000)
        assert {"rejected"} == {client.submit(much, BOB).status for _ in range(MAX_REJECTIONS)}
        with pytest.raises(ActionRefused, match=r"try again in \d+\.\d s") as refused:
            client.submit(MOVE, BOB)
        assert "rejections_spent" == refused.value.refusal
        last = client.submit(MOVE, ALICE)
        assert (2 + MAX_REJECTIONS, "executed") == (last.seq, last.status)
        client.wait(last, "C2")
        assert caller.node.confirmations.divergent is None
