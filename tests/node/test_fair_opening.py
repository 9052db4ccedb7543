"""Hostile envelopes at a running node hold up nobody else's."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec.structs import replace

from microrollup.sequencer.sequencer import Sequenced
from node_fixtures import FAST, Site, to_line
from ticket_keys import Purse
from tickets import Fill


def make_line(raw: bytes) -> bytes:
    return json.dumps({"envelope": "p256-ticket", "raw": f"0x{raw.hex()}"}).encode()


def test_endless_envelopes_of_many_clients(tmp_path: Path) -> None:
    """Twenty clients that send twenty each, which take their whole budget of time: a signed action and an envelope of
    another client are acknowledged while all twenty still wait for the rest of theirs. A stop waits for none of them.
    """
    site, purse = Site(tmp_path, "tickets:app"), Purse()
    endless = make_line(purse.sign(mood=9))
    with site.open(options=replace(FAST, workers=1)) as node:
        (taken,) = node.submit([to_line(site, site.signer.sign(Fill(purse.id, 9)))]).result(60)
        assert isinstance(taken, Sequenced)
        hostile = [node.submit([endless] * 20, f"hostile {number}") for number in range(20)]
        enveloped = node.submit([make_line(purse.sign(1, number=0))], "honest")
        signed = [node.submit([to_line(site, site.signer.sign(Fill(purse.id, 9)))], "honest") for _ in range(3)]
        for honest in (*signed, enveloped):
            (taken,) = honest.result(60)
            assert isinstance(taken, Sequenced)
            assert not any(future.done() for future in hostile)
            assert honest is enveloped or not enveloped.done()
    assert not any(isinstance(result, Sequenced) for future in hostile for result in future.result(60))
