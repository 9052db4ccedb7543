"""`microrollup demo`: 2,000 wallet-signed actions, from the file to a settled root and two proofs."""

import msgspec

from command_line import EXPECTED, cli, run_process
from microrollup.cli import demo

__all__ = ["cli"]

ROOTS = ("sequencer", "verifier", "settlement", "expected")


def test_demo(tmp_path):
    """In any directory all four parties have the expected root, and both proofs are shown."""
    result = run_process("demo", cwd=tmp_path)
    assert (0, "") == (result.code, result.err)
    assert "All four agree" in result.out
    assert 2 == result.out.count("= the state root")
    assert [] == list(tmp_path.iterdir())


def test_demo_for_programs(cli, tmp_path):
    """With --json the outcome is one object; with --data it may be run again."""
    document = cli.ask("demo", "--data", tmp_path, "--block-size", 500)
    assert (True, 1_940, 60, 0, 4) == tuple(
        document[name] for name in ("ok", "executed", "rejected", "refused", "height")
    )
    assert dict.fromkeys(ROOTS, EXPECTED["stateRoot"]) == document["roots"]
    assert (True, False) == (document["inclusion"]["exists"], document["exclusion"]["exists"])
    again = cli.ask("demo", "--data", tmp_path)
    assert (True, 2_000, 4) == (again["ok"], again["refused"], again["height"])
    assert dict.fromkeys(ROOTS, EXPECTED["stateRoot"]) == again["roots"]


def test_demo_that_fails(cli, tmp_path, monkeypatch):
    """If a root is another one than expected, it says so and ends with exit code 1."""
    real = demo.Demo.__init__

    def begin(self, directory, output):
        real(self, directory, output)
        self.expected = msgspec.structs.replace(self.expected, state_root="0x" + "00" * 32)

    monkeypatch.setattr(demo.Demo, "__init__", begin)
    result = cli("demo", "--data", tmp_path)
    assert 1 == result.code
    assert "They do NOT agree" in result.out
    assert "= the state root" not in result.out
