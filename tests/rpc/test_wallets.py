"""Wallet libraries as they come from npm, in front of a node in a process of its own: they sign by `rollup_config`.

Between a library and the node stand the forty lines of `wallets/submit_*.mjs`: the library, and `fetch`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chromium import Chromium, open_chromium
from command_line import ROOT
from node_fixtures import Caller
from npm import install_npm
from paths import TESTS
from process_fixtures import Process, run_node
from waiting import SECONDS, wait_for

WALLETS = TESTS / "wallets"

CODE, CONFIG, SALT, OTHER = (f"0x{word * 32}" for word in ("c0", "cf", "5a", "07"))
SECRETS = {"viem": "0x" + "a1" * 32, "ethers": "0x" + "b2" * 32}
LIBRARIES = sorted(SECRETS)


@pytest.fixture(scope="session")
def wallets() -> Path:
    """A directory in which both libraries are installed, in the pinned versions and no others."""
    return install_npm(WALLETS)


@pytest.fixture(scope="module")
def node(wallets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The keystore, served by the command line."""
    with run_node(tmp_path_factory.mktemp("node") / "data") as caller:
        yield caller
        assert (0, "") == caller.process.stop()


def submit(folder: Path, library: str, url: str, *actions: dict[str, Any]) -> list[dict[str, Any]]:
    """What the library made of these actions, and what the node said to each."""
    completed = subprocess.run(
        ["node", f"submit_{library}.mjs"],
        cwd=folder,
        input=json.dumps({"url": url, "secret": SECRETS[library], "actions": actions}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (0, "") == (completed.returncode, completed.stderr)
    results: list[dict[str, Any]] = json.loads(completed.stdout)
    return results


def read_closed(caller: Caller, height: int, field: str, key: str | None = None) -> dict[str, Any]:
    """The state as a block left it, which can be read once the block is closed."""
    wait_for(lambda: caller.call("height")["latest"] >= height)
    found: dict[str, Any] = caller.call("getState", field=field, key=key, height=height)
    return found


# --- what is installed -----------------------------------------------------------------------------------------------


# --- the keystore ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_registers_and_updates(node: Caller, wallets: Path, library: str) -> None:
    """A library signs Register and Update by the types of `rollup_config`; receipts, state and confirmations follow.

    Its own hash of the typed data gives the action's identity, and it recovers the operator from the acknowledgement.
    """
    config = node.call("config")
    register = {"type": "Register", "message": {"codeHash": CODE, "configHash": CONFIG, "salt": SALT}}
    (registered,) = submit(wallets, library, node.url, register)
    sender = registered["sender"].lower()
    ack = registered["answer"]["result"]
    assert ("executed", registered["actionHash"]) == (ack["status"], ack["actionHash"])
    assert config["builder"] == registered["operator"].lower()

    receipt = node.call("getReceipt", hash=ack["actionHash"])
    assert ("executed", sender, ack["seq"]) == (receipt["status"], receipt["sender"], receipt["seq"])
    assert ["Registered"] == [event["name"] for event in receipt["events"]]
    key = receipt["events"][0]["fields"]["key"]
    account = read_closed(node, ack["height"], "accounts", key)
    assert (True, {"data": CODE + CONFIG[2:], "vk": sender}) == (account["exists"], account["value"])

    message = {"key": key, "codeHash": OTHER, "configHash": CONFIG, "vk": "0x" + "11" * 20}
    update = {"type": "Update", "message": message}
    updated, again = submit(wallets, library, node.url, update, update)
    ack = updated["answer"]["result"]
    assert ("executed", updated["actionHash"]) == (ack["status"], ack["actionHash"])
    assert config["builder"] == updated["operator"].lower()
    assert ("rejected", "sender is not the account's vk") == tuple(
        again["answer"]["result"][name] for name in ("status", "reason")
    )
    receipt = node.call("getReceipt", hash=ack["actionHash"])
    assert ["Updated"] == [event["name"] for event in receipt["events"]]
    account = read_closed(node, ack["height"], "accounts", key)
    assert {"data": OTHER + CONFIG[2:], "vk": "0x" + "11" * 20} == account["value"]

    stored = node.call("getAction", hash=ack["actionHash"])
    assert ("Update", {**message, "nonce": 1}, "signed") == (stored["type"], stored["message"], stored["origin"])
    assert 3 == node.call("getNonce", sender=sender)["next"]
    wait_for(lambda: node.call("getConfirmation", hash=ack["actionHash"])["level"] == "C3B")
    assert node.call("getProof", field="accounts", key=key, height=ack["height"])["exists"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_was_not_signed_is_refused(node: Caller, wallets: Path, library: str) -> None:
    """A message or nonce altered after signing, a member too many, and a used nonce: each is refused by its own code
    and consumes nothing.
    """
    message = {"codeHash": CODE, "configHash": CONFIG, "salt": OTHER}
    before = submit(wallets, library, node.url, {"type": "Register", "message": message})[0]
    sender = before["sender"].lower()
    upcoming = node.call("getNonce", sender=sender)["next"]
    results = submit(
        wallets,
        library,
        node.url,
        {"type": "Register", "message": message, "altered": {"salt": SALT}},
        {"type": "Register", "message": message, "altered": {"nonce": upcoming + 1}},
        {"type": "Register", "message": message, "altered": {"vk": "0x"}},
        {"type": "Register", "message": {**message, "salt": CODE}, "nonce": 0},
    )
    errors = [result["answer"]["error"] for result in results]
    assert {-32000} == {error["code"] for error in errors}
    assert ["sender_mismatch", "sender_mismatch", "unknown_member", "nonce_used"] == [
        error["data"]["code"] for error in errors
    ]
    assert upcoming == node.call("getNonce", sender=sender)["next"]


# --- a new app -------------------------------------------------------------------------------------------------------


def test_a_new_app_is_served_followed_and_looked_at(wallets: Path, tmp_path: Path) -> None:
    """An app that `microrollup new` wrote: viem submits to it, a verifier elsewhere follows, and the explorer shows it,
    its state and a proof that it folds itself. The app is one file without a word of RPC.
    """
    subprocess.run(
        [sys.executable, "-m", "microrollup", "new", "tally"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    folder = tmp_path / "tally"
    assert ["tally.py"] == [path.name for path in folder.glob("*.py") if not path.name.startswith("test_")]
    assert "rpc" not in (folder / "tally.py").read_text().lower()
    with run_node(tmp_path / "data", app="tally", cwd=folder) as caller:
        arguments = ["verify", "tally", "--from", caller.url, "--data", tmp_path / "own", "--follow", "--json"]
        with closing(Process(*arguments, cwd=folder)) as verifier:
            increments = [{"type": "Increment", "message": {"by": by}} for by in (5, 7, 0)]
            acks = [result["answer"]["result"] for result in submit(wallets, "viem", caller.url, *increments)]
            assert ["executed", "executed", "rejected"] == [ack["status"] for ack in acks]
            height = acks[-1]["height"]
            assert 12 == read_closed(caller, height, "value")["value"]
            follow(verifier, height)
            assert 0 == verifier.stop()[0]
        wait_for(lambda: caller.call("height")["settled"] >= height)
        with open_chromium(tmp_path / "profile") as chromium:
            look_at(chromium, caller.url, height, acks)
        assert (0, "") == caller.process.stop()


def follow(verifier: Process, height: int) -> None:
    """Read what a verifier says until it has verified a block; it is ended if it takes too long for that."""
    limit = threading.Timer(SECONDS, verifier.process.kill)
    limit.start()
    try:
        while verifier.read()["verified"] < height:
            pass
    finally:
        limit.cancel()
        limit.join()


def look_at(chromium: Chromium, url: str, height: int, acks: list[dict[str, Any]]) -> None:
    """Go through the explorer's pages as a visitor does."""

    def show(address: str, condition: str) -> str:
        """The page at an address, once it fulfils a condition."""
        chromium.get("about:blank")
        chromium.get(f"{url}/{address}")
        wait_for(lambda: chromium.execute(f"return Boolean({condition})"))
        return str(chromium.execute("return document.body.innerText"))

    settled = f"document.querySelector(\"tr[data-height='{height}'] [data-level='C3B']\")"
    assert "tally" in show("#/", f"{settled} && document.querySelectorAll('.feed li[data-seq]').length === 3")
    shown = show(f"#/action/{acks[0]['actionHash']}", "document.querySelector('[data-verdict=match]')")
    assert acks[0]["actionHash"] in shown
    assert "Increment" in shown
    shown = show(f"#/action/{acks[2]['actionHash']}", "document.querySelector('[data-verdict=match]')")
    assert "`by` must be positive" in shown
    show(f"#/block/{height}", "document.querySelector('[data-header=match]')")
    assert "12" in show(f"#/state/value?height={height}", "document.querySelector('[data-verdict=match]')")
    assert [] == chromium.take_complaints()
