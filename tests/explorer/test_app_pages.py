"""Pages that an app declares, in a real browser in front of a real node of Keystore+."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from apps.keystore.plus.naming import compute_named_key
from apps.keystore.plus.vault import Transfer
from browser_fixtures import CONTRAST, Browser
from chromium import Chromium
from microrollup.declaration.rollup import load_rollup
from microrollup.testing.signing import sign_action
from node_fixtures import Caller
from plus_shown_site import serve_plus
from plus_world import ALICE, BOB, CODE, CONFIG, DAVE, ERIN, ETHER, PARENT, SENDERS, A, B, C, E

ABSENT = "0x" + "99" * 32
ALICES = compute_named_key(PARENT, "alice")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The node."""
    with serve_plus(tmp_path_factory.mktemp("plus")) as caller:
        yield caller


@pytest.fixture
def browser(chromium: Chromium, served: Caller) -> Iterator[Browser]:
    """The browser; whatever it complains about fails the test."""
    chromium.take_complaints()
    yield Browser(chromium, f"{served.url}/")
    chromium.get("about:blank")
    assert [] == [text for text in chromium.take_complaints() if "WebSocket connection" not in text]


def hex0x(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def find_proposal(served: Caller, key: bytes) -> str:
    """The one proposal for an account."""
    request = b'{"jsonrpc":"2.0","id":1,"method":"keystorePlus_recoveriesOf","params":["0x%s"]}' % key.hex().encode()
    (found,) = json.loads(served.post(request)[1])["result"]
    return str(found["proposal"])


def test_the_menu_has_the_pages(browser: Browser) -> None:
    """Those about one thing are not in it, but belong to the entry that leads to them."""
    browser.open()
    titles = browser.run("return [...document.querySelectorAll('nav.pages a')].map((a) => a.innerText)")
    assert [
        "Live",
        "State",
        "Check a proof",
        "Keys",
        "Accounts",
        "Balances",
        "Recoveries",
        "Names",
        "Fees",
        "Rollup",
        "Sign",
    ] == titles
    for address, current in (
        ("#/page/accounts", "Accounts"),
        (f"#/page/account/{hex0x(A)}", "Accounts"),
        ("#/page/name/alice", "Names"),
        ("#/state", "State"),
    ):
        browser.go(address)
        assert current == browser.text("nav.pages a[aria-current=page]")
    browser.go("#/page/nonsense")
    assert "Not found" == browser.text("h1")


def test_accounts_and_an_account(browser: Browser) -> None:
    """A table of all; by a link to one: what it is, has, allows, and who may recover it."""
    browser.open("#/page/accounts")
    rows = browser.read_sheet("accounts")
    assert 25 == len(rows)
    browser.run("document.querySelector('.sheet-more button').focus()")
    browser.press("Enter")
    browser.wait("return document.querySelectorAll('.sheet tbody tr').length === 40")
    assert 0 == browser.count(".sheet-more button")
    assert "A" == browser.run("return document.activeElement.tagName")
    rows = browser.read_sheet("accounts")
    assert 40 == len({row["account"] for row in rows})
    by_name = {row["name"]: row for row in rows}
    assert {"alice", "alice-savings", "\N{EN DASH}"} == set(by_name)
    ethers = {row["account"]: row["ether"] for row in rows}
    short = f"{hex0x(A)[:6]}…{A.hex()[-4:]}"
    assert "10.833333 ether" == ethers[short]
    assert "less than 0.000001 ether" in ethers.values()
    assert ["locked"] == [row["state"] for row in rows if row["state"] != "active"]

    browser.run("[...document.querySelectorAll('tbody th a')].find((a) => a.innerText === given[0]).click()", short)
    browser.wait("return document.querySelector('h1')?.innerText === 'Account'")
    facts = browser.read_facts("account")
    assert (hex0x(A), hex0x(ALICE), hex0x(CODE), hex0x(CONFIG)) == (
        facts["key"], facts["held by"], facts["code hash"], facts["config hash"]
    )  # fmt: skip
    assert "active" == facts["state"]
    assert "name" not in facts
    assert [("ether", "10.833333 ether"), ("0x7070…7070", "2,500,000")] == [
        (row["token"], row["amount"]) for row in browser.read_sheet("balances")
    ]
    assert [("in force", "1 of 4 ether"), ("announced", "0 of 6 ether")] == [
        (row["state"], row["spent"]) for row in browser.read_sheet("spendingRules")
    ]
    assert {"every other": "in force", "10": "nobody"} == {
        row["chain"]: row["state"] for row in browser.read_sheet("delegates")
    }
    (proposal,) = browser.read_sheet("recoveriesOf")
    assert ("open", "2 of 3", "veto") == (proposal["state"], proposal["votes"], proposal["mode"])
    assert proposal["this state ends"].startswith("in 4 d 23 h")
    empty = "Text records, Orders to other chains, Paid by fillers of other chains' orders, Sponsors"
    assert f"Nothing under: {empty}." == browser.text("main .note")
    browser.go(f"#/page/account/{hex0x(ALICES)}")
    assert "alice" == browser.read_facts("account")["name"]
    assert {"url": "https://alice.example", "description": "Words of Alice's own, a line long."} == {
        row["name"]: row["value"] for row in browser.read_sheet("texts")
    }


def test_balances(browser: Browser) -> None:
    """Tokens, and who has most of ether; by a link, who has most of another token."""
    browser.open("#/page/balances")
    assert {"ether": "20.333333 ether", "0x7070…7070": "2,500,001"} == {
        row["token"]: row["deposited ever"] for row in browser.read_sheet("tokens")
    }
    amounts = [row["amount"] for row in browser.read_sheet("holders")]
    assert ["10.833333 ether", "5 ether"] == amounts[:2]
    assert "less than 0.000001 ether" == amounts[-1]
    browser.run("[...document.querySelectorAll('tbody a')].find((a) => a.innerText.startsWith('0x7070')).click()")
    browser.wait("return document.querySelector('h1')?.innerText === 'Token'")
    assert ["2,500,000", "1"] == [row["amount"] for row in browser.read_sheet("holders")]


def test_everything_has_a_name(browser: Browser, served: Caller) -> None:
    """Each control, link and section has an accessible name; headings do not skip; ids are unique."""
    script = """
      const isNamed = (e) => e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim()
        || document.getElementById(e.getAttribute("aria-labelledby"));
      const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
      const levels = [...document.querySelectorAll("h1, h2, h3")].map((e) => Number(e.tagName[1]));
      return {
        nameless: [...document.querySelectorAll("a, button, input, section, nav")].filter((e) => !isNamed(e)).length,
        twice: ids.filter((id, i) => ids.indexOf(id) !== i),
        skips: levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1),
        nested: document.querySelectorAll("a a, a button, button a").length,
      };
    """
    browser.open()
    for address in ("accounts", "balances", f"account/{hex0x(A)}", f"recovery/{find_proposal(served, B)}", "fees"):
        browser.go(f"#/page/{address}")
        assert {"nameless": 0, "twice": [], "skips": [], "nested": 0} == browser.run(script), address


def test_recoveries(browser: Browser, served: Caller) -> None:
    """Pending proposals with votes and time left; one of them with its guardians; a locked account names its own."""
    browser.open("#/page/recoveries")
    rows = browser.read_sheet("recoveries")
    assert [("open", "2 of 3", "veto"), ("waiting", "2 of 2", "lock")] == [
        (row["state"], row["votes"], row["mode"]) for row in rows
    ]
    assert all(row["this state ends"].startswith("in 4 d") for row in rows)
    browser.go(f"#/page/recovery/{find_proposal(served, A)}")
    facts = browser.read_facts("recovery")
    assert ("open", "2 of 3", "0 of 1", hex0x(A)) == (
        facts["state"], facts["votes"], facts["votes against"], facts["account"]
    )  # fmt: skip
    voted = {row["id"]: row["vote"] for row in browser.read_sheet("guardians")}
    short = {address: f"{hex0x(address)[:6]}…{address.hex()[-4:]}" for address in (BOB, DAVE)}
    assert {short[BOB], short[DAVE]} == {id_ for id_, vote in voted.items() if vote == "supports"}
    assert 4 == len(voted)
    browser.go(f"#/page/account/{hex0x(B)}")
    assert ("locked", find_proposal(served, B)) == (
        (facts := browser.read_facts("account"))["state"], facts["recovery"]
    )  # fmt: skip


def test_names_fees_and_what_is_not_there(browser: Browser) -> None:
    """Look-ups by the keyboard; what is not there is said so."""
    browser.open("#/page/names")
    assert ["alice", "alice-savings"] == [row["name"] for row in browser.read_sheet("namedAccounts")]
    browser.run("document.querySelector('main form input').focus()")
    browser.press(*"alice", "Enter")
    browser.wait("return document.querySelector('h1')?.innerText === 'Name'")
    assert hex0x(ALICES) == browser.read_facts("findName")["account"]
    browser.go("#/page/name/nobody")
    assert "nobody has registered this name" in browser.text("main .failure.mild")
    browser.go("#/page/account/0x12")
    assert "does not accept" in browser.text("main .failure")
    browser.go("#/page/account")
    assert 0 == browser.count("main section")
    browser.go(f"#/page/account/{ABSENT}")
    assert "no such account" in browser.text("main .failure.mild")
    browser.go("#/page/fees")
    (price,) = browser.read_sheet("prices")
    assert ("5", "5", "50") == (price["price"], price["next"], price["at most, ever"])


def test_search_finds_them(browser: Browser, served: Caller) -> None:
    """The field for everything leads to the page that is about what was typed."""
    for text, title in (("alice-savings", "Name"), (hex0x(A), "Account"), (find_proposal(served, B), "Recovery")):
        browser.open()
        browser.search(text)
        browser.wait(f"return document.querySelector('h1')?.innerText === '{title}'")
        assert browser.run("return location.hash").endswith(f"/{text}")
    browser.search("nobody")
    browser.wait_for_text("#search-problem", "not a height")


def test_text_of_the_app_is_text(browser: Browser) -> None:
    """What somebody wrote into a name or a record is no code to the page."""
    browser.open("#/page/name/%3Cb%3Ebold%3C%2Fb%3E")
    assert "<b>bold</b>" == browser.run("return document.querySelector('main form input').value")
    assert 0 == browser.count("main b")


def test_a_page_is_of_one_block(browser: Browser, served: Caller) -> None:
    """A newer block does not change what is being read; a button shows it."""
    browser.open(f"#/page/account/{hex0x(C)}")
    assert "1 ether" == browser.read_sheet("balances")[0]["amount"]
    assert 0 == browser.count(".stamp button")
    config = served.call("config")["domain"]
    app = load_rollup("plus_shown")
    domain = app.make_domain(config["chainId"], bytes.fromhex(config["verifyingContract"][2:]))
    nonce = served.call("getNonce", sender=hex0x(ERIN))["next"]
    served.submit(sign_action(app, Transfer(E, C, ETHER, 10**17), nonce, SENDERS.keys[ERIN], domain))
    browser.wait("return document.querySelector('.stamp button')")
    assert "1 ether" == browser.read_sheet("balances")[0]["amount"]
    browser.run("document.querySelector('.stamp button').click()")
    browser.wait("return document.querySelector('[data-method$=balances] td')?.innerText === '1.1 ether'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_layout(browser: Browser, served: Caller, width: int, scheme: str) -> None:
    """Nothing sticks out at any width; on a phone each row is a list; text stands out from its ground."""
    for address in ("balances", "recoveries", f"account/{hex0x(A)}", f"recovery/{find_proposal(served, A)}"):
        browser.open(f"#/page/{address}", width=width, scheme=scheme)
        assert browser.run("return document.documentElement.scrollWidth") <= width, address
        assert browser.run(CONTRAST) >= 4.5, address
        display = browser.run("return getComputedStyle(document.querySelector('.sheet tbody tr')).display")
        assert ("grid" if width == 360 else "table-row") == display
