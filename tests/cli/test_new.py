"""`microrollup new`: the app that it writes works, its test passes, and nothing is overwritten."""

import json
import re
import subprocess
import sys

import pytest

from command_line import ROOT, cli, run_process
from microrollup.cli.scaffold import list_templates, render_template

__all__ = ["cli"]


APPS = {
    "auction": (5, [3, 2, 1, 0], "supply", 1_000),
    "counter": (5, [3, 2, 1, 0], "value", 3),
    "subscription": (6, [4, 3, 1, 0], "supply", 1_000),
    "token": (7, [4, 3, 1, 0], "supply", 100),
    "modules": (9, [4, 3, 1, 0], "wallets.supply", 100_100),
}
MODULES = {
    "modules": ["tally_matches.py", "tally_wallets.py"],
    "subscription": ["tally_indexes.py", "tally_reads.py"],
}
"""Template -> its tests; lines, executed, rejected and refused of its actions; a field and what is in it then."""


def test_every_template_is_tried():
    """No template without its row."""
    assert set(APPS) == set(list_templates())


@pytest.mark.parametrize("template", sorted(APPS))
def test_the_new_app_works(tmp_path, template):
    """Written, tested, imported, proven and verified, in its directory and from outside of it."""
    tests, expected, field, value = APPS[template]
    written = run_process("new", "tally", "--with", template, "--json", cwd=tmp_path).document
    names = [
        "tally.py", *MODULES.get(template, []), "README.md", "test_tally.py", "test_tally_properties.py",
        "actions.jsonl",
    ]  # fmt: skip
    assert [f"tally/{name}" for name in names] == written["files"]
    home = tmp_path / "tally"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=home, env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert f"{tests} passed" in tested.stdout, tested.stdout + tested.stderr
    inside = run_process("import", "tally", "actions.jsonl", "--data", "data", "--json", cwd=home).document
    counts = [inside[name] for name in ("lines", "executed", "rejected", "refused")]
    assert expected == counts
    proof = run_process("prove", "tally", "--field", field, "--data", "data", "--json", cwd=home).document
    assert (value, inside["stateRoot"]) == (proof["stored"], proof["stateRoot"])
    outside = run_process("verify", "tally", "--from", "tally/data", "--json", cwd=tmp_path)
    assert (0, inside["stateRoot"]) == (outside.code, outside.document["stateRoot"])


def test_the_template_is_one_file():
    """The app is one file, into which nothing but its name is put."""
    template = (ROOT / "microrollup" / "templates" / "counter" / "NAME.py.txt").read_text()
    assert {"$name"} == set(re.findall(r"\$\w*", template))
    assert template.replace("$name", "tally") == render_template("counter", "tally")["tally.py"]


def test_another_directory(cli, tmp_path):
    """With --dir the files are written there, beside whatever is there already."""
    (tmp_path / "other.txt").write_text("kept")
    assert str(tmp_path / "tally.py") in cli.ask("new", "tally", "--dir", tmp_path)["files"]
    assert "kept" == (tmp_path / "other.txt").read_text()
    lines = (tmp_path / "actions.jsonl").read_text().splitlines()
    assert [1, 2, 0] == [json.loads(line)["message"]["by"] for line in lines]


@pytest.mark.parametrize(
    "name", ["tally.py", "test_tally.py", "test_tally_properties.py", "README.md", "actions.jsonl"]
)
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
