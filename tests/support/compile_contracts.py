"""Compile the contracts into the artifacts that are in the repository: `python tests/support/compile_contracts.py`.

Contracts that are named are compiled alone.

Whoever only deploys needs neither Node.js nor this. A project is a folder of Solidity files with a folder `artifacts`
in it; `PROJECTS` names those whose contracts have artifacts. Each contract is compiled alone with the files that it
imports, because npm's `solc` crashes on large inputs, and so that an artifact changes only with its own sources.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from l1_fixtures import FOUNDRY, install_foundry
from paths import ROOT, SUPPORT
from waiting import SECONDS, read_line

SETTINGS: Final[dict[str, Any]] = {
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "evmVersion": "cancun",
    "viaIR": True,
    # No hash of paths or comments behind the code: the same code gives the same bytes on every machine.
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
"""Settings of the compiler, of all that is deployed; what forge compiles are the tests alone."""

_IMPORT: Final = re.compile(r'^import\s+(?:[^"\';]*?\sfrom\s+)?["\']([^"\']+)["\']\s*;', re.MULTILINE)


class Project(NamedTuple):
    """Contracts that belong together."""

    folder: Path
    """Where the `.sol` files are."""
    contracts: tuple[str, ...]
    """Those that get an artifact, each in the file of its name."""
    runs: int = 1_000_000
    """How often the optimizer takes code to be executed: the fewer, the smaller, and a little dearer to call."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the compiler for these contracts."""
        return {**SETTINGS, "optimizer": {"enabled": True, "runs": self.runs}}

    def get_artifact(self, contract: str) -> Path:
        """The artifact's file."""
        return self.folder / "artifacts" / f"{contract}.json"


PROJECTS: Final = (
    Project(ROOT / "microrollup" / "contracts", ("RollupInbox",), runs=200),
    Project(
        ROOT / "apps" / "keystore" / "contracts",
        (
            "ArbitrumExitOrigin",
            "ArbitrumOrigin",
            "ArbitrumSender",
            "ArbitrumSettler",
            "AxiomBridge",
            "BlsValidator",
            "ECDSAValidator",
            "EitherOrigin",
            "EscapeVerifier",
            "Keystore7702",
            "KeystoreAccount",
            "KeystoreAccountFactory",
            "KeystoreBroadcaster",
            "KeystoreModule",
            "KeystoreResolver",
            "KeystoreRoots",
            "KeystoreVault",
            "KeystoreVerifier",
            "L1Accounts",
            "L1SloadAccounts",
            "L1SloadRoots",
            "MultisigValidator",
            "OpStackOrigin",
            "OpStackSender",
            "OpStackSettler",
            "OpStackVaultBridge",
            "OrderVerdicts",
            "P256SolidityValidator",
            "P256Validator",
            "SigningPaymaster",
            "StatelessValidator",
            "WebAuthnSolidityValidator",
            "WebAuthnValidator",
            "WinternitzValidator",
        ),
    ),
    Project(SUPPORT / "ens_contracts", ("EnsRegistry", "UniversalResolver")),
    Project(
        ROOT / "apps" / "keystore" / "contracts" / "ucmt",
        (
            "UcmtAccount",
            "UcmtAccountFactory",
            "UcmtEcdsaVerifier",
            "UcmtMultisigVerifier",
            "UcmtWebAuthnCosignVerifier",
            "UcmtWebAuthnVerifier",
            "UserConfigKeystore",
        ),
    ),
    Project(FOUNDRY / "keystore" / "harness", ("VerifierHarness",)),
    Project(FOUNDRY / "accounts" / "test", ("ModularAccount", "OwnerValidator")),
)


def read_sources(path: Path) -> dict[str, str]:
    """A Solidity file and all that it imports, by source unit name: a path below the repository or an npm package."""
    sources: dict[str, str] = {}
    waiting = [path.resolve().relative_to(ROOT.resolve()).as_posix()]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        file = ROOT / name
        sources[name] = (file if file.exists() else FOUNDRY / "node_modules" / name).read_text("utf-8")
        imports = _IMPORT.findall(sources[name])
        waiting.extend([_join(name, imported) if imported.startswith(".") else imported for imported in imports])
    return dict(sorted(sources.items()))


def _join(name: str, imported: str) -> str:
    """A relative import, as the compiler resolves it."""
    parts = name.split("/")[:-1]
    for part in imported.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def compute_source_hash(sources: dict[str, str]) -> str:
    """sha256 over names and texts, each behind its length, in the order of the names."""
    hasher = hashlib.sha256()
    for name, text in sorted(sources.items()):
        for raw in (name.encode(), text.encode()):
            hasher.update(len(raw).to_bytes(8, "big") + raw)
    return hasher.hexdigest()


class Compiler:
    """npm's `solc` in one process, for many contracts one after the other: the first ones cost three times as much."""

    def __init__(self) -> None:
        """Install it where it is not, and start the process; `with` ends it."""
        command = ["node", str(install_foundry() / "solc.mjs"), "--lines"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Its input ends, and so does the process."""
        self._process.communicate(timeout=SECONDS)

    def compile(
        self,
        sources: dict[str, str],
        path: str,
        contract: str,
        outputs: list[str],
        compiler_settings: dict[str, Any] = SETTINGS,
    ) -> dict[str, Any]:
        """These outputs of the contract in the source of that name. Warnings, of whatever source, are errors."""
        request = {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sources.items()},
            "settings": {**compiler_settings, "outputSelection": {path: {contract: outputs}}},
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = read_line(self._process)
        assert line, f"solc ended, or took more than {SECONDS:.0f} s"
        answer = json.loads(line)
        wrong = [error["formattedMessage"] for error in answer.get("errors", []) if error["severity"] != "info"]
        assert [] == wrong, "\n".join(wrong)
        compiled: dict[str, Any] = answer["contracts"][path][contract]
        return compiled


@cache
def read_version() -> str:
    """The compiler's version; npm's takes half a second to say it."""
    command = ["node", str(FOUNDRY / "solc.mjs"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return said.split("Version: ")[1].strip()


def compile_artifact(compiler: Compiler, project: Project, contract: str) -> dict[str, Any]:
    """What belongs into the artifact of a contract; the members are those of `microrollup.contracts.Artifact`."""
    path = project.folder / f"{contract}.sol"
    sources = read_sources(path)
    outputs = ["abi", "evm.bytecode.object", "evm.bytecode.linkReferences"]
    name = path.resolve().relative_to(ROOT.resolve()).as_posix()
    found = compiler.compile(sources, name, contract, outputs, project.settings)
    assert {} == found["evm"]["bytecode"]["linkReferences"], "a library with external functions"
    return {
        "contract": contract,
        "compiler": read_version(),
        "settings": project.settings,
        "sources": list(sources),
        "sourceHash": compute_source_hash(sources),
        "abi": found["abi"],
        "bytecode": "0x" + found["evm"]["bytecode"]["object"],
    }


def encode_artifact(artifact: dict[str, Any]) -> str:
    """The file's text: a line each for what a diff should show, the ABI's entries too."""
    lines = []
    for name, value in artifact.items():
        if name == "abi":
            entries = ",\n".join(f"    {json.dumps(entry)}" for entry in value)
            lines.append(f'  "abi": [\n{entries}\n  ]')
        else:
            lines.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(names: list[str]) -> None:
    """Write the artifacts of some contracts, by default of all."""
    with Compiler() as compiler:
        for project in PROJECTS:
            for contract in [name for name in project.contracts if not names or name in names]:
                path = project.get_artifact(contract)
                path.parent.mkdir(exist_ok=True)
                artifact = compile_artifact(compiler, project, contract)
                path.write_text(encode_artifact(artifact), "utf-8")
                print(f"{path.relative_to(ROOT)}: {len(artifact['bytecode']) // 2 - 1} bytes")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
