"""`microrollup log`, `replay`, `snapshot`, `restore` and `scrub`: what a store holds, and whether it is right."""

import json
import shutil
import subprocess
import sys

import pytest

from command_line import APP, EXPECTED, LINES, WALLET_FILE, cli, import_lines
from microrollup.cli import output
from microrollup.crypto.ecdsa import compute_address
from microrollup.keys.files import read_key

__all__ = ["cli"]


@pytest.fixture
def data(cli, tmp_path):
    """A store with 30 actions in three blocks."""
    import_lines(cli, tmp_path / "data", LINES[:30], "--block-size", 10)
    return tmp_path / "data"


# --- log -------------------------------------------------------------------------------------------------------------


def test_log(cli, data):
    """Every record comes with its number and kind; an action with seq, type, sender, nonce and status."""
    records = cli.ask("log", APP, "--data", data)["records"]
    block = ["open", *["action"] * 10, "close"]
    assert ["genesis", *block, *block, *block] == [record["kind"] for record in records]
    assert list(range(37)) == [record["record"] for record in records]
    actions = [record for record in records if record["kind"] == "action"]
    assert list(range(30)) == [record["seq"] for record in actions]
    assert {"executed"} == {record["status"] for record in actions}
    assert [1, 1, 2, 2, 3, 3] == [record["height"] for record in records if record["kind"] in ("open", "close")]
    assert {"type", "message", "signature", "sender", "nonce"} <= set(actions[0])


@pytest.mark.parametrize(("first", "limit"), [(0, 1), (1, 12), (12, 3), (13, 100), (24, 1), (30, 7), (36, 1)])
def test_part_of_the_log(cli, data, first, limit):
    """A part of the log is what the whole log shows there, seq included."""
    records = cli.ask("log", APP, "--data", data)["records"]
    part = cli.ask("log", APP, "--data", data, "--from", first, "--limit", limit)["records"]
    assert records[first : first + limit] == part


def test_log_beyond_the_end(cli, data):
    """Behind the last record there is nothing."""
    assert [] == cli.ask("log", APP, "--data", data, "--from", 37)["records"]
    assert "no records there" in cli("log", APP, "--data", data, "--from", 37).out


def test_log_for_people(cli, data):
    """Without --json the log is a table."""
    result = cli("log", APP, "--data", data, "--limit", 20)
    assert (0, "") == (result.code, result.err)
    assert "block 1" in result.out
    assert "Register" in result.out
    assert "records 0 to 19" in result.out


def test_why_an_action_was_rejected(cli, tmp_path):
    """A rejected action's record says why."""
    cli.ask("import", APP, WALLET_FILE, "--data", tmp_path)
    first = EXPECTED["rejectedLines"][0]
    records = cli.ask("log", APP, "--data", tmp_path, "--from", first, "--limit", 5)["records"]
    (rejected,) = [record for record in records if record["status"] == "rejected"]
    assert (first, "no such account") == (rejected["seq"], rejected["reason"])


# --- replay ----------------------------------------------------------------------------------------------------------


def test_replay(cli, data, tmp_path):
    """The rebuilt store is equal to the byte, and may be kept."""
    document = cli.ask("replay", APP, "--data", data, "--into", tmp_path / "again")
    assert (True, 3, 37, []) == tuple(document[name] for name in ("equal", "height", "records", "differences"))
    assert document["stateRoot"] == cli.ask("replay", APP, "--data", tmp_path / "again")["stateRoot"]
    assert "holds a store already" in cli.refuse("replay", APP, "--data", data, "--into", tmp_path / "again")


def test_replay_finds_a_difference(cli, data):
    """A state row that the log does not give is named, with exit code 1."""
    flip_row(data, "state")
    result = cli("replay", APP, "--data", data, "--json")
    assert (1, False) == (result.code, result.document["equal"])
    assert ["state"] == [difference["table"] for difference in result.document["differences"]]
    result = cli("replay", APP, "--data", data)
    assert 1 == result.code
    assert "NO" in result.out


def flip_row(directory, table, position=3):
    """Change one bit in the last byte of a table's row, as a disk would, but with LMDB's own pages intact."""
    script = (
        "import lmdb, sys; env = lmdb.open(sys.argv[1], max_dbs=20, map_size=1 << 40)\n"
        "db = env.open_db(sys.argv[2].encode(), create=False)\n"
        "with env.begin(write=True, db=db) as txn:\n"
        "    key, value = list(txn.cursor())[int(sys.argv[3])]\n"
        "    txn.put(key, value[:-1] + bytes([value[-1] ^ 1]))"
    )
    subprocess.run([sys.executable, "-c", script, directory, table, str(position)], check=True)


def test_a_damaged_log_is_no_history(cli, data):
    """A record that does not fit the chain stops every reader of the log, in one sentence."""
    flip_row(data, "log", 5)
    assert "log/5: the record does not fit the chain" in cli.refuse("log", APP, "--data", data)
    assert "log/5" in cli.refuse("replay", APP, "--data", data)
    assert "log/5" in cli.refuse("export", APP, "--data", data, "--out", data / "blocks")
    assert not (data / "blocks").exists()


# --- exported actions ------------------------------------------------------------------------------------------------


def test_exported_actions_go_into_another_store(cli, data, tmp_path):
    """The actions of a log, imported into a new store of the rollup, give the same state; those behind a height are the
    rest of them; a second import changes nothing.
    """
    out = tmp_path / "actions.jsonl"
    assert 30 == cli.ask("export", APP, "--data", data, "--actions", "--out", out)["actions"]
    lines = out.read_bytes().splitlines(keepends=True)
    assert 10 == cli.ask("export", APP, "--data", data, "--actions", "--after", 2, "--out", out)["actions"]
    assert lines[20:] == out.read_bytes().splitlines(keepends=True)
    assert 0 == cli.ask("export", APP, "--data", data, "--actions", "--after", 3, "--out", out)["actions"]
    report = import_lines(cli, tmp_path / "other", lines)
    assert (30, 0) == (report["executed"], report["refused"])
    assert cli.ask("log", APP, "--data", data)["records"][2]["message"] == json.loads(lines[0])["message"]
    again = import_lines(cli, data, lines)
    assert (0, 30, report["stateRoot"]) == (again["executed"], again["refused"], again["stateRoot"])


def test_actions_that_a_store_does_not_have(cli, data, tmp_path):
    """A store that began with a snapshot exports what came after it; asked for more, it says that it cannot."""
    path, restored = tmp_path / "snapshot", tmp_path / "restored"
    cli.ask("snapshot", APP, "--data", data, "--out", path)
    cli.ask("restore", APP, "--data", restored, "--from", path)
    for name in ("keys", "l1"):
        shutil.copytree(data / name, restored / name)
    import_lines(cli, restored, LINES[30:33])
    command = ["export", APP, "--data", restored, "--out", tmp_path / "out"]
    assert 3 == cli.ask(*command, "--actions")["actions"]
    assert 3 == cli.ask(*command, "--actions", "--after", 3)["actions"]
    assert "restored at height 3" in cli.refuse(*command, "--actions", "--after", 2)
    assert "no block 9 yet" in cli.refuse(*command, "--actions", "--after", 9)
    assert "--after belongs to --actions" in cli.refuse(*command, "--after", 3)


def test_replay_and_verify_in_segments(cli, data, tmp_path, monkeypatch):
    """A store gives its own states as starts; a worker replays, or verifies, what lies between them. Progress is told
    in blocks, of all.
    """
    options = ("--executor", "processes:1", "--segment-actions", 1)
    alone = cli.ask("replay", APP, "--data", data)
    with monkeypatch.context() as patched:
        patched.setattr(output, "_SAY_SECONDS", 0.0)
        result = cli("replay", APP, "--data", data, *options, "--snapshots", tmp_path / "made", "--json")
    found, said = result.document, [json.loads(line) for line in result.err.splitlines()]
    assert {"progress": "replaying blocks", "done": 3, "total": 3} == said[-1]
    assert alone == {name: found[name] for name in alone}
    assert (True, 3, False) == (found["equal"], found["segments"], found["fromSnapshots"])
    verified = cli.ask("verify", APP, "--from", data, *options, "--snapshots", tmp_path / "made")
    assert (found["stateRoot"], 3, True) == (verified["stateRoot"], verified["segments"], verified["fromSnapshots"])
    assert "leave out --into" in cli.refuse("replay", APP, "--data", data, *options, "--into", tmp_path / "new")
    assert "belong to --executor" in cli.refuse("replay", APP, "--data", data, "--snapshots", tmp_path)


# --- snapshots -------------------------------------------------------------------------------------------------------


def test_snapshot_and_restore(cli, data, tmp_path):
    """A restored store has the root, proves, and goes on importing where the original is."""
    path, restored = tmp_path / "snapshot", tmp_path / "restored"
    taken = cli.ask("snapshot", APP, "--data", data, "--out", path)
    assert taken["id"] == cli.ask("snapshot", APP, "--data", data, "--out", path)["id"]
    assert (3, path.stat().st_size) == (taken["height"], taken["bytes"])
    document = cli.ask("restore", APP, "--data", restored, "--from", path, "--block-hash", taken["blockHash"])
    assert (3, taken["stateRoot"], ["blockHash"]) == (document["height"], document["stateRoot"], document["vouchedFor"])
    (record,) = cli.ask("log", APP, "--data", restored)["records"]
    assert (36, "close", 3) == (record["record"], record["kind"], record["height"])
    for name in ("keys", "l1"):
        shutil.copytree(data / name, restored / name)
    more = [import_lines(cli, directory, LINES[30:40]) for directory in (data, restored)]
    assert more[0]["stateRoot"] == more[1]["stateRoot"]
    assert [10, 10] == [report["executed"] for report in more]
    seqs = [record.get("seq") for record in cli.ask("log", APP, "--data", restored, "--from", 38)["records"]]
    assert [*range(30, 40), None] == seqs


def test_snapshot_of_an_older_height(cli, data, tmp_path):
    """A snapshot at an older height has that height's root."""
    taken = cli.ask("snapshot", APP, "--data", data, "--out", tmp_path / "snapshot", "--height", 1)
    document = cli.ask("restore", APP, "--data", tmp_path / "restored", "--from", tmp_path / "snapshot")
    assert (1, taken["stateRoot"], []) == (document["height"], document["stateRoot"], document["vouchedFor"])
    assert "seal alone" in cli("restore", APP, "--data", tmp_path / "two", "--from", tmp_path / "snapshot").out


def test_restore_checks(cli, data, tmp_path):
    """Another hash, an L1 that did not settle the block, a damaged file, a store that is there: all are refused."""
    path, restored = tmp_path / "snapshot", tmp_path / "restored"
    cli.ask("snapshot", APP, "--data", data, "--out", path)
    command = ["restore", APP, "--data", restored, "--from", path]
    assert "not of 0x" in cli.refuse(*command, "--block-hash", "11" * 32)
    assert "L1 does not vouch for height 3" in cli.refuse(*command, "--l1", data / "l1")
    damaged = bytearray(path.read_bytes())
    damaged[-100] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    cli.refuse(*command[:-1], tmp_path / "damaged")
    assert not restored.exists()
    assert "holds a store already" in cli.refuse("restore", APP, "--data", data, "--from", path)


# --- scrub -----------------------------------------------------------------------------------------------------------


def test_scrub(cli, data):
    """A sound store is read whole, and nothing is found."""
    document = cli.ask("scrub", APP, "--data", data)
    assert (True, []) == (document["ok"], document["damages"])
    assert 37 == document["checked"]["log"]
    assert "nothing" in cli("scrub", APP, "--data", data).out


@pytest.mark.parametrize("table", ["log", "state", "blocks", "receipts"])
def test_scrub_names_what_is_damaged(cli, data, table):
    """A changed row is named by its table, with exit code 1 and what repairs it."""
    flip_row(data, table, 1)
    result = cli("scrub", APP, "--data", data, "--json")
    assert (1, "") == (result.code, result.err)
    assert any(damage["where"].startswith(table) for damage in result.document["damages"])
    result = cli("scrub", APP, "--data", data)
    assert 1 == result.code
    assert table in result.out


def test_scrub_looks_at_the_local_settlement(cli, data):
    """The rows of the L1 beside the store are read too; nothing rebuilds them, and the report says so."""
    assert 0 < cli.ask("scrub", APP, "--data", data)["checked"]["l1"]
    flip_row(data / "l1", "builders", 0)
    (damage,) = cli("scrub", APP, "--data", data, "--json").document["damages"]
    assert "l1" == damage["where"]
    assert "backup" in damage["repair"]


def test_keys_may_have_a_prefix(tmp_path):
    """A key file holds 64 hex digits in either case, with or without 0x and a line's end."""
    path = tmp_path / "key"
    addresses = set()
    for text in ("ab" * 32, "0x" + "ab" * 32 + "\n", " " + "AB" * 32 + "\r\n"):
        path.write_text(text)
        addresses.add(compute_address(read_key(path)))
    assert 1 == len(addresses)
