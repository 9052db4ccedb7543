"""Which path a process takes: the library only where it is the right one and gives known bytes; else Python, which says
so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import coincurve
import pytest
import structlog

from fuzz_native import SOURCE
from microrollup._native import choice, library
from microrollup._native.choice import Choice, choose, describe_path, get_library, take, warn_of_fault
from microrollup._native.compiling import CompileFailed, compile_library, find_compiler
from microrollup.chain.record import DomainConfig
from microrollup.crypto.keccak import keccak256, keccak256_many
from microrollup.execution.authentication_pool import AuthenticationPool
from paths import ROOT


@pytest.fixture(autouse=True)
def path_of_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test leaves the process on the path that it found, and begins without the variable."""
    monkeypatch.delenv("MICROROLLUP_NATIVE", raising=False)
    before = take(Choice(None, "a test"))
    yield
    take(before)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, and a library that was built from it."""
    try:
        find_compiler()
    except CompileFailed as failure:
        pytest.skip(f"{failure}")
    directory = tmp_path_factory.mktemp("built")
    for name in ("fast.c", "lanes.h"):
        shutil.copy(SOURCE / name, directory)
    compile_library(directory, directory / "fast.library", ["-O0"])
    return directory


@pytest.fixture
def room(built: Path, tmp_path: Path) -> Path:
    """A copy of it for each test."""
    return shutil.copytree(built, tmp_path / "room")


def test_the_right_library_is_taken(room: Path) -> None:
    """It says its instructions; the bytes are those of before."""
    take(choose(room))
    assert get_library() is not None
    assert describe_path() in {"native (plain)", "native (avx2)", "native (avx512)"}
    assert [keccak256(b"a"), keccak256(b"b")] == keccak256_many([b"a", b"b"])


def test_switched_off(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`MICROROLLUP_NATIVE=0` is enough, and no fault; any other value changes nothing."""
    monkeypatch.setenv("MICROROLLUP_NATIVE", "0")
    assert Choice(None, "MICROROLLUP_NATIVE is 0") == choose(room)
    monkeypatch.setenv("MICROROLLUP_NATIVE", "1")
    assert choose(room).library is not None


def test_not_built(tmp_path: Path) -> None:
    """Where there was no compiler there is no library, which is no fault."""
    assert Choice(None, "not built") == choose(tmp_path)


def change_source(room: Path, _: pytest.MonkeyPatch) -> None:
    (room / "fast.c").write_text((room / "fast.c").read_text() + "\n")


def leave_no_source(room: Path, _: pytest.MonkeyPatch) -> None:
    (room / "lanes.h").unlink()


def break_file(room: Path, _: pytest.MonkeyPatch) -> None:
    (room / "fast.library").write_bytes(b"no library")


def build_another(room: Path, _: pytest.MonkeyPatch) -> None:
    source = room / "other.c"
    source.write_text("int other(void);\nint other(void) { return 1; }\n")
    subprocess.run([*find_compiler(), "-shared", "-fPIC", source, "-o", room / "fast.library"], check=True)


def hash_wrongly(room: Path, _: pytest.MonkeyPatch) -> None:
    source = room / "fast.c"
    source.write_text(source.read_text().replace("0x000000000000800A", "0x000000000000800B"))
    compile_library(room, room / "fast.library", ["-O0"])


def fold_wrongly(room: Path, _: pytest.MonkeyPatch) -> None:
    source = room / "fast.c"
    source.write_text(source.read_text().replace("pairs, 0x01, hashes", "pairs, 0x00, hashes"))
    compile_library(room, room / "fast.library", ["-O0"])


def recover_wrongly(room: Path, _: pytest.MonkeyPatch) -> None:
    source = room / "fast.c"
    source.write_text(source.read_text().replace("serialized + 1, POINT", "serialized, POINT"))
    compile_library(room, room / "fast.library", ["-O0"])


def change_coincurve(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coincurve, "__version__", "22.0.0")


def change_struct(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(library._STRUCT_BYTES, "secp256k1_pubkey", 96)


def change_function(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "lib", object())


FAULTS = {
    "another source": (change_source, "built from another source"),
    "no source": (leave_no_source, "source cannot be read: No such file"),
    "no library": (break_file, "cannot be loaded: fast.library"),
    "another library": (build_another, "cannot be loaded"),
    "wrong hashes": (hash_wrongly, "hashes are wrong"),
    "wrong trees": (fold_wrongly, "trees are wrong"),
    "wrong senders": (recover_wrongly, "senders that it recovers are wrong"),
    "another coincurve": (change_coincurve, "knows coincurve 21, not 22.0.0"),
    "other structs": (change_struct, "other sizes"),
    "no function": (change_function, "lacks what it calls"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_library_that_cannot_be_used(fault: str, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's path runs, says why, and warns once, however many pools begin."""
    change, reason = FAULTS[fault]
    change(room, monkeypatch)
    take(found := choose(room))
    assert (None, True) == (found.library, found.is_fault)
    assert reason in found.reason
    assert str(room) not in describe_path()
    assert describe_path().startswith("pure (")
    assert [keccak256(b"a")] == keccak256_many([b"a"])
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            AuthenticationPool("apps.keystore", DomainConfig("keystore", "1", 31337, bytes(20)), workers=0).close()
    assert [("native_helper_unused", "warning", found.reason)] == [
        (line["event"], line["log_level"], line["reason"]) for line in logs
    ]


def test_no_warning_without_a_fault() -> None:
    """Neither a library that is not there nor one in use is worth a line."""
    for found in (Choice(None, "not built"), Choice(None, "MICROROLLUP_NATIVE is 0")):
        take(found)
        with structlog.testing.capture_logs() as logs:
            warn_of_fault()
        assert [] == logs


@pytest.mark.parametrize("switch", ["0", "1"])
def test_a_process_decides_when_it_begins(switch: str) -> None:
    """The environment of the process counts; the installed library is used unless it is switched off."""
    script = "from microrollup._native.choice import describe_path; print(describe_path())"
    environment = os.environ | {"MICROROLLUP_NATIVE": switch}
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    expected = "pure (MICROROLLUP_NATIVE is 0)" if switch == "0" else show_installed()
    assert f"{expected}\n" == shown


def show_installed() -> str:
    take(choose(choice._ROOM))
    return describe_path()
