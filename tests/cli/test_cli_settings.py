"""Settings: one name as option, variable and key; the first source that says something counts, setting by setting."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from command_line import APP, CommandLine
from l1_fixtures import Anvil
from microrollup.deployment.l1_settings import L1_SETTINGS
from microrollup.deployment.place_file import find_place, keep_place, place_path
from microrollup.deployment.settings_file import SETTINGS_FILE
from microrollup.settlement.place import EthereumPlace
from microrollup.testing.anvil import DEV_KEYS
from process_fixtures import run_node

INBOX = "0x" + "ab" * 20
DEPLOYED = EthereumPlace("http://127.0.0.1:1/v2/0123456789secret", INBOX, depth=3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What a directory holds after `deploy`, as far as settings go."""
    directory = tmp_path / "data"
    keep_place(directory, DEPLOYED)
    return directory


def check(command: CommandLine, data: Path, *options: object, code: int = 0) -> dict[str, Any]:
    """The settings of a node, by name: value and source."""
    result = command("config", "check", "--data", data, *options, "--json")
    assert code == result.code, result.err
    found: dict[str, Any] = result.document["settings"]
    return found


def test_each_source_before_the_next(command: CommandLine, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default, what `deploy` wrote, `microrollup.toml`, the environment: each gives way to the next, alone."""
    assert {"value": 12, "source": "default"} == check(command, data.parent / "none")["l1-depth"]
    assert {"value": 3, "source": "deployed.json"} == check(command, data)["l1-depth"]
    (data / SETTINGS_FILE).write_text('l1-depth = 5\nblock-time = "250ms"\nrate = 5\nallow-host = ["a.b", "c.d"]\n')
    found = check(command, data)
    assert {"value": 5, "source": SETTINGS_FILE} == found["l1-depth"]
    assert {"value": 0.25, "source": SETTINGS_FILE} == found["block-time"]
    assert {"value": ["a.b", "c.d"], "source": SETTINGS_FILE} == found["allow-host"]
    assert {"value": INBOX, "source": "deployed.json"} == found["inbox"]
    monkeypatch.setenv("MICROROLLUP_L1_DEPTH", "7")
    monkeypatch.setenv("MICROROLLUP_RATE", "9")
    monkeypatch.setenv("MICROROLLUP_UPGRADE", "true")
    found = check(command, data)
    assert {"value": 7, "source": "MICROROLLUP_L1_DEPTH"} == found["l1-depth"]
    assert {"value": 9.0, "source": "MICROROLLUP_RATE"} == found["rate"]
    assert {"value": True, "source": "MICROROLLUP_UPGRADE"} == found["upgrade"]
    rows = command("config", "check", "--data", data).out.splitlines()
    assert ["rate", "9.0", "MICROROLLUP_RATE"] in [row.split() for row in rows]
    assert [["block-size 3200"]] == [re.findall(r"block-size \d+", row) for row in rows if row.startswith("by default")]
    place = find_place(data, None)
    assert (7, INBOX) == (place.depth, place.inbox)  # type: ignore[union-attr]


def test_secrets_are_not_shown(command: CommandLine, data: Path, tmp_path: Path) -> None:
    """Of a URL the host is shown, of a header the name; both may be in a file of their own."""
    (tmp_path / "header").write_text("Authorization: Bearer 0123456789\n")
    (data / SETTINGS_FILE).write_text(f'l1-header = "@{tmp_path}/header"\n')
    found = check(command, data)
    assert ["http://127.0.0.1:1"] == found["l1-url"]["value"]
    assert ["Authorization: ***"] == found["l1-header"]["value"]
    assert ("Authorization: Bearer 0123456789",) == find_place(data, None).headers  # type: ignore[union-attr]
    (tmp_path / "header").unlink()
    assert "cannot be read" in command.refuse("config", "check", "--data", data)


def test_a_file_of_tokens_that_others_may_read_is_said(command: CommandLine, data: Path, tmp_path: Path) -> None:
    """As for a key's; not once it is its owner's."""
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-a-service\n")
    tokens.chmod(0o604)
    (data / SETTINGS_FILE).write_text(f'write-token-file = "{tokens}"\n')
    result = command("config", "check", "--data", data)
    assert (1, f"warning: others may read the tokens in {tokens}: chmod 600 {tokens}\n") == (result.code, result.err)
    tokens.chmod(0o600)
    assert str(tokens) == check(command, data)["write-token-file"]["value"]


def test_unused_settings_are_said(command: CommandLine, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or variable that nothing reads is warned of, with the name that was meant; a known one is not."""
    (data / SETTINGS_FILE).write_text("ratee = 5\n[node]\n")
    refusal = command.refuse("config", "check", "--data", data)
    assert "`node` is a text, a number" in refusal
    (data / SETTINGS_FILE).write_text("ratee = 5\n")
    monkeypatch.setenv("MICROROLLUP_L1_DEPHT", "5")
    monkeypatch.setenv("MICROROLLUP_NATIVE", "0")
    result = command("config", "check", "--data", data)
    assert 1 == result.code
    assert [
        "warning: ratee (did you mean rate?) is not a setting, and nothing reads it",
        "warning: MICROROLLUP_L1_DEPHT (did you mean MICROROLLUP_L1_DEPTH?) is not a setting, and nothing reads it",
    ] == result.err.splitlines()


def test_settings_without_effect(command: CommandLine, tmp_path: Path) -> None:
    """What belongs to an inbox on Ethereum is refused as an option, and warned of in the file, where there is none."""
    data = tmp_path / "data"
    data.mkdir()
    for options in (("--l1-depth", 5), ("--da", "calldata"), ("--blobs", "there"), ("--max-fee-per-gas", "9 gwei")):
        said = command.refuse("run", APP, "--data", data, *options)
        assert f"{options[0]} would have no effect" in said
        assert "settles locally" in said
    (data / SETTINGS_FILE).write_text("l1-depth = 5\n")
    result = command("config", "check", "--data", data)
    assert (1, True) == (result.code, "l1-depth (microrollup.toml) has no effect" in result.err)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("block-size = true", "'true' is not a valid integer"),
        ("block-size = 3.7", "'3.7' is not a valid integer"),
        ('block-time = ["1s", "2s"]', "one value, not a list"),
        ('upgrade = "perhaps"', "is not true or false"),
        ("l1-depth = 0", "`l1-depth` in microrollup.toml: depth 0 binds blocks"),
        ('max-fee-per-gas = "0"', "`max-fee-per-gas` in microrollup.toml: '0' is not an amount"),
        ('da = ["blobs", "blobs"]', "`da` in microrollup.toml is one value"),
        ('l1-url = "ftp://host"', "begins with http://"),
        ('l1-url = "http://', "microrollup.toml: "),
        ("rate = 2026-01-01", "`rate` is a text"),
    ],
)
def test_wrong_values(command: CommandLine, data: Path, line: str, said: str) -> None:
    """A value that cannot be right is refused, and its place named."""
    (data / SETTINGS_FILE).write_text(line + "\n")
    refusal = command.refuse("config", "check", "--data", data)
    assert said in refusal
    assert "microrollup.toml" in refusal


def test_an_option_names_what_it_names(command: CommandLine, anvil: Anvil, tmp_path: Path) -> None:
    """With a data directory that knows its inbox, a named depth is used, and a named URL leaves the fee caps alone."""
    data, payer = tmp_path / "data", tmp_path / "payer.key"
    payer.write_text(DEV_KEYS[0])
    made = command.ask("deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer, "--l1-depth", 1)
    anvil.mine(9)
    for depth in (1, 6):
        l1 = command.ask("status", data, "--l1-depth", depth)["l1"]
        assert depth + 1 == l1["number"] - l1["origin"]  # `number` is of the block to come
    (data / SETTINGS_FILE).write_text('max-fee-per-gas = "9 gwei"\n')
    with run_node(data, "--l1-url", f"{anvil.url}/", "--l1-depth", 4, "--da", "calldata", "--port", 0) as node:
        settings = node.process.info["settings"]
    assert {"value": 4, "source": "option"} == settings["l1-depth"]
    assert {"value": "calldata", "source": "option"} == settings["da"]
    assert {"value": 9 * 10**9, "source": SETTINGS_FILE} == settings["max-fee-per-gas"]
    assert {"value": made["inbox"], "source": "deployed.json"} == settings["inbox"]
    assert 1 == find_place(data, None).depth  # type: ignore[union-attr]  # an option is for one command


def test_l1_json_is_migrated_once(command: CommandLine, anvil: Anvil, tmp_path: Path) -> None:
    """What `l1.json` of earlier releases says becomes keys of the file, once; a reader leaves it there."""
    data, payer, lines = tmp_path / "data", tmp_path / "payer.key", tmp_path / "lines"
    payer.write_text(DEV_KEYS[0])
    lines.write_bytes(b"")
    made = command.ask("deploy", APP, "--data", data, "--l1-url", anvil.url, "--key", payer, "--salt", "07" * 32)
    place_path(data).unlink()
    old = {"type": "ethereum", "url": anvil.url, "inbox": made["inbox"], "da": "blobs", "depth": 2, "blobs": [],
           "headers": ['X-Key: a "quoted" \x7f one'.replace("\x7f", "~")], "archive": None, "bumpSeconds": 12.5,
           "maxFeePerGas": 9, "maxPriorityFeePerGas": 20_000_000_000, "maxFeePerBlobGas": 10**12}  # fmt: skip
    (data / "l1.json").write_text(json.dumps(old))
    (data / SETTINGS_FILE).write_text("l1-depth = 1\n")
    before = find_place(data, None)
    assert made["inbox"] == command.ask("status", data)["l1"]["inbox"]
    assert (data / "l1.json").exists()
    moved = command("import", APP, lines, "--data", data, "--json")
    assert (0, True) == (moved.code, "l1.json was removed" in moved.err)
    assert not (data / "l1.json").exists()
    assert 0o600 == (data / SETTINGS_FILE).stat().st_mode & 0o777
    place = find_place(data, None)
    assert before == place
    assert (1, 9, 12.5) == (place.depth, place.max_fee_per_gas, place.bump_seconds)  # type: ignore[union-attr]
    text = (data / SETTINGS_FILE).read_text()
    assert 0 == command.ask("import", APP, lines, "--data", data)["executed"]
    assert text == (data / SETTINGS_FILE).read_text()
    assert {"value": 12.5, "source": SETTINGS_FILE} == check(command, data)["bump-after"]


def test_every_member_of_a_place_is_a_setting() -> None:
    """`EthereumPlace` and the settings say the same: no member is set by hand only."""
    members = {*EthereumPlace.__struct_fields__} - {"fallbacks"}
    assert members == {setting.field for setting in L1_SETTINGS}
