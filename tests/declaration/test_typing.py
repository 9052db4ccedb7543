"""What a type checker says of an app: the types that its author reads in an editor, and the mistakes that it stops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paths import ROOT

pytestmark = pytest.mark.slow

APP = """
from microrollup import Address, Context, Action, Event, Map, MicroRollup, State, Uint64, replace, require
import msgspec


class Auction(msgspec.Struct, frozen=True):
    seller: Address
    bid: Uint64


class Auctions(State, frozen=True):
    auctions: Map[Uint64, Auction] = Map()


class Bid(Action, frozen=True):
    auction: Uint64
    amount: Uint64


def bid(state: Auctions, action: Bid, ctx: Context) -> Auctions:
    auction = state.auctions.get(action.auction)
    require(auction is not None and auction.bid < action.amount, "too low")
    return replace(state, auctions=state.auctions.set(1, Auction(ctx.sender, action.amount)))


class House(State, frozen=True):
    auctions: Auctions
    open: bool = True


class Shut(Action, frozen=True):
    pass


def shut(state: House, action: Shut, ctx: Context) -> House:
    require(len(state.auctions.auctions) == 0, "not empty")
    return replace(state, open=False)


s = Auctions()
house = House(auctions=s)
app = MicroRollup(name="auctions", version="1", genesis=house, stfs=[bid, shut])
"""


def check(tmp_path: Path, lines: str) -> list[str]:
    """What mypy in strict mode says of the app with these lines after it."""
    path = tmp_path / "checked_app.py"
    path.write_text(APP + lines)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(path)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "" == shown.stderr
    return [line.partition(": ")[2] for line in shown.stdout.splitlines()]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What it says of all right and wrong lines at once."""
    return check(
        tmp_path_factory.mktemp("typing"),
        "reveal_type(s.auctions.get(1))\n"
        "reveal_type(s.auctions.get(1, 5))\n"
        "reveal_type(s.auctions.get(1, None))\n"
        "reveal_type(s.auctions[1])\n"
        "reveal_type([auction.bid for _, auction in s.auctions.items()])\n"
        "reveal_type(s.auctions.transform(lambda number, auction: (number, auction.seller)))\n"
        "reveal_type(house.auctions.auctions.first())\n"
        "reveal_type(replace(house, auctions=s))\n"
        "s.auctions.get(1).bid\n"
        "s.auctions.set(1, 5)\n"
        "s.auctions.set(b'', Auction(b'', 1))\n",
    )


def test_a_value_that_may_be_missing_says_so(said: list[str]) -> None:
    """`get` gives the value or None, or the default; `[]` gives the value; a transformed map is one of the
    new values, and a part is its class.
    """
    assert [
        'note: Revealed type is "checked_app.Auction | None"',
        'note: Revealed type is "checked_app.Auction | int"',
        'note: Revealed type is "checked_app.Auction | None"',
        'note: Revealed type is "checked_app.Auction"',
        'note: Revealed type is "list[int]"',
        'note: Revealed type is "microrollup.declaration.map.Map[int, tuple[int, bytes]]"',
        'note: Revealed type is "tuple[int, checked_app.Auction] | None"',
        'note: Revealed type is "checked_app.House"',
    ] == [line.replace("builtins.", "") for line in said[:8]]


def test_mistakes_are_found(said: list[str]) -> None:
    """A missing value is not used unchecked, and a map takes its own keys and values only."""
    missing, value, key = said[8:]
    assert 'Item "None" of "Auction | None" has no attribute "bid"' in missing
    assert 'Argument 2 to "set" of "Map" has incompatible type "int"' in value
    assert 'Argument 1 to "set" of "Map" has incompatible type "bytes"' in key
