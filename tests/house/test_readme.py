"""What the README shows is what there is."""

import ast
import re

import pytest

from microrollup.cli.scaffold import render_template
from microrollup.declaration.context import Context, Revert
from paths import ROOT

README = (ROOT / "README.md").read_text()
MAX_PICTURE_BYTES = 50_000


def read_block(marker: str) -> str:
    """The code block that follows a marker."""
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_counter_is_the_one_that_new_writes() -> None:
    """The README shows the file of `microrollup new counter`, to the letter."""
    assert render_template("counter", "counter")["counter.py"] == read_block("counter")


def test_the_counter_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter counts, and rejects what it says it rejects."""
    scope: dict[str, object] = {"__name__": "test_readme"}
    exec(compile(ast.parse(read_block("counter")), "counter.py", "exec"), scope)
    counter, increment, action = (scope[name] for name in ("Counter", "increment", "Increment"))
    ctx = Context(bytes(20))
    assert counter(value=5) == increment(counter(value=2), action(by=3), ctx)
    with pytest.raises(Revert, match="must be positive"):
        increment(counter(), action(by=0), ctx)


def test_ci_runs_the_readme_s_test_command() -> None:
    """`.ci/run` takes its command from the README; it is one line."""
    assert 1 == len(read_block("tests").strip().splitlines())
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()


def test_the_readme_is_short() -> None:
    """The README has at most 700 words, code and tables included; everything else is in the documentation."""
    assert 700 >= len(README.split())


def test_the_readme_s_links_lead_somewhere() -> None:
    """Links and pictures of the README and the keystore's are files of the checkout; there are three pictures."""
    for page in (ROOT / "README.md", ROOT / "apps" / "keystore" / "README.md"):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        assert [] == [link for link in links if not (page.parent / link).exists()]
    pictures = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", README)
    assert 3 == len(pictures)
    assert all((ROOT / picture).stat().st_size < MAX_PICTURE_BYTES for picture in pictures)
