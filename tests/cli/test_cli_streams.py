"""Standard output as a pipe, a pager or a full disk: what `log` and `export` write there, and what they hold."""

import fcntl
import subprocess
import sys

import pytest

from command_line import APP, LINES, cli, import_lines
from microrollup.chain.block import compute_rollup_id
from microrollup.errors import StoreCorrupt
from microrollup.ledger.genesis import read_genesis
from microrollup.store import log_pages
from microrollup.store.environment import Environment, encode_number
from paths import ROOT
from waiting import wait_for

__all__ = ["cli"]

WRITERS = {
    "log": ("log", APP, "--limit", 100_000),
    "log --json": ("log", APP, "--limit", 100_000, "--json"),
    "export": ("export", APP, "--out", "-"),
    "export --actions": ("export", APP, "--actions", "--out", "-"),
}
KINDS = ((), ("--actions",))
_PIPE_BYTES = 4096


@pytest.fixture
def data(cli, tmp_path):
    """A store with 30 actions in three blocks."""
    import_lines(cli, tmp_path / "data", LINES[:30], "--block-size", 10)
    return tmp_path / "data"


def make_command(*arguments):
    return [sys.executable, "-m", "microrollup", *[str(argument) for argument in arguments]]


@pytest.mark.parametrize("name", WRITERS)
def test_a_pager_holds_no_snapshot(cli, tmp_path, name):
    """Output that nobody reads on (`| less`) holds no snapshot, so the writer's file does not grow meanwhile."""
    data = tmp_path / "data"
    import_lines(cli, data, LINES[:400], "--block-size", 100)
    with Environment(data) as environment:
        command = make_command(*WRITERS[name], "--data", data)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            first = process.stdout.read(1)
            wait_for(lambda: all(line.split()[-1] == "-" for line in environment._env.readers().splitlines()[1:]))
            assert None is process.poll()
            rest = process.communicate(timeout=60)[0]
        finally:
            process.kill()
            process.wait()
        assert (1, 0, True) == (len(first), process.returncode, len(rest) > 4 * _PIPE_BYTES)


def test_records_that_are_taken_back_while_they_are_read(data, monkeypatch):
    """A log that is read page by page is one log: where its end was replaced in between, reading stops and says so."""
    monkeypatch.setattr(log_pages, "_PAGE_RECORDS", 10)
    with Environment(data) as environment:
        rollup_id = compute_rollup_id(read_genesis(environment))
        whole = list(log_pages.read_log_pages(environment, rollup_id))
        assert list(range(len(whole))) == [number for number, _ in whole]
        assert whole[7:] == list(log_pages.read_log_pages(environment, rollup_id, 7))
        assert [] == list(log_pages.read_log_pages(environment, rollup_id, len(whole)))
        reading = log_pages.read_log_pages(environment, rollup_id)
        assert whole[:9] == [next(reading) for _ in range(9)]
        with environment.write() as txn:
            row = txn.get(encode_number(9), db=environment.tables["log"])
            txn.put(encode_number(9), bytes(32) + row[32:], db=environment.tables["log"])
        assert whole[9] == next(reading)
        with pytest.raises(StoreCorrupt, match="log/9: the record was taken back"):
            next(reading)


@pytest.mark.parametrize("more", KINDS)
def test_export_to_standard_output(data, tmp_path, more):
    """`--out -` writes the very bytes of the file and nothing else, and makes no file of that name."""
    out = tmp_path / "out"
    command = make_command("export", APP, "--data", data, *more)
    subprocess.run([*command, "--out", out], cwd=ROOT, capture_output=True, check=True)
    piped = subprocess.run([*command, "--out", "-"], cwd=ROOT, capture_output=True, check=True)
    assert (out.read_bytes(), b"") == (piped.stdout, piped.stderr)
    assert not (ROOT / "-").exists()


def test_export_to_standard_output_takes_no_object(cli, data):
    """With --json there would be two results on one standard output."""
    assert "holds one thing" in cli.refuse("export", APP, "--data", data, "--out", "-", "--json")


@pytest.mark.parametrize("more", KINDS)
def test_export_to_a_full_disk(data, more):
    """A full disk is called so, in one sentence and with exit code 2."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device, not a path
        done = subprocess.run(
            make_command("export", APP, "--data", data, "--out", "-", *more),
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (2, "error: the disk is full\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize("more", KINDS)
def test_export_into_a_closed_pipe(data, more):
    """Who stops reading ends the export, as any program's output in a pipe: without a word."""
    command = make_command("export", APP, "--data", data, "--out", "-", *more)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert (141, b"") == (process.wait(60), process.stderr.read())
    process.stderr.close()
