"""What microrollup exports, pinned: a name that comes or goes is a decision."""

import importlib
import pkgutil

import pytest

import apps.keystore
import microrollup

APP_NAMES = [
    "Action", "Context", "Event", "Map", "MicroRollup", "MicrorollupError", "Revert", "State", "leaf_value", "metadata",
    "replace", "require",
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
