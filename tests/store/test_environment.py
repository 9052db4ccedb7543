"""The LMDB environment: locks, formats, full maps, readers of other processes, and nothing left open."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import lmdb
import pytest

from kernel_fixtures import MAP_SIZE, Chain, make_steps
from killed_writer import hide_last_commit
from microrollup.errors import CommitFailed, StoreCorrupt, StoreError, StoreFormat, StoreLocked, StoreMissing
from microrollup.ledger.ledger import Ledger
from microrollup.store import environment as module
from microrollup.store.environment import (
    COMPLETE_FORMAT,
    DATA_FILE,
    FORMAT,
    TABLES,
    Environment,
    encode_number,
    map_errors,
)
from microrollup.store.row_check import pack_row
from microrollup.system import describe_write_error, limit
from paths import SUPPORT
from waiting import SECONDS
from zoo import zoo


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A closed store with one log record."""
    with Environment(tmp_path / "store", create=True, map_size=MAP_SIZE) as environment, environment.write() as txn:
        txn.put(encode_number(0), bytes(40), db=environment.tables["log"])
    return tmp_path / "store"


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own."""
    command = [sys.executable, "-c", "import sys\nfrom pathlib import Path\n" + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_numbers_sort_as_keys() -> None:
    """Keys are big-endian, so their order is the numbers'."""
    numbers = [0, 1, 255, 256, 2**32, 2**64 - 1]
    assert numbers == [int.from_bytes(key, "big") for key in sorted(map(encode_number, reversed(numbers)))]


def test_create_and_open(store: Path) -> None:
    """A store has all its tables; it is made once, opened any number of times, and not found where it is not."""
    with Environment(store) as environment:
        assert set(TABLES) == set(environment.tables)
        assert bytes(40) == environment.get("log", encode_number(0))
        assert (1, 0) == (environment.count("log"), environment.count("state"))
    with pytest.raises(StoreError, match="already"):
        Environment(store, create=True)
    for missing in (store / "nothing", store.parent):
        with pytest.raises(StoreMissing):
            Environment(missing)
        with pytest.raises(StoreMissing):
            Environment(missing, read_only=True)


def test_transactions(store: Path) -> None:
    """A transaction is all or nothing; the owner's own reads see it once it is committed, and not before."""
    with Environment(store) as environment:
        table = environment.tables["meta"]
        with environment.write() as txn:
            txn.put(b"a", b"1", db=table)
            assert environment.get("meta", b"a") is None
        assert b"1" == environment.get("meta", b"a")
        with pytest.raises(ZeroDivisionError), environment.write() as txn:
            txn.put(b"a", b"2", db=table)
            1 / 0  # noqa: B018
        assert b"1" == environment.get("meta", b"a")


def test_locked_in_this_process(store: Path) -> None:
    """A second opening in the process is refused, for writing and for reading."""
    with Environment(store):
        for read_only in (False, True):
            with pytest.raises(StoreLocked):
                Environment(store, read_only=read_only)
    Environment(store).close()


def test_locked_by_another_process(store: Path) -> None:
    """A second writing process is refused, which LMDB itself would admit; a reading one is welcome."""
    write = "from microrollup.store.environment import *; Environment(Path(sys.argv[1]))"
    read = "from microrollup.store.environment import *\n"
    read += "print(Environment(Path(sys.argv[1]), read_only=True).count('log'))"
    with Environment(store):
        refused = run(write, store)
        assert "StoreLocked" in refused.stderr
        assert "1\n" == run(read, store).stdout
    assert 0 == run(write, store).returncode


def test_lock_goes_with_its_owner(store: Path) -> None:
    """A killed writer leaves no lock behind."""
    code = "import os\nfrom microrollup.store.environment import *\n"
    code += "e = Environment(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    assert -9 == run(code, store).returncode
    Environment(store).close()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (encode_number(FORMAT + 1), StoreFormat),
        (encode_number(2**64 - 1), StoreFormat),
        (encode_number(COMPLETE_FORMAT - 1), StoreFormat),
        (b"", StoreCorrupt),
        (b"\x01", StoreCorrupt),
        (None, StoreCorrupt),
    ],
    ids=["newer", "far-newer", "older", "empty", "short", "missing"],
)
def test_format(store: Path, value: bytes | None, error: type[StoreError]) -> None:
    """A store of another format is not opened, one without a format is damaged; the lock is let go of."""
    with Environment(store) as environment, environment.write() as txn:
        table = environment.tables["meta"]
        txn.delete(b"format", db=table) if value is None else txn.put(b"format", value, db=table)
    for _ in range(2):
        with pytest.raises(error):
            Environment(store)


def test_a_complete_store_is_converted_once(store: Path) -> None:
    """A store whose tables were always complete has the same layout: readers take it as it is, a writer converts it."""
    with Environment(store) as environment, environment.write() as txn:
        txn.put(b"format", encode_number(COMPLETE_FORMAT), db=environment.tables["meta"])
        txn.put(b"base", encode_number(7), db=environment.tables["meta"])
    with Environment(store, read_only=True) as environment:
        assert encode_number(COMPLETE_FORMAT) == environment.get("meta", b"format")
    for _ in range(2):
        with Environment(store) as environment:
            assert encode_number(FORMAT) == environment.get("meta", b"format")
            assert pack_row(b"base", encode_number(7)) == environment.get("meta", b"base")


def test_a_store_of_the_format_before_is_taken_over(store: Path) -> None:
    """What its blocks changed has no check of new keys and is read so; from now on it has."""
    with Environment(store) as environment, environment.write() as txn:
        base = txn.get(b"base", db=environment.tables["meta"])
        txn.put(b"format", encode_number(FORMAT - 1), db=environment.tables["meta"])
    with Environment(store, read_only=True) as environment:
        assert encode_number(FORMAT - 1) == environment.get("meta", b"format")
    with Environment(store) as environment:
        assert encode_number(FORMAT) == environment.get("meta", b"format")
        assert base == environment.get("meta", b"base")


def test_an_older_store_is_told_its_way_on(store: Path) -> None:
    """Whatever tables it has: the text names both formats and says what can be done."""
    with Environment(store) as environment, environment.write() as txn:
        txn.put(b"format", encode_number(1), db=environment.tables["meta"])
        txn.drop(environment.tables["changes"])
    with pytest.raises(StoreFormat, match=f"older microrollup .format 1, this one reads {FORMAT}.*restore"):
        Environment(store)


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "zeros"])
def test_damaged_file(store: Path, damage: str) -> None:
    """A data file that is no store is told as one of our errors, and never crashes."""
    path = store / "data.mdb"
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "garbage": b"\x99" * 20_000, "cut": whole[:9_000], "zeros": bytes(20_000)}[damage])
    with pytest.raises(StoreError):
        Environment(store)


def test_cut_off(tmp_path: Path) -> None:
    """A data file that was cut off anywhere is told as damage when it is opened for writing; no page is missing."""
    chain = Chain(tmp_path)
    chain.work(Random(1), 12)
    chain.close()
    path = tmp_path / "builder" / "data.mdb"
    whole = path.read_bytes()
    for size in range(8_192, len(whole), len(whole) // 24):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError):
            read_everything(tmp_path / "builder")
    path.write_bytes(whole)
    read_everything(tmp_path / "builder")


def read_everything(directory: Path) -> None:
    """Open a store and read every row of it."""
    with map_errors(directory), Ledger.open(directory, zoo) as ledger:
        for table in TABLES:
            list(ledger.environment.cursor(table))


def test_unusable_places(tmp_path: Path) -> None:
    """A file in the way is told as an error of the store."""
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError):
            Environment(place, create=True)


def test_full_map(tmp_path: Path) -> None:
    """A map that is full fails the commit, keeps what was there, and goes on once there is room."""
    with Environment(tmp_path, create=True, map_size=1 << 17) as environment:
        table, written = environment.tables["state"], 0
        with pytest.raises(CommitFailed, match="MAP_FULL"):
            while True:
                with environment.write() as txn:
                    txn.put(encode_number(written), bytes(1_000), db=table)
                    txn.put(b"log", b"x", db=environment.tables["log"])
                written += 1
        assert 10 < written == environment.count("state")
        with pytest.raises(CommitFailed), environment.write() as txn:
            txn.put(b"large", bytes(1 << 18), db=table)
    with Environment(tmp_path, map_size=1 << 20) as environment, environment.write() as txn:
        assert written == environment.count("state")
        txn.put(b"large", bytes(1 << 18), db=environment.tables["state"])


def test_io_error(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk says in a commit is `CommitFailed`, an error of the caller's own passes as it is."""
    with Environment(store) as environment:
        for foreign in (lmdb.DiskError("EIO"), OSError(5, "EIO")):
            with pytest.raises(CommitFailed), environment.write():
                raise foreign
        with pytest.raises(KeyError), environment.write():
            raise KeyError
        with environment.write() as txn:
            txn.put(b"k", b"v", db=environment.tables["meta"])
        assert b"v" == environment.get("meta", b"k")


def test_closed(store: Path) -> None:
    """A closed environment says so, and may be closed again."""
    environment = Environment(store)
    environment.close()
    environment.close()
    for use in (
        lambda: environment.get("meta", b"k"),
        lambda: environment.cursor("meta"),
        lambda: environment.reader,
        lambda: environment.count("meta"),
        lambda: environment.snapshot().__enter__(),
        lambda: environment.write().__enter__(),
    ):
        with pytest.raises(StoreError, match="closed"):
            use()


# --- readers ---------------------------------------------------------------------------------------------------------


def list_active_readers(environment: Environment) -> list[str]:
    """Readers that hold a snapshot, as LMDB knows them."""
    lines = environment._env.readers().splitlines()[1:]
    return [line for line in lines if line.split() and line.split()[-1] != "-"]


def test_no_reader_is_left_open(tmp_path: Path) -> None:
    """Between uses nobody pins old pages but the owner's newest snapshot, which every commit renews."""
    chain = Chain(tmp_path)
    environment = chain.ledger.environment
    for value in range(5):
        chain.edit(("set_ticket", value, value))
        chain.close_block()
        list(chain.ledger.state.app.tickets.items())  # type: ignore[attr-defined]
        assert len(list_active_readers(environment)) <= 1
    environment.refresh()
    assert [] == list_active_readers(environment)
    with environment.snapshot() as txn:
        txn.get(b"checkpoint", db=environment.tables["meta"])
        assert 1 == len(list_active_readers(environment))
    assert [] == list_active_readers(environment)
    environment._env.reader_check()
    chain.close()


READER = """
from microrollup.verifier.source import StoreSource
source = StoreSource(Path(sys.argv[1]))
print(source.read_tip(), flush=True)
for line in sys.stdin:
    print(len(list(source.read_blocks())), source.read_tip(), flush=True)
"""


def test_a_followers_snapshot_is_not_kept(tmp_path: Path) -> None:
    """A process that follows a store sees new blocks, holds no snapshot between looks, and so keeps no old pages."""
    chain = Chain(tmp_path)
    chain.edit(("count", 0, 1))
    chain.close_block()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\n" + READER, str(tmp_path / "builder")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert "1\n" == process.stdout.readline()
        environment = chain.ledger.environment
        environment.refresh()
        assert [] == list_active_readers(environment)
        for blocks in (2, 3):
            chain.edit(("count", 0, 1))
            chain.close_block()
            process.stdin.write("\n")
            process.stdin.flush()
            assert f"{blocks} {blocks}\n" == process.stdout.readline()
            environment.refresh()
            assert [] == list_active_readers(environment)
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        chain.close()


def test_reading_while_writing(tmp_path: Path) -> None:
    """A reading process sees whole blocks only, each as it will ever be, while the writer goes on."""
    code = """
import time
from microrollup.verifier.source import StoreSource
from microrollup.chain.block import compute_block_hash
seen = {}
with StoreSource(Path(sys.argv[1])) as source:
    while len(seen) < 30:
        parent = None
        for block in source.read_blocks():
            found = compute_block_hash(block.header)
            assert seen.setdefault(block.header.height, found) == found
            assert parent is None or block.header.parent_hash == parent
            assert block.header.action_count == len(block.records)
            parent = found
print(len(seen))
"""
    chain = Chain(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\n" + code, str(tmp_path / "builder")],
        stdout=subprocess.PIPE,
        text=True,
    )
    for value in range(30):
        chain.submit(*[chain.signer.sign(make_steps(("set_ticket", value, value))) for _ in range(3)])
        chain.close_block()
    assert process.stdout is not None
    process.wait(SECONDS)
    assert (0, "30\n") == (process.returncode, process.stdout.read())
    process.stdout.close()
    chain.close()


def test_rows_are_read_back_by_a_new_owner(tmp_path: Path) -> None:
    """What one process committed, another opens, without anything in between."""
    chain = Chain(tmp_path)
    chain.edit(("set_ticket", 1, 77))
    chain.close_block()
    chain.edit(("set_ticket", 2, 88))
    chain.close()
    code = (
        "from zoo import zoo\nfrom microrollup.ledger.ledger import Ledger\n"
        "print(*Ledger.open(Path(sys.argv[1]), zoo).state.app.tickets.items())"
    )
    environment = os.environ | {"PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-c", "import sys\nfrom pathlib import Path\n" + code, str(tmp_path / "builder")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert ("(1, 77) (2, 88) (3, 30)\n", 0) == (done.stdout, done.returncode), done.stderr
    with Ledger.open(tmp_path / "builder", zoo) as ledger:
        assert 2 == ledger.next_seq
    assert module.MAP_SIZE == 1 << 40


DYING_READER = """
import os, signal
from microrollup.store.environment import Environment
environment = Environment(Path(sys.argv[1]), read_only=True)
held = [environment._env.begin() for _ in range(int(sys.argv[2]))]
print("reading", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_reader(store: Path, snapshots: int = 1) -> None:
    """A process that dies while it holds snapshots of a store."""
    command = [
        sys.executable,
        "-c",
        "import sys\nfrom pathlib import Path\n" + DYING_READER,
        str(store),
        str(snapshots),
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "reading\n" == process.stdout.readline()
    process.communicate("\n", timeout=60)
    assert -signal.SIGKILL == process.returncode


def test_a_killed_reader_pins_nothing(store: Path) -> None:
    """A reader that was killed inside a snapshot keeps no replaced pages for long: the file stays small."""
    with Environment(store) as environment:

        def rewrite(times: int) -> int:
            for number in range(times):
                with environment.write() as txn:
                    txn.put(b"key", bytes([number % 256]) * (1 << 16), db=environment.tables["state"])
            return (store / DATA_FILE).stat().st_size

        usual = rewrite(64)
        kill_reader(store)
        assert rewrite(1000) < usual + (8 << 20)
        assert [] == list_active_readers(environment)


def test_killed_readers_leave_their_places(store: Path) -> None:
    """The table of readers is never full of dead ones: an open store goes on, and others can open it."""
    with Environment(store) as environment:
        kill_reader(store, snapshots=module._MAX_READERS - len(environment._env.readers().splitlines()[1:]))
        with environment.snapshot() as txn:
            assert bytes(40) == bytes(txn.get(encode_number(0), db=environment.tables["log"]))
        kill_reader(store, snapshots=500)
        assert "1" == run(COUNT, store).stdout.strip()
        with environment.write() as txn:
            txn.put(b"key", b"value", db=environment.tables["state"])


def test_the_last_commit_of_a_killed_builder(store: Path) -> None:
    """What a killed builder committed is there for the next one, where an open reader does not see it yet too."""
    with Environment(store) as environment, environment.write() as txn:
        txn.put(encode_number(1), b"the last", db=environment.tables["log"])
    with Environment(store, read_only=True) as reader:
        assert 2 == reader.count("log")
        reader.refresh()
        hide_last_commit(store, reader._env.info()["last_txnid"])
        assert 1 == reader.count("log")
        reader.refresh()
        assert "2" == run(COUNT.replace(", read_only=True", ""), store).stdout.strip()
        assert 2 == reader.count("log")


COUNT = """
from microrollup.store.environment import Environment
print(Environment(Path(sys.argv[1]), read_only=True).count("log"))
"""


@pytest.mark.parametrize("free", [0, 1 << 40])
def test_full_disk_is_called_so(store: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """LMDB calls a short write an input/output error: it is a full disk where there is no room, else what it says."""
    usage = shutil.disk_usage(store)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    with Environment(store) as environment:
        size = (store / DATA_FILE).stat().st_size
        with pytest.raises(CommitFailed, match="the disk is full" if free == 0 else "Input/output error"):  # noqa: SIM117
            with limit("RLIMIT_FSIZE", size + (1 << 15)), environment.write() as txn:
                txn.put(b"key", bytes(1 << 20), db=environment.tables["state"])
        assert None is environment.get("state", b"key")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        lmdb.DiskError("mdb_put: No space left on device"),
    ],
)
def test_errors_of_full_disks(tmp_path: Path, error: Exception) -> None:
    """Each way in which a system says that there is no room is told as one thing, with the place."""
    assert f"the disk is full: make room where {tmp_path} is" == describe_write_error(error, tmp_path)
    assert "Permission denied" == describe_write_error(PermissionError(13, "Permission denied"), tmp_path)
