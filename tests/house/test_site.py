"""The documentation is a site without dangling links, and its pages are in the package."""

import os
import subprocess
import sys

import pytest

from paths import ROOT

DOCS = ROOT / "microrollup" / "docs"

pytestmark = pytest.mark.skipif(not (ROOT / ".mkdocs.yml").exists(), reason="needs the checkout")


def build_site(directory) -> subprocess.CompletedProcess[str]:
    """Build the site; links and anchors that lead nowhere are errors, as `strict` says; `-q` would hide them."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ".mkdocs.yml", "-d", str(directory)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_site_builds(tmp_path) -> None:
    """`mkdocs build --strict` finds no page, link or anchor that is missing, and loads no font from elsewhere."""
    outcome = build_site(tmp_path)
    complaints = [line for line in outcome.stderr.splitlines() if not line.startswith("INFO")]
    assert (0, "", []) == (outcome.returncode, outcome.stdout, [line for line in complaints if line])
    page = (tmp_path / "index.html").read_text()
    assert "fonts.googleapis" not in page
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    expected = {page.removesuffix("index").removesuffix("/") or "." for page in pages}
    assert expected == {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("index.html")}
