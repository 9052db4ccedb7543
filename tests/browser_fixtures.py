"""Headless Chromium for tests, as Debian packages it."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@contextmanager
def open_chromium(profile: Path) -> Iterator[Any]:
    """A driver of a new Chromium, which is stopped afterwards; skips the test where there is none."""
    binary, driver_path = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if binary is None or driver_path is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    service = pytest.importorskip("selenium.webdriver.chrome.service")

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=service.Service(driver_path))
    try:
        driver.set_page_load_timeout(20)
        driver.set_script_timeout(20)
        yield driver
    finally:
        driver.quit()


READY = "return document.documentElement.dataset.ready === 'true' && !document.querySelector('main[aria-busy]')"


class Browser:
    """Chromium, with the few things that these tests do with it."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, address: str = "#/", *, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
        """Load the page afresh and wait until it shows what was asked for."""
        self.driver.get("about:blank")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get(self.url + address)
        self.wait(READY)

    def go(self, address: str) -> None:
        """Follow an address within the loaded page."""
        self.run_async(
            "if (location.hash === given[0]) return;"
            "const heard = new Promise((resolve) => addEventListener('hashchange', resolve, { once: true }));"
            "location.hash = given[0]; await heard;",
            address,
        )
        self.wait(READY)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def run_async(self, body: str, *arguments: Any) -> Any:
        """The value of an async function's body."""
        script = (
            "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);"
            f"(async (...given) => {{ {body} }})(...given).then(done, (error) => done(`failed: ${{error}}`));"
        )
        return self.driver.execute_async_script(script, *arguments)

    def wait(self, script: str, seconds: float = 10) -> Any:
        """The first truthy value of a script."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {script}\n{self.text('body')}")
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def wait_for_text(self, selector: str, part: str, seconds: float = 10) -> None:
        quoted = json.dumps([selector, part])
        self.wait(f"const [s, p] = {quoted}; return (document.querySelector(s)?.innerText ?? '').includes(p)", seconds)

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def search(self, text: str) -> None:
        """Type into the search field and press Enter."""
        from selenium.webdriver.common.keys import Keys

        field = self.driver.find_element("id", "search")
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option, as a person would."""
        from selenium.webdriver.support.ui import Select

        Select(self.driver.find_element("css selector", selector)).select_by_value(value)

    def shoot(self, path: Path) -> None:
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))
