"""The compiled contracts in the repository are what their sources give; and only an artifact loads as one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from compile_contracts import (
    PROJECTS,
    Compiler,
    Project,
    compile_artifact,
    compute_source_hash,
    encode_artifact,
    read_sources,
    read_version,
)
from l1_fixtures import install_foundry
from microrollup.contracts import load_artifact
from microrollup.errors import DecodeError, UsageError

EVERY = [(project, contract) for project in PROJECTS for contract in project.contracts]


@pytest.fixture(scope="module")
def compiler() -> Iterator[Compiler]:
    """One process for all of them."""
    with Compiler() as running:
        yield running


@pytest.mark.parametrize(("project", "contract"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_artifact_is_of_the_sources(compiler: Compiler, project: Project, contract: str) -> None:
    """Compiling again gives the file to the byte (if not: `python tests/support/compile_contracts.py`)."""
    compiled = compile_artifact(compiler, project, contract)
    assert project.get_artifact(contract).read_text("utf-8") == encode_artifact(compiled)


def test_artifacts_are_of_this_compiler() -> None:
    """All artifacts were made of these sources with the compiler and the settings that stand here; no path of a machine
    is in them.
    """
    install_foundry()
    for project, contract in EVERY:
        artifact = json.loads(project.get_artifact(contract).read_text("utf-8"))
        sources = read_sources(project.folder / f"{contract}.sol")
        assert (contract, list(sources)) == (artifact["contract"], artifact["sources"])
        assert (compute_source_hash(sources), project.settings) == (artifact["sourceHash"], artifact["settings"])
        assert read_version() == artifact["compiler"]
        assert all(not name.startswith(("/", ".")) for name in artifact["sources"])


def test_source_hash_binds_names_and_texts() -> None:
    """Another text, another name, or a piece moved from one to the other: another hash."""
    sources = {"a.sol": "one", "b.sol": "two"}
    assert compute_source_hash(sources) == compute_source_hash(dict(reversed(sources.items())))
    others = [{"a.sol": "one", "b.sol": "twO"}, {"a.sol": "one", "c.sol": "two"}, {"a.solo": "ne", "b.sol": "two"}]
    assert 4 == len({compute_source_hash(each) for each in (sources, *others)})


def test_loads_the_inbox() -> None:
    """The loader gives ABI and creation code."""
    artifact = load_artifact("RollupInbox")
    assert "RollupInbox" == artifact.contract
    assert 10_000 < len(bytes.fromhex(artifact.bytecode.removeprefix("0x"))) < 32_000
    assert {"settleBlobs", "settleCalldata", "force"} <= {entry.get("name") for entry in artifact.abi}
    (settled,) = [entry for entry in artifact.abi if entry.get("name") == "BatchSettled"]
    assert [True, True, True, False, False, False, False] == [given["indexed"] for given in settled["inputs"]]


@pytest.mark.parametrize("name", ["Nothing", "", "../artifact", "../artifacts/RollupInbox"])
def test_no_other_file_is_loaded(name: str) -> None:
    """A contract that has no artifact is named; a path is no name."""
    with pytest.raises(UsageError, match="no artifact"):
        load_artifact(name)


@pytest.mark.parametrize("text", [b"", b"\xff", b"{}", b"[" * 100_000, b'{"contract":1}'])
def test_damaged_artifact(text, tmp_path, monkeypatch) -> None:
    """What is no artifact is refused with a typed error."""
    package = tmp_path / "broken_contracts"
    (package / "artifacts").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "artifacts" / "Broken.json").write_bytes(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    with pytest.raises(DecodeError):
        load_artifact("Broken", "broken_contracts")
