"""Keystore+'s page of keys: guardians support, owners cancel, the next holder finishes, with wallets in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browser_fixtures import CONTRAST, Browser
from chromium import Chromium
from microrollup.codec.json import hex0x
from node_fixtures import Caller
from plus_shown_site import serve_plus
from plus_world import ALICE, CAROL, FRANK, SENDERS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The node; what happens to it is this file's alone."""
    with serve_plus(tmp_path_factory.mktemp("plus"), ()) as caller:
        yield caller


@pytest.fixture
def browser(chromium: Chromium, served: Caller) -> Iterator[Browser]:
    """With a wallet; whatever the page complains about fails the test."""
    chromium.take_complaints()
    yield Browser(chromium, f"{served.url}/?wallet")
    chromium.get("about:blank")
    assert [] == [text for text in chromium.take_complaints() if "WebSocket connection" not in text]


def connect(browser: Browser, sender: bytes, part: str) -> list[dict[str, str]]:
    """Open the page of keys with another wallet: the rows of a part."""
    browser.open("#/page/keys")
    browser.click("Connect a wallet")
    browser.answer("eth_requestAccounts", [hex0x(sender)])
    browser.wait(f"return document.querySelector('section[data-method$=_{part}] tbody tr')")
    return browser.read_sheet(part)


def act(browser: Browser, button: str, sender: bytes) -> str:
    """Press a button, sign what it leads to: what the node said."""
    browser.click(button)
    browser.wait("return document.querySelector('h1')?.innerText.startsWith('Sign ')")
    browser.click("Sign and submit")
    browser.answer_with(SENDERS.keys[sender].secret)
    browser.wait("return document.querySelector('main .badge, main form .problem:not(:empty)')")
    if problem := browser.text("main form .problem"):
        return problem
    browser.wait("return document.querySelector('main .rungs .done[data-level=C1]')")
    return browser.text("main .badge")


def test_a_recovery_by_its_buttons(browser: Browser) -> None:
    """The third guardian supports, the owner cancels; the next holder of another account hears that it is too early."""
    rows = connect(browser, CAROL, "votesDue")
    assert [("open", "2 of 3", ""), ("waiting", "2 of 2", "supports")] == [
        (row["state"], row["votes"], row["your vote"].strip("\N{EN DASH}")) for row in rows
    ]
    for width, scheme in ((320, "light"), (1200, "dark")):
        browser.chromium.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
            mobile=width < 500)  # fmt: skip
        browser.chromium.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.run(CONTRAST) >= 4.5
    assert "executed" == act(browser, "Support", CAROL)

    rows = connect(browser, ALICE, "ownRecoveries")
    assert [("waiting", "3 of 3", "0 of 1")] == [(row["state"], row["votes"], row["votes against"]) for row in rows]
    (policy,) = browser.read_sheet("ownPolicies")
    assert ("in force", "3", "4", "veto", "5 d") == tuple(
        policy[name] for name in ("state", "votes needed", "guardians", "mode", "delay")
    )
    assert "executed" == act(browser, "Cancel", ALICE)
    browser.go("#/page/keys")
    browser.wait_for_text("main", "Recoveries of your accounts")
    assert "Recoveries of your accounts" in browser.text("main > div .note:last-child")

    (row,) = connect(browser, FRANK, "recoveriesToFinish")
    assert ("waiting", "lock") == (row["state"], row["mode"])
    assert "the delay is not over" in act(browser, "Finish", FRANK)
