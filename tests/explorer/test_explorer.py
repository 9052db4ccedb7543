"""The explorer in a real browser, in front of a real ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from apps.keystore import app
from browser_fixtures import Browser
from chromium import Chromium
from kernel_fixtures import Signer, make_random_edit
from microrollup.crypto.keccak import keccak256
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.explorer import INDEX_PATH, SECURITY_HEADERS, load_static_files
from paths import KEYSTORE_DATA
from waiting import wait_for
from zoo import zoo

LINES = (KEYSTORE_DATA / "wallet-actions.jsonl").read_bytes().splitlines()
ABSENT_KEY = "0x" + "11" * 32


# --- the files -------------------------------------------------------------------------------------------------------


def test_files_are_served_by_path() -> None:
    """The page stands at `/`, its parts under `/explorer/`, each with its media type and an etag."""
    files = load_static_files()
    assert INDEX_PATH in files
    assert {"/explorer/app.js", "/explorer/style.css", "/explorer/icon.svg"} < set(files)
    assert {"text/html", "text/css", "text/javascript", "image/svg+xml"} == {
        file.media_type.split(";")[0] for file in files.values()
    }
    assert len(files) == len({file.etag for file in files.values()})
    assert all(file.etag[0] == file.etag[-1] == '"' for file in files.values())
    assert not any(path.endswith(".py") for path in files)


def test_nothing_comes_from_outside_and_nothing_is_html() -> None:
    """No file names another host, no script inserts text as HTML or runs text, and the page has no inline code."""
    for path, file in load_static_files().items():
        text = file.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "DOMParser",
        ):
            assert word not in text, f"{path}: {word}"
    page = load_static_files()["/"].body.decode()
    assert "<style" not in page
    assert " style=" not in page
    assert "<script>" not in page
    assert " on" not in page.replace(" only", "")


def test_policy_forbids_all_that_is_not_needed() -> None:
    """Scripts, styles and connections come from the page's own origin; nothing else is allowed."""
    policy = dict(part.strip().split(" ", 1) for part in SECURITY_HEADERS["Content-Security-Policy"].split(";"))
    assert "'none'" == policy["default-src"]
    assert {"'self'"} == {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")}
    assert "unsafe" not in SECURITY_HEADERS["Content-Security-Policy"]


# --- a browser and a node --------------------------------------------------------------------------------------------


class Site:
    """A fake node with the keystore, what it has not been given yet, and where it is served."""

    def __init__(self, node: Any, actions: list[Authenticated], url: str) -> None:
        self.node = node
        self.url = url
        self._actions = iter(actions)

    def add_block(self, size: int = 3) -> int:
        """The height of a new block of further actions."""
        return int(self.node.add_block([next(self._actions) for _ in range(size)]).height)

    def find(self, **wanted: str) -> dict[str, Any]:
        """The first action with these members, of those that changed something if it was executed."""
        return next(
            action
            for action in self.node.actions
            if all(action[name] == value for name, value in wanted.items())
            and (action["changes"] or action["status"] != "executed")
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The keystore with twelve blocks of what two wallet libraries signed."""
    from explorer_fake import FakeNode, serve

    authenticator = Authenticator(app.action_types, app.make_domain())
    actions = [authenticator.authenticate_line(line) for line in LINES[:400]]
    node = FakeNode(tmp_path_factory.mktemp("node") / "data", app)
    with serve(node) as url:
        site = Site(node, actions, url)
        for number in range(12):
            site.add_block(9 + number % 4 * 8)
        node.heights.update(verified=11, available=9, settled=8)
        yield site
    node.close()


@pytest.fixture
def site(served: Site) -> Iterator[Site]:
    """The served node, healthy again after each test."""
    yield served
    node = served.node
    node.alter_proof = lambda proof: proof
    node.refuse_sockets = False
    node.status = {**node.status, "intake": "open", "reason": None, "divergence": None}


@pytest.fixture
def browser(chromium: Chromium, site: Site) -> Iterator[Browser]:
    """The browser; whatever it complains about fails the test."""
    chromium.take_complaints()
    yield Browser(chromium, site.url)
    chromium.get("about:blank")
    complaints = chromium.take_complaints()
    assert [] == [text for text in complaints if "WebSocket connection" not in text and "ERR_CONNECTION" not in text]


# --- keccak256 and proofs, apart from the page -----------------------------------------------------------------------


def test_keccak_is_ethereums(browser: Browser) -> None:
    """The browser's keccak256 equals the kernel's for known vectors and for every length around its block size."""
    browser.open()
    rng = Random(1)
    messages = [
        b"",
        b"abc",
        *(rng.randbytes(length) for length in (1, 31, 32, 64, 99, 134, 135, 136, 137, 271, 272, 273, 1000)),
    ]
    body = """
      const { keccak256 } = await import("/explorer/keccak.js");
      const { fromHex, toHex } = await import("/explorer/bytes.js");
      return given[0].map((message) => toHex(keccak256(fromHex(message))));
    """
    found = browser.run(body, [f"0x{message.hex()}" for message in messages])
    assert "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470" == found[0]
    assert "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45" == found[1]
    assert [f"0x{keccak256(message).hex()}" for message in messages] == found


def check_proof(browser: Browser, proof: dict[str, Any], silo: int = 0) -> Any:
    """What `proof.js` says of a proof: true, false, or the error's text."""
    body = """
      const { checkStateProof } = await import("/explorer/proof.js");
      try {
        return checkStateProof(given[0], { silo: given[1] }).matches;
      } catch (error) {
        return `refused: ${error.message}`;
      }
    """
    return browser.run(body, proof, silo)


def alter_deeply(value: Any) -> Iterator[Any]:
    """The value with one part altered, for each part that says something."""
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(part, dict | list):
            others: Iterator[Any] = alter_deeply(part)
        elif isinstance(part, bool):
            others = iter([not part])
        elif isinstance(part, int):
            others = iter([part ^ 1])
        else:
            others = iter([part[:-1] + "0123456789abcdef"[int(part[-1], 16) ^ 1]])
        for other in others:
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[name] = other
            yield copy


@pytest.mark.parametrize("present", [True, False])
def test_altered_proofs_are_refused(browser: Browser, site: Site, present: bool) -> None:
    """A proof of presence or absence matches as it came, and no longer once any bit that it stands on is another."""
    key = site.find(type="Register", status="executed")["changes"][0]["key"] if present else ABSENT_KEY
    proof = {
        name: part
        for name, part in site.node.do_getProof("accounts", key).items()
        if name not in ("key", "stored", "height", "field")
    }
    if not present:
        del proof["value"]
    browser.open()
    assert check_proof(browser, proof) is True
    assert check_proof(browser, proof, silo=1) is False
    altered = list(alter_deeply(proof))
    assert len(altered) > 15
    for other in altered:
        assert check_proof(browser, other) is not True, other


def test_unused_leaf_excludes_nothing(browser: Browser, site: Site) -> None:
    """A leaf that is not active shows no key absent, wide though its gap may be; nor does half a gap."""
    body = """
      const { judgeLeaf } = await import("/explorer/proof.js");
      return given[0].map(([leaf, key]) => judgeLeaf(leaf, key));
    """
    words = [f"0x{number:064x}" for number in range(6)]
    leaf = {"active": 1, "prefix": 1, "key": words[2], "nextPrefix": 1, "nextKey": words[4], "valueHash": words[0]}
    cases = [
        (leaf, words[3], "excluded"),
        (leaf, words[2], "included"),
        (leaf, words[1], "nothing"),
        (leaf, words[4], "nothing"),
        (leaf, words[5], "nothing"),
        ({**leaf, "nextPrefix": 0}, words[5], "excluded"),
        ({**leaf, "nextPrefix": 0}, words[1], "nothing"),
        ({**leaf, "prefix": 0, "key": words[0]}, words[1], "excluded"),
        ({**leaf, "prefix": 0, "key": words[0]}, words[5], "nothing"),
        ({**leaf, "active": 0, "prefix": 0, "nextPrefix": 0}, words[3], "nothing"),
        ({**leaf, "active": 0}, words[2], "nothing"),
    ]
    browser.open()
    assert [expected for _, _, expected in cases] == browser.run(body, [case[:2] for case in cases])


# --- live ------------------------------------------------------------------------------------------------------------


def test_page_shows_the_newest_blocks_and_gets_new_ones(browser: Browser, site: Site) -> None:
    """What exists is shown at once; a new block appears without asking, and rises as it is confirmed."""
    browser.open()
    latest = site.node.heights["latest"]
    assert "keystore" == browser.text("#rollup-name")
    browser.wait("return document.getElementById('connection').dataset.state === 'live'")
    browser.wait(f"return document.querySelector(\"tr[data-height='{latest}']\")")
    browser.wait("return document.querySelectorAll('.feed li[data-seq]').length === 14")
    height = site.add_block()
    assert latest + 1 == height
    browser.wait(f"return document.querySelector(\"tr[data-height='{height}'] [data-level='C1']\")")
    browser.wait(f"return document.querySelector(\"li[data-seq='{len(site.node.actions) - 1}']\")")
    for level in ("C2", "C3A", "C3B"):
        site.node.confirm(height, level)
        browser.wait(f"return document.querySelector(\"tr[data-height='{height}'] [data-level='{level}']\")")
    assert [str(height)] * 4 == browser.run(
        "return [...document.querySelectorAll('.rung-height')].map((a) => a.innerText)"
    )


def test_pause_holds_the_page_still(browser: Browser, site: Site) -> None:
    """While paused nothing moves; afterwards everything is there."""
    browser.open()
    browser.wait("return document.getElementById('connection').dataset.state === 'live'")
    browser.run("document.querySelector('.pause').click()")
    assert "true" == browser.run("return document.querySelector('.pause').getAttribute('aria-pressed')")
    height = site.add_block()
    time.sleep(0.6)
    assert 0 == browser.count(f"tr[data-height='{height}']")
    browser.run("document.querySelector('.pause').click()")
    browser.wait(f"return document.querySelector(\"tr[data-height='{height}']\")")


def test_lost_connection_is_resumed_from_the_cursor(browser: Browser, site: Site) -> None:
    """Without a WebSocket the page says so and polls; once there is one again it resumes behind what it has seen."""
    browser.open()
    browser.wait("return document.getElementById('connection').dataset.state === 'live'")
    seen = site.add_block()
    browser.wait(f"return document.querySelector(\"tr[data-height='{seen}']\")")
    site.node.subscribed.clear()
    site.node.refuse_sockets = True
    site.node.drop_sockets()
    browser.wait_for_text("#banner", "No live connection")
    missed = site.add_block()
    browser.wait(f"return document.querySelector(\"tr[data-height='{missed}']\")")
    site.node.refuse_sockets = False
    browser.run("document.querySelector('[data-notice=polling] button').click()")
    browser.wait("return document.getElementById('connection').dataset.state === 'live'")
    browser.wait("return document.querySelector('#banner').innerText === ''")
    wait_for(lambda: {"blocks", "receipts"} <= dict(site.node.subscribed).keys())
    resumed = dict(site.node.subscribed)
    assert seen <= resumed["blocks"] <= missed
    assert len(site.node.actions) - 4 <= resumed["receipts"] < len(site.node.actions)
    later = site.add_block()
    browser.wait(f"return document.querySelector(\"tr[data-height='{later}']\")")


def test_too_many_receipts_are_sampled(browser: Browser, site: Site) -> None:
    """A page that was dropped for being slow comes back without the receipts' stream and fetches the newest ones."""
    browser.open()
    browser.wait("return document.getElementById('connection').dataset.state === 'live'")
    site.node.subscribed.clear()
    site.node.drop_slow()
    wait_for(lambda: len(site.node.subscribed) > 1)
    browser.wait("return document.getElementById('connection').dataset.state === 'live'")
    assert ["blocks", "confirmations"] == sorted(topic for topic, _ in site.node.subscribed)
    site.add_block()
    browser.wait(f"return document.querySelector(\"li[data-seq='{len(site.node.actions) - 1}']\")")
    assert "too fast to show each one" in browser.text("main")


def test_stopped_intake_is_shown_on_every_page(browser: Browser, site: Site) -> None:
    """After a C2X each page begins with it, with the reason as text; the invalid blocks are marked."""
    browser.open()
    latest = site.add_block()  # one that nothing has confirmed
    browser.wait(f"return document.querySelector(\"tr[data-height='{latest}']\")")
    site.node.stop_intake("block 12 differs in stateRoot <b>bold</b>", invalid_from=latest)
    browser.wait_for_text("#banner", "Intake is stopped")
    assert "differs in stateRoot <b>bold</b>" in browser.text("#banner")
    assert 0 == browser.count("#banner b")
    assert f"another stateRoot in block {latest}" in browser.text("#banner")
    browser.wait(f"return document.querySelector(\"tr[data-height='{latest}'] [data-level='C2X']\")")
    for address in ("#/state", "#/rollup", f"#/block/{latest}"):
        browser.go(address)
        browser.wait_for_text("[data-notice=stopped]", "takes no new actions")
    browser.wait("return document.querySelector(\"h1 + span [data-level='C2X']\")")


# --- looking up ------------------------------------------------------------------------------------------------------


def test_search_leads_to_blocks_actions_senders_and_keys(browser: Browser, site: Site) -> None:
    """One field takes a height, an action's hash, an address and a key; what is none of them is answered in words."""
    action = site.find(type="Register", status="executed")
    browser.open()
    browser.search("4")
    browser.wait_for_text("h1", "Block 4")
    browser.search(action["hash"])
    browser.wait_for_text("h1", "Register")
    browser.wait("return document.querySelector('[data-verdict=match]')")
    assert action["hash"] in browser.text("main")
    assert action["message"]["codeHash"] in browser.text("main")
    browser.search(action["sender"])
    browser.wait_for_text("h1", "Sender")
    expected = site.node.do_getNonce(action["sender"])["next"]
    assert expected > 0
    assert str(expected) == browser.text("[data-nonce]")
    browser.search(action["changes"][0]["key"])
    browser.wait_for_text("h1", "State")
    browser.wait("return document.querySelector('[data-exists=true]')")
    browser.search("what is this")
    browser.wait_for_text("#search-problem", "not a height, hash, address or key")


def test_missing_things_are_said_plainly(browser: Browser, site: Site) -> None:
    """An unknown action, block, page, field or key type each gets a sentence and no empty page."""
    browser.open(f"#/action/{ABSENT_KEY}")
    assert "Nothing found" in browser.text("[data-code='-32001']")
    browser.go("#/block/999999")
    assert "there is no block 999999" in browser.text("[data-code='-32001']")
    browser.go("#/nowhere")
    assert "Not found" in browser.text("h1")
    browser.go("#/state/nothing/0x00")
    assert "No field nothing" in browser.text("main")
    browser.go("#/state/accounts/0x1234")
    assert "does not accept" in browser.text("[data-code='-32602']")


def test_text_from_the_node_is_never_html(browser: Browser, site: Site) -> None:
    """Markup in a reason, an event's name and a type is shown as its characters."""
    action = site.find(type="Update", status="executed")
    markup = "<img src=x onerror=document.title='owned'>"
    known = dict(action)
    action.update(
        reason=markup, type=markup, events=[{"name": markup, "data": "0x", "fields": {markup: [markup, {"a": markup}]}}]
    )
    try:
        for address in (f"#/action/{action['hash']}", f"#/block/{action['height']}"):
            browser.open(address)
            browser.wait_for_text("main", markup)
            assert 0 == browser.count("main img")
            assert "owned" != browser.run("return document.title")
    finally:
        action.update(known)


# --- proofs ----------------------------------------------------------------------------------------------------------


def test_proof_folds_to_the_state_root(browser: Browser, site: Site) -> None:
    """A key's proof is drawn and folded; its root is that of the block; each step names its hashes in full."""
    action = site.find(type="Update", status="executed")
    key = action["changes"][0]["key"]
    browser.open(f"#/state/accounts/{key}?height={action['height']}")
    browser.wait("return document.querySelector('[data-verdict=match]')")
    root = site.node.do_getHeader(action["height"])["stateRoot"]
    proof = site.node.do_getProof("accounts", key, action["height"])
    assert 6 == browser.count(".checks li.good")
    assert 0 == browser.count(".checks li.bad")
    assert root in browser.run("return document.querySelector('.node.root title').textContent")
    assert 2 * len(proof["siblings"]) + 2 == browser.count(".tree-drawing .node")
    assert root in browser.text(".equation")
    browser.run("const s = document.querySelector('.stepper input'); s.value = 1; s.dispatchEvent(new Event('input'))")
    assert proof["siblings"][0] in browser.text(".equation")
    assert action["changes"][0]["after"]["data"] in browser.text("[data-exists]")


def test_absence_is_proven(browser: Browser, site: Site) -> None:
    """A key that was never set is shown as absent, with the leaf and successor around it."""
    browser.open(f"#/state/accounts/{ABSENT_KEY}")
    browser.wait("return document.querySelector('[data-verdict=match]')")
    assert "Nothing there" in browser.text("[data-exists=false]")
    assert "no room for the key" in browser.text(".checks")


def flip_sibling(proof: dict[str, Any]) -> dict[str, Any]:
    return {**proof, "siblings": [ABSENT_KEY, *proof["siblings"][1:]]}


def change_value(proof: dict[str, Any]) -> dict[str, Any]:
    return {**proof, "value": "0x" + "22" * 64}


def change_root(proof: dict[str, Any]) -> dict[str, Any]:
    return {**proof, "stateRoot": ABSENT_KEY}


def take_other_key(proof: dict[str, Any]) -> dict[str, Any]:
    return {**proof, "encodedKey": ABSENT_KEY}


@pytest.mark.parametrize("alter", [flip_sibling, change_value, change_root, take_other_key])
def test_corrupt_proof_is_a_mismatch(
    browser: Browser, site: Site, alter: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """A node that gives a wrong proof is contradicted in red, with the check that failed."""
    site.node.alter_proof = alter
    key = site.find(type="Register", status="executed")["changes"][0]["key"]
    browser.open(f"#/state/accounts/{key}")
    assert "Mismatch" in browser.text("[data-verdict=mismatch]")
    assert browser.count(".checks li.bad") >= 1
    assert 0 == browser.count("[data-verdict=match]")


def test_malformed_proof_is_said_to_be_none(browser: Browser, site: Site) -> None:
    """A proof with a sibling of another size is refused before any folding."""
    site.node.alter_proof = lambda proof: {**proof, "siblings": ["0x12", *proof["siblings"][1:]]}
    browser.open(f"#/state/accounts/{ABSENT_KEY}")
    assert "not 32 bytes" in browser.text("[data-verdict=malformed]")


def test_visitor_sees_it_fail(browser: Browser, site: Site) -> None:
    """Flipping one bit turns the way from there to the root red, and back."""
    browser.open(f"#/state/accounts/{ABSENT_KEY}")
    depth = len(site.node.do_getProof("accounts", ABSENT_KEY)["siblings"])
    browser.choose(".tamper select", "2")
    assert "Mismatch" in browser.text(".verdict")
    assert depth - 3 == browser.count(".node.way.altered")
    assert 1 == browser.count(".node.root.mismatch")
    browser.choose(".tamper select", "none")
    assert "Match" in browser.text(".verdict")
    assert 1 == browser.count(".node.root.match")


def test_proof_from_elsewhere_is_checked(browser: Browser, site: Site) -> None:
    """A pasted proof is folded and held against the node's header; text that is no proof is said to be none."""
    key = site.find(type="Register", status="executed")["changes"][0]["key"]
    proof = site.node.do_getProof("accounts", key)
    other_height = {**proof, "height": 3}
    browser.open("#/check")
    for text, verdict in (
        ("no", "malformed"),
        (json.dumps(proof), "match"),
        ("[]", "malformed"),
        (json.dumps(other_height), "mismatch"),
    ):
        browser.run("document.querySelector('textarea').value = given[0]", text)
        browser.run("document.querySelector('main form button').click()")
        browser.wait(f"return document.querySelector('[data-verdict={verdict}]')")


def test_receipt_is_proven_in_its_block(browser: Browser, site: Site) -> None:
    """An action's page folds the receipt to the receipts root of a header that it hashes itself; a rejected one too."""
    for status in ("executed", "rejected"):
        action = site.find(status=status)
        browser.open(f"#/action/{action['hash']}")
        browser.wait("return document.querySelector('[data-verdict=match]')")
        assert "receipts root" in browser.run("return document.querySelector('.node.root').textContent")
        assert action["reason"] in browser.text("main")


# --- step by step ----------------------------------------------------------------------------------------------------


def test_block_shows_what_each_action_changed(browser: Browser, site: Site) -> None:
    """Stepping through a block shows each action's keys with their values before and after; the header is hashed."""
    action = site.find(type="Update", status="executed")
    header = site.node.do_getHeader(action["height"])
    step = action["seq"] - header["firstSeq"]
    change = action["changes"][0]
    browser.open(f"#/block/{action['height']}")
    assert 1 == browser.count("[data-header=match]")
    assert f"action 1 of {header['actionCount']}" in browser.text(".stepper")
    for _ in range(step):
        browser.run("[...document.querySelectorAll('.stepper button')].at(-1).click()")
    assert f"action {step + 1} of" in browser.text(".stepper output")
    shown = browser.text(".change")
    assert change["key"] in shown
    assert change["before"]["data"] in shown
    assert change["after"]["data"] in shown
    assert f"step={step}" in browser.run("return location.hash")
    browser.run("document.querySelector('.step-list button').click()")
    assert "action 1 of" in browser.text(".stepper output")


def test_rejected_action_changed_nothing(browser: Browser, site: Site) -> None:
    """A rejected action's step says why, and that the state stayed as it was."""
    action = site.find(status="rejected")
    step = action["seq"] - site.node.do_getHeader(action["height"])["firstSeq"]
    browser.open(f"#/block/{action['height']}?step={step}")
    assert action["reason"] in browser.text(".step-detail")
    assert "Nothing changed" in browser.text(".step-detail")


def test_changes_that_are_gone_are_said_to_be(browser: Browser, site: Site) -> None:
    """Where the node keeps no changes any more, the step says so and the rest stays."""
    action = site.find(type="Register", status="executed")
    kept = action["changes"]
    action["changes"] = None
    try:
        step = action["seq"] - site.node.do_getHeader(action["height"])["firstSeq"]
        browser.open(f"#/block/{action['height']}?step={step}")
        assert "No longer kept" in browser.text(".step-detail")
    finally:
        action["changes"] = kept


# --- for everybody ---------------------------------------------------------------------------------------------------


ADDRESSES = ("#/", "#/state", "#/check", "#/rollup", "block", "action", "key", "sender", "#/nowhere")


def fill_address(site: Site, address: str) -> str:
    action = site.find(type="Update", status="executed")
    places = {
        "block": f"#/block/{action['height']}",
        "action": f"#/action/{action['hash']}",
        "key": f"#/state/accounts/{action['changes'][0]['key']}",
        "sender": f"#/sender/{action['sender']}",
    }
    return places.get(address, address)


def test_phone_width_needs_no_sideways_scroll(browser: Browser, site: Site) -> None:
    """At 360 px nothing stands out of the page, and what one taps is at least 24 px high."""
    browser.open(width=360, height=740)
    script = """
      return [...document.querySelectorAll("button, input, select, textarea")].filter((e) => e.getClientRects().length)
        .filter((e) => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().right > 360)
        .map((e) => e.outerHTML.slice(0, 120));
    """
    for address in ADDRESSES:
        browser.go(fill_address(site, address))
        time.sleep(0.15)
        assert 360 == browser.run("return innerWidth"), address
        assert browser.run("return document.documentElement.scrollWidth") <= 360, address
        assert [] == browser.run(script), address


CONTRAST = """
  const parse = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r / 255, g / 255, b / 255]
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    if (element.closest("svg, .visually-hidden, [disabled], noscript")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 100)}`);
  }
  return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_both_readable(browser: Browser, site: Site, scheme: str) -> None:
    """The page follows the system's scheme, and every text stands out from what is behind it by 4.5 to 1."""
    browser.open(scheme=scheme)
    background = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    bright = int(background.split("(")[1].split(",")[0]) > 128
    assert (scheme == "light") == bright
    for address in ADDRESSES:
        browser.go(fill_address(site, address))
        assert [] == browser.run(CONTRAST), address


def test_keyboard_reaches_everything_in_order(browser: Browser, site: Site) -> None:
    """Tab goes from the skip link through navigation and search into the content, always with a visible outline."""
    browser.open(fill_address(site, "key"))
    stops = []
    for _ in range(40):
        browser.press("Tab")
        stop = browser.run(
            "const e = document.activeElement; const c = getComputedStyle(e);"
            "const name = e.id || e.innerText || e.getAttribute('aria-label') || e.tagName;"
            "return [name, c.outlineStyle, parseFloat(c.outlineWidth)]"
        )
        if stop[0] == browser.run("return document.body.innerText"):
            break
        stops.append(stop)
    names = [stop[0] for stop in stops]
    assert ["skip", "keystore", "Live", "State", "Check a proof", "Rollup", "Sign", "search", "Look up"] == names[:9]
    assert any(name.startswith("step-") for name in names)
    assert any(name.startswith("tamper-") for name in names)
    assert [] == [stop for stop in stops if stop[1] == "none" or stop[2] < 2]


def test_keyboard_does_everything(browser: Browser, site: Site) -> None:
    """The skip link, `/` for the search, Enter, and arrow keys on the stepper need no mouse; focus follows the page."""
    browser.open()
    browser.press("Tab", "Enter")
    assert "main" == browser.run("return document.activeElement.id")
    browser.press("/")
    assert "search" == browser.run("return document.activeElement.id")
    browser.press("2", "Enter")
    browser.wait_for_text("h1", "Block 2")
    assert "H1" == browser.run("return document.activeElement.tagName")
    browser.run("document.querySelector('.stepper input').focus()")
    browser.press("ArrowRight", "ArrowRight")
    assert "action 3 of" in browser.text(".stepper output")
    assert "action 3 of 17" == browser.run(
        "return document.querySelector('.stepper input').getAttribute('aria-valuetext')"
    )
    browser.run("history.back()")
    browser.wait_for_text("h1", "Live")


def test_everything_has_a_name(browser: Browser, site: Site) -> None:
    """Each control, link, image and region has an accessible name; headings do not skip; ids are unique."""
    script = """
      const isNamed = (e) => e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim();
      const isLabelled = (e) => isNamed(e) || document.getElementById(e.getAttribute("aria-labelledby"));
      const named = "a, button, input, select, textarea, svg[role=img], section, nav";
      const nameless = [...document.querySelectorAll(named)].filter((e) => !isLabelled(e));
      const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
      const levels = [...document.querySelectorAll("h1, h2, h3")].map((e) => Number(e.tagName[1]));
      return {
        nameless: nameless.map((e) => e.outerHTML.slice(0, 100)),
        twice: ids.filter((id, i) => ids.indexOf(id) !== i),
        skips: levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1),
        tops: levels.filter((level) => level === 1).length,
        mains: document.querySelectorAll("main").length,
        lang: document.documentElement.lang,
      };
    """
    browser.open()
    for address in ADDRESSES:
        browser.go(fill_address(site, address))
        expected = {"nameless": [], "twice": [], "skips": [], "tops": 1, "mains": 1, "lang": "en"}
        assert expected == browser.run(script), address


# --- another app -----------------------------------------------------------------------------------------------------


def test_another_app_needs_no_code(chromium: Chromium, tmp_path: Path) -> None:
    """A rollup with text and integer keys, scalars and metadata is shown from its declaration; an empty one as well."""
    from explorer_fake import FakeNode, serve

    node = FakeNode(tmp_path / "data", zoo)
    signer = Signer(zoo, node.genesis)
    with serve(node) as url:
        browser = Browser(chromium, url)
        browser.open()
        assert "No receipts yet" in browser.text("main")
        browser.go("#/block/0")
        assert "This is the genesis" in browser.text("main")
        rng = Random(3)
        for _ in range(4):
            node.add_block([signer.sign(make_random_edit(rng)) for _ in range(6)])
        for address, expected in (
            ("#/state/tickets/3", "match"),
            ("#/state/tickets/99", "match"),
            ("#/state/visitors", "match"),
            (f"#/state/animals/{'animal%202%2F'}", "match"),
        ):
            browser.go(address)
            browser.wait(f"return document.querySelector('[data-verdict={expected}]')")
        browser.go("#/state/motto")
        assert "metadata field" in browser.text("main")
        assert 0 == browser.count(".verdict")
        browser.go("#/block/1")
        browser.wait("return document.querySelector('.step-detail')")
        browser.go("#/rollup")
        assert "Edit(Step[] steps,bool reject,uint64 nonce)" in browser.text("main")
    node.close()
