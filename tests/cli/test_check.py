"""`microrollup check`: what the lint says of an app, as text and as a document."""

import json

import pytest

from command_line import APP, cli
from microrollup.cli.scaffold import list_templates, render_template

__all__ = ["cli"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an app as `microrollup new` does, its text changed, in a module of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write_app(name, *changes):
        text = render_template("counter", name)[f"{name}.py"]
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / f"{name}.py").write_text(text)

    return write_app


@pytest.mark.parametrize("template", list_templates())
def test_a_template_is_clean(cli, tmp_path, monkeypatch, template):
    """Each template passes without an exception, and its stfId is shown."""
    name = f"clean_{template}"
    cli.ask("new", name, "--with", template, "--dir", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    checked = cli.ask("check", name)
    serving = {f"{name}_{part}" for part in ("indexes", "reads", "methods")}  # no part of what is committed to
    modules = sorted({path.stem for path in tmp_path.glob("clean_*.py")} - serving)
    assert ([], modules) == (checked["findings"], sorted(checked["modules"]))
    assert checked["stfId"].startswith("0x")


def test_the_keystore_is_clean(cli):
    """The keystore passes without an exception."""
    assert [] == cli.ask("check", APP)["findings"]


FLOAT = ("state.value + action.by)", "state.value + action.by * int(2.0))")


def test_a_finding(cli, write):
    """Line, rule, reason and remedy; exit code 1; no stfId."""
    write("float_shop", FLOAT)
    document = cli.ask("check", "float_shop", code=1)
    (finding,) = document["findings"]
    assert ("float_shop", 21, "float", False) == tuple(finding[name] for name in ("module", "line", "rule", "allowed"))
    assert "holds 2.0: floats differ between machines; count in the smallest unit" in finding["what"]
    assert document["stfId"] is None
    shown = cli("check", "float_shop")
    assert (1, True, True) == (shown.code, "float_shop:21" in shown.out, "refused" in shown.out)


def test_an_exception(cli, write):
    """What the app allows is shown, and not refused."""
    write("lax_shop", FLOAT, ("stfs=[increment]", 'stfs=[increment], allow=["float"]'))
    document = cli.ask("check", "lax_shop")
    assert [("float", True)] == [(finding["rule"], finding["allowed"]) for finding in document["findings"]]
    assert document["stfId"].startswith("0x")


def test_code_without_an_identity(cli, write):
    """Code that cannot even be read as the app's is refused with the reason."""
    write("timed_shop", ("from microrollup", "import time\nfrom microrollup"))
    assert "imports time" in cli.refuse("check", "timed_shop")


def test_pinned_versions(cli, tmp_path, monkeypatch):
    """The ids of all versions are kept in a file; a later version adds its own; a changed one is an error."""
    path = tmp_path / "released.json"
    first = cli.ask("check", "shop.v1", "--pin", path)
    assert [] == first["changed"]
    assert {"1": first["stfId"]} == json.loads(path.read_bytes())
    third = cli.ask("check", "shop.v3", "--pin", path)
    pinned = json.loads(path.read_bytes())
    assert (["1", "2", "3"], third["stfId"]) == ([*pinned], pinned["3"])
    path.write_bytes(json.dumps({**pinned, "2": "0x" + "00" * 32}).encode())
    (sentence,) = cli.ask("check", "shop.v3", "--pin", path, code=1)["changed"]
    assert sentence.startswith("version 2 was 0x00")
    sentences = cli.ask("check", "shop.v1", "--pin", path, code=1)["changed"]
    assert [True, True] == [sentence.endswith("is not here any more") for sentence in sentences]
    path.write_text("[]")
    assert "not a file of pinned versions" in cli.refuse("check", "shop.v1", "--pin", path)
