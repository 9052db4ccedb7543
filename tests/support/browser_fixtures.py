"""The explorer's pages in a browser, as its tests look at them."""

from __future__ import annotations

import json
from typing import Any

from chromium import Chromium
from waiting import wait_for

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
