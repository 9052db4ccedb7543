"""Commands over verifier sets: pages of BLS keys, announcing, looking and cancelling, on L1 and locally."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from command_line import APP, LINES, CommandLine, cli
from ethereum_harness import KEYS
from ethereum_site import Site, make_site, run_l1
from microrollup.crypto.ecdsa import compute_address
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.verifiers import BLS, sort_keys
from microrollup.testing.settlement_harness import BUILDER, OWNER

__all__ = ["cli"]

CONTRACT = "0x" + "77" * 20
NOBODY = "0x" + "78" * 20


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with run_l1() as anvil, make_site(anvil) as made:
        anvil.call("anvil_setCode", CONTRACT, "0x00")
        yield made


def name_inbox(site: Site) -> tuple[str, ...]:
    return "--l1-url", site.options.url, "--inbox", f"0x{site.options.inbox.hex()}"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    """Files of the owner's and of a stranger's key."""
    builder, owner, stranger = KEYS
    found = {}
    for name, key in (("builder", builder), ("owner", owner), ("stranger", stranger)):
        found[name] = tmp_path / f"{name}.key"
        found[name].write_text(key.secret.hex())
    return found


def make_bls_keys(cli: CommandLine, directory: Path, count: int) -> Path:
    """What `keygen --bls --json` prints, a line each."""
    path = directory / "keys.jsonl"
    made = [cli.ask("keygen", directory / f"v{number}.key", "--bls") for number in range(count)]
    path.write_text("".join([json.dumps(each) + "\n" for each in made]))
    return path


def count_transactions(site: Site) -> int:
    return sum(
        int(site.anvil.call("eth_getTransactionCount", f"0x{compute_address(key).hex()}", "latest"), 16) for key in KEYS
    )


def test_a_set_of_bls_keys_on_l1(cli: CommandLine, site: Site, keys: dict[str, Path], tmp_path: Path) -> None:
    """Registered by anybody, announced by the owner, seen and taken back; dry runs say the same and send nothing."""
    inbox, lines = name_inbox(site), make_bls_keys(cli, tmp_path, 3)
    before = count_transactions(site)
    tried = cli.ask("register-keys", lines, *inbox, "--key", keys["stranger"], "--dry-run")
    assert before == count_transactions(site)
    made = cli.ask("register-keys", lines, *inbox, "--key", keys["stranger"])
    assert (True, False, tried["pages"]) == (tried["dryRun"], made["dryRun"], made["pages"])
    (page,) = made["pages"]
    said = [json.loads(line)["key"] for line in lines.read_text().splitlines()]
    assert page["keys"] == [f"0x{key.hex()}" for key in sort_keys([bytes.fromhex(key[2:]) for key in said])]

    chosen = ("--page", page["page"], "--quorum", 3, "--count", f"{CONTRACT}=2", "--key", keys["owner"], *inbox)
    before = count_transactions(site)
    tried = cli.ask("announce-verifiers", *chosen, "--dry-run")
    assert before == count_transactions(site)
    change = cli.ask("announce-verifiers", *chosen)
    assert change["effective"] in range(tried["effective"], tried["effective"] + 2)
    assert tried["value"] == change["value"]
    assert ("bls", 3, 3, [page["page"]]) == tuple(
        change["value"][name] for name in ("kind", "count", "quorum", "members")
    )

    shown = cli.ask("announced", *inbox)
    (announced,) = shown["announced"]
    assert {"kind": "verifiers", "effective": change["effective"], "value": change["value"]} == announced
    assert "ecdsa" == shown["verifiers"]["kind"]
    assert str(change["effective"]) in cli("announced", *inbox).out
    tried = cli.ask("announced", "--cancel", "verifiers", "--dry-run", "--key", keys["owner"], *inbox)
    assert 1 == len(cli.ask("announced", *inbox)["announced"])
    done = cli.ask("announced", "--cancel", "verifiers", "--key", keys["owner"], *inbox)
    assert change["effective"] == tried["effective"] == done["effective"]
    assert [] == cli.ask("announced", *inbox)["announced"]


def test_what_l1_refuses_costs_nothing(cli: CommandLine, site: Site, keys: dict[str, Path], tmp_path: Path) -> None:
    """Each mistake is told in its own words before a transaction is sent."""
    inbox, lines = name_inbox(site), make_bls_keys(cli, tmp_path, 2)
    owner, stranger = ("--key", keys["owner"]), ("--key", keys["stranger"])
    first, second = (json.loads(line) for line in lines.read_text().splitlines())
    wrong = tmp_path / "wrong.jsonl"
    before = count_transactions(site)
    for document, words in (
        (first | {"proof": second["proof"]}, "is not a BLS key with its proof of possession"),
        (first | {"key": "0xc0" + "00" * 95}, "is not a BLS key with its proof of possession"),
        (first | {"key": "0x12"}, "is not a"),
        ({"key": first["key"]}, "is not a key with its proof"),
        ([1], "is not a key with its proof"),
    ):
        wrong.write_text(json.dumps(document))
        assert words in cli.refuse("register-keys", wrong, *inbox, *stranger)
    wrong.write_text(f"{json.dumps(first)}\n{json.dumps(first)}\n")
    assert "named twice" in cli.refuse("register-keys", wrong, *inbox, *stranger)
    wrong.write_text("\n")
    assert "0 keys" in cli.refuse("register-keys", wrong, *inbox, *stranger)

    members = ("--verifier", f"0x{BUILDER.hex()}", "--verifier", f"0x{OWNER.hex()}")
    announce = ("announce-verifiers", *inbox)
    for arguments, words in (
        ((*members, "--quorum", 2, *stranger), "is not the owner"),
        ((*members, "--quorum", 1, *owner), "quorum"),
        ((*members, "--quorum", 3, *owner), "quorum"),
        ((*members, "--quorum", 2, "--count", f"{CONTRACT}=2", *owner), "quorum"),
        ((*members, "--quorum", 2, "--count", f"{CONTRACT}=many", *owner), "is not ADDRESS=N"),
        ((*members, "--quorum", 2, "--require", NOBODY, *owner), "there is no contract at"),
        (("--page", NOBODY, "--quorum", 1, *owner), "is not a registered page"),
        ((*members, "--page", NOBODY, "--quorum", 1, *owner), "or pages of BLS keys"),
        (("--quorum", 1, *owner), "or pages of BLS keys"),
        ((*members, "--quorum", 2), "takes a key"),
    ):
        assert words in cli.refuse(*announce, *arguments)
    assert "nothing is announced" in cli.refuse("announced", "--cancel", "builder", *owner, *inbox).lower()
    assert "have no effect" in cli.refuse("announced", *owner, *inbox)
    assert "name the inbox" in cli.refuse("announced")
    assert before == count_transactions(site)


def test_the_local_settlement(cli: CommandLine, tmp_path: Path) -> None:
    """The same on a data directory, whose builder is the owner; proofs are refused there."""
    data, lines = tmp_path / "data", make_bls_keys(cli, tmp_path, 3)
    cli.ask("import", APP, "-", "--data", data, stdin=LINES[0])
    tried = cli.ask("register-keys", lines, "--data", data, "--dry-run")
    made = cli.ask("register-keys", lines, "--data", data)
    assert tried["pages"] == made["pages"]
    chosen = ("announce-verifiers", "--page", made["pages"][0]["page"], "--quorum", 2, "--data", data)
    cli.ask(*chosen, "--dry-run")
    assert [] == cli.ask("announced", "--data", data)["announced"]
    change = cli.ask(*chosen)
    assert change["value"] == cli.ask("announced", "--data", data)["announced"][0]["value"]
    assert "verifies no proofs" in cli.refuse(*chosen, "--count", f"{CONTRACT}=1")
    with closing(LocalSettlement.open(data / "l1")) as inbox:
        (announced,) = inbox.list_announced()
        found = inbox.get_verifiers(announced.effective)
        assert (BLS, 2, 3) == (found.kind, found.quorum, len(found.keys))
        assert announced.effective in range(inbox.get_number(), inbox.get_number() + CHANGE_DELAY_BLOCKS + 1)
    cli.ask("announced", "--cancel", "verifiers", "--data", data)
    assert [] == cli.ask("announced", "--data", data)["announced"]
