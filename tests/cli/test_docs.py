"""`microrollup docs`: pages of the documentation in the terminal."""

import io
import re

import pytest
from rich.console import Console
from rich.markdown import Markdown

from command_line import ROOT, cli
from microrollup.cli import docs
from microrollup.cli.docs import expand_page, find_page, list_pages

__all__ = ["cli"]

DOCS = ROOT / "microrollup" / "docs"
FILES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))


def test_every_file_is_a_page() -> None:
    """The list holds each Markdown file once, folders in the site's order."""
    pages = list_pages()
    assert {name.removesuffix("/index") for name in FILES} == set(pages)
    assert len(FILES) == len(pages)
    folders = [name for name in pages if (DOCS / name).is_dir() and "/" not in name]
    assert ["tutorial", "guides", "operate", "reference", "design"] == folders


def test_pages_are_listed(cli) -> None:
    """Without a page, all pages with their titles, for people and for programs."""
    pages = cli.ask("docs")["pages"]
    assert list_pages() == [page["page"] for page in pages]
    assert all(page["title"] for page in pages)
    assert "Tutorial" in cli("docs").out


def test_a_page_is_shown(cli) -> None:
    """A page is found by its path, with or without `.md`, and by its last part; a program gets its Markdown."""
    shown = cli.ask("docs", "reference/index.md")
    assert shown == cli.ask("docs", "reference")
    assert {"page": "reference", "title": "Reference"} == {name: shown[name] for name in ("page", "title")}
    assert shown["text"].startswith("# Reference")
    result = cli("docs", "glossary")
    assert (0, "") == (result.code, result.err)
    assert result.out.strip().startswith("Glossary")


def test_an_unknown_page_is_refused(cli) -> None:
    """The error names what comes near; a name far from all of them is told where the list is."""
    assert "there is no page glosary; did you mean glossary?" == cli.refuse("docs", "glosary")
    assert "there is no page zzzz; `microrollup docs` lists them" == cli.refuse("docs", "zzzz")
    assert "there is no page ../limits; did you mean limits?" == cli.refuse("docs", "../limits")


def test_docstrings_take_the_place_of_directives(monkeypatch) -> None:
    """What the site's generator fills in is filled in here too: signature, docstring, public members, no options."""
    page = "# T\n\n::: microrollup.Map\n    options:\n      members: [set]\n\nAfter { #here }.\n"
    monkeypatch.setattr(docs, "read_page", lambda _: page)
    text = expand_page("reference/map")
    assert "::: " not in text
    assert "options:" not in text
    assert "### `Map(entries: Mapping[K, V] | None = None)`" in text
    assert "#### `set(self, key: K, value: V) -> Map[K, V]`" in text
    assert text.endswith("\nAfter.\n")
    monkeypatch.setattr(docs, "read_page", lambda _: page.replace("[set]", "false"))
    alone = expand_page("reference/map")
    assert "### `Map(" in alone
    assert "#### " not in alone


def test_a_union_is_shown_by_its_classes() -> None:
    """An alias of a union has no docstring of its own: its definition is shown, not what Python says of unions."""
    text = expand_page("reference/testing")
    assert "#### `ExecutionStep = tuple[bytes, Action] | ForcedStep | EnvelopeStep | BlockStep | UpgradeTo`" in text
    assert "PEP 604" not in text


def test_links_name_pages(monkeypatch) -> None:
    """A link to a page says which page to ask for, one on the same page is its text, one elsewhere stays."""
    page = "[a](../operate/run.md#x), [b](index.md), [c](#here), [d](https://example.org/x.md), ![e](../assets/way.svg)"
    monkeypatch.setattr(docs, "read_page", lambda _: page)
    shown = "a (operate/run), b (reference), c, [d](https://example.org/x.md), ![e](../assets/way.svg)"
    assert shown == expand_page("reference/cli") == expand_page("reference")


def test_names_in_tables_are_whole(cli) -> None:
    """A narrow terminal folds what does not fit and cuts nothing off."""
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(docs._Page(expand_page("reference/metrics")))
    shown = console.export_text()
    assert "…" not in shown
    assert 80 == max(map(len, shown.splitlines()))
    assert "microrollup_process_memory_bytes" in shown
    assert "too low" in shown


@pytest.mark.parametrize("name", list_pages())
def test_every_page_renders(name: str) -> None:
    """Every page renders on 80 columns, and nothing of the site's own syntax is left in it."""
    text = expand_page(name)
    console = Console(width=80, record=True, file=None, quiet=True)
    console.print(Markdown(text))
    assert "\n::: " not in text
    assert "<!--" not in text


def test_messages_name_pages_that_exist() -> None:
    """Wherever the source tells a user to run `microrollup docs PAGE`, there is that page."""
    named = {
        page
        for path in (ROOT / "microrollup").rglob("*.py")
        for page in re.findall(r"`microrollup docs ([a-z0-9/-]+)`", path.read_text(encoding="utf-8"))
    }
    assert named
    assert all(find_page(page) for page in named)
