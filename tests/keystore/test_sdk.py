"""The keystore's JavaScript package: its own tests, on Node.js, against a node, a chain and a bundler."""

import sys

import pytest

from npm import install_npm, run_package_tests
from paths import ROOT, TESTS


@pytest.mark.slow
def test_the_package() -> None:
    """Vectors, accounts of three kinds through the bundler, rotation, ERC-1271, and the packed package in a project."""
    install_npm(TESTS / "bundler")
    run_package_tests(ROOT / "apps" / "keystore" / "sdk", PYTHON=sys.executable)
