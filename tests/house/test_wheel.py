"""The wheel: everything works from an installed package, in any directory, without the checkout."""

import email
import os
import subprocess
import sys
import zipfile

import pytest

from command_line import EXPECTED, LINES, ROOT, run_process
from microrollup.declaration.rollup import load_rollup
from process_fixtures import run_node, submit
from waiting import wait_for
from wheel_fixtures import installed, wheel

SOURCES = {"microrollup": "microrollup", "apps/keystore": "microrollup_keystore"}
"""What is installed of the checkout, and under which name."""


__all__ = ["installed", "wheel"]


def test_what_is_in_the_wheel(wheel):
    """Two packages and the license: all files of the framework and of the keystore, and none of their tests, SDKs or
    Node.js modules.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"microrollup", "microrollup_keystore", "microrollup-0.1.0.dist-info"} == {
        name.split("/")[0] for name in names
    }
    assert "microrollup-0.1.0.dist-info/licenses/LICENSE" in names
    for folder, target in SOURCES.items():
        kept = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
        files = {name.removeprefix(f"{folder}/") for name in kept.stdout.splitlines()}
        wanted = {name for name in files if not name.startswith(("sdk/", "client/js/"))} - {"README.md"}
        found = {name.removeprefix(f"{target}/") for name in names if name.startswith(f"{target}/")}
        assert set() == wanted - found
        assert [] == [name for name in found if {"node_modules", "sdk", "tests"} & set(name.split("/"))]


def test_what_the_wheel_says_of_itself(wheel):
    """License, URLs, and what it runs on: Linux and macOS, CPython 3.11 to 3.13."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read("microrollup-0.1.0.dist-info/METADATA"))
    assert ("MIT", "LICENSE", "<3.14,>=3.11") == tuple(
        metadata[name] for name in ("License-Expression", "License-File", "Requires-Python")
    )
    shown = {line.split(",")[0] for line in metadata.get_all("Project-URL")}
    assert {"Homepage", "Documentation", "Changelog", "Issues"} == shown
    classifiers = metadata.get_all("Classifier")
    assert {"MacOS", "POSIX :: Linux"} == {
        name.removeprefix("Operating System :: ") for name in classifiers if name.startswith("Operating System")
    }
    assert {f"Programming Language :: Python :: {minor}" for minor in ("3.11", "3.12", "3.13")} <= set(classifiers)


def test_the_installed_package_is_used(installed, tmp_path):
    """The tests below run what was installed, not the checkout; the keystores' code has the ids that it has here."""
    script = (
        "import microrollup; from microrollup.declaration.rollup import load_rollup;"
        "from microrollup.declaration.query import load_methods, load_reads;"
        "assert load_reads(load_rollup('keystore_plus')).queries and load_methods(load_rollup('keystore_plus'));"
        "ids = [load_rollup(name).stf_id.hex() for name in ('keystore', 'keystore_plus')];"
        "print(microrollup.__file__, __import__('microrollup_keystore').__file__, *ids)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    *paths, stf_id, plus_id = shown.stdout.split()
    assert all(path.startswith(str(installed)) for path in paths)
    assert load_rollup("apps.keystore.plus").stf_id.hex() == plus_id
    assert load_rollup("apps.keystore").stf_id.hex() == load_rollup("keystore").stf_id.hex() == stf_id


def test_a_configured_keystore_plus(installed, tmp_path):
    """The module that `deploy` writes loads from the installed package, with its policy; deploy and story are there."""
    script = (
        "from pathlib import Path; from microrollup_keystore.plus.config import Config;"
        "from microrollup_keystore.plus.module_file import keep_module;"
        "import microrollup_keystore.plus.command, microrollup_keystore.plus.story.command;"
        "from microrollup.declaration.admission import load_admission;"
        "from microrollup.declaration.rollup import load_rollup;"
        "keep_module(Path('bank.py'), Config(vault=bytes([7]) * 20)); app = load_rollup('bank');"
        "print(load_admission(app).__module__, app.genesis.config.vault.hex(), app.stf_id.hex())"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    expected = ["microrollup_keystore.plus.admission", "07" * 20, load_rollup("apps.keystore.plus").stf_id.hex()]
    assert expected == shown.stdout.split()


@pytest.fixture(params=["apps/__init__.py", "apps/mine.py", "keystore/data.txt"])
def project(request, tmp_path):
    """A directory with modules whose names could hide the keystore."""
    path = tmp_path / request.param
    path.parent.mkdir()
    path.write_text("")
    return tmp_path


def test_the_keystore_where_a_project_has_apps_itself(installed, project):
    """`keystore` names the installed app in a project that has a package `apps`, or a folder of that name, too."""

    def run(*arguments, stdin=b""):
        result = run_process(*arguments, "--json", cwd=project, path=installed, stdin=stdin)
        assert (0, "") == (result.code, result.err)
        return result.document

    root = run("import", "keystore", "-", "--data", "data", "--workers", "1", stdin=b"".join(LINES[:20]))["stateRoot"]
    run("export", "keystore", "--data", "data", "--out", "blocks")
    assert root == run("verify", "keystore", "--from", "blocks")["stateRoot"]


def test_a_node_where_a_project_has_apps_itself(installed, tmp_path):
    """A node of the keystore and its verifier run in such a project."""
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "__init__.py").write_text("")
    with run_node(tmp_path / "data", app="keystore", cwd=tmp_path, path=installed) as caller:
        submit(caller, LINES[:3])
        wait_for(lambda: caller.call("height")["settled"] == 1)
        assert (0, "") == caller.process.stop()


def test_bench_needs_a_checkout(installed, tmp_path):
    """Benchmarks are not installed, and the command says so."""
    result = run_process("bench", cwd=tmp_path, path=installed)
    assert (2, "") == (result.code, result.out)
    assert "error: the benchmarks are not in the package: run them in a checkout of the repository\n" == result.err


def test_demo_from_the_wheel(installed, tmp_path):
    """The demo, its verifier process included, runs in an empty directory."""
    result = run_process("demo", "--json", cwd=tmp_path, path=installed)
    assert (0, "") == (result.code, result.err)
    assert {EXPECTED["stateRoot"]} == set(result.document["roots"].values())


def test_new_from_the_wheel(installed, tmp_path):
    """A new app is written, imported, exported and verified."""

    def run(*arguments):
        result = run_process(*arguments, cwd=tmp_path, path=installed)
        assert (0, "") == (result.code, result.err)
        return result

    run("new", "tally")
    root = run("import", "tally", "tally/actions.jsonl", "--data", "data", "--json").document["stateRoot"]
    run("export", "tally", "--data", "data", "--out", "blocks")
    assert root == run("verify", "tally", "--from", "blocks", "--json").document["stateRoot"]


def test_docs_from_the_wheel(installed, tmp_path):
    """The pages are in the package: listed, and shown with the docstrings of what is installed."""
    listed = run_process("docs", "--json", cwd=tmp_path, path=installed)
    assert (0, "") == (listed.code, listed.err)
    assert {"index", "reference/rpc", "glossary"} <= {page["page"] for page in listed.document["pages"]}
    shown = run_process("docs", "map", "--json", cwd=tmp_path, path=installed)
    assert "#### `set(" in shown.document["text"]
