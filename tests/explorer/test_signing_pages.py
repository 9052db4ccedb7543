"""The explorer signs: the keystore's page of keys with passkeys and a wallet, in a real browser before a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from apps.keystore.smart_account.configuration import load_code_hash
from browser_fixtures import Browser
from chromium import Chromium, open_chromium
from microrollup.crypto.keccak import keccak256
from node_fixtures import Caller
from process_fixtures import run_node
from waiting import wait_for

CODE = f"0x{load_code_hash('ECDSAValidator').hex()}"
CONFIG, ROTATED, SALT = (f"0x{word * 32}" for word in ("cf", "07", "5a"))
WALLET = Account.from_key(b"\x11" * 32)

PROVIDER = """
  if (location.search === "?wallet") {
    window.asked = [];
    window.ethereum = {
      request: ({ method, params }) =>
        new Promise((resolve, reject) => window.asked.push({ method, params, resolve, reject })),
    };
  }
"""
"""A wallet whose answers the test gives."""

CONTRAST = """
  const parse = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = (text) => parse(text).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (!/, 0\\)$|transparent/.test(color)) return color;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  return Math.min(...[...document.querySelectorAll("main *, nav.pages a")]
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((each) => {
      const [one, other] = [light(getComputedStyle(each).color), light(ground(each))].sort((a, b) => b - a);
      return (one + 0.05) / (other + 0.05);
    }));
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One Chromium, whose authenticator has a user who consents."""
    with open_chromium(tmp_path_factory.mktemp("profile")) as chromium:
        chromium.add_authenticator()
        chromium.call("Page.addScriptToEvaluateOnNewDocument", source=PROVIDER)
        yield chromium


@pytest.fixture(scope="module")
def node(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The keystore, served by the command line."""
    with run_node(tmp_path_factory.mktemp("node") / "data") as caller:
        yield caller
        chromium.get("about:blank")
        assert (0, "") == caller.process.stop()


@pytest.fixture
def browser(chromium: Chromium, node: Caller) -> Iterator[Browser]:
    """The page under a name, since an address can have no passkeys; without what an earlier test has left there."""
    chromium.clear_credentials()
    browser = Browser(chromium, f"http://localhost:{node.port}/")
    browser.open()
    browser.run("localStorage.clear(); sessionStorage.clear();")
    chromium.take_complaints()
    yield browser
    chromium.get("about:blank")
    assert [] == [text for text in chromium.take_complaints() if "WebSocket connection" not in text]


def click(browser: Browser, text: str) -> None:
    """Press the first button or link of the page's content that says this."""
    script = "return [...document.querySelectorAll('main button, main a.button')].find((e) => e.innerText === given[0])"
    browser.wait(script.replace("given[0]", json.dumps(text)))
    browser.run(f"(() => {{ {script} }})().click()".replace("given[0]", json.dumps(text)))


def fill(browser: Browser, **members: str) -> None:
    for name, value in members.items():
        browser.run("document.querySelector(`main form [name=${given[0]}]`).value = given[1]", name, value)


def read_form(browser: Browser) -> dict[str, str]:
    """What the form holds, by member."""
    script = (
        "return Object.fromEntries([...document.querySelectorAll('main form [name]')].map((e) => [e.name, e.value]))"
    )
    found: dict[str, str] = browser.run(script)
    return found


def connect_new_passkey(browser: Browser) -> str:
    """The sender of a passkey that the page makes."""
    click(browser, "Make a passkey")
    browser.wait_for_text(".signer", "Disconnect")
    return str(browser.run("return document.querySelector('.signer code').innerText"))


def submit(browser: Browser) -> str:
    """Sign the form; the status that the page shows once it is confirmed to the top."""
    click(browser, "Sign and submit")
    browser.wait("return document.querySelector('main .badge, main form .problem:not(:empty)')")
    assert "" == browser.text("main form .problem")
    browser.wait("return document.querySelector('main .rungs .done[data-level=C3B]')")
    return browser.text("main .badge")


def test_a_passkey_finds_rotates_and_hands_over(browser: Browser, node: Caller) -> None:
    """Registered, found, rotated and handed over by one passkey; from then on another finds it, also after a reload."""
    browser.open("#/page/keys")
    first = connect_new_passkey(browser)
    browser.wait_for_text("main", "Nothing under: Accounts")
    click(browser, "Register an account")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Register'")
    assert first in browser.text(".signer")
    fill(browser, codeHash=CODE, configHash="0x12", salt=SALT)
    click(browser, "Sign and submit")
    browser.wait_for_text("main form .problem", "configHash is not bytes32")
    assert "configHash" == browser.run("return document.activeElement.name")
    fill(browser, configHash=CONFIG)
    assert "executed" == submit(browser)

    browser.go("#/page/keys")
    browser.wait_for_text("tbody", "ECDSAValidator")
    click(browser, "Rotate keys")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    form = read_form(browser)
    key = form["key"]
    assert {"key": key, "codeHash": CODE, "configHash": "", "vk": ""} == form
    assert "came with the link" in browser.text("main .note")
    fill(browser, configHash=ROTATED, vk=first)
    assert "executed" == submit(browser)
    assert {"data": CODE + ROTATED[2:], "vk": first} == node.call("getState", field="accounts", key=key)["value"]

    browser.go("#/page/keys")
    click(browser, "Disconnect")
    browser.wait("return !document.querySelector('main tbody')")
    second = connect_new_passkey(browser)
    assert first != second
    click(browser, "Disconnect")
    click(browser, f"Use passkey {first[:6]}…{first[-4:]}")
    browser.wait_for_text("tbody", "ECDSAValidator")
    click(browser, "Hand over")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    assert {"key": key, "codeHash": CODE, "configHash": ROTATED, "vk": ""} == read_form(browser)
    fill(browser, vk=second)
    assert "executed" == submit(browser)
    click(browser, "Sign and submit")
    browser.wait_for_text("main .note.warn", "sender is not the account's vk")

    browser.open("#/page/keys")
    assert first in browser.text(".signer")
    assert 0 == browser.count("main tbody")
    click(browser, "Disconnect")
    click(browser, f"Use passkey {second[:6]}…{second[-4:]}")
    browser.wait_for_text("tbody", "ECDSAValidator")
    browser.chromium.clear_credentials()
    click(browser, "Hand over")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    fill(browser, vk=first)
    click(browser, "Sign and submit")
    browser.wait_for_text("main form .problem", "found no such passkey here")


def answer(browser: Browser, method: str, value: Any) -> Any:
    """Answer the wallet's open question, and give its parameters."""
    browser.wait("return window.asked.length > 0")
    asked, params = browser.run("const [{ method, params }] = window.asked; return [method, params]")
    assert method == asked
    browser.run("const { resolve, reject } = window.asked.shift();"
        "given[0]?.code ? reject(given[0]) : resolve(given[0]);", value)  # fmt: skip
    return params


def test_a_wallet_signs(browser: Browser, node: Caller) -> None:
    """A wallet is given typed data whole, which another library signs; its refusal is said, and may be thought over."""
    browser.url += "?wallet"
    browser.open(f"#/sign/Register?codeHash={CODE}&configHash={CONFIG}&salt={SALT}")
    click(browser, "Sign and submit")
    browser.wait_for_text("main form .problem", "Connect a wallet or a passkey first")
    click(browser, "Connect a wallet")
    answer(browser, "eth_requestAccounts", {"code": 4001, "message": "no"})
    browser.wait_for_text("main .problem", "told not to do it")
    click(browser, "Connect a wallet")
    answer(browser, "eth_requestAccounts", [WALLET.address])
    browser.wait_for_text(".signer", WALLET.address.lower())
    click(browser, "Sign and submit")
    browser.wait("return window.asked.length > 0")
    (raw,) = [json.loads(browser.run("return window.asked[0].params[1]"))]
    signature = f"0x{WALLET.sign_typed_data(full_message=raw).signature.hex().removeprefix('0x')}"
    sender, _ = answer(browser, "eth_signTypedData_v4", signature)
    assert WALLET.address.lower() == sender
    browser.wait_for_text("main .badge", "executed")
    request = {"jsonrpc": "2.0", "id": 1, "method": "keystore_held", "params": {"sender": sender}}
    (held,) = wait_for(lambda: json.loads(node.post(json.dumps(request).encode())[1])["result"]["items"])
    assert (CODE, CONFIG) == (held["codeHash"], held["configHash"])


def test_digests_are_those_of_another_library(browser: Browser) -> None:
    """Nested structs, arrays of both kinds, and every elementary type."""
    types = {
        "Order": [
            {"name": "parts", "type": "Part[]"}, {"name": "pair", "type": "uint64[2]"},
            {"name": "note", "type": "string"},
            {"name": "raw", "type": "bytes"}, {"name": "tag", "type": "bytes4"}, {"name": "flag", "type": "bool"},
            {"name": "who", "type": "address"}, {"name": "delta", "type": "int128"}, {"name": "sum", "type": "uint256"},
        ],
        "Part": [{"name": "lot", "type": "Amount"}, {"name": "names", "type": "string[]"}],
        "Amount": [{"name": "value", "type": "int256"}],
    }  # fmt: skip
    message = {
        "parts": [{"lot": {"value": -3}, "names": ["ä", ""]}, {"lot": {"value": 2**255 - 1}, "names": []}],
        "pair": [1, 2**64 - 1], "note": "x\N{PILE OF POO}", "raw": "0x010203", "tag": "0xdeadbeef", "flag": True,
        "who": "0x" + "ab" * 20, "delta": -(2**127), "sum": 2**256 - 1,
    }  # fmt: skip
    domain = {"name": "a", "version": "1", "chainId": 31337, "verifyingContract": "0x" + "cd" * 20}
    encoded = encode_typed_data(domain, types, message)
    expected = keccak256(b"\x19" + encoded.version + encoded.header + encoded.body)
    script = """
      const [{ computeDigest }, { toHex }] = await Promise.all(
        [import("/explorer/typed_data.js"), import("/explorer/bytes.js")]);
      return toHex(computeDigest({ domain: given[0], types: given[1], primaryType: "Order", message: given[2] }));
    """

    def as_texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: as_texts(item) for name, item in value.items()}
        if isinstance(value, list):
            return [as_texts(item) for item in value]
        return str(value) if type(value) is int else value

    assert f"0x{expected.hex()}" == browser.run(script, domain, types, as_texts(message))


def test_by_the_keyboard(browser: Browser) -> None:
    """Everything is reached by Tab and done by Enter; after an answer the focus is on it."""
    browser.open("#/sign/Register")
    browser.run("document.querySelector('main h1').focus()")
    browser.press("Tab", "Enter")
    browser.wait_for_text(".signer", "Disconnect")
    assert "Disconnect" == browser.run("return document.activeElement.innerText")
    browser.press("Tab")
    for value in (CODE, CONFIG, "0x" + "77" * 32):
        browser.press(*value, "Tab")
    assert "Sign and submit" == browser.run("return document.activeElement.innerText")
    browser.press("Enter")
    browser.wait_for_text("main .badge", "executed")
    browser.wait("return document.activeElement.tagName === 'H2'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_layout(browser: Browser, width: int, scheme: str) -> None:
    """Nothing sticks out at any width, text stands out from its ground, controls are high enough and have names."""
    measure = """
      const controls = [...document.querySelectorAll("main .acts > *, main input, main form > button")];
      const isNamed = (e) => e.labels?.length || e.textContent.trim();
      return [document.documentElement.scrollWidth, Math.min(...controls.map((e) => e.offsetHeight)),
        controls.filter((e) => !isNamed(e)).length];
    """
    browser.open("#/page/keys")
    connect_new_passkey(browser)
    for address in ("page/keys", "sign/Register"):
        browser.open(f"#/{address}", width=width, scheme=scheme)
        if address == "sign/Register":
            fill(
                browser,
                codeHash=CODE,
                configHash=CONFIG,
                salt="0x" + f"{width:04x}{scheme.encode().hex():0>8}".rjust(64, "0"),
            )
            assert "executed" == submit(browser)
        scroll, height, nameless = browser.run(measure)
        assert (scroll <= width, height >= 40, nameless) == (True, True, 0), (address, scroll, height)
        assert browser.run(CONTRAST) >= 4.5, address
    browser.go("#/page/keys")
    browser.wait_for_text("tbody", "ECDSAValidator")
    scroll, height, nameless = browser.run(measure)
    assert (scroll <= width, height >= 40, nameless) == (True, True, 0), (scroll, height)
    assert browser.run(CONTRAST) >= 4.5
