"""Indexes as they are declared: what is refused, in words, and what their rows take."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest

from microrollup import Address, Index, IndexBlock, Map, Uint8, Uint64, View
from microrollup.declaration.index import MAX_INDEX_CHANGES, describe_index, is_index
from microrollup.declaration.modules import Package
from microrollup.declaration.query import load_reads
from microrollup.errors import DeclarationError, LimitExceeded, ValueOutOfBounds
from shelf import Shelf, app
from shelf_indexes import by_rank


def good(block: IndexBlock[Shelf], rows: Index[tuple[Address, Uint64], Uint8]) -> None:
    """What is right."""


def no_rows(block: IndexBlock[Shelf]) -> None: ...


def map_for_rows(block: IndexBlock[Shelf], rows: Map[Uint64, Uint64]) -> None: ...


def plain_rows(block: IndexBlock[Shelf], rows: Index) -> None: ...  # type: ignore[type-arg]


def a_default(block: IndexBlock[Shelf], rows: Index[Uint64, Uint64], more: Uint64 = 1) -> None: ...


def float_value(block: IndexBlock[Shelf], rows: Index[Uint64, float]) -> None: ...


def text_first(block: IndexBlock[Shelf], rows: Index[tuple[str, Uint64], Uint64]) -> None: ...


async def waits(block: IndexBlock[Shelf], rows: Index[Uint64, Uint64]) -> None: ...


def yields(block: IndexBlock[Shelf], rows: Index[Uint64, Uint64]) -> Any:
    yield


def unknown_name(block: IndexBlock[Shelf], rows: Index[Uint64, Nothing]) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def a_query(view: View[Shelf]) -> Uint64:
    """Not an index."""
    return view.height


def describe(function: Any) -> Any:
    """The index that a function declares."""
    assert isinstance(function, FunctionType)
    return describe_index(function, Package(Shelf.__module__, ()))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_rows, "takes a block and its rows"),
        (map_for_rows, "not Map"),
        (plain_rows, "takes a block and its rows"),
        (a_default, "takes a block and its rows"),
        (float_value, "float"),
        (text_first, "last"),
        (waits, "is async or yields"),
        (yields, "is async or yields"),
        (unknown_name, "cannot be read"),
    ],
)
def test_refused(function: Any, words: str) -> None:
    """Each mistake is said with the function's name."""
    with pytest.raises(DeclarationError, match=words) as error:
        describe(function)
    assert function.__name__ in str(error.value)


def test_told_apart_from_queries() -> None:
    """By the annotation of the first parameter."""
    assert is_index(good)
    assert not is_index(a_query)
    reads = load_reads(app)
    assert reads is not None
    assert set(reads.indexes) == {"by_rank", "fussy", "history", "sizes"}
    assert set(reads.queries) == {"best", "ranked", "placedBy", "countRanked", "noIndex", "height"}
    assert by_rank is reads.indexes["by_rank"].function


def test_rows_are_typed_and_counted() -> None:
    """A key or a value of another type is refused at once, and so is one call too many."""
    field = load_reads(app).indexes["sizes"].field  # type: ignore[union-attr]
    rows: Index[Any, Any] = Index(Map({1: 2}), field)
    rows.put(3, 4)
    rows.delete(1)
    assert [(3, 4)] == list(rows.items())
    for key, value in ((-1, 0), ("x", 0), (1 << 64, 0), (0, -1), (0, "x"), (0, True)):
        with pytest.raises(ValueOutOfBounds):
            rows.put(key, value)
    with pytest.raises(ValueError, match="1 or more"):
        rows.page(limit=0)
    rows.left = 1
    rows.put(5, 5)
    with pytest.raises(LimitExceeded, match=str(MAX_INDEX_CHANGES)):
        rows.delete(5)
    assert ([(3, 4)], 3) == rows.page(limit=1)
    assert ([(5, 5)], None) == rows.page(after=3)
    assert ([(3, 4)], None) == rows.page(after=5, reverse=True)
