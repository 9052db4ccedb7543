"""What microrollup exports, pinned: a name that comes or goes is a decision."""

import ast
import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

import apps
import apps.keystore
import microrollup

APP_NAMES = [
    "Act", "Action", "Column", "Context", "Envelope", "Event", "Index", "IndexBlock", "IndexView", "Map", "MicroRollup",
    "MethodSet", "MicrorollupError", "NodeView", "Opened", "Page", "Part", "Revert", "State", "Upgrade", "View",
    "http_route", "leaf_value", "metadata", "replace", "require",
]  # fmt: skip
SCALARS = {"Address", "Bytes", "Bytes32", "FixedBytes", "Integer", "ZERO_ADDRESS", "ZERO_BYTES32"}


def test_exports_of_the_package() -> None:
    """An app imports these names and the scalar types, and nothing else, from `microrollup`."""
    integers = {f"{kind}{bits}" for kind in ("Int", "Uint") for bits in range(8, 257, 8)}
    assert set(APP_NAMES) | SCALARS | integers == set(microrollup.__all__)
    assert [] == [name for name in microrollup.__all__ if not hasattr(microrollup, name)]


MODULES = [
    info.name
    for package in (microrollup, apps.keystore)
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not info.name.endswith("__main__") and ".templates" not in info.name
]


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_true(name: str) -> None:
    """Every module that has code has `__all__`: sorted, without repetition, naming things that exist."""
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert sorted(set(exported), key=lambda item: (not item.isupper(), not item[0].isupper(), item)) == sorted(
        exported, key=lambda item: (not item.isupper(), not item[0].isupper(), item)
    )
    assert [] == [item for item in exported if not hasattr(module, item)]


def list_public_types(path: Path) -> list[str]:
    """The public classes and type aliases that a module defines at its top level."""
    body = ast.parse(path.read_text()).body
    names = [node.name for node in body if isinstance(node, ast.ClassDef)]
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        aliases = [target.id for target in targets if isinstance(target, ast.Name)]
        names += [name for name in aliases if name[0].isupper() and not name.isupper()]
    return [name for name in names if not name.startswith("_")]


def test_public_types_have_names_of_their_own() -> None:
    """No two modules define a public class or type alias of one name; an alias for its own module begins with `_`."""
    roots = [Path(package.__path__[0]) for package in (microrollup, apps)]
    paths = [path for root in roots for path in root.rglob("*.py") if "node_modules" not in path.parts]
    counts = Counter(name for path in paths for name in list_public_types(path))
    assert set() == {name for name, count in counts.items() if count > 1}
