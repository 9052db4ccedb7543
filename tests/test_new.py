"""`microrollup new`: the app that it writes works, its test passes, and nothing is overwritten."""

import json
import re
import subprocess
import sys

import pytest
from command_line import ROOT, cli, run_process

from microrollup.cli.scaffold import render_template

__all__ = ["cli"]


def test_the_new_app_works(tmp_path):
    """Written, tested, imported, proven and verified, in its directory and from outside of it."""
    written = run_process("new", "tally", "--json", cwd=tmp_path).document
    names = ["tally.py", "test_tally.py", "README.md", "actions.jsonl"]
    assert [f"tally/{name}" for name in names] == written["files"]
    home = tmp_path / "tally"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=home, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "2 passed" in tested.stdout, tested.stdout + tested.stderr
    inside = run_process("import", "tally", "actions.jsonl", "--data", "data", "--json", cwd=home).document
    counts = [inside[name] for name in ("lines", "executed", "rejected", "refused")]
    assert [3, 2, 1, 0] == counts
    proof = run_process("prove", "tally", "--field", "value", "--data", "data", "--json", cwd=home).document
    assert (3, inside["stateRoot"]) == (proof["stored"], proof["stateRoot"])
    outside = run_process("verify", "tally", "--from", "tally/data", "--json", cwd=tmp_path)
    assert (0, inside["stateRoot"]) == (outside.code, outside.document["stateRoot"])


def test_the_template_is_one_file():
    """The app is one file, into which nothing but its name is put."""
    template = (ROOT / "microrollup" / "templates" / "counter.py.txt").read_text()
    assert {"$name"} == set(re.findall(r"\$\w*", template))
    assert template.replace("$name", "tally") == render_template("counter.py.txt", "tally")


def test_another_directory(cli, tmp_path):
    """With --dir the files are written there, beside whatever is there already."""
    (tmp_path / "other.txt").write_text("kept")
    assert str(tmp_path / "tally.py") in cli.ask("new", "tally", "--dir", tmp_path)["files"]
    assert "kept" == (tmp_path / "other.txt").read_text()
    lines = (tmp_path / "actions.jsonl").read_text().splitlines()
    assert [1, 2, 0] == [json.loads(line)["message"]["by"] for line in lines]


@pytest.mark.parametrize("name", ["tally.py", "test_tally.py", "README.md", "actions.jsonl"])
def test_nothing_is_overwritten(cli, tmp_path, name):
    """If any of the files is there, none is written."""
    (tmp_path / name).write_text("mine")
    assert "exists already" in cli.refuse("new", "tally", "--dir", tmp_path)
    assert [name] == [path.name for path in tmp_path.iterdir()]
    assert "mine" == (tmp_path / name).read_text()


@pytest.mark.parametrize(
    "name",
    ["", "9lives", "Tally", "my-app", "a.b", "../tally", "class", "match", "json", "apps", "t" * 41, "_x", "é"],
)
def test_bad_names(cli, tmp_path, monkeypatch, name):
    """A name that can be no module's, or is another module's, is refused; nothing is written."""
    monkeypatch.chdir(tmp_path)
    cli.refuse("new", name)
    assert [] == list(tmp_path.iterdir())
