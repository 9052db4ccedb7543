"""Pages of an app: what the explorer gets of them, and what cannot be declared."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest

from apps.keystore import app as keystore
from apps.keystore.chains.methods import chains_of, chains_that_know
from apps.keystore.plus import app, queries
from apps.keystore.plus.vault import Transfer
from apps.keystore.queries import held
from microrollup import Act, Action, Column, MicroRollup, Page, Part
from microrollup.declaration.page import load_pages
from microrollup.declaration.query import load_methods, load_reads
from microrollup.errors import DeclarationError, UsageError
from zoo import zoo


@functools.cache
def read() -> Any:
    """The queries of Keystore+."""
    return load_reads(app)


class Vanish(Action, frozen=True):
    """An action of no app."""


def load(monkeypatch: pytest.MonkeyPatch, pages: Any) -> Any:
    """The pages of Keystore+, if its module of pages had these."""
    module = ModuleType("pages_of_a_test")
    module.PAGES = pages  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(app, "pages", module.__name__)
    return load_pages(app, read())


ACCOUNT = Page("account", "Account", (Part(queries.account, "Now", (Column("code_hash"),)),), parameter="key")


def test_what_the_explorer_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names as in JSON, the kind of each answer, and all columns where none is named."""
    parts = (Part(queries.accounts, "All"), Part(queries.prices, "Prices", (Column("price", "now", unit="token"),)))
    menu, account = load(monkeypatch, (Page("all", "All", parts, "Everything.", finds="account"), ACCOUNT))
    assert ("all", "All", "Everything.", None, "account") == (
        menu.name, menu.title, menu.summary, menu.parameter, menu.finds
    )  # fmt: skip
    assert [("keystorePlus_accounts", "pages"), ("keystorePlus_prices", "list")] == [
        (part.method, part.kind) for part in menu.parts
    ]
    assert ["key", "name", "vk", "ether", "state"] == [column.member for column in menu.parts[0].columns]
    (price,) = menu.parts[1].columns
    assert ("price", "now", "plain", "token") == (price.member, price.title, price.form, price.unit)
    assert ("key", "one", "codeHash", "code hash") == (
        account.parameter, account.parts[0].kind,
        account.parts[0].columns[0].member, account.parts[0].columns[0].title,
    )  # fmt: skip
    assert () == load_pages(zoo, None)


def test_acts_of_pages_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buttons name an action and the members of a row that fill it, as in JSON."""
    fills = {"from_key": "key"}
    act = Act(Transfer, "Pay", fills)
    part = Part(queries.account, "Now", (Column("code_hash"),), (act,))
    (mine,) = load(
        monkeypatch, (Page("mine", "Mine", (part,), parameter="key", of_signer=True, acts=(Act(Transfer, "Pay"),)),)
    )
    assert (True, "key", [("Pay", "Transfer", {})]) == (
        mine.of_signer, mine.parameter, [(each.title, each.action, each.fills) for each in mine.acts]
    )  # fmt: skip
    assert [("Pay", "Transfer", {"fromKey": "key"})] == [
        (each.title, each.action, each.fills) for each in mine.parts[0].acts
    ]


def one(part: Part, **more: Any) -> tuple[Page, ...]:
    return (Page("one", "One", (part,), **more),)


@pytest.mark.parametrize(
    ("pages", "error"),
    [
        ([ACCOUNT], "no PAGES"),
        ((), "no PAGES"),
        ((ACCOUNT, "account"), "no PAGES"),
        (tuple([msgspec.structs.replace(ACCOUNT, name=f"a{n}") for n in range(33)]), "at most 32"),
        ((ACCOUNT, ACCOUNT), "two pages"),
        ((msgspec.structs.replace(ACCOUNT, name="An account"),), "not a page's name"),
        ((msgspec.structs.replace(ACCOUNT, parts=()),), "1 to 32 parts"),
        ((msgspec.structs.replace(ACCOUNT, finds="names"),), "not a page with a parameter"),
        (one(Part(queries.accounts, "All"), of_signer=True), "names the parameter"),
        (one(Part(queries.accounts, "All"), acts=(Act(Vanish, "Vanish"),)), "not an action of the app"),
        (one(Part(queries.accounts, "All"), acts=(Act(Transfer, "Pay", {"from_key": "key"}),)), "no row has"),
        (one(Part(queries.accounts, "All", acts=(Act(Transfer, "Pay", {"whom": "key"}),))), "no member 'whom'"),
        (one(Part(queries.accounts, "All", acts=(Act(Transfer, "Pay", {"from_key": "whom"}),))), "no row has"),
        (one(Part(queries.accounts, "All", acts=(Act(Transfer, "Pay"),) * 9)), "at most 8"),
        (one(Part(load, "Load")), "not a query"),
        (one(Part(queries.accounts, "All"), fields={"word": "A word"}), "none of its queries"),
        (one(Part(queries.accounts, "All"), fields={f"f{n}": "" for n in range(5)}), "at most 4"),
        (one(Part(queries.account, "Account")), "needs 'key'"),
        (one(Part(queries.prices, "Prices"), parameter="key"), "no parameter 'key'"),
        (one(Part(queries.prices, "Prices", (Column("amount"),))), "no member 'amount'"),
        (one(Part(queries.prices, "Prices", (Column("price", unit="coin"),))), "no member 'coin'"),
        (one(Part(queries.prices, "Prices", (Column("price", form="money"),))), "not a form"),  # type: ignore[arg-type]
        (one(Part(queries.prices, "Prices", (Column("price", form="progress"),))), "`of` goes with"),
        (one(Part(queries.prices, "Prices", (Column("price", of="cap"),))), "`of` goes with"),
        (one(Part(queries.prices, "Prices", (Column("price", page="coin"),))), "not a page with a parameter"),
    ],
)
def test_what_cannot_be_shown(monkeypatch: pytest.MonkeyPatch, pages: Any, error: str) -> None:
    """Said in words when a node loads the pages."""
    with pytest.raises(DeclarationError, match=error):
        load(monkeypatch, pages)


def test_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is not there, pages without queries, and a name that is not text."""
    monkeypatch.setattr(app, "pages", "no_such_pages")
    with pytest.raises(UsageError, match="cannot be imported"):
        load_pages(app, read())
    with pytest.raises(DeclarationError, match="name their module too"):
        load_pages(app, None)
    arguments: Any = {"name": "zoo", "version": "1", "genesis": zoo.genesis, "stfs": list(zoo.stf_by_action.values())}
    with pytest.raises(DeclarationError, match="module's name"):
        MicroRollup(**arguments, pages=[ACCOUNT])


def test_methods_on_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a set that is not served is left out, and a page without parts too; each is asked what it takes."""
    monkeypatch.setattr(keystore, "pages", "pages_of_a_test")
    module = ModuleType("pages_of_a_test")
    module.PAGES = (  # type: ignore[attr-defined]
        Page("keys", "Keys", (Part(held, "Accounts"), Part(chains_of, "Chains")), parameter="sender"),
        Page("chains", "Chains", (Part(chains_that_know, "Chains"),), fields={"key": "The account's key"}),
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    reads = load_reads(keystore)
    (keys,) = load_pages(keystore, reads)
    assert [("keystore_held", ("sender", "height"))] == [(part.method, part.parameters) for part in keys.parts]
    keys, chains = load_pages(keystore, reads, load_methods(keystore, ("chains",)))
    assert ("keystore_chainsOf", ("sender",)) == (keys.parts[1].method, keys.parts[1].parameters)
    assert ({"key": "The account's key"}, ("key",)) == (chains.fields, chains.parts[0].parameters)
