"""Fields of parts on the command line: in full, or by the end of the name where it is the end of one only."""

import pytest

from command_line import CommandLine, cli
from kernel_fixtures import make_key
from microrollup import Map, MicroRollup, State, Uint64
from microrollup.cli.fields import choose_field
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError
from microrollup.testing.signing import sign_action
from nested import Mark, Mint, app

__all__ = ["cli"]

ALICE = make_key("alice")


@pytest.fixture
def data(cli, tmp_path):
    """A store with two actions of parts."""
    lines = [sign_action(app, action, nonce, ALICE) for nonce, action in enumerate([Mint(20), Mark(7, 3)])]
    cli.ask("import", "nested", "-", "--data", tmp_path / "data", stdin=b"\n".join(lines))
    return tmp_path / "data"


def test_names_of_commands(cli: CommandLine, data):
    """`prove` and `state` take the whole name or its end, and answer with the whole one."""
    sender = f"0x{compute_address(ALICE).hex()}"
    for name in ("wallets.balances", "balances"):
        proof = cli.ask("prove", "nested", sender, "--field", name, "--data", data)
        assert ("wallets.balances", 20) == (proof["field"], proof["stored"])
        page = cli.ask("state", "nested", name, "--data", data, "--limit", 1)
        assert ("wallets.balances", 1) == (page["field"], len(page["entries"]))
    assert 1 == cli.ask("prove", "nested", "--field", "clock.round", "--data", data)["stored"]
    assert "has no field 'ances'" in cli.refuse("prove", "nested", "--field", "ances", "--data", data)
    assert "name the field, one of wallets.balances" in cli.refuse("prove", "nested", sender, "--data", data)


class Left(State, frozen=True):
    entries: Map[Uint64, Uint64] = Map()
    total: Uint64 = 0


class Right(State, frozen=True):
    entries: Map[Uint64, Uint64] = Map()
    left: Uint64 = 0


class Both(State, frozen=True):
    left: Left = Left()
    right: Right = Right()
    total: Uint64 = 0


def test_ends_of_several_names():
    """The end of two names is refused with both; a whole name is that field, whatever else ends with it."""

    def stay(state: Both, action: Mint, ctx: object) -> Both:
        return state

    both = MicroRollup(name="both", version="1", genesis=Both(), stfs=[stay])
    assert "total" == choose_field(both, "total").name
    assert "left.total" == choose_field(both, "left.total").name
    assert "right.left" == choose_field(both, "left").name
    with pytest.raises(UsageError, match=r"'entries' is short for left\.entries and right\.entries"):
        choose_field(both, "entries")
