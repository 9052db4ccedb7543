"""What the pages on backups and failover tell an operator to do: a lost disk, a database of before, an archive."""

import http.client
import json
import shutil
from contextlib import closing

import pytest

from command_line import APP, LINES, CommandLine
from process_fixtures import Process, run_node, submit
from waiting import wait_for


@pytest.fixture
def command(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def site(command, tmp_path):
    """A directory whose records fill a shared log, its L1 beside it, and a copy of the builder's key."""
    (tmp_path / "empty").write_bytes(b"")
    command.ask("import", APP, tmp_path / "empty", "--data", tmp_path / "one", "--l1", tmp_path / "l1")
    shutil.copytree(tmp_path / "one" / "keys", tmp_path / "keys")
    command.ask("replica", "seed", APP, "--data", tmp_path / "one", *log_of(tmp_path))
    return tmp_path


def log_of(site):
    return ["--replica", f"sqlite:{site / 'log.sqlite'}", "--single-copy"]


def run_member(site, name="one"):
    return run_node(site / name, *log_of(site), "--node-name", name, "--l1", site / "l1")


def take(caller, lines):
    """Acknowledgements once the node leads, without what differs from one answer to the next."""
    return [(ack["actionHash"], ack["seq"], ack["receiptHash"]) for ack in submit(caller, lines)]


def read_health(url):
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:
        connection.request("GET", "/health")
        return json.loads(connection.getresponse().read())


def test_a_lost_disk_comes_back_from_the_shared_log(site, command):
    """A new directory with the builder's key adopts the log: all that was acknowledged is there, under its numbers."""
    with run_member(site) as caller:
        before = take(caller, LINES[:20])
        assert 0 == caller.process.stop()[0]
    shutil.rmtree(site / "one")
    (site / "two").mkdir()
    shutil.copytree(site / "keys", site / "two" / "keys")
    adopted = command.ask(
        "replica", "adopt", APP, "--data", site / "two", "--node-name", "two", "--l1", site / "l1", *log_of(site)
    )
    assert adopted["lag"] > 20
    with run_member(site, "two") as caller:
        assert before == take(caller, LINES[:20])
        assert 20 == take(caller, LINES[20:21])[0][1]


def test_a_database_of_before_takes_nothing_back(site, command):
    """A node whose own log is longer refuses to lead, and says both; the longest directory fills the log again."""
    with run_member(site) as caller:
        first = take(caller, LINES[:10])
        assert 0 == caller.process.stop()[0]
    shutil.copy(site / "log.sqlite", site / "earlier.sqlite")
    with run_member(site) as caller:
        second = take(caller, LINES[10:20])
        assert 0 == caller.process.stop()[0]
    for leftover in site.glob("log.sqlite*"):
        leftover.unlink()
    shutil.copy(site / "earlier.sqlite", site / "log.sqlite")
    options = ["run", APP, "--data", site / "one", "--port", 0, "--json", *log_of(site), "--node-name", "one"]
    with closing(Process(*options, "--l1", site / "l1", cwd=site)) as process:
        url = process.read()["url"]
        said = wait_for(lambda: (found := read_health(url)).get("role") == "refused" and found)
        assert "has nothing there" in said["reason"]
        assert 0 == process.stop()[0]
    (site / "log.sqlite").unlink()
    command.ask("replica", "seed", APP, "--data", site / "one", *log_of(site))
    with run_member(site) as caller:
        assert first + second == take(caller, LINES[:20])


def test_an_archive_of_the_log(command, tmp_path):
    """Blocks go into a file that verifies by itself; a store from a snapshot is without them, and goes on."""
    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(LINES[:40]))
    command.ask("import", APP, lines, "--data", tmp_path / "data", "--block-size", 10)
    command.ask("export", APP, "--data", tmp_path / "data", "--out", tmp_path / "blocks.mrb")
    verified = command.ask("verify", APP, "--from", tmp_path / "blocks.mrb")
    kept = command.ask("snapshot", APP, "--data", tmp_path / "data", "--out", tmp_path / "state.snapshot")
    assert kept["height"] == verified["verified"]
    restored = command.ask(
        "restore", APP, "--from", tmp_path / "state.snapshot", "--data", tmp_path / "small",
        "--block-hash", kept["blockHash"], "--l1", tmp_path / "data" / "l1",
    )  # fmt: skip
    assert restored["height"] == kept["height"]
    shutil.copytree(tmp_path / "data" / "keys", tmp_path / "small" / "keys")
    shutil.copytree(tmp_path / "data" / "l1", tmp_path / "small" / "l1")
    assert command("log", APP, "--data", tmp_path / "small").out.count("\n") < 5
    lines.write_bytes(b"".join(LINES[40:50]))
    assert 10 == command.ask("import", APP, lines, "--data", tmp_path / "small")["executed"]
