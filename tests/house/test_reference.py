"""The reference says what there is: generated parts are compared, tables written by hand hold every name."""

import importlib
import inspect
import pkgutil
import re

import msgspec
import pytest

import microrollup
from declared_names import find_log_events, find_metrics, find_refusal_codes
from microrollup.chain.block import Header
from microrollup.chain.record import Close, Forced, Genesis, Open, Rebuild
from microrollup.cli.run import COMMANDS
from microrollup.codec.schema import to_camel_case
from microrollup.errors import MicrorollupError, RefusedError
from microrollup.rpc.errors import ERRORS
from microrollup.store.environment import TABLES
from write_reference import DOCS, PARTS, fill_page

PAGES = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
GENERATED = [name for name, path in PAGES.items() if "<!-- generated: " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_up_to_date(name: str) -> None:
    """What is generated is what its source says now; `python tests/support/write_reference.py` writes it."""
    text = PAGES[name].read_text(encoding="utf-8")
    assert fill_page(text) == text


def test_every_part_has_a_page() -> None:
    """Each part that can be generated stands on one page."""
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES.values())
    assert dict.fromkeys(PARTS, 1) == {part: text.count(f"<!-- generated: {part} -->") for part in PARTS}


def test_every_command_has_a_section() -> None:
    """Each command has a heading of its own, so that it can be linked."""
    text = PAGES["reference/cli.md"].read_text(encoding="utf-8")
    assert [] == [name for name in COMMANDS if f"\n## {name}\n" not in text]


def read_rows(page: str) -> dict[str, list[str]]:
    """The rows of all tables of a page whose first cell is one name in backquotes: name -> the other cells."""
    rows: dict[str, list[str]] = {}
    for line in PAGES[page].read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found = re.fullmatch(r"`([^`]+)`", cells[0])
        if found is not None and line.startswith("|"):
            assert found[1] not in rows, f"{page} has two rows for {found[1]}"
            rows[found[1]] = cells[1:]
    return rows


def test_every_refusal_code_has_a_row() -> None:
    """Each code stands in the table with its cause and what to do; the table holds no other."""
    rows = {name: cells for name, cells in read_rows("reference/errors.md").items() if name.islower()}
    assert find_refusal_codes() == set(rows)
    classes = [error for error in find_errors().values() if issubclass(error, RefusedError)]
    assert {RefusedError.code, *find_refusal_codes()} == {error.code for error in classes}
    assert all(len(cells) == 2 and all(cells) for cells in rows.values())


def find_errors() -> dict[str, type[MicrorollupError]]:
    """All error classes with a public name."""
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(microrollup.__path__, "microrollup.")
        if not info.name.endswith("__main__") and ".templates" not in info.name
    ]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, MicrorollupError) and name[0] != "_"
    }


def test_every_error_is_explained() -> None:
    """Each public error class has a row; those that are refusals are named in one."""
    text = PAGES["reference/errors.md"].read_text(encoding="utf-8")
    rows, errors = read_rows("reference/errors.md"), find_errors()
    refusals = {name for name, error in errors.items() if issubclass(error, RefusedError)} - {"RefusedError"}
    assert set() == refusals - set(re.findall(r"`(\w+)`", text))
    assert set(errors) - refusals == {name for name in rows if not name.islower()}


def test_every_rpc_error_code_has_a_row() -> None:
    """Each code of JSON-RPC stands in the table with the words that begin its message."""
    text = PAGES["reference/errors.md"].read_text(encoding="utf-8")
    assert ERRORS == {int(code): words for code, words in re.findall(r"^\| (-\d+) \| ([^|]+) \|", text, re.MULTILINE)}


def test_every_log_event_has_a_row() -> None:
    """Each event that the source logs stands in the table with its levels; the table holds no other."""
    rows = read_rows("reference/log-events.md")
    assert find_log_events() == {name: set(cells[0].split(", ")) for name, cells in rows.items()}
    assert all(len(cells) == 4 and cells[2] for cells in rows.values())


def test_every_metric_has_a_row() -> None:
    """Each metric that the source declares stands in the table; the table holds no other."""
    assert find_metrics() == set(read_rows("reference/metrics.md"))


def test_every_setting_is_explained() -> None:
    """No row of the settings and limits lacks its sentence."""
    text = PAGES["reference/settings.md"].read_text(encoding="utf-8")
    assert [] == re.findall(r"^\| `\w+` \| [^|]* \|\s*\|$", text, re.MULTILINE)


def test_the_formats_page_names_every_word() -> None:
    """Header words, record kinds and tables stand on the page of formats as the source has them, in order."""
    rows = list(read_rows("reference/formats.md"))
    text = PAGES["reference/formats.md"].read_text(encoding="utf-8")

    def find(names: list[str]) -> list[str]:
        return [row for row in rows if row in names]

    words = [to_camel_case(field.name) for field in msgspec.structs.fields(Header)]
    assert words == find(words)
    assert list(TABLES) == sorted(find(list(TABLES)), key=list(TABLES).index)
    for record in (Genesis, Open, Forced, Close, Rebuild):
        members = ", ".join(to_camel_case(field.name) for field in msgspec.structs.fields(record))
        assert f"| `{record.__struct_config__.tag}` | {members} |" in text


@pytest.mark.parametrize(
    ("module", "page"),
    [
        ("microrollup", "declaration"),
        ("microrollup.client", "client"),
        *[
            (f"microrollup.testing.{module.name}", "testing")
            for module in pkgutil.iter_modules(importlib.import_module("microrollup.testing").__path__)
        ],
    ],
)
def test_every_exported_name_is_on_its_page(module: str, page: str) -> None:
    """Each name that an app, a client or a test imports stands in backquotes on the page of its module."""
    named = set(re.findall(r"`(\w+)`", PAGES[f"reference/{page}.md"].read_text(encoding="utf-8")))
    exported = {name for name in importlib.import_module(module).__all__ if not re.fullmatch(r"U?[iI]nt\d+", name)}
    assert set() == exported - named
