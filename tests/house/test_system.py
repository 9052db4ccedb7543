"""Other operating systems: macOS without Linux's calls, Windows without `fcntl` and `resource`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import APP, LINES
from microrollup import system
from microrollup.errors import CommitFailed
from microrollup.store.flat_file import FlatFile
from paths import ROOT

MACOS = """
import fcntl, os
for name in ("posix_fallocate", "fdatasync", "sched_getaffinity"):
    delattr(os, name)
fcntl.F_FULLFSYNC = 51
"""
WINDOWS = """
import os, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
for name in ("posix_fallocate", "fdatasync", "sched_getaffinity", "O_CLOEXEC", "O_DIRECTORY"):
    delattr(os, name)
"""


def run_on(system_code: str, directory: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Python in a process, and its children, on a system that lacks something."""
    (directory / "sitecustomize.py").write_text(system_code)
    environment = os.environ | {"PYTHONPATH": f"{directory}{os.pathsep}{ROOT}"}
    command = [sys.executable, *[str(argument) for argument in arguments]]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_macos(tmp_path: Path) -> None:
    """Without `posix_fallocate`, `fdatasync` and `sched_getaffinity` a store is made, written, read and exported."""
    actions, data, blocks = tmp_path / "actions.jsonl", tmp_path / "data", tmp_path / "blocks"
    actions.write_bytes(b"".join(LINES[:20]))
    for command in (
        ("import", APP, actions, "--data", data, "--workers", "1"),
        ("log", APP, "--data", data),
        ("export", APP, "--data", data, "--out", blocks),
        ("verify", APP, "--from", blocks, "--workers", "0"),
    ):
        done = run_on(MACOS, tmp_path, "-m", "microrollup", *command)
        assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "command",
    [
        ("import", APP, "{actions}", "--data", "{data}"),
        ("run", APP, "--data", "{data}", "--port", "0"),
        ("scrub", APP, "--data", "{data}"),
        ("demo", "--data", "{data}"),
    ],
    ids=lambda command: command[0],
)
def test_windows(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Without `fcntl` and `resource` a command that needs a store says so in one sentence, which names a way out."""
    actions, data = tmp_path / "actions.jsonl", tmp_path / "data"
    actions.write_bytes(b"".join(LINES[:2]))
    if command[0] == "scrub":
        made = run_on("", tmp_path, "-m", "microrollup", "import", APP, actions, "--data", data)
        assert 0 == made.returncode
    filled = [part.format(actions=actions, data=data) for part in command]
    done = run_on(WINDOWS, tmp_path, "-m", "microrollup", *filled)
    assert done.returncode not in {0, -6, -11}
    assert [f"error: {system.UnsupportedSystem('fcntl')}"] == done.stderr.splitlines()
    assert "WSL" in done.stderr


def test_windows_without_a_store(tmp_path: Path) -> None:
    """What needs no store works: apps are declared, the client is imported, commands are explained."""
    done = run_on(WINDOWS, tmp_path, "-c", "import microrollup, microrollup.client, apps.keystore")
    assert (0, "") == (done.returncode, done.stderr)
    done = run_on(WINDOWS, tmp_path, "-m", "microrollup", "--help")
    assert (0, "") == (done.returncode, done.stderr)


def test_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the process may use; without such a call all of the machine's, and one if nobody knows."""
    assert len(os.sched_getaffinity(0)) == system.count_cores()
    monkeypatch.delattr(os, "sched_getaffinity")
    assert os.cpu_count() == system.count_cores()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert 1 == system.count_cores()


@pytest.mark.parametrize("has_call", [True, False])
def test_allocated_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_call: bool) -> None:
    """A file grows with blocks on disk for every byte, and keeps what it holds; with and without the call."""
    if not has_call:
        monkeypatch.delattr(os, "posix_fallocate")
    file = FlatFile.create(tmp_path / "rows", 32)
    file.rows[0] = 7
    file.reserve(100_000)
    file.sync()
    assert 32 * 100_000 <= file.path.stat().st_size
    assert file.path.stat().st_size <= 512 * file.path.stat().st_blocks
    assert (bytes([7]) * 32, bytes(32)) == (file.read_row(0), file.read_row(1))
    file.close()


def test_full_disk_without_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room is found out when the file grows, not when a mapped write kills the process."""
    monkeypatch.delattr(os, "posix_fallocate")

    def write(_handle: int, _raw: bytes, _offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises(CommitFailed, match="the disk is full"):
        FlatFile.create(tmp_path / "rows", 32)


@pytest.mark.parametrize("refused", [False, True])
def test_full_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    """Where a drive's cache must be emptied it is, for data too; a file system that has no such thing is synced."""
    import fcntl

    done: list[str] = []

    def control(_handle: int, command: int) -> int:
        done.append(f"command {command}")
        if refused:
            raise OSError(45, "Operation not supported")
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda _handle: done.append("fsync"))
    monkeypatch.setattr(os, "fdatasync", lambda _handle: done.append("fdatasync"))
    with (tmp_path / "file").open("wb") as file:
        system.sync_file(file.fileno())
        system.sync_data(file.fileno())
    assert (["command 51", "fsync"] if refused else ["command 51"]) * 2 == done


def test_data_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux leaves times of access out; a system that cannot syncs all of the file."""
    done: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _handle: done.append("fsync"))
    monkeypatch.setattr(os, "fdatasync", lambda _handle: done.append("fdatasync"))
    system.sync_data(0)
    monkeypatch.delattr(os, "fdatasync")
    system.sync_data(0)
    assert ["fdatasync", "fsync"] == done


def test_locks(tmp_path: Path) -> None:
    """One holder at a time, or many who share; a lock that is free again can be taken."""
    path = tmp_path / "lock"
    with pytest.raises(FileNotFoundError):
        system.lock_file(path)
    held = system.lock_file(path, create=True)
    assert held is not None
    assert (None, None) == (system.lock_file(path), system.lock_file(path, shared=True))
    os.close(held)
    shared = [system.lock_file(path, shared=True) for _ in range(2)]
    assert None not in shared
    assert None is system.lock_file(path)
    for handle in shared:
        os.close(handle)  # type: ignore[arg-type]


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Mac tells "no limit" and refuses more than 10,240: the highest number that it takes is set."""
    told: list[Any] = []

    def set_limit(_number: int, limits: tuple[int, int]) -> None:
        told.append(limits)
        if limits[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    system.raise_limit("RLIMIT_NOFILE", 20_000)
    assert [(20_000, resource.RLIM_INFINITY), (10_240, resource.RLIM_INFINITY)] == told
    system.raise_limit("RLIMIT_NOFILE", 100)
    system.raise_limit("RLIMIT_NONE", 100)
    assert 2 == len(told)
