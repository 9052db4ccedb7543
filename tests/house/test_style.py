"""The house style, as far as tools can see it."""

import ast
import re
import subprocess
import sys

import pytest
from vulture import Vulture
from vulture.config import make_config

from paths import ROOT

MAX_LINES = 400
CODE = ("microrollup", "apps", "benchmarks")
WITHOUT_VARIABLES = {"class", "function", "import", "method", "property", "unreachable_code"}
"""What is looked for in tests too: the members of their states and actions are there for what encodes them."""

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_mypy_is_content() -> None:
    """Mypy in strict mode finds nothing."""
    outcome = run("mypy")
    assert 0 == outcome.returncode, outcome.stdout


def test_ruff_is_content() -> None:
    """Ruff, with all rules but those that pyproject.toml ignores for a reason, finds nothing, in tests neither."""
    outcome = run("ruff", "check", "--no-cache")
    assert 0 == outcome.returncode, outcome.stdout


def test_files_are_formatted() -> None:
    """Every Python file is laid out as `ruff format` does it."""
    outcome = run("ruff", "format", "--check", "--no-cache", "--quiet")
    assert 0 == outcome.returncode, outcome.stdout


def test_spelling() -> None:
    """Codespell finds no misspelt word."""
    outcome = run("codespell_lib", *CODE, "tests", "README.md", ".ci", ".github")
    assert 0 == outcome.returncode, outcome.stdout


@pytest.mark.slow
def test_nothing_is_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vulture finds no code in the packages that only tests use, and no helper of tests that none of them uses; what
    others call by name is allowed in pyproject.toml.
    """
    monkeypatch.chdir(ROOT)
    config = make_config([*CODE], None)
    finder = Vulture(ignore_names=config["ignore_names"])
    finder.scavenge(CODE, exclude=config["exclude"])
    assert [] == [item.get_report() for item in finder.get_unused_code()]
    finder.scavenge(["tests"], exclude=config["exclude"])
    unused = [item.get_report() for item in finder.get_unused_code() if item.typ in WITHOUT_VARIABLES]
    assert [] == unused


def test_no_test_measures_time() -> None:
    """No claim of a test depends on how fast the machine is: only what waits for something, and
    what reports how long a takeover took, looks at a running clock.
    """
    clocks = re.compile(r"\b(monotonic|perf_counter)(_ns)?\(")
    looking = {path.name for path in (ROOT / "tests").glob("*/*.py") if clocks.search(path.read_text())}
    assert set() == looking - {"node_zygote.py", "page_runner.py", "replicated_world.py", "waiting.py"}


def test_lmdb_is_opened_and_closed_in_turn() -> None:
    """`LMDB_TURN` says why."""
    found = 0
    for path in (path for folder in CODE for path in (ROOT / folder).rglob("*.py") if "lmdb.open(" in path.read_text()):
        tree = ast.parse(path.read_text())
        turns = [
            node for node in ast.walk(tree) if isinstance(node, ast.With) and "LMDB_TURN" in ast.dump(node.items[0])
        ]
        held = {id(node) for turn in turns for node in ast.walk(turn)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and re.match(
                r"lmdb\.open\(|self\._env(ironment)?\.close\(", ast.unparse(node)
            ):
                assert id(node) in held, f"{path}:{node.lineno}"
                found += 1
    assert found >= 10


def test_files_are_small() -> None:
    """A file holds one noun: none is longer than 400 lines."""
    long_files = {
        str(path.relative_to(ROOT)): count
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert {} == {name: count for name, count in long_files.items() if "testing" not in name}
