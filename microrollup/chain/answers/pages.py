"""The pages that an app declares for the explorer, as a node hands them over."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["ActAnswer", "ColumnAnswer", "ColumnForm", "PageAnswer", "PartAnswer", "PartKind", "Tone"]

ColumnForm: TypeAlias = Literal["plain", "ether", "time", "duration", "state", "progress"]
PartKind: TypeAlias = Literal["one", "list", "pages"]
Tone: TypeAlias = Literal["good", "warn", "bad"]


class ColumnAnswer(Struct, frozen=True):
    """One member of what a query answers, and how it is shown."""

    member: str
    """Its name in JSON."""
    title: str
    form: ColumnForm
    page: str
    """The page that is about this value; empty: none."""
    of: str
    """Of progress: the member that holds the whole."""
    unit: str
    """The member that holds the token of this amount, the zero address for ether; empty: the value is not an amount."""
    words: dict[str, str]
    """A value as text -> what is shown in its place."""
    tones: dict[str, str]
    """Of a state: a word -> `good`, `warn` or `bad`."""


class ActAnswer(Struct, frozen=True):
    """A button that opens the form of an action."""

    title: str
    action: str
    """The action's name in `rollup_config`."""
    fills: dict[str, str]
    """A member of the action -> the member of the row whose value it begins with, both by their names in JSON."""


class PartAnswer(Struct, frozen=True):
    """One query of a page."""

    title: str
    method: str
    """The full name of its method."""
    parameters: tuple[str, ...]
    """What it is asked with, by names in JSON: of the page's parameter and fields, and `height`, those that it has."""
    kind: PartKind
    """`one` struct, a `list` of them, or `pages` of a list: `{items, next}`, of which `next` is the next `after`."""
    columns: tuple[ColumnAnswer, ...]
    acts: tuple[ActAnswer, ...]
    """Buttons of each row."""


class PageAnswer(Struct, frozen=True):
    """A page."""

    name: str
    title: str
    summary: str
    parameter: str | None
    """What it is about: a parameter of its queries, by its name in JSON; null for a page of the menu."""
    fields: dict[str, str]
    """What the reader fills in: a parameter by its name in JSON -> what the field is called."""
    finds: str
    """The page that its look-up leads to; empty: it has none."""
    parts: tuple[PartAnswer, ...]
    of_signer: bool
    """Whether the parameter is the sender whose wallet or passkey is connected; such a page is in the menu."""
    acts: tuple[ActAnswer, ...]
    """Buttons of the page."""
