"""`microrollup docs`: the documentation in the terminal, from the pages that the package ships."""

from __future__ import annotations

import importlib
import inspect
import posixpath
import re
import types
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, ClassVar, Final

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.constrain import Constrain
from rich.markdown import Markdown, TableElement
from rich.table import Table

from microrollup.cli.output import Command, Output, json_option, make_table
from microrollup.errors import UsageError

__all__ = ["docs_command", "expand_page", "find_page", "list_pages", "read_page"]

_INDEX: Final = "index"
_MAX_WIDTH: Final = 120
"""Columns; longer lines are hard to read."""

_DIRECTIVE: Final = re.compile(r"^::: ([\w.]+)\n(?:    .*\n|\n(?=    ))*", re.MULTILINE)
_NO_MEMBERS: Final = "members: false"
_LINK: Final = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?:([\w./-]+)\.md)?(?:#[\w-]+)?\)")
"""A link to a page, or to a place on the same one."""

_COMMENT: Final = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_QUOTED: Final = re.compile(r"(: |-> )'([^']*)'")
"""An annotation that is not evaluated."""

_ATTRIBUTES: Final = re.compile(r" ?\{:? ?[#.][^}\n]*\}")


@click.command("docs", cls=Command)
@click.argument("page", required=False)
@json_option
def docs_command(page: str | None, output: Output) -> None:
    """Show the documentation in the terminal.

    Without PAGE all pages are listed. PAGE is a path from that list, such as `reference/rpc`, or its last part where
    that is unique, such as `rpc`.
    """
    if page is None:
        titles = {name: _find_title(read_page(name)) for name in list_pages()}
        table = make_table("page", "title")
        for name, title in titles.items():
            table.add_row(name, title)
        output.show({"pages": [{"page": name, "title": title} for name, title in titles.items()]}, table)
        return
    name = find_page(page)
    text = expand_page(name)
    document = {"page": name, "title": _find_title(text), "text": text}
    output.show(document, Constrain(_Page(text, hyperlinks=False), _MAX_WIDTH))


def list_pages() -> list[str]:
    """The names of all pages, in the site's order: paths below `microrollup/docs`, without `.md` and `/index`."""
    return list(_walk(resources.files("microrollup") / "docs", ""))


def find_page(wanted: str) -> str:
    """The page of that path, or the only one of that last part. Raises `UsageError` with what comes near."""
    pages = list_pages()
    wanted = wanted.strip("/").removesuffix(".md").removesuffix(f"/{_INDEX}")
    found = [name for name in pages if wanted == name] or [name for name in pages if wanted == name.rsplit("/")[-1]]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"there are several pages {wanted}: {', '.join(found)}")
    parts = {part: name for name in pages for part in (name, name.rsplit("/")[-1])}
    near = sorted({parts[part] for part in get_close_matches(wanted, parts)})
    hint = f"did you mean {' or '.join(near)}?" if near else "`microrollup docs` lists them"
    raise UsageError(f"there is no page {wanted}; {hint}")


def read_page(name: str) -> str:
    """The Markdown of a page of `list_pages`, as it is in the package."""
    docs = resources.files("microrollup") / "docs"
    path = docs / f"{name}.md"
    return (path if path.is_file() else docs / name / f"{_INDEX}.md").read_text(encoding="utf-8")


def expand_page(name: str) -> str:
    """A page without what only the site understands: links name pages, docstrings are where the site has them."""
    text = _ATTRIBUTES.sub("", _COMMENT.sub("", read_page(name)))
    folder = name if (resources.files("microrollup") / "docs" / name).is_dir() else posixpath.dirname(name)

    def link(found: re.Match[str]) -> str:
        if not found[2]:
            return found[1]
        page = posixpath.normpath(posixpath.join(folder, found[2])).removesuffix(f"/{_INDEX}")
        return f"{found[1]} ({page})"

    return _DIRECTIVE.sub(
        lambda found: "\n".join(_describe(found[1], _NO_MEMBERS not in found[0])), _LINK.sub(link, text)
    )


class _WholeTable(TableElement):
    """A table that folds what does not fit instead of cutting it off; names in the first column are folded last."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                first = max((console.measure(cell).maximum for cell in part.columns[0].cells), default=0)
                whole = first <= options.max_width // 2
                part.columns[:] = [
                    replace(column, overflow="fold", no_wrap=whole and number == 0)
                    for number, column in enumerate(part.columns)
                ]
            yield part


class _Page(Markdown):
    """A page whose tables keep the whole of every name."""

    elements: ClassVar = {**Markdown.elements, "table_open": _WholeTable}


def _walk(folder: Traversable, prefix: str) -> Iterator[str]:
    """The pages of a folder: its own first, then what its `.nav.yml` names, then the rest by name."""
    present = {entry.name: entry for entry in folder.iterdir() if entry.is_dir() or entry.name.endswith(".md")}
    nav = folder / ".nav.yml"
    listed = re.findall(r"^  - ([\w./-]+)$", nav.read_text(encoding="utf-8"), re.MULTILINE) if nav.is_file() else []
    for name in dict.fromkeys([f"{_INDEX}.md", *listed, *sorted(present)]):
        entry = present.get(name)
        if entry is None:
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{name}/")
        elif name == f"{_INDEX}.md":
            yield prefix.rstrip("/") or _INDEX
        else:
            yield prefix + name.removesuffix(".md")


def _find_title(text: str) -> str:
    found = re.search(r"^# (.*)$", text, re.MULTILINE)
    return found[1] if found is not None else ""


def _describe(path: str, members: bool) -> Iterator[str]:
    """An object's signature, its docstring, and those of its public members if they are wanted."""
    found = _import(path)
    name = path.rsplit(".", 1)[-1]
    if not inspect.ismodule(found):
        yield from ("", f"### `{name}{_sign(found)}`", "")
    yield from (inspect.getdoc(found) or "", "")
    for member_name in _list_members(found) if members else ():
        member = inspect.getattr_static(found, member_name)
        if isinstance(member, types.UnionType):
            yield from (f"#### `{member_name} = {_show_union(member)}`", "")
            continue
        member = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
        if inspect.getdoc(member) is not None:
            yield from (f"#### `{member_name}{_sign(member)}`", "", inspect.getdoc(member) or "", "")


def _show_union(found: types.UnionType) -> str:
    """An alias such as `tuple[bytes, Action] | BlockStep`, without the modules of its classes."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(found))


def _import(path: str) -> Any:
    """The object at a dotted path; a module, or something in one."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        parent, _, name = path.rpartition(".")
        return getattr(_import(parent), name)


def _list_members(found: object) -> list[str]:
    """What the site shows of a module or class: a module's exports, a class's public functions and properties."""
    if inspect.ismodule(found):
        return list(getattr(found, "__all__", []))
    if not inspect.isclass(found):
        return []
    return [name for name, value in vars(found).items() if name[0] != "_" and _is_documented(value)]


def _is_documented(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))


def _sign(found: Any) -> str:
    """The parameters, or nothing for what is not called or hides them."""
    if not callable(found):
        return ""
    try:
        return _QUOTED.sub(r"\1\2", str(inspect.signature(found)).removesuffix(" -> 'None'"))
    except (TypeError, ValueError):
        return ""
