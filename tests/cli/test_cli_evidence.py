"""`microrollup evidence` and `microrollup challenge` against nodes that run, honest ones and one that lied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from kernel_fixtures import seal
from microrollup.chain.acknowledgement import acknowledgement_from_json, acknowledgement_to_json, sign_acknowledgement
from microrollup.chain.block import Block
from microrollup.chain.export import BlockFile, write_blocks
from node_fixtures import BUILDER_KEY, Site
from paths import ROOT, SUPPORT
from waiting import wait_for


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON that was printed, in a process of its own: this one has the settlement open."""
    done = subprocess.run(
        [sys.executable, "-m", "microrollup", *arguments, "--json"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{SUPPORT}"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_challenges_of_a_node(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.serve(verifiers=1) as caller:
        acks = [caller.call("submitAction", action=json.loads(site.line(("count", 0, n)))) for n in (1, 2)]
        wait_for(lambda: caller.call("height")["settled"] >= 1)
        url, l1 = f"http://127.0.0.1:{caller.port}", str(tmp_path / "l1")
        kept = tmp_path / "kept.json"
        kept.write_text(json.dumps({"jsonrpc": "2.0", "id": 1, "result": acks[0]}))
        out = tmp_path / "challenge"
        code, found = run("challenge", str(kept), "--from", url, "--l1", l1, "--out", str(out))
        assert (0, "honoured", False) == (code, found["outcome"], found["convicts"])
        assert ["that this address was the rollup's builder then: the inbox says so"] == found["unchecked"]
        broken = tmp_path / "broken.json"
        shown = acknowledgement_to_json(lie(site, acks[0]), lambda *_: None)
        broken.write_bytes(msgspec.json.encode({"ack": shown, "confirmation": "C0"}))  # as `submit --json` shows it
        code, found = run("challenge", str(broken), "--from", url, "--l1", l1)
        assert (0, "broken", True) == (code, found["outcome"], found["convicts"])
    code, found = run("evidence", str(out), "--chain-id", "31337", "--signer", found["signer"])
    assert (0, "honoured") == (code, found["outcome"])
    assert 2 == len(found["unchecked"])  # rollup and settled block
    code, found = run("evidence", str(out), "--block-hash", "00" * 32)
    assert (1, "WrongBlock") == (code, found["error"])


def lie(site: Site, ack: Any) -> Any:
    """The builder's acknowledgement of another outcome."""
    honest = acknowledgement_from_json(ack)
    receipt = msgspec.structs.replace(honest.receipt, status=1, reason="no")
    rollup_id = honest.acknowledgement.rollup_id
    return sign_acknowledgement(BUILDER_KEY, rollup_id, honest.height, receipt, chain_id=31337, inbox=bytes(20))


def test_evidence_between_two_sources(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.serve() as caller:
        caller.call("submitAction", action=json.loads(site.line(("count", 0, 1))))
        wait_for(lambda: caller.call("height")["latest"] >= 1)
    run("export", site.reference, "--data", str(tmp_path / "node"), "--out", str(tmp_path / "a"))
    blocks = [*BlockFile(tmp_path / "a").read_blocks()]
    header = msgspec.structs.replace(blocks[0].header, state_root=b"\x01" * 32)
    twin = Block(header, blocks[0].open, blocks[0].records, seal(header, BUILDER_KEY))
    write_blocks(tmp_path / "b", site.genesis, [twin])
    for place, code in (("a", 1), ("b", 0)):
        out = tmp_path / f"against-{place}"
        given, found = run("evidence", str(out), "--between", str(tmp_path / "a"), str(tmp_path / place))
        assert code == given
        assert out.exists() == (code == 0)
    assert (True, "equivocated", 1) == (found["convicts"], found["outcome"], found["height"])
    assert (0, found) == run("evidence", str(out))
