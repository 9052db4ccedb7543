"""Hypothesis strategies made from declarations: values of any described type, and actions of an action class.

Integers favour the ends of their range, where encodings break. Needs the `test` extra.
"""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

from microrollup.action import Action
from microrollup.codec.schema import (
    BoolType,
    BytesType,
    FixedBytesType,
    IntegerType,
    SchemaType,
    SequenceType,
    StringType,
    StructType,
    TupleType,
    compute_bounds,
    describe_struct,
)
from microrollup.codec.wire import compile_constructor

__all__ = ["actions", "values"]

A = TypeVar("A", bound=Action)


def actions(cls: type[A]) -> st.SearchStrategy[A]:
    """Actions of one class with any values that their types allow."""
    return values(describe_struct(cls, where="action"))


def values(t: SchemaType, *, max_size: int = 70, max_items: int = 4) -> st.SearchStrategy[Any]:
    """Values of a type; byte strings and texts have at most `max_size` bytes or characters, sequences `max_items`."""
    match t:
        case IntegerType():
            low, high = compute_bounds(t)
            return st.integers(low, high) | st.sampled_from([low, low + 1, high - 1, high, 0])
        case FixedBytesType():
            return st.binary(min_size=t.size, max_size=t.size)
        case BytesType():
            return st.binary(max_size=max_size)
        case BoolType():
            return st.booleans()
        case StringType():
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size)
        case StructType():
            construct = compile_constructor(t)
            parts = [values(field.type, max_size=max_size, max_items=max_items) for field in t.fields]
            return st.tuples(*parts).map(construct)
        case TupleType():
            return st.tuples(*[values(item, max_size=max_size, max_items=max_items) for item in t.items])
        case SequenceType():
            items = st.lists(values(t.item, max_size=max_size, max_items=max_items), max_size=max_items)
            return items.map(t.container)
