"""`microrollup diff`: the counts and the list, for programs and for people, and the store as it was."""

import pytest

import alarms
from alarms import Wake
from command_line import cli
from kernel_fixtures import Chain

__all__ = ["cli"]


@pytest.fixture
def data(tmp_path):
    """A store of the alarms with two blocks, one alarm of which is early."""
    chain = Chain(tmp_path, alarms.app)
    chain.submit(*[chain.signer.sign(Wake(time)) for time in (5, 20)])
    chain.close_block()
    chain.advance()
    chain.close_block(allow_empty=True)
    chain.close()
    return tmp_path / "builder"


def test_diff(cli, data):
    """The same code differs in nothing; other rules do, per type and per entry, and `--from` begins later."""
    same = cli.ask("diff", "alarms", "--data", data)
    assert (1, 2, 4, 0, []) == tuple(same[name] for name in ("from", "to", "entries", "differing", "differences"))
    other = cli.ask("diff", "alarms_later", "--data", data)
    counts = {row["type"]: (row["entries"], row["outcome"], row["events"]) for row in other["types"]}
    assert {"(block hook)": (2, 0, 1), "Wake": (2, 1, 0)} == counts
    (early, *_) = other["differences"]
    assert (1, 1, "Wake") == (early["height"], early["seq"], early["type"])
    assert ("executed", "rejected", "too early") == (
        early["recorded"]["status"], early["executed"]["status"], early["executed"]["reason"],
    )  # fmt: skip
    (rang,) = [each["executed"]["events"] for each in other["differences"] if each["type"] == "(block hook)"]
    assert [1] == [int(event["fields"]["number"]) for event in rang]
    assert [] == cli.ask("diff", "alarms_later", "--data", data, "--limit", "0")["differences"]
    assert 2 == cli.ask("diff", "alarms_later", "--data", data, "--from", "2")["from"]
    assert "there is no block 3" in cli.refuse("diff", "alarms_later", "--data", data, "--from", "3")


def test_diff_for_people(cli, data):
    """A table per type, and a line per difference."""
    shown = cli("diff", "alarms_later", "--data", data)
    assert 0 == shown.code
    assert "too early" in shown.out
    assert "differing" in shown.out
