"""What the README shows is what there is."""

import ast
import re
from pathlib import Path

import pytest

from microrollup.cli.scaffold import render_template
from microrollup.context import Context, Revert

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def read_block(marker: str) -> str:
    """The code block that follows a marker."""
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_counter_is_the_one_that_new_writes() -> None:
    """The README shows the file of `microrollup new counter`, to the letter."""
    assert render_template("counter.py.txt", "counter") == read_block("counter")


def test_the_counter_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter counts, and rejects what it says it rejects."""
    scope: dict[str, object] = {"__name__": "test_readme"}
    exec(compile(ast.parse(read_block("counter")), "counter.py", "exec"), scope)
    counter, increment, action = (scope[name] for name in ("Counter", "increment", "Increment"))
    ctx = Context(bytes(20))
    assert counter(value=5) == increment(counter(value=2), action(by=3), ctx)
    with pytest.raises(Revert, match="must be positive"):
        increment(counter(), action(by=0), ctx)


def test_every_module_stands_in_the_map() -> None:
    """The map of the code names every module and package, in the row that the layers' test enforces."""
    from test_layers import ROWS

    rows = re.findall(r"^\| (\d+) \| (.*?) \|", README, re.MULTILINE)
    shown = {int(number): {name.rstrip("/") for name in re.findall(r"`([\w/]+)`", names)} for number, names in rows}
    package = ROOT / "microrollup"
    present = {path.name.removesuffix(".py") for path in package.iterdir() if path.name[0] not in "_." and path.name != "py.typed"}
    for number, row in enumerate(ROWS, 1):
        assert row & present == shown[number]
    assert present - {"templates"} == set().union(*shown.values())


def test_ci_runs_the_readme_s_test_command() -> None:
    """`.ci/run` takes its command from the README; it is one line."""
    assert 1 == len(read_block("tests").strip().splitlines())
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()
