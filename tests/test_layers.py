"""The layers of the house: a module imports only from its own row and the rows above it."""

import ast
from pathlib import Path

import pytest

import microrollup

ROWS = [
    {"errors", "primitives", "logs", "limits"},
    {"crypto", "codec", "signatures", "contracts"},
    {"merkle", "lthash", "eip712", "map"},
    {"state", "action", "record", "sources"},
    {"rollup", "block", "authentication", "authentication_pool", "context", "receipt", "journal"},
    {"stf", "acknowledgement", "block_json"},
    {"receipt_proof"},
    {"store", "settlement", "watchdog", "open_block"},
    {"entry", "closing", "genesis", "recovery", "audit"},
    {"ledger", "reading", "gaps", "export"},
    {"proof_json"},
    {"sequencer", "verifier", "replay", "snapshot", "scrub", "testing"},
    {"node", "explorer"},
    {"rpc", "client"},
    {"cli", "__main__"},
]
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
ROOT = Path(microrollup.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def name_of(path: Path) -> str:
    """The module's place in the house: its first name below `microrollup`."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_names(tree: ast.Module) -> set[str]:
    """First names below `microrollup` of all that a module imports when it is loaded, or for its types."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module.startswith("microrollup."):
                names.add(node.module.split(".")[1])
            elif node.module == "microrollup":
                names.update(alias.name for alias in node.names if alias.name in RANK)
        elif isinstance(node, ast.Import):
            names.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("microrollup."))
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    """No module imports from a row below its own, and every module has a row."""
    name = name_of(path)
    below = {other for other in imported_names(ast.parse(path.read_text())) if RANK[other] > RANK[name]}
    assert set() == below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_app_is_imported(path: Path) -> None:
    """The framework never imports an app, a test or a benchmark, but for the commands that show them."""
    if name_of(path) == "cli":
        return
    roots = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert set() == roots & {"apps", "benchmarks", "tests"}
