"""`deploy` and what follows, on a real L1: the data directory knows its inbox, and every mistake is one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import shop.v1
import shop.v2
from command_line import APP, LINES, CommandLine
from l1_double import L1Double, Persona
from l1_fixtures import Anvil
from l1_proxy import run_proxy
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.testing.anvil import DEV_KEYS

PAYER = compute_address(load_private_key(bytes.fromhex(DEV_KEYS[0])))
MEMBERS = [
    f"--member={name}=0x{byte * 32}" for name, byte in (("codeHash", "c0"), ("configHash", "cf"), ("salt", "5a"))
]


@pytest.fixture
def payer(tmp_path: Path) -> Path:
    path = tmp_path / "payer.key"
    path.write_text(DEV_KEYS[0])
    return path


def deploy(command: CommandLine, anvil: Anvil, payer: Path, data: Path, *more: object) -> dict[str, Any]:
    made: dict[str, Any] = command.ask(
        "deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer, "--l1-depth", 1, *more
    )
    return made


def test_a_deployed_rollup(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """The inbox is there, owned by who paid, the builder has its ether, and every command finds the inbox by itself."""
    data = tmp_path / "data"
    made = deploy(command, anvil, payer, data, "--fund", "0.25", "--zero-domain")
    assert 25 * 10**16 == int(anvil.call("eth_getBalance", made["builder"], "latest"), 16)
    assert made["gasUsed"] > 1_000_000
    place = json.loads((data / "deployed.json").read_bytes())
    assert ("ethereum", made["inbox"], 1) == (place["type"], place["inbox"], place["depth"])
    assert 0o600 == (data / "deployed.json").stat().st_mode & 0o777
    status = command.ask("status", data)
    assert (made["inbox"], made["builder"]) == (status["l1"]["inbox"], status["l1"]["builder"])
    assert {"latest": 0, "available": 0, "settled": 0} == status["height"]

    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(LINES[:20]))
    assert 20 == command.ask("import", APP, lines, "--data", data)["executed"]
    place_options = ("--l1-url", anvil.url, "--inbox", made["inbox"], "--l1-depth", 1)
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


def test_a_dry_run(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """`--dry-run` says where the inbox will be and sends nothing; the deployment then puts it there."""
    data, options = tmp_path / "data", ("--salt", "05" * 32)
    nonce = anvil.call("eth_getTransactionCount", f"0x{PAYER.hex()}", "latest")
    planned = deploy(command, anvil, payer, data, *options, "--dry-run")
    assert nonce == anvil.call("eth_getTransactionCount", f"0x{PAYER.hex()}", "latest")
    assert "0x" == anvil.call("eth_getCode", planned["inbox"], "latest")
    anvil.mine(5)
    made = deploy(command, anvil, payer, data, *options)
    assert planned == {name: made[name] for name in planned}
    assert {"l1Number", "transaction", "gasUsed"} == set(made) - set(planned)
    assert not (data / "inbox.plan").exists()
    other = deploy(command, anvil, payer, tmp_path / "other", "--salt", "05" * 32, "--dry-run")
    assert other["inbox"] != made["inbox"]  # its builder is another


def test_owner_and_builder_in_one_hand(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """An operator that owns the inbox can void what users force: `deploy` warns, unless the hands are two."""
    data = tmp_path / "data"
    (data / "keys").mkdir(parents=True)
    shutil.copy(payer, data / "keys" / "builder.key")
    options = ("deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer, "--dry-run")
    assert "owner and builder are one key" in command(*options).err
    assert "" == command(*options, "--owner", f"0x{'11' * 20}").err


def test_the_signing_domain_is_the_inbox(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """Wallets sign for the inbox's address, so actions that were signed for the zero address are refused."""
    deploy(command, anvil, payer, tmp_path / "data", "--salt", "01" * 32)
    lines = tmp_path / "lines"
    lines.write_bytes(LINES[0])
    imported = command.ask("import", APP, lines, "--data", tmp_path / "data")
    assert (1, 1) == (imported["executed"], imported["unknownSenders"])  # without a sender it is a stranger's ...
    register = json.loads(LINES[0]) | {"sender": "0x" + "11" * 20}
    lines.write_text(json.dumps(register))
    refused = command.ask("import", APP, lines, "--data", tmp_path / "data", code=1)
    assert "sender_mismatch" == refused["refusals"][0]["error"]  # ... and with it the error says so


def test_a_provider_with_a_key_and_limits(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """A node that wants a header, takes two requests at once and few blocks of events serves every command; the data
    directory keeps the header, and no message shows it.
    """
    data, key = tmp_path / "data", "Bearer 0123456789abcdef"
    persona = Persona(
        header=("Authorization", key), status=403, max_batch=2, batch_form="text", max_range=40, has_eip_1898=False,
        writes_nulls=True,
    )  # fmt: skip
    with run_proxy(anvil.url, L1Double(anvil.url, persona)) as provider:
        reach = ("--l1-url", provider.url, "--l1-header", f"Authorization: {key}", "--da", "calldata")
        refusal = command.refuse("deploy", APP, "--data", data, "--key", payer, "--l1-url", provider.url)
        assert "--l1-header" in refusal
        made = command.ask(
            "deploy", APP, "--data", data, "--key", payer, *reach, "--l1-depth", 1, "--fund", "0.25", "--zero-domain",
            "--salt", "03" * 32,
        )  # fmt: skip
        assert [f"Authorization: {key}"] == json.loads((data / "deployed.json").read_bytes())["headers"]
        lines = tmp_path / "lines"
        lines.write_bytes(b"".join(LINES[:20]))
        assert 20 == command.ask("import", APP, lines, "--data", data)["executed"]
        place = (*reach, "--inbox", made["inbox"], "--l1-depth", 1)
        report = command.ask(
            "verify", APP, "--from", data, *place, "--data", tmp_path / "v", "--key", data / "keys" / "verifier.key"
        )
        attestations = tmp_path / "attestations.json"
        attestations.write_text(json.dumps(report))
        assert 1 == command.ask("settle", APP, "--data", data, "--attestations", attestations)["settled"]
        source = ("verify", APP, "--from-l1", provider.url, "--inbox", made["inbox"])
        rebuilt = command.ask(*source, *reach[2:4], "--data", tmp_path / "again")
        assert (1, report["stateRoot"], []) == (rebuilt["verified"], rebuilt["stateRoot"], rebuilt["unchecked"])
        assert key not in command.refuse(*source, "--l1-header", f"Authorization: x{key}", "--data", tmp_path / "none")
        assert "is written" in command.refuse(*source, "--l1-header", "no header")


def test_a_depth_of_none(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """No command takes a depth of 0 on Ethereum, from its options or from `deployed.json`; each says what to give."""
    data = tmp_path / "data"
    reach = ("--l1-url", anvil.url, "--inbox", "0x" + "11" * 20)
    for arguments in (
        ("deploy", APP, "--data", data, "--key", payer, "--l1-url", anvil.url, "--l1-depth", 0),
        ("run", APP, "--data", data, *reach, "--l1-depth", 0),
        ("verify", APP, "--from", data, *reach, "--l1-depth", 0),
        ("verify", APP, "--from-l1", anvil.url, "--inbox", "0x" + "11" * 20, "--l1-depth", 0),
    ):
        assert "give 1 on a chain for development, 12 (the default)" in command.refuse(*arguments)
    assert "the depth is 1 to 10000" in command.refuse("status", *reach, "--l1-depth", 10_001)
    deploy(command, anvil, payer, data, "--salt", "06" * 32)
    place = json.loads((data / "deployed.json").read_bytes())
    (data / "deployed.json").write_text(json.dumps(place | {"depth": 0}))
    assert "give 1 on a chain for development" in command.refuse("status", data)


def test_mistakes(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """A missing URL, an L1 that is not there, a quorum that is none, a directory in use, an inbox that is none."""
    data = tmp_path / "data"
    base = ("deploy", APP, "--data", data, "--key", payer)
    assert "the URL of an L1 node" in command.refuse(*base)
    assert "is the node running" in command.refuse(*base, "--l1-url", "http://127.0.0.1:1")
    assert "is not more than half" in command.refuse(*base, "--l1-url", anvil.url, "--quorum", 2)
    assert "this command makes one" in command.refuse(*base, "--l1-url", anvil.url, "--inbox", "0x" + "11" * 20)
    assert not (data / "deployed.json").exists()
    deploy(command, anvil, payer, data, "--salt", "02" * 32)
    assert "holds a rollup already" in command.refuse(*base, "--l1-url", anvil.url)
    assert "is not an inbox" in command.refuse("status", "--l1-url", anvil.url, "--inbox", "0x" + "11" * 20)
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
    assert made["inbox"] == json.loads((other / "deployed.json").read_bytes())["inbox"]


def test_a_deployment_that_was_cut_off(
    command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the inbox and the store pays for no second inbox: the directory knows the first, and `import`, as
    `run`, goes on with it.
    """
    data, lines = tmp_path / "data", tmp_path / "lines"
    lines.write_bytes(b"")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("microrollup.deployment.deploying.Ledger.create", crash)
        assert 130 == command("deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer).code
    assert 0o600 == (data / "deployed.json").stat().st_mode & 0o777
    said = command.refuse("deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer)
    assert "names an inbox already" in said
    assert 0 == command.ask("import", APP, lines, "--data", data)["executed"]


def test_a_builder_that_got_no_ether(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """If the funding fails the error names the inbox, which exists, and the builder, which is to be sent ether."""
    data = tmp_path / "data"
    said = command.refuse(
        "deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer, "--fund", 999_999
    )  # fmt: skip
    inbox = json.loads((data / "deployed.json").read_bytes())["inbox"]
    assert f"the inbox {inbox} is created" in said
    assert "send it some" in said
    assert inbox == command.ask("status", data)["l1"]["inbox"]


def test_the_owner_announces_a_version(command: CommandLine, anvil: Anvil, payer: Path, tmp_path: Path) -> None:
    """`announce-code` tries the migration and calls the inbox from its owner's key; nobody else's, and no own delay."""
    data = tmp_path / "data"
    made = command.ask(
        "deploy", "shop.v1", "--data", data, "--l1-url", anvil.url, "--key", payer, "--l1-depth", 1, "--zero-domain"
    )
    announced = command.ask("announce-code", "shop.v2", "--data", data, "--key", payer)
    assert ("2", "executed") == (announced["version"], announced["outcome"])
    head, _ = anvil.get_head()
    assert head + CHANGE_DELAY_BLOCKS == announced["effective"]
    selector = keccak256(b"codeAt(uint256)")[:4].hex()
    for block, code in ((head, shop.v1.app.stf_id), (announced["effective"], shop.v2.app.stf_id)):
        call = {"to": made["inbox"], "data": f"0x{selector}{block:064x}"}
        assert hex0x(code) == anvil.call("eth_call", call, "latest")
    stranger = tmp_path / "stranger.key"
    stranger.write_text(DEV_KEYS[1])
    for options, words in (
        (("--key", stranger), "is not the owner"),
        ((), "give the key of the inbox's owner"),
        (("--key", payer, "--delay-blocks", 0), "has a delay of its own"),
    ):
        assert words in command.refuse("announce-code", "shop.v2", "--data", data, *options)
