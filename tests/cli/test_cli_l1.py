"""Commands that speak with L1, on the local settlement: force, status, and deriving from what L1 settled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from command_line import APP, LINES, CommandLine
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256

SECRET = keccak256(b"somebody who is left out")
SENDER = compute_address(load_private_key(SECRET))
MEMBERS = [
    f"--member={name}=0x{byte * 32}" for name, byte in (("codeHash", "c0"), ("configHash", "cf"), ("salt", "5a"))
]


@pytest.fixture
def data(tmp_path: Path, command: CommandLine) -> Path:
    """A keystore of 40 actions in four blocks, verified and settled."""
    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(LINES[:40]))
    directory = tmp_path / "data"
    command.ask("import", APP, lines, "--data", directory, "--block-size", "10")
    settle(command, directory, tmp_path / "verifier")
    return directory


def settle(command: CommandLine, directory: Path, verifier: Path) -> dict[str, Any]:
    """Verify, attest and settle all that there is."""
    report = command.ask(
        "verify", APP, "--from", directory, "--data", verifier, "--l1", directory / "l1",
        "--key", directory / "keys" / "verifier.key",
    )  # fmt: skip
    file = directory.parent / "attestations.json"
    file.write_text(json.dumps(report))
    settled: dict[str, Any] = command.ask("settle", APP, "--data", directory, "--attestations", file)
    return settled


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "somebody.key"
    path.write_text(SECRET.hex())
    return path


def test_status_of_a_directory(command: CommandLine, data: Path) -> None:
    """The levels of a data directory, whose node does not run, and what its L1 holds."""
    status = command.ask("status", data)
    assert {"latest": 4, "available": 4, "settled": 4} == status["height"]
    assert 40 == status["acknowledged"]
    assert (4, 0, 0) == tuple(status["l1"][name] for name in ("settledHeight", "forcedQueue", "forcedTaken"))
    text = command("status", data)
    assert 0 == text.code
    for said in ("C3B", "settled", status["l1"]["settledRoot"]):
        assert said in text.out


def test_status_of_l1_alone(command: CommandLine, data: Path, tmp_path: Path) -> None:
    """Without operator or data directory L1 says what is settled; with nothing named the command says what to name."""
    l1 = tmp_path / "elsewhere"
    shutil.copytree(data / "l1", l1)
    shutil.rmtree(data)
    status = command.ask("status", "--l1", l1)
    assert {"available": 4, "settled": 4} == status["height"]
    assert "name a node's URL" in command.refuse("status")
    assert "holds no store" in command.refuse("status", data)


def test_forced_action_waits(command: CommandLine, data: Path, key: Path) -> None:
    """What `force` puts into the queue waits on L1, each with an identity of its own."""
    forced = command.ask("force", APP, "Register", *MEMBERS, "--key", key, "--data", data)
    assert (0, f"0x{SENDER.hex()}") == (forced["index"], forced["sender"])
    assert 1 == command.ask("status", data)["l1"]["forcedQueue"]
    assert 2 + 2 * 32 + 2 * 3 * 32 + 2 == len(forced["payload"])
    again = command.ask("force", APP, "Register", *MEMBERS, "--key", key, "--l1", data / "l1")
    assert (1, True) == (again["index"], again["actionHash"] != forced["actionHash"])


def test_a_signed_line_is_carried(command: CommandLine, data: Path, key: Path, tmp_path: Path) -> None:
    """`--signed` takes a line as `submit` does; sender and identity are the signer's. What nobody signed stays here."""
    line = LINES[0]
    file = tmp_path / "action.json"
    file.write_bytes(line)
    carried = command.ask("force", APP, "--signed", file, "--key", key, "--data", data)
    assert (0, "0x01") == (carried["index"], carried["payload"][:4])
    assert f"0x{SENDER.hex()}" != carried["sender"]
    assert carried["signedHash"] not in (None, carried["actionHash"])
    file.write_bytes(line.replace(b'"signature"', b'"sent"'))
    assert "signature" in command.refuse("force", APP, "--signed", file, "--key", key, "--data", data)
    assert "name the TYPE" in command.refuse("force", APP, "--key", key, "--data", data)
    both = ("force", APP, "Register", *MEMBERS, "--signed", file, "--key", key, "--data", data)
    assert "name the TYPE" in command.refuse(*both)
    assert 1 == command.ask("status", data)["l1"]["forcedQueue"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Register", *MEMBERS[:2]], "needs the member 'salt'"),
        (["Register", *MEMBERS, "--member=nonce=0"], "has no member 'nonce'"),
        (["Deregister"], "it has Register, Update"),
        (["Register", *MEMBERS[:2], "--member=salt=0x12"], "salt"),
    ],
)
def test_force_says_what_is_wrong(command: CommandLine, data: Path, key: Path, arguments: list[str], said: str) -> None:
    """Members that are missing, too many or malformed are named, and nothing goes to L1."""
    assert said in command.refuse("force", APP, *arguments, "--key", key, "--data", data)
    assert 0 == command.ask("status", data)["l1"]["forcedQueue"]


def test_force_needs_an_inbox(command: CommandLine, key: Path) -> None:
    """Without a data directory or an L1 the command says how to name one; half a name is not enough."""
    assert "name the inbox" in command.refuse("force", APP, "Register", *MEMBERS, "--key", key)
    half = ("force", APP, "Register", *MEMBERS, "--key", key, "--inbox", "0x" + "11" * 20)
    assert "the URL of an L1 node, --l1-url" in command.refuse(*half)
    both = (*half, "--l1-url", "http://127.0.0.1:1", "--l1", "somewhere")
    assert "give one" in command.refuse(*both)


def test_rebuilt_without_the_operator(command: CommandLine, data: Path, tmp_path: Path) -> None:
    """With the operator's store gone, L1's data give the same state, and proofs of it."""
    before = command.ask("status", data)["l1"]["settledRoot"]
    l1 = tmp_path / "l1"
    shutil.copytree(data / "l1", l1)
    shutil.rmtree(data)
    report = command.ask("verify", APP, "--from-l1", l1, "--data", tmp_path / "rebuilt")
    assert (4, 40, before, []) == (
        report["verified"], report["actions"], report["stateRoot"], report["unchecked"],
    )  # fmt: skip
    proof = command.ask("prove", APP, "0x" + "07" * 32, "--data", tmp_path / "rebuilt" / "store")
    assert before == proof["stateRoot"]


def test_verify_takes_one_source(command: CommandLine, data: Path) -> None:
    """Either somebody's blocks, or L1's."""
    assert "either --from" in command.refuse("verify", APP)
    assert "either --from" in command.refuse("verify", APP, "--from", data, "--from-l1", data / "l1")
    assert "its address, --inbox" in command.refuse("verify", APP, "--from-l1", "http://127.0.0.1:1")


def test_verify_takes_one_l1(command: CommandLine, data: Path) -> None:
    """Two names of an L1 are refused, not one of them passed by; so is a key where there is nothing to attest."""
    l1, inbox = data / "l1", ("--inbox", "0x" + "11" * 20)
    url = "http://127.0.0.1:1"
    for other in (("--l1", l1), ("--l1-url", url, *inbox)):
        for first in (l1, url):
            assert "give one of them" in command.refuse("verify", APP, "--from-l1", first, *other)
    assert "give one of them" in command.refuse("verify", APP, "--from", data, "--l1", l1, "--l1-url", url, *inbox)
    assert "--inbox belongs to" in command.refuse("verify", APP, "--from-l1", l1, *inbox)
    key = ("--key", data / "keys" / "verifier.key")
    assert "not settled yet" in command.refuse("verify", APP, "--from-l1", l1, *key)
    assert 4 == command.ask("verify", APP, "--from-l1", l1)["verified"]


def test_old_data_are_refused(command: CommandLine, data: Path, tmp_path: Path) -> None:
    """Data that end below what L1 has settled, or hold another block there, are told apart, with the way on: what would
    be built on them could never settle. The right data go on.
    """
    new, more = tmp_path / "new", tmp_path / "more"
    more.write_bytes(b"".join(LINES[40:50]))
    shutil.copytree(data, tmp_path / "old")
    command.ask("import", APP, more, "--data", data)
    shutil.rmtree(tmp_path / "verifier")
    settle(command, data, tmp_path / "verifier")
    data.rename(new)
    (tmp_path / "old").rename(data)
    shutil.rmtree(data / "l1")
    shutil.copytree(new / "l1", data / "l1")
    said = command.refuse("import", APP, more, "--data", data)
    assert "L1 has settled block 5" in said
    assert "microrollup docs deep-reorgs" in said
    shutil.rmtree(data)
    report = command.ask("import", APP, more, "--data", new)
    assert 10 == report["refused"]
