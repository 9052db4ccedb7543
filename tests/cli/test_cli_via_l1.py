"""`submit --via-l1`: signed as for a node, carried through the inbox by somebody else's key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import APP, CommandLine, cli
from kernel_fixtures import make_key
from l1_proxy import L1Proxy, run_proxy
from microrollup.cli import submitting
from microrollup.client import transport
from microrollup.crypto.ecdsa import compute_address
from microrollup.settlement.local import SECONDS_PER_BLOCK
from node_fixtures import ZOO, Site
from waiting import wait_for

__all__ = ["cli"]

ALICE = make_key("alice")
WORD = "0x" + "11" * 32
MEMBERS = ("--member", f"codeHash={WORD}", "--member", f"configHash={WORD}", "--member", f"salt={WORD}")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Files with the keys of who signs and who carries."""
    files = tmp_path / "alice.key", tmp_path / "carrier.key"
    for file, key in zip(files, (ALICE, make_key("carrier")), strict=True):
        file.write_text(key.secret.hex())
    return files


def make_directory(path: Path) -> Path:
    path.mkdir()
    return path


def test_carried(cli: CommandLine, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """The rollup executes it as the signer's; what would be in vain is refused, and nothing of it is in the queue."""
    key, carrier = keys
    site, other = [Site(make_directory(tmp_path / name), app) for name, app in (("site", APP), ("other", ZOO))]
    with site.serve() as caller:
        signing = ("submit", caller.url, "Register", "--key", key, *MEMBERS)
        via = ("--via-l1", carrier, "--l1", site.root / "l1")
        for arguments, said in (
            ((*signing, "--via-l1", carrier), "takes an inbox"),
            ((*signing, "--l1", site.root / "l1"), "takes --via-l1"),
            ((*signing, "--nonce", 0), "--nonce goes with --via-l1"),
            (("submit", caller.url, "-", *via), "takes the --key that signs"),
            ((*signing, *via, "--wait", "C1"), "--wait is for what a node has taken"),
            ((*signing[:-1], "salt=0x11", *via), "salt has 1 bytes"),
            ((*signing, "--via-l1", carrier, "--l1", other.root / "l1"), "the inbox is of the rollup"),
        ):
            assert said in cli.refuse(*arguments)
        # In a process of its own: one process opens a store once.
        command = [sys.executable, "-m", "microrollup", *map(str, (*signing, *via)), "--json"]
        queued = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
        assert (0, "0x01") == (queued["index"], queued["payload"][:4])
        assert f"0x{compute_address(ALICE).hex()}" == queued["sender"]
        site.ahead += 3 * SECONDS_PER_BLOCK
        wait_for(lambda: caller.call("height")["latest"] >= 1)
        receipt = caller.call("getReceipt", hash=queued["signedHash"])
    assert ("executed", queued["sender"]) == (receipt["status"], receipt["sender"])


@pytest.mark.parametrize(
    "lie",
    [{"chainId": 1}, {"verifyingContract": "0x" + "77" * 20}, {"name": "another"}],
    ids=lambda lie: next(iter(lie)),
)
def test_a_node_that_lets_sign_for_another_rollup(
    tmp_path: Path, keys: tuple[Path, Path], lie: dict[str, object]
) -> None:
    """Its domain is not the inbox's: nothing signed is published, where the other rollup would take it."""
    key, carrier = keys
    site = Site(make_directory(tmp_path / "site"), APP)

    class LyingNode(L1Proxy):
        def answer(self, body: bytes) -> bytes | None:
            answer = json.loads(super().answer(body) or b"null")
            for each in answer if isinstance(answer, list) else [answer]:
                if isinstance(each.get("result"), dict) and "domain" in each["result"]:
                    each["result"]["domain"] |= lie
            return json.dumps(answer).encode()

    with site.serve() as caller, run_proxy(caller.url, LyingNode(caller.url)) as node:
        # In a process of its own: one process opens a store once.
        signing = ("submit", node.url, "Register", "--key", key, *MEMBERS)
        via = ("--via-l1", carrier, "--l1", site.root / "l1")
        command = [sys.executable, "-m", "microrollup", *map(str, (*signing, *via))]
        done = subprocess.run(command, check=False, capture_output=True, timeout=60)
        assert (2, True) == (done.returncode, b"not the inbox's rollup" in b" ".join(done.stderr.split()))
        assert [] == caller.node.l1.get_forced_entries(0, caller.node.l1.get_number(), 1)


def test_a_node_that_names_a_nonce_to_come(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """With --nonce the node is not asked for it, so it cannot have the user publish a line that is good later."""
    key, carrier = keys
    site = Site(make_directory(tmp_path / "site"), APP)

    class LyingNode(L1Proxy):
        def answer(self, body: bytes) -> bytes | None:
            assert b"rollup_getNonce" not in body
            return super().answer(body)

    with site.serve() as caller, run_proxy(caller.url, LyingNode(caller.url)) as node:
        # In a process of its own: one process opens a store once.
        signing = ("submit", node.url, "Register", "--key", key, *MEMBERS)
        via = ("--via-l1", carrier, "--l1", site.root / "l1", "--nonce", 0)
        command = [sys.executable, "-m", "microrollup", *map(str, (*signing, *via)), "--json"]
        queued = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert f"0x{compute_address(ALICE).hex()}" == queued["sender"]


def test_a_silent_node(cli: CommandLine, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a node that is not there is told so at once, and how long it will be tried."""
    monkeypatch.setattr(transport, "_SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(submitting, "_CALL_SECONDS", 0.4)
    result = cli("submit", "http://127.0.0.1:9", "Register", "--key", keys[0], *MEMBERS)
    said, *rest = result.err.splitlines()
    assert "no answer from http://127.0.0.1:9 yet, trying for 0 s more" == said
    assert 1 == sum("no answer from" in line and "yet" in line for line in (said, *rest))
