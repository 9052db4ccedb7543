"""An app that was edited between two commands: what is refused, by which name, and what goes on."""

import sys
from itertools import count

import pytest

from command_line import cli
from microrollup.crypto.ecdsa import load_private_key
from microrollup.declaration.rollup import load_rollup
from microrollup.testing.signing import sign_action

__all__ = ["cli"]

NUMBERS = count()
KEY = load_private_key(b"\x07" * 32)

APP = """from msgspec import Struct
from microrollup import Action, Context, Map, MicroRollup, State, Uint64, replace
from {rules} import STEP


class Item(Struct, frozen=True, array_like=True):
    stock: Uint64


class Shop(State, frozen=True):
    sold: Uint64 = 0
    items: Map[Uint64, Item] = Map()


class Buy(Action, frozen=True):
    count: Uint64


class Close(Action, frozen=True):
    at: Uint64


def buy(state: Shop, action: Buy, ctx: Context) -> Shop:
    return replace(state, sold=state.sold + action.count * STEP, items=state.items.set(action.count, Item(stock=1)))


def close(state: Shop, action: Close, ctx: Context) -> Shop:
    return state


app = MicroRollup(name="shop", version="1", genesis=Shop(), stfs=[buy, close])
"""


class Shop:
    """The app's two files, and commands over one data directory."""

    def __init__(self, root, cli) -> None:
        number = next(NUMBERS)
        self.root, self.cli = root, cli
        self.app, self.rules, self.nonce = f"cli_shop_{number}", f"cli_rules_{number}", 0
        self.write()

    def write(self, app: str = APP, rules: str = "STEP = 3\n") -> None:
        (self.root / f"{self.app}.py").write_text(app.format(rules=self.rules))
        (self.root / f"{self.rules}.py").write_text(rules)
        for name in (self.app, self.rules):
            sys.modules.pop(name, None)

    def buy(self) -> tuple[object, ...]:
        """The arguments of an import of one more action."""
        rollup = load_rollup(self.app)
        action = next(cls for cls in rollup.stf_by_action if cls.__name__ == "Buy")
        line = sign_action(rollup, action(count=1), self.nonce, KEY)
        self.nonce += 1
        path = self.root / "lines.jsonl"
        path.write_bytes(line + b"\n")
        return "import", self.app, path, "--data", self.root / "data", "--workers", 0


@pytest.fixture
def shop(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    made = Shop(tmp_path, cli)
    cli.ask(*made.buy())
    return made


REFUSED = {
    "a rule": (("* STEP", "* STEP * 2"), None, "changed"),
    "a rule beside the app": (None, "STEP = 4\n", "changed"),
    "a member added to a struct in a map": (("stock: Uint64", "stock: Uint64\n    shelf: Uint64 = 0"), None, "changed"),
    "an action removed": (("[buy, close]", "[buy]"), None, "the actions' schemas changed"),
    "a default": (("sold: Uint64 = 0", "sold: Uint64 = 1"), None, "changed"),
    "the version": (('version="1"', 'version="2"'), None, "domain of this rollup has name 'shop', version '1'"),
}


@pytest.mark.parametrize("edit", REFUSED)
def test_an_edited_app_is_refused(shop, cli, edit) -> None:
    """Each edit that could change an outcome stops the next import before anything is taken, with its name."""
    app, rules, said = REFUSED[edit]
    lines = shop.buy()
    shop.write(APP.replace(*app) if app else APP, rules or "STEP = 3\n")
    assert said in cli.refuse(*lines)
    shop.write()
    assert 1 == cli.ask(*lines)["executed"]


def test_comments_are_no_change(shop, cli) -> None:
    """Comments, docstrings and formatting may be edited at any time."""
    shop.write('"""A shop."""\n' + APP.replace("return state\n", "return state  # nothing yet\n"), "STEP = (3)\n")
    assert 1 == cli.ask(*shop.buy())["executed"]


def test_a_verifier_with_other_code_gives_no_verdict(shop, cli) -> None:
    """`verify` of somebody else's blocks by edited code names the file and exits with 2, not as a divergence with 1."""
    blocks = shop.root / "blocks"
    cli.ask("export", shop.app, "--data", shop.root / "data", "--out", blocks)
    shop.write(rules="STEP = 4\n")
    said = cli.refuse("verify", shop.app, "--from", blocks, "--workers", 0)
    assert f"built block 1: {shop.rules} changed" in said
    shop.write()
    assert 0 == cli("verify", shop.app, "--from", blocks, "--workers", 0).code
