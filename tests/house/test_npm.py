"""What tests take from npm is pinned, and comes from whatever registry npm is set up for."""

import json
import re
from pathlib import Path

import pytest

from paths import ROOT, TESTS
from write_packages import COMMAND, GENERATED, compute_digest, read_digest, render_generated

FOLDERS = sorted(path.parent for path in TESTS.glob("*/package.json"))
PACKAGES = [ROOT / "microrollup" / "client" / "js", ROOT / "apps" / "keystore" / "sdk"]
"""Packages of ours: what they are built and tested with."""


def test_folders() -> None:
    """These folders take packages from npm."""
    names = ["accounts", "bundler", "chromium", "ethereumjs", "foundry", "hardhat", "postgres", "wallets"]
    assert names == [folder.name for folder in FOLDERS]


@pytest.mark.parametrize("folder", [*FOLDERS, *PACKAGES], ids=lambda folder: folder.name)
def test_versions_are_pinned_and_no_registry_is_named(folder: Path) -> None:
    """Each package has an exact version, also under another name; all have their hashes, and none its address."""
    package = json.loads((folder / "package.json").read_bytes())
    lock = json.loads((folder / "package-lock.json").read_bytes())
    kind = "devDependencies" if folder in PACKAGES else "dependencies"
    wanted = package[kind]
    version = re.compile(r"(?:npm:[\w@/.-]+@)?(\d+\.\d+\.\d+(?:-(?:rc|beta)\.\d+)?)")
    exact = {name: version.fullmatch(said) for name, said in wanted.items()}
    versions = {name: found[1] for name, found in exact.items() if found is not None}
    assert wanted == lock["packages"][""][kind]
    installed = {path: entry for path, entry in lock["packages"].items() if path and not entry.get("link")}
    left_out = {path for path in installed if path.endswith("/nothing")}  # as a folder that is not there
    assert set(wanted) == set(versions)
    assert versions == {name: installed[f"node_modules/{name}"]["version"] for name in wanted}
    installed = {path: entry for path, entry in installed.items() if path not in left_out}
    assert [] == [path for path, entry in installed.items() if not entry["integrity"].startswith("sha512-")]
    assert [] == [path for path, entry in installed.items() if "resolved" in entry]
    assert "omit-lockfile-registry-resolved=true" == (folder / ".npmrc").read_text().strip()


def test_generated_files_are_of_this_checkout() -> None:
    """A changed method, declaration, ABI or code shows here at once, without Node.js."""
    stale = f"run `{COMMAND}`"
    assert GENERATED.read_text(encoding="utf-8") == render_generated(), stale
    assert read_digest() == compute_digest(), stale
