"""`deploy` and what follows, on a real L1: the data directory knows its inbox, and every mistake is one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import APP, LINES, CommandLine
from l1_fixtures import Anvil, run_anvil

from microrollup.crypto import compute_address, load_private_key
from microrollup.testing.anvil import DEV_KEYS

PAYER = compute_address(load_private_key(bytes.fromhex(DEV_KEYS[0])))
MEMBERS = [
    f"--member={name}=0x{byte * 32}" for name, byte in (("codeHash", "c0"), ("configHash", "cf"), ("salt", "5a"))
]


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil("--hardfork", "osaka") as anvil:
        anvil.mine(3)
        yield anvil


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def payer(tmp_path: Path) -> Path:
    path = tmp_path / "payer.key"
    path.write_text(DEV_KEYS[0])
    return path


def deploy(command: CommandLine, anvil: Anvil, payer: Path, data: Path, *more: object) -> dict[str, Any]:
    made: dict[str, Any] = command.ask(
        "deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer, "--l1-depth", 0, *more
    )
    return made


def test_a_deployed_rollup(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """The inbox is there, owned by who paid, the builder has its ether, and every command finds the inbox by itself."""
    data = tmp_path / "data"
    made = deploy(command, anvil, payer, data, "--fund", "0.25", "--zero-domain")
    assert 25 * 10**16 == int(anvil.call("eth_getBalance", made["builder"], "latest"), 16)
    assert made["gasUsed"] > 1_000_000
    place = json.loads((data / "l1.json").read_bytes())
    assert ("ethereum", made["inbox"], 0) == (place["type"], place["inbox"], place["depth"])
    assert 0o600 == (data / "l1.json").stat().st_mode & 0o777
    status = command.ask("status", data)
    assert (made["inbox"], made["builder"]) == (status["l1"]["inbox"], status["l1"]["builder"])
    assert {"latest": 0, "available": 0, "settled": 0} == status["height"]

    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(LINES[:20]))
    assert 20 == command.ask("import", APP, lines, "--data", data)["executed"]
    place_options = ("--l1-url", anvil.url, "--inbox", made["inbox"])
    report = command.ask(
        "verify", APP, "--from", data, *place_options, "--data", tmp_path / "v", "--key", data / "keys" / "verifier.key"
    )
    attestations = tmp_path / "attestations.json"
    attestations.write_text(json.dumps(report))
    settled = command.ask("settle", APP, "--data", data, "--attestations", attestations)
    assert (1, report["stateRoot"]) == (settled["settled"], settled["stateRoot"])
    forced = command.ask("force", APP, "Register", *MEMBERS, "--key", payer, "--data", data)
    assert (0, f"0x{PAYER.hex()}") == (forced["index"], forced["sender"])

    shutil.rmtree(data)
    alone = command.ask("status", *place_options)
    assert (1, 1, 0) == tuple(alone["l1"][name] for name in ("settledHeight", "forcedQueue", "forcedTaken"))
    rebuilt = command.ask("verify", APP, "--from-l1", anvil.url, "--inbox", made["inbox"], "--data", tmp_path / "again")
    assert (1, report["stateRoot"], []) == (rebuilt["verified"], rebuilt["stateRoot"], rebuilt["unchecked"])


def test_the_signing_domain_is_the_inbox(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """Wallets sign for the inbox's address, so actions that were signed for the zero address are refused."""
    deploy(command, anvil, payer, tmp_path / "data", "--salt", "01" * 32)
    lines = tmp_path / "lines"
    lines.write_bytes(LINES[0])
    imported = command.ask("import", APP, lines, "--data", tmp_path / "data")
    assert 1 == imported["executed"]  # without a named sender a stranger's address is recovered ...
    register = json.loads(LINES[0]) | {"sender": "0x" + "11" * 20}
    lines.write_text(json.dumps(register))
    refused = command.ask("import", APP, lines, "--data", tmp_path / "data")
    assert "sender_mismatch" == refused["refusals"][0]["error"]  # ... and with it the error says so


def test_mistakes(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """A missing URL, an L1 that is not there, a quorum that is none, a directory in use, an inbox that is none."""
    data = tmp_path / "data"
    base = ("deploy", APP, "--data", data, "--key", payer)
    assert "the URL of an L1 node" in command.refuse(*base)
    assert "is the node running" in command.refuse(*base, "--l1-url", "http://127.0.0.1:1")
    assert "is not more than half" in command.refuse(*base, "--l1-url", anvil.url, "--quorum", 2)
    assert "this command makes one" in command.refuse(*base, "--l1-url", anvil.url, "--inbox", "0x" + "11" * 20)
    assert not (data / "l1.json").exists()
    deploy(command, anvil, payer, data, "--salt", "02" * 32)
    assert "holds a rollup already" in command.refuse(*base, "--l1-url", anvil.url)
    assert "is no inbox" in command.refuse("status", "--l1-url", anvil.url, "--inbox", "0x" + "11" * 20)
    poor = tmp_path / "poor.key"
    poor.write_text("11" * 32)
    said = command.refuse("force", APP, "Register", *MEMBERS, "--key", poor, "--data", data)
    assert "does not take a transaction" in said


def test_settle_where_the_directory_says(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """`run --settle` refuses to begin another history, and to settle on Ethereum without an inbox."""
    data = tmp_path / "data"
    deploy(command, anvil, payer, data, "--salt", "03" * 32)
    assert "another history" in command.refuse("run", APP, "--data", data, "--settle", "local")
    said = command.refuse("run", APP, "--data", tmp_path / "other", "--settle", "ethereum")
    assert "--settle ethereum needs" in said


def test_another_machine_needs_the_builders_key(
    command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path
) -> None:
    """A directory that is made for an inbox wants its builder's key, and says whose; a URL's secrets are not shown."""
    made = deploy(command, anvil, payer, tmp_path / "data", "--salt", "04" * 32)
    other = tmp_path / "other"
    options = ("run", APP, "--data", other, "--l1-url", anvil.url, "--inbox", made["inbox"], "--port", 0)
    said = command.refuse(*options)
    assert f"the inbox's builder is {made['builder']}" in said
    (other / "keys").mkdir(parents=True)
    (other / "keys" / "builder.key").write_text(DEV_KEYS[1])
    assert "the key in" in command.refuse(*options)
    assert not (other / "data.mdb").exists()
    shutil.copy(tmp_path / "data" / "keys" / "builder.key", other / "keys")
    lines = tmp_path / "lines"
    lines.write_bytes(b"")
    imported = command.ask("import", APP, lines, "--data", other, "--l1-url", anvil.url, "--inbox", made["inbox"])
    assert 0 == imported["height"]
    assert made["inbox"] == json.loads((other / "l1.json").read_bytes())["inbox"]
