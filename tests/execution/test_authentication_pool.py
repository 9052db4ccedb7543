"""The pool gives what one authenticator gives, in order, and tells when a process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from microrollup.chain.record import DomainConfig
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import DecodeError, NotJson, RefusedError, UsageError, WorkerDied
from microrollup.execution.authentication import Authenticated, Authentication, Authenticator
from microrollup.execution.authentication_pool import AuthenticationPool, split_chunks
from paths import KEYSTORE_DATA, ROOT
from waiting import wait_for

APP = "apps.keystore"
DOMAIN = DomainConfig("keystore", "1", 31337, bytes(20))
LINES = ((KEYSTORE_DATA / "wallet-actions.jsonl").read_bytes().rstrip(b"\n").split(b"\n"))[:600]


@pytest.fixture(scope="module")
def pool() -> Iterator[AuthenticationPool]:
    """Two processes."""
    with AuthenticationPool(APP, DOMAIN, workers=2) as opened:
        yield opened


def show(outcomes: list[Authentication] | list[Authenticated | RefusedError]) -> list[object]:
    """Outcomes in a form that can be compared: errors by class and text."""
    return [item if isinstance(item, Authenticated) else (type(item), str(item)) for item in outcomes]


def test_lines_come_back_in_order(pool: AuthenticationPool) -> None:
    """Good and bad lines mixed, in several processes and in none: the outcomes of one authenticator, in order."""
    lines = list(LINES)
    lines[3], lines[4], lines[599] = b"{}", b"\xff", lines[0][:-1]
    authenticator = Authenticator(load_rollup(APP).action_types, DOMAIN)
    chunks = list(split_chunks(lines, 50))
    found = [show(outcomes) for outcomes in pool.authenticate_lines(chunks)]
    with AuthenticationPool(APP, DOMAIN, workers=0) as none:
        assert [show(outcomes) for outcomes in none.authenticate_lines(chunks)] == found
    assert [authenticator.authenticate_line(line) for line in lines[5:50]] == found[0][5:]
    assert ["MissingMember", "InvalidUtf8"] == [item[0].__name__ for item in found[0][3:5]]  # type: ignore[index]
    assert 12 == len(found)


def test_each_line_has_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is wrong in a way in which only a record should be: who asked knows lines by their places."""
    read_line = Authenticator._read_line

    def fail(self: Authenticator, line: bytes) -> object:
        if line == LINES[1]:
            raise DecodeError("signed action", "a fault in what reads lines")
        return read_line(self, line)

    monkeypatch.setattr(Authenticator, "_read_line", fail)
    with AuthenticationPool(APP, DOMAIN, workers=0) as none:
        (outcomes,) = none.authenticate_lines([LINES[:3]])
        started = none.start_lines(LINES[:3]).collect()
    assert show(outcomes) == show([*started])
    assert [Authenticated, NotJson, Authenticated] == [type(outcome) for outcome in outcomes]


def test_records_come_back_in_order(pool: AuthenticationPool) -> None:
    """Stored records likewise; a damaged one comes back as the `DecodeError` that it is."""
    authenticator = Authenticator(load_rollup(APP).action_types, DOMAIN)
    expected = [authenticator.authenticate_line(line) for line in LINES[:20]]
    records = [outcome.record for outcome in expected]
    (outcomes,) = pool.authenticate_records([[*records, b"\x00"]])
    assert expected == outcomes[:-1]
    error = outcomes[-1]
    assert isinstance(error, DecodeError)
    with pytest.raises(DecodeError) as caught:
        authenticator.authenticate_record(b"\x00")
    assert (caught.value.what, caught.value.reason) == (error.what, error.reason)


def test_only_a_few_chunks_are_read_ahead(pool: AuthenticationPool) -> None:
    """A file of any length costs bounded memory: chunks are read as results are taken."""
    taken = 0

    def chunks() -> Iterator[list[bytes]]:
        nonlocal taken
        for line in LINES[:100]:
            taken += 1
            yield [line]

    results = pool.authenticate_lines(chunks())
    next(results)
    assert taken <= 6
    assert 99 == len(list(results))


def test_records_are_read_ahead_up_to_the_bytes_of_a_large_block(pool: AuthenticationPool) -> None:
    """Signatures are checked while a block is executed; few bytes of many chunks, and few chunks of many bytes."""
    taken = 0

    def chunks(size: int) -> Iterator[list[bytes]]:
        nonlocal taken
        for _ in range(80):
            taken += 1
            yield [bytes(size)]

    for size, most in ((1, 64), (1 << 20, 6)):
        taken = 0
        results = pool.authenticate_records(chunks(size))
        next(results)
        assert most == taken
        assert 79 == len(list(results))


def test_a_dead_process_is_reported() -> None:
    """A worker that is killed raises `WorkerDied`, at once and on the next call; nothing hangs."""
    with AuthenticationPool(APP, DOMAIN, workers=1) as opened:
        results = opened.authenticate_lines([[line] for line in LINES[:20]])
        next(results)
        executor = opened._executor  # there is no public way to hurt a worker
        assert executor is not None
        for process in list(executor._processes):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            list(results)
        with pytest.raises(WorkerDied):
            list(opened.authenticate_lines([LINES[:1]]))


PARENT = f"""
import os, signal
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.chain.record import DomainConfig
if __name__ == "__main__":
    pool = AuthenticationPool({APP!r}, DomainConfig("keystore", "1", 31337, bytes(20)), workers=1)
    list(pool.authenticate_lines([[b""]]))
    print(*pool._executor._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid: int) -> bool:
    """True unless the process is gone, or a zombie that only waits to be counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells running processes by /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """A node that is killed leaves no processes behind."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, check=False, cwd=ROOT)
    assert -signal.SIGKILL == done.returncode
    (pid,) = [int(word) for word in done.stdout.split()]
    wait_for(lambda: not is_running(pid))


def test_an_app_that_does_not_exist_is_told_at_once() -> None:
    """Before any process starts."""
    with pytest.raises(UsageError):
        AuthenticationPool("apps.nowhere", DOMAIN)


def test_chunks_have_a_size() -> None:
    """The last one may be shorter; none is empty."""
    assert [[b"a", b"b"], [b"c"]] == list(split_chunks([b"a", b"b", b"c"], 2))
    assert [] == list(split_chunks([], 2))
