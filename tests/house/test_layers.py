"""The layers of the house: a room imports only from the rooms that its line names, and every name has a room."""

import ast
import re
from pathlib import Path

import pytest

import microrollup

GROUND = {"errors", "primitives", "limits", "logs", "system"}
"""Modules that any room may import; they import nothing but each other."""

ROOMS: dict[str, set[str]] = {
    "_native": set(),
    "codec": set(),
    "contracts": set(),
    "docs": set(),
    "explorer": set(),
    "templates": set(),
    "guard": set(),
    "crypto": {"_native", "codec"},
    "keys": {"codec", "crypto"},
    "chain": {"codec", "crypto"},
    "declaration": {"codec", "crypto", "guard", "chain"},
    "settlement": {"codec", "crypto", "chain", "contracts"},
    "execution": {"_native", "codec", "crypto", "guard", "chain", "declaration", "settlement"},
    "store": {"codec", "crypto", "chain", "declaration"},
    "ledger": {"codec", "crypto", "chain", "declaration", "execution", "settlement", "store"},
    "replication": {"codec", "chain", "execution", "ledger", "settlement"},
    "sequencer": {"chain", "crypto", "execution", "ledger", "settlement", "store"},
    "based": {"chain", "declaration", "execution", "ledger", "settlement"},
    "verifier": {
        "based", "codec", "crypto", "chain", "declaration", "execution", "keys", "ledger", "replication", "settlement",
        "store",
    },
    "maintenance": {"codec", "crypto", "chain", "declaration", "execution", "ledger", "settlement", "store"},
    "segments": {"chain", "declaration", "execution", "ledger", "maintenance", "settlement", "store", "verifier"},
    "testing": {
        "codec", "crypto", "chain", "declaration", "execution", "ledger", "maintenance", "replication",
        "sequencer", "settlement"
    },
    "node": {
        "_native", "based", "codec", "crypto", "chain", "declaration", "execution", "guard", "ledger", "sequencer",
        "settlement", "store", "verifier"
    },
    "rpc": {"codec", "crypto", "chain", "declaration", "execution", "explorer", "ledger", "node", "settlement"},
    "client": {"codec", "crypto", "chain", "declaration", "execution"},
    "deployment": {
        "_native", "based", "codec", "crypto", "chain", "client", "declaration", "execution", "guard", "keys", "ledger",
        "maintenance", "node", "replication", "rpc", "segments", "sequencer", "settlement", "store", "testing",
        "verifier"
    },
    "cli": {
        "codec", "crypto", "chain", "client", "declaration", "deployment", "keys", "ledger", "maintenance", "node",
        "replication", "rpc", "sequencer", "settlement", "testing", "verifier"
    },
}  # fmt: skip
"""Room -> the rooms that it may import. The documentation's page `design/layout` holds the same, with reasons."""

ROOT = Path(microrollup.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path not in {ROOT / "__init__.py", ROOT / "__main__.py"})


def name_of(path: Path) -> str:
    """The room of a module: its first name below `microrollup`."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    """The rooms of all that a module imports: when it is loaded, later in a function, or for its types."""
    package = ("microrollup", *path.relative_to(ROOT).parent.parts)
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules: list[str] = []
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            modules = [f"{module}.{alias.name}" for alias in node.names] if module == "microrollup" else [module]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        names.update(module.split(".")[1] for module in modules if module.startswith("microrollup."))
    return names & (GROUND | set(ROOMS))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_what_its_line_names(path: Path) -> None:
    """No module imports from a room that its own room's line does not name, and every module has a room."""
    name = name_of(path)
    allowed = {name} | GROUND | (ROOMS[name] if name not in GROUND else set())
    assert set() == imported_names(path) - allowed


def test_the_lines_have_no_circle() -> None:
    """Each room's line names only rooms above it: the order of the lines is the order of the layers."""
    above: set[str] = set()
    for name, allowed in ROOMS.items():
        assert set() == allowed - above, name
        above.add(name)


def test_every_line_is_needed() -> None:
    """A line allows nothing that nobody imports, so that a wall comes back as soon as it can."""
    needed: dict[str, set[str]] = {name: set() for name in ROOMS}
    for path in MODULES:
        if name_of(path) in ROOMS:
            needed[name_of(path)] |= imported_names(path) - GROUND - {name_of(path)}
    assert needed == ROOMS


def test_the_house_has_few_rooms() -> None:
    """A reader finds the next step of an action from the names alone: at most 32 rooms and ground modules."""
    present = {
        path.name.removesuffix(".py")
        for path in ROOT.iterdir()
        if path.name[0] != "." and not path.name.startswith("__") and path.name != "py.typed"
    }
    assert present == GROUND | set(ROOMS)
    assert 32 >= len(present)


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


def test_the_page_layout_has_every_room() -> None:
    """The page says for each room, in this order, what it may import, what it is for and where a new thing goes."""
    text = (ROOT / "docs" / "design" / "layout.md").read_text(encoding="utf-8")
    ground = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    assert set(ground) == GROUND
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    walls = [(name, set() if cell == "the ground only" else set(cell.split(", "))) for name, cell in rows]
    assert walls == list(ROOMS.items())
