"""Three verifiers of a based rollup in processes of their own, and somebody who settles what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import burners
from based_world import make_based_genesis
from command_line import CommandLine, cli
from kernel_fixtures import OWNER, Signer, make_key
from microrollup.chain.carrier import encode_carrier
from microrollup.crypto.ecdsa import compute_address
from microrollup.execution.payload import encode_forced_payload
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from paths import SUPPORT
from ports import find_port
from waiting import SECONDS, wait_for

__all__ = ["cli"]

KEYS = [make_key(f"verifier {number} of burners") for number in range(3)]
APP = "burners:app"
FUTURE = 150_001_000
"""An L1 block in the years to come: a local settlement never goes back, and its readers do not wait for it."""


@pytest.fixture
def l1(tmp_path: Path) -> Path:
    """A local settlement with some entries, all of them old."""
    genesis = make_based_genesis(burners.app, [compute_address(key) for key in KEYS], quorum=2)
    clock = [float(FUTURE * SECONDS_PER_BLOCK)]
    signer = Signer(burners.app, genesis)
    stf_id = burners.app.stf_id
    with closing(LocalSettlement.create(tmp_path / "l1", genesis, OWNER, stf_id, lambda: clock[0])) as inbox:
        for number in range(10):
            signed = [signer.sign(burners.Burn(number), f"user {user}").record for user in range(5)]
            inbox.force(encode_carrier(signed), sender=OWNER)
            inbox.force(encode_forced_payload(burners.app, burners.Spread(number, 3, 4)), sender=OWNER)
            clock[0] += SECONDS_PER_BLOCK
        clock[0] += 64 * SECONDS_PER_BLOCK
        inbox.get_number()
    return tmp_path / "l1"


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "microrollup", *map(str, arguments)]
    environment = {"PYTHONPATH": str(SUPPORT), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@contextmanager
def serving(tmp_path: Path, l1: Path, number: int) -> Iterator[str]:
    """A verifier that serves at some port."""
    key = tmp_path / f"verifier {number}.key"
    key.write_text(KEYS[number].secret.hex())
    with closing(httpx.Client()) as client:
        port = find_port()
        options = ("--from-l1", l1, "--data", tmp_path / f"verifier {number}", "--key", key, "--follow", "--json")
        process = start("verify", APP, *options, "--serve", port)
        url = f"http://127.0.0.1:{port}"

        def ask() -> Any:
            assert process.poll() is None, process.communicate()
            try:
                body = {"jsonrpc": "2.0", "id": 1, "method": "rollup_getAttestations", "params": {}}
                return client.post(url, json=body).json()["result"]
            except httpx.TransportError:
                return None

        try:
            wait_for(ask)
            yield url
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def settle(tmp_path: Path, l1: Path, *urls: str) -> tuple[int, dict[str, Any], str]:
    key = tmp_path / "anybody.key"
    key.write_text(make_key("anybody").secret.hex())
    named = [option for url in urls for option in ("--from", url)]
    process = start("settle", APP, "--l1", l1, "--key", key, *named, "--json")
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, json.loads(out) if out else {}, err


def test_three_verifiers_and_anybody(tmp_path: Path, l1: Path) -> None:
    """Two of three are a quorum, and need not know of each other; one alone is told how many are missing."""
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(tmp_path, l1, number)) for number in range(3)]
        code, _, said = settle(tmp_path, l1, urls[1])
        assert code == 2
        assert "1 of the rollup's verifiers agree, 2 have to" in said
        code, document, _ = settle(tmp_path, l1, urls[0], urls[2])
        assert (0, 10, 2) == (code, document["settled"], document["attestations"])
        code, document, _ = settle(tmp_path, l1, *urls)
        assert (1, 10) == (code, document["settled"])
        answer = httpx.post(urls[0], json={"jsonrpc": "2.0", "id": 7, "method": "rollup_height"}).json()
        assert (7, -32601) == (answer["id"], answer["error"]["code"])
        assert httpx.post(urls[0], content=b"{" * 10_000).status_code == 413
        assert httpx.post(urls[0], content=b"{").json()["error"]["code"] == -32700


def test_what_is_not_asked_for(cli: CommandLine, tmp_path: Path, l1: Path) -> None:
    """--serve needs a key and --follow; a based rollup has no blocks of somebody's; --from and --attestations are two
    things.
    """
    assert "--serve serves" in cli.refuse("verify", APP, "--from-l1", l1, "--serve", 0)
    assert "give the --attestations" in cli.refuse("settle", APP, "--l1", l1)
    assert "give the --attestations" in cli.refuse("settle", APP, "--l1", l1, "--from", "http://127.0.0.1:1")
