"""Pages: what the explorer shows of an app besides the node's own pages. They are declared, of the app's queries.

    PAGES = (
        Page("shops", "Shops", (Part(list_shops, "All", (Column("owner", page="shop"), Column("goods"))),)),
        Page("shop", "Shop", (Part(get_shop, "Shop"), Part(offers, "Offers")), parameter="owner"),
    )

The declaration names their module as text, `MicroRollup(..., pages="shop_pages")`, so that it is not part of the stfId.
A part may ask a method of the app's own too; where a node does not serve its set of methods, the part is left out. No
code of the app runs in the browser. Buttons (`Act`) lead to the explorer's own form of an action.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from microrollup.chain.answers.pages import ActAnswer, ColumnAnswer, ColumnForm, PageAnswer, PartAnswer, PartKind, Tone
from microrollup.codec.schema import to_camel_case
from microrollup.declaration.action import Action
from microrollup.declaration.query import HEIGHT, Methods, Query, Reads
from microrollup.errors import DeclarationError, UsageError

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["Act", "Column", "Page", "Part", "load_pages"]

MAX_PAGES: Final = 32
MAX_PARTS: Final = 32
"""Of one page."""
MAX_FIELDS: Final = 4
MAX_ACTS: Final = 8
"""Of one page, and of one part's rows."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_FORMS: Final = get_args(ColumnForm)


class Column(msgspec.Struct, frozen=True):
    """One member of what a query answers, and how it is shown."""

    member: str
    """As in Python."""
    title: str = ""
    """By default the words of its name."""
    form: ColumnForm = "plain"
    """`plain` for what it is; `ether` for wei; `time` for seconds since 1970, shown by their distance from now;
    `duration` for seconds; `state` for a word that stands out; `progress` for a number and the whole (`of`).
    """
    page: str = ""
    """The page, with a parameter, that is about this value: it becomes a link."""
    of: str = ""
    """Of `progress`: the member that holds the whole."""
    unit: str = ""
    """The member that holds the token of an amount: of the zero address it is wei, shown as ether."""
    words: Mapping[str, str] = {}
    """A value as JSON has it, as text -> what is shown in its place. An empty text hides it."""
    tones: Mapping[str, Tone] = {}
    """Of `state`: a word -> `good`, `warn` or `bad`, by which it is coloured."""


class Act(msgspec.Struct, frozen=True):
    """A button that opens the explorer's form for one of the app's actions: who reads the page signs it there."""

    action: type[Action]
    title: str
    """What the button says."""
    fills: Mapping[str, str] = {}
    """A member of the action -> the member of the row whose value it begins with, as in Python; none for a page."""


class Part(msgspec.Struct, frozen=True):
    """One query, or method of the app's own, of a page: a struct becomes facts, a list of structs a table.

    A struct with the members `items` and `next` is a page of a longer list: `next` goes into the query as `after`.
    """

    query: Callable[..., Any]
    title: str
    columns: tuple[Column, ...] = ()
    """In order; by default all members."""
    acts: tuple[Act, ...] = ()
    """Buttons of each row."""


class Page(msgspec.Struct, frozen=True):
    """A page: in the menu, or about one thing."""

    name: str
    """In its address: lower-case letters, digits and hyphens."""
    title: str
    parts: tuple[Part, ...]
    summary: str = ""
    """A sentence or two on what is to be seen."""
    parameter: str = ""
    """The parameter of all its queries that says what the page is about; empty: it is in the menu."""
    fields: Mapping[str, str] = {}
    """Parameters of its queries that the reader fills in, texts or bytes -> what their fields are called."""
    finds: str = ""
    """The page that a look-up on this page leads to."""
    of_signer: bool = False
    """Whether `parameter` is the sender whose wallet or passkey the reader connects: the page is in the menu."""
    acts: tuple[Act, ...] = ()
    """Buttons of the page."""


class _Sources(msgspec.Struct, frozen=True):
    """What parts may ask."""

    rollup: MicroRollup
    queries: dict[Callable[..., Any], tuple[str, Query]]
    """Function -> full name, and the query or method."""
    about: set[str]
    """The pages with a parameter."""

    def is_left_out(self, part: Part) -> bool:
        """Whether it is of a set of methods that the node does not serve."""
        modules = [each.module for each in self.rollup.method_sets.values()]
        return part.query not in self.queries and getattr(part.query, "__module__", None) in modules


def load_pages(rollup: MicroRollup, reads: Reads | None, methods: Sequence[Methods] = ()) -> tuple[PageAnswer, ...]:
    """The pages of an app, their module imported now; none for an app without `pages`. `methods` are those served.

    Raises `DeclarationError` for what cannot be shown, `UsageError` for a module that cannot be imported.
    """
    if rollup.pages is None:
        return ()
    if reads is None:
        raise DeclarationError("pages", "pages show queries: name their module too, reads='zoo_reads'")
    try:
        module = importlib.import_module(rollup.pages)
    except Exception as error:  # an import may fail with whatever the module raises
        raise UsageError(f"{rollup.pages} cannot be imported: {type(error).__name__}: {error}") from error
    pages = getattr(module, "PAGES", None)
    if not isinstance(pages, tuple) or not pages or not all(isinstance(page, Page) for page in pages):
        raise DeclarationError("pages", f"{rollup.pages} has no PAGES, a tuple of Page(...)")
    if len(pages) > MAX_PAGES:
        raise DeclarationError("pages", f"an app has at most {MAX_PAGES} pages, not {len(pages)}")
    about = {page.name for page in pages if page.parameter}
    names = [page.name for page in pages]
    sources = _Sources(rollup, _list_queries(reads, methods), about)
    for page in pages:
        _check_page(page, names, about)
        _check_acts(f"pages: {page.name}", page.acts, rollup, ())
    described = [_describe_page(page, sources) for page in pages]
    return tuple([page for page in described if page.parts])


def _list_queries(reads: Reads, methods: Sequence[Methods]) -> dict[Callable[..., Any], tuple[str, Query]]:
    listed = {each.function: (f"{reads.namespace}_{each.name}", each) for each in reads.queries.values()}
    for own in methods:
        listed |= {each.function: (f"{own.namespace}_{each.name}", each) for each in own.methods.values()}
    return listed


def _check_page(page: Page, names: list[str], about: set[str]) -> None:
    where = f"pages: {page.name}"
    if not _NAME.fullmatch(page.name):
        raise DeclarationError("pages", f"{page.name!r} is not a page's name: lower-case letters, digits and hyphens")
    if names.count(page.name) > 1:
        raise DeclarationError(where, "two pages have this name")
    if not 1 <= len(page.parts) <= MAX_PARTS:
        raise DeclarationError(where, f"a page has 1 to {MAX_PARTS} parts")
    if page.finds and page.finds not in about:
        raise DeclarationError(where, f"finds {page.finds!r}, which is not a page with a parameter")
    if len(page.fields) > MAX_FIELDS:
        raise DeclarationError(where, f"a page has at most {MAX_FIELDS} fields")
    if page.of_signer and not page.parameter:
        raise DeclarationError(where, "a page of the signer's names the parameter that the sender is")


def _check_acts(where: str, acts: tuple[Act, ...], rollup: MicroRollup, row: Collection[str]) -> None:
    if len(acts) > MAX_ACTS:
        raise DeclarationError(where, f"a page, and a part, has at most {MAX_ACTS} acts")
    for act in acts:
        if act.action not in [each.cls for each in rollup.action_types]:
            raise DeclarationError(where, f"{act.action.__name__} is not an action of the app")
        members = act.action.__struct_fields__
        for member, source in act.fills.items():
            if member not in members:
                raise DeclarationError(where, f"{act.action.__name__} has no member {member!r}")
            if source not in row:
                raise DeclarationError(where, f"{member!r} is filled from {source!r}, which no row has")


def _describe_page(page: Page, sources: _Sources) -> PageAnswer:
    where = f"pages: {page.name}"
    parts = [part for part in page.parts if not sources.is_left_out(part)]
    described = tuple([_describe_part(f"{where}: {part.title}", page, part, sources) for part in parts])
    for field in page.fields:
        if parts and not any(to_camel_case(field) in each.parameters for each in described):
            raise DeclarationError(where, f"{field!r} is a field that none of its queries has as a parameter")
    parameter = to_camel_case(page.parameter) if page.parameter else None
    fields = {to_camel_case(field): title for field, title in page.fields.items()}
    acts = _describe_acts(page.acts)
    return PageAnswer(
        page.name, page.title, page.summary, parameter, fields, page.finds, described, page.of_signer, acts
    )


def _describe_acts(acts: tuple[Act, ...]) -> tuple[ActAnswer, ...]:
    return tuple(
        [
            ActAnswer(
                act.title,
                act.action.__name__,
                {to_camel_case(member): to_camel_case(source) for member, source in act.fills.items()},
            )
            for act in acts
        ]
    )


def _describe_part(where: str, page: Page, part: Part, sources: _Sources) -> PartAnswer:
    method, query = sources.queries.get(part.query, ("", None))
    if query is None:
        raise DeclarationError(where, f"{getattr(part.query, '__name__', part.query)} is not a query of the app")
    given = [*([page.parameter] if page.parameter else []), *page.fields]
    names = [each.name for each in query.parameters]
    if page.parameter and page.parameter not in names:
        raise DeclarationError(where, f"{query.name} has no parameter {page.parameter!r}")
    missing = [each.name for each in query.parameters if each.required and each.name not in given]
    if missing:
        raise DeclarationError(where, f"{query.name} needs {missing[0]!r}, which the page does not have")
    kind, item = _read_answer(where, query)
    if kind == "pages" and "after" not in names:
        raise DeclarationError(where, f"{query.name} answers pages, and has no parameter `after`")
    fields = [field.name for field in msgspec.structs.fields(item)]
    columns = part.columns or tuple([Column(name) for name in fields])
    for column in columns:
        _check_column(where, column, fields, sources.about)
    _check_acts(where, part.acts, sources.rollup, fields)
    parameters = [to_camel_case(name) for name in given if name in names]
    if query.state is not None:
        parameters.append(HEIGHT)
    described = tuple([_describe_column(each) for each in columns])
    return PartAnswer(part.title, method, tuple(parameters), kind, described, _describe_acts(part.acts))


def _read_answer(where: str, query: Query) -> tuple[PartKind, Any]:
    """What a query answers, and the struct that its rows are."""
    answer = query.answer
    kind: PartKind = "one"
    if _is_struct(answer):
        hints = get_type_hints(answer)
        if set(hints) == {"items", "next"}:
            kind, answer = "pages", hints["items"]
    elif get_origin(answer) in (list, tuple):
        kind = "list"
    item = get_args(answer)[0] if kind != "one" and get_args(answer) else answer
    if not _is_struct(item):
        raise DeclarationError(where, f"{query.name} answers no struct, list of structs, or {{items, next}}")
    return kind, item


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _check_column(where: str, column: Column, fields: list[str], about: set[str]) -> None:
    for name in (column.member, column.of, column.unit):
        if name and name not in fields:
            raise DeclarationError(where, f"there is no member {name!r}; there are {', '.join(fields)}")
    if column.form not in _FORMS:
        raise DeclarationError(where, f"{column.form!r} is not a form: {', '.join(_FORMS)}")
    if (column.form == "progress") != bool(column.of):
        raise DeclarationError(where, f"{column.member}: `of` goes with the form progress, which needs it")
    if column.page and column.page not in about:
        raise DeclarationError(where, f"{column.member} leads to {column.page!r}, which is not a page with a parameter")


def _describe_column(column: Column) -> ColumnAnswer:
    return ColumnAnswer(
        to_camel_case(column.member),
        column.title or column.member.replace("_", " "),
        column.form,
        column.page,
        to_camel_case(column.of) if column.of else "",
        to_camel_case(column.unit) if column.unit else "",
        dict(column.words),
        dict(column.tones),
    )
