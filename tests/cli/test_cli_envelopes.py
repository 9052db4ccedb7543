"""Envelopes on the command line: imported, listed, exported, forced, sent to a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tickets
from command_line import cli, import_lines
from kernel_fixtures import make_key
from microrollup.testing.signing import sign_action
from node_fixtures import Site
from ticket_keys import Purse
from tickets import Fill

__all__ = ["cli"]

APP = "tickets:app"
NAME = "p256-ticket"
KEY = make_key("alice")


def make_line(raw: bytes) -> bytes:
    return json.dumps({"envelope": NAME, "raw": f"0x{raw.hex()}"}).encode() + b"\n"


def sign_fill(purse: Purse, nonce: int = 0) -> bytes:
    return sign_action(tickets.app, Fill(purse.id, 50), nonce, KEY) + b"\n"


def test_the_way_through_files(cli, tmp_path: Path) -> None:
    """Imported among signed actions; those that do not execute are refused; log and export show them, and an import of
    the export gives the same state.
    """
    purse, directory = Purse(), tmp_path / "data"
    first = purse.sign(1)
    lines = [sign_fill(purse), make_line(first), make_line(purse.sign(2)), make_line(first), make_line(purse.sign(60))]
    lines += [make_line(first[:-1]), b'{"envelope": "p256-ticket"}\n']
    report = import_lines(cli, directory, lines, app=APP, code=1)
    assert (3, 0, 4) == (report["executed"], report["rejected"], report["refused"])
    assert ["duplicate", "envelope_rejected", "bad_envelope", "missing_member"] == [
        each["error"] for each in report["refusals"]
    ]
    records = cli.ask("log", APP, "--data", directory)["records"]
    shown = [record for record in records if record["kind"] == "envelope"]
    assert [(NAME, "Redeem", "executed", "0x" + first.hex())] == [
        (each["envelope"], each["type"], each["status"], each["raw"]) for each in shown[:1]
    ]
    out = tmp_path / "actions.jsonl"
    assert 0 == cli("export", APP, "--actions", "--data", directory, "--out", out).code
    again = import_lines(cli, tmp_path / "again", out.read_bytes().splitlines(keepends=True), app=APP)
    assert (3, report["stateRoot"]) == (again["executed"], again["stateRoot"])


def test_force(cli, tmp_path: Path) -> None:
    """The bytes come as digits or as a file; what would not open, or is not told whole, is refused before L1 has it."""
    purse, directory, key = Purse(), tmp_path / "data", tmp_path / "carrier.key"
    import_lines(cli, directory, [sign_fill(purse)], app=APP)
    cli.ask("keygen", key)
    raw, file = purse.sign(3), tmp_path / "ticket.bin"
    file.write_bytes(raw)
    options = ("--key", key, "--data", directory)
    queued = [
        cli.ask("force", APP, "--envelope", NAME, *given, *options)
        for given in (("--raw", "0x" + raw.hex()), ("--file", file))
    ]
    assert ([0, 1], 1) == ([each["index"] for each in queued], len({each["signedHash"] for each in queued}))
    payload = f"0x02{len(NAME):02x}{NAME.encode().hex()}{raw.hex()}"
    assert [payload] * 2 == [each["payload"] for each in queued]
    shown = cli("force", APP, "--envelope", NAME, "--raw", raw.hex(), *options).out
    assert "as envelope" in shown
    for given, said in (
        (("--envelope", NAME), "either with --raw HEX or with --file FILE"),
        (("--raw", raw.hex()), "an --envelope"),
        (("Fill", "--raw", raw.hex()), "give the bytes of an --envelope"),
        (("Fill", "--envelope", NAME, "--raw", raw.hex()), "or an --envelope"),
        (("--envelope", NAME, "--raw", "00"), "an envelope has 20 to 16000"),
        (("--envelope", "other", "--raw", raw.hex()), "has no envelope 'other'; it has p256-ticket"),
    ):
        assert said in cli.refuse("force", APP, *given, *options)


@pytest.mark.parametrize("count", [2])
def test_submit(cli, tmp_path: Path, count: int) -> None:
    """A file of lines goes to a node, envelopes among them."""
    site, purse, file = Site(tmp_path, APP), Purse(), tmp_path / "lines"
    fill = sign_action(site.rollup, Fill(purse.id, 50), 0, KEY, site.genesis.domain) + b"\n"
    lines = [make_line(purse.sign(1)) for _ in range(count)]
    with site.serve() as caller:
        file.write_bytes(fill)
        assert 1 == cli.ask("submit", caller.url, file)["executed"]
        file.write_bytes(b"".join([*lines, make_line(purse.sign(99))]))
        document = cli.ask("submit", caller.url, file, code=1)
    assert (count, 1) == (document["executed"], document["refused"])
    assert ["envelope_rejected"] == [each["error"] for each in document["refusals"]]
