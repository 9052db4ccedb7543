"""Building: with a compiler the helper comes with the package; without one it does not, and the build says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from microrollup._native.compiling import CompileFailed, compile_library, find_compiler
from paths import ROOT

NAME = "microrollup-0.1.0-py3-none"
FILES = ("pyproject.toml", "README.md", "LICENSE")
KEPT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "fast.library", "sdk", "dist")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the package is built from, without a compiled helper."""
    copy = tmp_path / "checkout"
    for folder in ("microrollup", "apps"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=KEPT_OUT)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture
def compiler() -> str:
    """The machine's compiler."""
    try:
        return " ".join(find_compiler())
    except CompileFailed as failure:
        pytest.skip(f"{failure}")


def run(command: list[str], **environment: str) -> str:
    """What a command says, on both channels; it succeeds."""
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout + done.stderr


def build_wheel(checkout: Path, out: Path, **environment: str) -> tuple[Path, str]:
    """The wheel, and what its build said."""
    script = f"import os, sys; os.chdir({str(checkout)!r}); from hatchling.cli import hatchling; sys.exit(hatchling())"
    said = run([sys.executable, "-c", script, "build", "-t", "wheel", "-d", str(out)], **environment)
    (wheel,) = out.glob("*.whl")
    return wheel, said


def show_path(folder: Path, **environment: str) -> str:
    """Which path the package in a folder takes."""
    script = "from microrollup._native import choice; print(choice.__file__); print(choice.describe_path())"
    shown = run([sys.executable, "-P", "-c", script], PYTHONPATH=str(folder), **environment).splitlines()
    assert shown[0].startswith(str(folder))
    return shown[1]


def list_files(checkout: Path) -> list[Path]:
    """What is in the helper's folder, but for what Python keeps of its own modules there."""
    return sorted(
        set((checkout / "microrollup" / "_native").iterdir()) - {checkout / "microrollup/_native/__pycache__"}
    )


def test_with_a_compiler_the_wheel_is_of_this_platform(compiler: str, checkout: Path, tmp_path: Path) -> None:
    """`py3-none-PLATFORM`, for no more than this kind of machine; unpacked, it takes the native path. The checkout
    stays as it was.
    """
    before = list_files(checkout)
    wheel, said = build_wheel(checkout, tmp_path, CC=compiler)
    assert wheel.name.startswith(f"{NAME}-")
    assert not wheel.name.endswith("-any.whl")
    assert "many" not in wheel.name
    assert "without its native helper" not in said
    assert before == list_files(checkout)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert show_path(tmp_path / "unpacked").startswith("native (")
    assert "pure (MICROROLLUP_NATIVE is 0)" == show_path(tmp_path / "unpacked", MICROROLLUP_NATIVE="0")


@pytest.mark.parametrize("hidden", ["CC", "PATH", "fails"])
def test_without_a_compiler_the_wheel_is_for_all(hidden: str, checkout: Path, tmp_path: Path) -> None:
    """A compiler that is not there, or refuses the source: a warning, `py3-none-any`, and Python's path."""
    environment = {"CC": {"CC": "no-such-compiler"}, "fails": {"CC": "false"}, "PATH": {"PATH": "", "CC": ""}}[hidden]
    wheel, said = build_wheel(checkout, tmp_path, **environment)
    assert f"{NAME}-any.whl" == wheel.name
    assert "microrollup is built without its native helper: " in said
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith("fast.library")]
        archive.extractall(tmp_path / "unpacked")
    assert "pure (not built)" == show_path(tmp_path / "unpacked")


@pytest.mark.parametrize("has_compiler", [True, False])
def test_an_editable_installation(has_compiler: bool, compiler: str, checkout: Path, tmp_path: Path) -> None:
    """`pip install -e .` compiles into the checkout where it can."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--ignore-installed", "--prefix", str(tmp_path / "prefix")]
    run([*command, "-e", str(checkout)], CC=compiler if has_compiler else "no-such-compiler")
    assert has_compiler == (checkout / "microrollup" / "_native" / "fast.library").exists()
    assert show_path(checkout).startswith("native (" if has_compiler else "pure (not built)")


def test_a_failed_build_leaves_the_library_as_it_was(
    compiler: str, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that have it open keep theirs, and no half-written file is ever in its place."""
    source, target = checkout / "microrollup" / "_native", tmp_path / "fast.library"
    compile_library(source, target, ["-O0"])
    before = target.read_bytes()
    (source / "fast.c").write_text("int broken(")
    with pytest.raises(CompileFailed, match="failed"):
        compile_library(source, target)
    monkeypatch.setenv("CC", "no-such-compiler --flag")
    with pytest.raises(CompileFailed, match="no-such-compiler"):
        compile_library(source, target)
    assert [target] == [path for path in tmp_path.iterdir() if path.name.startswith("fast")]
    assert before == target.read_bytes()
