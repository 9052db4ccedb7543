"""The explorer signs: the keystore's page of keys with passkeys and a wallet, in a real browser before a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from apps.keystore.smart_account.configuration import (
    compute_data,
    configure_ecdsa,
    configure_multisig,
    load_code_hash,
)
from browser_fixtures import CONTRAST, Browser
from chromium import Chromium
from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256
from node_fixtures import Caller
from process_fixtures import run_node
from waiting import wait_for

CODE = f"0x{load_code_hash('ECDSAValidator').hex()}"
CONFIG, ROTATED, SALT = (f"0x{word * 32}" for word in ("cf", "07", "5a"))
WALLET = Account.from_key(b"\x11" * 32)


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


def test_a_passkey_finds_rotates_and_hands_over(browser: Browser, node: Caller) -> None:
    """Registered, found, rotated and handed over by one passkey; from then on another finds it, also after a reload."""
    browser.open("#/page/keys")
    first = browser.connect_new_passkey()
    browser.wait_for_text("main", "Nothing under: Accounts")
    browser.click("Register an account")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Register'")
    assert first in browser.text(".signer")
    browser.fill(codeHash=CODE, configHash="0x12", salt=SALT)
    browser.click("Sign and submit")
    browser.wait_for_text("main form .problem", "configHash is not bytes32")
    assert "configHash" == browser.run("return document.activeElement.name")
    browser.fill(configHash=CONFIG)
    assert "executed" == browser.submit()

    browser.go("#/page/keys")
    browser.wait_for_text("tbody", "ECDSAValidator")
    browser.click("Rotate keys")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    form = browser.read_form()
    key = form["key"]
    assert {"key": key, "codeHash": CODE, "configHash": "", "vk": ""} == form
    assert "came with the link" in browser.text("main .note")
    browser.fill(configHash=ROTATED, vk=first)
    assert "executed" == browser.submit()
    assert {"data": CODE + ROTATED[2:], "vk": first} == node.call("getState", field="accounts", key=key)["value"]

    browser.go("#/page/keys")
    browser.click("Disconnect")
    browser.wait("return !document.querySelector('main tbody')")
    second = browser.connect_new_passkey()
    assert first != second
    browser.click("Disconnect")
    browser.click(f"Use passkey {first[:6]}…{first[-4:]}")
    browser.wait_for_text("tbody", "ECDSAValidator")
    browser.click("Hand over")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    assert {"key": key, "codeHash": CODE, "configHash": ROTATED, "vk": ""} == browser.read_form()
    browser.fill(vk=second)
    assert "executed" == browser.submit()
    browser.click("Sign and submit")
    browser.wait_for_text("main .note.warn", "sender is not the account's vk")

    browser.open("#/page/keys")
    assert first in browser.text(".signer")
    assert 0 == browser.count("main tbody")
    browser.click("Disconnect")
    browser.click(f"Use passkey {second[:6]}…{second[-4:]}")
    browser.wait_for_text("tbody", "ECDSAValidator")
    browser.chromium.clear_credentials()
    browser.click("Hand over")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    browser.fill(vk=first)
    browser.click("Sign and submit")
    browser.wait_for_text("main form .problem", "found no such passkey here")


def test_keys_are_revoked(browser: Browser, node: Caller) -> None:
    """One of three by its button; where none can be spared, or one is all there is, that is said before."""
    owners = [bytes((number,)) * 20 for number in (1, 2, 3)]
    multisig = configure_multisig(2, owners)
    browser.open("#/page/keys")
    sender = browser.connect_new_passkey()
    for configuration in (multisig, configure_ecdsa(owners[0])):
        data = compute_data(configuration)
        browser.go("#/sign/Register")
        browser.fill(codeHash=hex0x(data[:32]), configHash=hex0x(data[32:]), salt=SALT)
        assert "executed" == browser.submit()

    def show(configuration: bytes) -> list[dict[str, str]]:
        browser.fill(configuration=hex0x(configuration))
        browser.click("Show")
        browser.wait("return document.querySelector('main [data-method$=_revocations] tbody tr')")
        return browser.read_sheet("revocations")

    browser.go("#/page/revoke")
    rows = show(multisig.config)
    assert ["leaves 2 of 2"] * 3 == [row["revoking it"] for row in rows]
    assert "0x0202…0202" == rows[1]["key"]
    browser.run("document.querySelectorAll('main tbody tr')[1].querySelector('a.button').click()")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    key, rest = browser.read_form()["key"], compute_data(configure_multisig(2, [owners[0], owners[2]]))
    assert {"key": key, "codeHash": hex0x(rest[:32]), "configHash": hex0x(rest[32:]), "vk": sender} == (
        browser.read_form()
    )
    assert "executed" == browser.submit()
    assert {"data": hex0x(rest), "vk": sender} == node.call("getState", field="accounts", key=key)["value"]

    browser.go("#/page/revoke")
    browser.run("document.querySelector('main textarea').focus()")
    browser.press(*hex0x(multisig.config))
    browser.click("Show")
    browser.wait_for_text("main", "Nothing under: Keys of this configuration")
    rows = show(configure_multisig(2, [owners[0], owners[2]]).config)
    assert all("leaves 1 of 1: one signature fewer than now, 2 of 2" in row["revoking it"] for row in rows)
    (row,) = show(owners[0])
    assert ("the only key" in row["revoking it"], "ECDSAValidator") == (True, row["validator"])
    browser.click("Revoke")
    browser.wait("return document.querySelector('h1')?.innerText === 'Sign Update'")
    assert ("", sender) == (browser.read_form()["configHash"], browser.read_form()["vk"])
    browser.click("Sign and submit")
    browser.wait_for_text("main form .problem", "configHash is not bytes32")


def test_a_wallet_signs(browser: Browser, node: Caller) -> None:
    """A wallet is given typed data whole, which another library signs; its refusal is said, and may be thought over."""
    browser.url += "?wallet"
    browser.open(f"#/sign/Register?codeHash={CODE}&configHash={CONFIG}&salt={SALT}")
    browser.click("Sign and submit")
    browser.wait_for_text("main form .problem", "Connect a wallet or a passkey first")
    browser.click("Connect a wallet")
    browser.answer("eth_requestAccounts", {"code": 4001, "message": "no"})
    browser.wait_for_text("main .problem", "told not to do it")
    browser.click("Connect a wallet")
    browser.answer("eth_requestAccounts", [WALLET.address])
    browser.wait_for_text(".signer", WALLET.address.lower())
    browser.click("Sign and submit")
    typed, sender = browser.answer_with(b"\x11" * 32), WALLET.address.lower()
    assert ("Register", CODE) == (typed["primaryType"], typed["message"]["codeHash"])
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


def test_links_of_strangers(browser: Browser) -> None:
    """Whose accounts a link shows is said; and a form says what of a text cannot be seen, before anybody signs it."""
    browser.open(f"#/page/keys/0x{'99' * 20}")
    assert f"This is about 0x{'99' * 20}, who came with the link" in browser.text("main .note.warn")
    browser.open("#/page/keys/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    assert "<img src=x" in browser.text("main .note.warn")
    assert 0 == browser.count("main img")
    browser.open("#/page/keys")
    assert 0 == browser.count("main .note.warn")
    browser.open("#/sign/Register?salt=0x12%E2%80%AE34%E2%80%8B&nonce=7&__proto__=1&configHash=%3Cb%3Ex%3C%2Fb%3E")
    assert "it has U+202E, U+200B." in browser.text("main form")
    assert {"codeHash": "", "configHash": "<b>x</b>", "salt": "0x12\u202e34\u200b"} == browser.read_form()
    browser.fill(codeHash=CODE, configHash=CONFIG)
    browser.connect_new_passkey()
    browser.click("Sign and submit")
    browser.wait_for_text("main form .problem", "salt is not bytes32")
    browser.run("const field = document.querySelector('main form [name=salt]'); field.value = given[0];"
        "field.dispatchEvent(new Event('input'))", SALT)  # fmt: skip
    assert "" == browser.text("main .control .unseen")


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
    browser.connect_new_passkey()
    for address in ("page/keys", "sign/Register"):
        browser.open(f"#/{address}", width=width, scheme=scheme)
        if address == "sign/Register":
            browser.fill(
                codeHash=CODE,
                configHash=CONFIG,
                salt="0x" + f"{width:04x}{scheme.encode().hex():0>8}".rjust(64, "0"),
            )
            assert "executed" == browser.submit()
        scroll, height, nameless = browser.run(measure)
        assert (scroll <= width, height >= 40, nameless) == (True, True, 0), (address, scroll, height)
        assert browser.run(CONTRAST) >= 4.5, address
    browser.go("#/page/keys")
    browser.wait_for_text("tbody", "ECDSAValidator")
    scroll, height, nameless = browser.run(measure)
    assert (scroll <= width, height >= 40, nameless) == (True, True, 0), (scroll, height)
    assert browser.run(CONTRAST) >= 4.5
