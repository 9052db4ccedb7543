"""The page of attacks names tests that exist, and every attack that a test of Keystore+ is named after."""

from __future__ import annotations

import re

from paths import ROOT, TESTS

PAGE = ROOT / "microrollup" / "docs" / "guides" / "keystore" / "attacks.md"
NAMED = re.findall(r"`([\w/]+\.(?:py|t\.sol))::(\w+)`", PAGE.read_text(encoding="utf-8"))


def test_every_test_that_is_named_exists() -> None:
    """By file and name."""
    missing = []
    for file, name in NAMED:
        folder, _, leaf = file.rpartition("/")
        path = TESTS / "foundry" / folder / "test" / leaf if folder else TESTS / "keystore" / file
        if re.search(rf"^\s*(def|class|function) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE) is None:
            missing.append(f"{file}::{name}")
    assert not missing


def test_every_attack_is_on_the_page() -> None:
    """Each `test_attack_…` of the files that the page has most of its attacks from."""
    named = {name for _, name in NAMED}
    for file in sorted({file for file, _ in NAMED if file.startswith(("test_plus_", "test_dkim"))}):
        text = (TESTS / "keystore" / file).read_text(encoding="utf-8")
        assert set() == set(re.findall(r"^def (test_attack_\w+)", text, re.MULTILINE)) - named, file


def test_every_row_names_a_test() -> None:
    """Three cells would be a mistake, and none an attack without a test."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    attacks = [row for row in rows if not row.startswith("| attack |")]
    assert len(attacks) > 60
    assert all("::" in row.split("|")[2] for row in attacks)
