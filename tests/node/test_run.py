"""`microrollup run` and `verify --follow` as processes: clean stops, kills under load, remote verifiers, new apps."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from command_line import APP, LINES, ROOT
from microrollup.settlement.local import SECONDS_PER_BLOCK
from node_fixtures import Caller, receive, subscribe
from process_fixtures import TIMEOUT, Process, run_node, submit
from waiting import wait_for


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_node_stops_cleanly_and_goes_on(tmp_path, how):
    """A signal lets the node finish what it took and end with 0; the same command goes on from there, perhaps with L1's
    clock.
    """
    with run_node(tmp_path / "data") as caller:
        acks = submit(caller, LINES[:10])
        with caller.connect() as ws:
            subscribe(ws, "blocks")
            assert (0, "") == caller.process.stop(how)
    with run_node(tmp_path / "data", "--clock", "l1") as caller:
        heights = caller.call("height")
        assert heights["latest"] >= 1
        assert acks == submit(caller, LINES[:10])
        assert 10 == submit(caller, LINES[10:11])[0]["seq"]
        wait_for(lambda: caller.call("height")["settled"] == caller.call("height")["latest"] > heights["latest"])
        header, parent = caller.call("getHeader"), caller.call("getHeader", height=heights["latest"])
        assert max(header["l1Origin"] * SECONDS_PER_BLOCK, parent["timestamp"]) == header["timestamp"]
        assert (0, "") == caller.process.stop()


def test_what_is_wrong_with_the_command(tmp_path):
    """A port that is taken, a verifier that is none, a time that is none: one sentence, exit code 2."""
    (tmp_path / "key").write_text("11" * 32)
    with run_node(tmp_path / "data") as caller:
        for options, words in (
            (["--port", caller.port], "cannot be listened on"),
            (["--verifier-key", tmp_path / "key"], "not among the rollup's verifiers"),
            (["--block-time", "fast"], "is not a time"),
        ):
            directory = tmp_path / "other"
            if "--verifier-key" in options:
                subprocess.run(
                    [sys.executable, "-m", "microrollup", "import", APP, "-", "--data", directory],
                    cwd=ROOT,
                    input=b"",
                    capture_output=True,
                    check=True,
                )
            with closing(Process("run", APP, "--data", directory, *options, cwd=ROOT)) as process:
                out, err = process.process.communicate(timeout=TIMEOUT)
                assert (2, b"") == (process.process.returncode, out), err
                assert words in err.decode()
                assert "--port" not in options or not directory.exists()
        with closing(Process("run", APP, "--data", tmp_path / "data", "--port", 0, cwd=ROOT)) as process:
            _, err = process.process.communicate(timeout=TIMEOUT)
            assert "being written by another process" in err.decode()


def test_kill_under_load_loses_nothing(tmp_path):
    """SIGKILL while several submit: every acknowledged action is there with its seq, subscribers go on at their cursor,
    the verifier catches up.
    """
    acked, cursors = {}, []
    by_sender = {}
    for line in LINES[:1200]:
        by_sender.setdefault(_find_sender(line), []).append(line)
    groups = [[], [], []]
    for number, lines in enumerate(by_sender.values()):
        groups[number % 3] += lines

    for _ in range(2):
        with run_node(tmp_path / "data") as caller:
            stop = threading.Event()

            def work(group, port=caller.port, stop=stop):
                with closing(Caller(None, port)) as own:
                    for first in range(0, len(group), 7):
                        if stop.is_set():
                            return
                        try:
                            answers = own.submit(*group[first : first + 7])
                        except (OSError, ValueError, AssertionError):
                            return
                        for answer in answers:
                            if "ack" in answer:
                                acked.setdefault(answer["ack"]["actionHash"], answer["ack"])

            def watch(port=caller.port):
                with closing(Caller(None, port)) as own:
                    try:
                        with own.connect() as ws:
                            subscribe(ws, "receipts", **{"from": len(cursors)})
                            while True:
                                cursors.append(receive(ws, 1)[0]["cursor"])
                    except Exception:
                        return

            threads = [threading.Thread(target=work, args=(group,)) for group in groups]
            threads.append(threading.Thread(target=watch))
            before = len(acked)
            for thread in threads:
                thread.start()
            wait_for(lambda before=before: len(acked) > before + 60)
            caller.process.process.kill()
            stop.set()
            for thread in threads:
                thread.join(TIMEOUT)
    assert len(acked) > 120
    with run_node(tmp_path / "data") as caller:
        for action_hash, ack in acked.items():
            assert ack["seq"] == caller.call("getReceipt", hash=action_hash)["seq"]

        def count_closed():
            header = caller.call("getHeader")
            return header["firstSeq"] + header["actionCount"]

        wait_for(lambda: count_closed() >= len(acked))  # the block that was open at the kill closes by itself
        wait_for(lambda: caller.call("height")["settled"] == caller.call("height")["latest"])
        count = count_closed()
        with caller.connect() as ws:
            subscribe(ws, "receipts", **{"from": len(cursors)})
            cursors += [each["cursor"] for each in receive(ws, count - len(cursors))] if count > len(cursors) else []
        assert list(range(len(cursors))) == cursors
        assert acked == {
            ack["actionHash"]: ack for ack in submit(caller, [line for line in LINES[:1200] if _hash(line, acked)])
        }


def _find_sender(line):
    return _authenticate(line).sender


def _hash(line, acked):
    return "0x" + _authenticate(line).action_hash.hex() in acked


def _authenticate(line):
    from apps.keystore import app
    from microrollup.execution.authentication import Authenticator

    return Authenticator(app.action_types, app.make_domain()).authenticate_line(line.rstrip())


def test_a_verifier_elsewhere(tmp_path):
    """A verifier that knows only the node's address and L1 follows, attests, and so settles; it outlives the node."""
    subprocess.run(
        [sys.executable, "-m", "microrollup", "import", APP, "-", "--data", tmp_path / "data"],
        cwd=ROOT, input=b"", capture_output=True, check=True,
    )  # fmt: skip
    key = tmp_path / "verifier.key"
    (tmp_path / "data" / "keys" / "verifier.key").rename(key)
    with run_node(tmp_path / "data") as caller:
        arguments = ["verify", APP, "--from", caller.url, "--l1", tmp_path / "data" / "l1", "--key", key]
        with closing(Process(*arguments, "--data", tmp_path / "own", "--follow", "--json", cwd=ROOT)) as verifier:
            assert 0 == verifier.read()["verified"]
            submit(caller, LINES[:5])
            wait_for(lambda: caller.call("height")["settled"] == caller.call("height")["latest"] == 1)
            wait_for(lambda: verifier.read()["verified"] == 1)
            submit(caller, LINES[5:9])
            wait_for(lambda: caller.call("height")["settled"] == 2)
            caller.process.stop()
            assert any(b"SourceUnavailable" in line for line in verifier.process.stderr)
            assert verifier.process.poll() is None
            assert 0 == verifier.stop()[0]
    assert (tmp_path / "verifier.key.signed").is_dir()


def test_a_store_is_followed(tmp_path):
    """`verify --follow` on a directory tells each new block; without L1 what it cannot check is listed."""
    with run_node(tmp_path / "data") as caller:
        submit(caller, LINES[:2])
        wait_for(lambda: caller.call("height")["latest"] == 1)
        arguments = ["verify", APP, "--from", tmp_path / "data", "--follow", "--json"]
        with closing(Process(*arguments, cwd=ROOT)) as verifier:
            assert 1 == verifier.read()["verified"]
            submit(caller, LINES[2:4])
            report = verifier.read()
            assert (2, 4) == (report["verified"], report["actions"])
            assert report["unchecked"]
            assert 0 == verifier.stop(signal.SIGINT)[0]


def test_a_new_app_needs_no_code_for_this(tmp_path):
    """An app that `microrollup new` wrote is served, takes its actions, is verified, settled, proven and looked at."""
    subprocess.run(
        [sys.executable, "-m", "microrollup", "new", "tally"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip
    lines = (tmp_path / "tally" / "actions.jsonl").read_bytes().splitlines()
    with run_node(tmp_path / "data", app="tally", cwd=tmp_path / "tally") as caller:
        assert ["executed", "executed", "rejected"] == [ack["status"] for ack in submit(caller, lines)]
        wait_for(lambda: caller.call("height")["settled"] == 1)
        assert 3 == caller.call("getState", field="value")["value"]
        assert caller.call("getProof", field="value", height=1)["exists"]
        assert "Increment" == caller.call("config")["actions"][0]["name"]
        assert b"<html" in caller.get("/", Accept="text/html")[1]
        assert (0, "") == caller.process.stop()
