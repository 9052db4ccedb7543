"""The explorer's pages in a browser, as its tests look at them."""

from __future__ import annotations

import json
from typing import Any

from eth_account import Account

from chromium import Chromium
from waiting import wait_for

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
"""The least contrast of a page's text with its ground, as WCAG 2 computes it."""

PROVIDER = """
  if (location.search === "?wallet") {
    window.asked = [];
    window.ethereum = {
      request: ({ method, params }) =>
        new Promise((resolve, reject) => window.asked.push({ method, params, resolve, reject })),
    };
  }
"""
"""A wallet whose answers the test gives, on pages that are opened with `?wallet`."""

READY = "return document.documentElement.dataset.ready === 'true' && !document.querySelector('main[aria-busy]')"


class Browser:
    """Chromium, with the few things that these tests do with it."""

    def __init__(self, chromium: Chromium, url: str) -> None:
        self.chromium = chromium
        self.url = url

    def open(self, address: str = "#/", *, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
        """Load the page afresh and wait until it shows what was asked for."""
        self.chromium.get("about:blank")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.chromium.call("Emulation.setDeviceMetricsOverride", **metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.chromium.call("Emulation.setEmulatedMedia", features=features)
        self.chromium.get(self.url + address)
        self.wait(READY)

    def go(self, address: str) -> None:
        """Follow an address within the loaded page."""
        self.run(
            "if (location.hash === given[0]) return;"
            "const heard = new Promise((resolve) => addEventListener('hashchange', resolve, { once: true }));"
            "location.hash = given[0]; await heard;",
            address,
        )
        self.wait(READY)

    def run(self, body: str, *given: Any) -> Any:
        """The value of an async function's body, which finds its arguments in `given`."""
        return self.chromium.execute(body, *given)

    def wait(self, body: str) -> None:
        """Run a body until what it returns, an element perhaps, is truthy."""
        try:
            wait_for(lambda: self.run(f"return Boolean(await (async () => {{ {body} }})());"))
        except AssertionError as error:
            raise AssertionError(f"{error}: {body}\n{self.text('body')}") from None

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(given[0])?.innerText ?? ''", selector))

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(given[0]).length", selector))

    def wait_for_text(self, selector: str, part: str) -> None:
        quoted = json.dumps([selector, part])
        self.wait(f"const [s, p] = {quoted}; return (document.querySelector(s)?.innerText ?? '').includes(p)")

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        self.chromium.press(*keys)

    def search(self, text: str) -> None:
        """Type into the search field and press Enter."""
        self.run("const field = document.getElementById('search'); field.focus(); field.value = '';")
        self.press(*text, "Enter")

    def choose(self, selector: str, value: str) -> None:
        """Choose an option, which the page is told of as when a person chooses."""
        self.run(
            "const field = document.querySelector(given[0]); field.value = given[1];"
            "for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, { bubbles: true }));",
            selector,
            value,
        )

    # What an app's page shows

    def read_sheet(self, method: str) -> list[dict[str, str]]:
        """The rows of a table, by the method's name without namespace: title of the column -> what is read there."""
        body = """
          const section = document.querySelector(`section[data-method$="_${given[0]}"]`);
          return [...section.querySelectorAll("tbody tr")].map((row) =>
            Object.fromEntries([...row.children].map((cell) => [cell.dataset.name, cell.innerText.trim()])));
        """
        found: list[dict[str, str]] = self.run(body, method)
        return found

    def read_facts(self, method: str) -> dict[str, str]:
        """The facts of a part: title -> what is read there."""
        body = """
          const section = document.querySelector(`section[data-method$="_${given[0]}"]`);
          return Object.fromEntries([...section.querySelectorAll("dl.facts > div")].map((row) =>
            [row.querySelector("dt").innerText, row.querySelector("dd").innerText.trim()]));
        """
        found: dict[str, str] = self.run(body, method)
        return found

    # Forms

    def click(self, text: str) -> None:
        """Press the first button or link of the page's content that says this."""
        find = (
            "return [...document.querySelectorAll('main button, main a.button')].find((e) => e.innerText === given[0])"
        )
        script = find.replace("given[0]", json.dumps(text))
        self.wait(script)
        self.run(f"(() => {{ {script} }})().click()")

    def fill(self, **members: str) -> None:
        """Values of the form's fields, by their names."""
        for name, value in members.items():
            self.run("document.querySelector(`main form [name=${given[0]}]`).value = given[1]", name, value)

    def read_form(self) -> dict[str, str]:
        """What the form holds, by member."""
        body = "const fields = [...document.querySelectorAll('main form [name]')];"
        found: dict[str, str] = self.run(f"{body} return Object.fromEntries(fields.map((e) => [e.name, e.value]))")
        return found

    def submit(self) -> str:
        """Sign the form; the status that the page shows once it is confirmed to the top."""
        self.click("Sign and submit")
        self.wait("return document.querySelector('main .badge, main form .problem:not(:empty)')")
        assert "" == self.text("main form .problem")
        self.wait("return document.querySelector('main .rungs .done[data-level=C3B]')")
        return self.text("main .badge")

    def connect_new_passkey(self) -> str:
        """The sender of a passkey that the page makes."""
        self.click("Make a passkey")
        self.wait_for_text(".signer", "Disconnect")
        return str(self.run("return document.querySelector('.signer code').innerText"))

    # A wallet

    def answer(self, method: str, value: Any) -> Any:
        """Answer the wallet's open question, and give its parameters. A value with a code is a refusal."""
        self.wait("return window.asked.length > 0")
        asked, params = self.run("const [{ method, params }] = window.asked; return [method, params]")
        assert method == asked
        take = "const { resolve, reject } = window.asked.shift();"
        self.run(f"{take} given[0]?.code ? reject(given[0]) : resolve(given[0]);", value)
        return params

    def answer_with(self, key: bytes) -> dict[str, Any]:
        """Sign what the wallet is asked to, with the 32 bytes of a private key and another library: the typed data."""
        self.wait("return window.asked.length > 0")
        typed: dict[str, Any] = json.loads(self.run("return window.asked[0].params[1]"))
        signed = Account.from_key(key).sign_typed_data(full_message=typed)
        self.answer("eth_signTypedData_v4", f"0x{signed.signature.hex().removeprefix('0x')}")
        return typed
