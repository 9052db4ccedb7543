"""The wheel: everything works from an installed package, in any directory, without the checkout."""

import os
import subprocess
import sys
import zipfile

import pytest
from command_line import EXPECTED, ROOT, run_process


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel):
    """A directory that the wheel is installed into."""
    target = wheel.parent / "installed"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True, capture_output=True, timeout=60)
    return target


def test_what_is_in_the_wheel(wheel):
    """Packages, the demo's data, the templates and the type marker are in it; tests are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    needed = {
        "apps/keystore/contracts/StateVerifier.sol",
        "apps/keystore/contracts/artifacts/KeystoreAccountFactory.json",
        "apps/keystore/contracts/artifacts/KeystoreRoots.json",
        "apps/keystore/data/wallet-actions.expected.json",
        "apps/keystore/data/wallet-actions.jsonl",
        "benchmarks/__main__.py",
        "microrollup/cli/__main__.py",
        "microrollup/contracts/RollupInbox.sol",
        "microrollup/contracts/artifacts/RollupInbox.json",
        "microrollup/py.typed",
        "microrollup/templates/README.md.txt",
        "microrollup/templates/counter.py.txt",
        "microrollup/templates/test_counter.py.txt",
    }
    assert set() == needed - names
    assert set() == {name for name in names if name.split("/")[0] not in {"apps", "benchmarks", "microrollup"}} - {
        name for name in names if ".dist-info/" in name
    }


def test_the_installed_package_is_used(installed, tmp_path):
    """The tests below run what was installed, not the checkout."""
    script = "import microrollup, apps.keystore; print(microrollup.__file__, apps.keystore.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert all(path.startswith(str(installed)) for path in shown.stdout.split())


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
