"""An operator's tools on the store of a based rollup: blocks without seals are whole, a snapshot goes on from L1."""

from __future__ import annotations

from pathlib import Path

import counting
from based_world import BasedWorld, follow
from command_line import CommandLine, cli
from microrollup.ledger.ledger import Ledger

__all__ = ["cli"]

APP = "counting:app"


def test_tools(tmp_path: Path, cli: CommandLine) -> None:
    """Scrub finds nothing, replay gives the same, and what a snapshot restored follows L1 as its own store does."""
    world = BasedWorld(tmp_path, counting.app)
    calls = [world.call(number, counting.Add(number)) for number in range(1, 12)]
    with world.make_ledger("one") as one:
        with world.open_l1("some", calls[:7], 20) as l1:
            follow(one, l1)
        block_hash = f"0x{one.checkpoint.block_hash.hex()}"
    data, other, file = tmp_path / "one", tmp_path / "two", tmp_path / "snapshot"
    assert cli.ask("scrub", APP, "--data", data)["ok"]
    assert 7 == cli.ask("replay", APP, "--data", data)["height"]
    cli.ask("snapshot", APP, "--data", data, "--out", file)
    restored = cli.ask("restore", APP, "--data", other, "--from", file, "--block-hash", block_hash)
    assert 7 == restored["height"]
    with (
        world.open_l1("all", calls, 30) as l1,
        Ledger.open(data, counting.app) as one,
        Ledger.open(other, counting.app) as two,
    ):
        assert (None, None) == (follow(one, l1), follow(two, l1))
        assert (11, one.header) == (one.checkpoint.height, two.header)
