"""Hypothesis strategies made from declarations: values of any described type, and actions of an action class.

Integers favour the ends of their range, where encodings break. Values that an app's state holds already are drawn too,
where they are known: without them no random action would find an entry that exists. Needs the `test` extra.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

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
    describe_type,
    iterate_types,
)
from microrollup.codec.wire import compile_constructor
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.primitives import Address

__all__ = ["Known", "actions", "app_actions", "collect_known", "values"]

A = TypeVar("A", bound=Action)

Known = Mapping[Any, Sequence[Any]]
"""Type -> values of that type worth drawing again."""

_MOST_KNOWN: Final = 24
"""Values of one type that are kept."""

_SMALL: Final = (0, 1, 2, 3)
_ADDRESS: Final = describe_type(Address, where="action", path="sender")


def actions(cls: type[A], known: Known | None = None) -> st.SearchStrategy[A]:
    """Actions of one class with any values that their types allow, `known` ones among them."""
    return values(describe_struct(cls, where="action"), known=known)


def app_actions(app: MicroRollup, known: Known | None = None) -> st.SearchStrategy[Action]:
    """Actions of any class of an app."""
    return st.one_of([actions(each.cls, known) for each in app.action_types])


def collect_known(app: MicroRollup, state: Any, senders: Iterable[bytes] = ()) -> Known:
    """Keys and values in a state of an app, by type; senders are values of 20 bytes. Small integers are known too."""
    found: dict[Any, dict[Any, None]] = {_ADDRESS: dict.fromkeys(senders)}
    for action_type in app.stf_by_action:
        for t in iterate_types(describe_struct(action_type, where="action")):
            if isinstance(t, IntegerType):
                found.setdefault(t, dict.fromkeys(_SMALL))
    for field in app.state_type.fields:
        held = field.read(state)
        rows = list(zip(range(_MOST_KNOWN), held.items(), strict=False)) if field.is_map else [(0, (None, held))]
        for _, (key, value) in rows:
            if field.key_type is not None:
                _note(found, field.key_type, key)
            _note(found, field.value_type, value)
    return {t: list(noted) for t, noted in found.items() if noted}


def _note(found: dict[Any, dict[Any, None]], t: SchemaType, value: Any) -> None:
    """Remember a value of a plain type, or the parts of a struct or tuple."""
    match t:
        case IntegerType() | FixedBytesType() | BytesType() | StringType():
            noted = found.setdefault(t, {})
            if len(noted) < _MOST_KNOWN:
                noted[value] = None
        case StructType():
            for field in t.fields:
                _note(found, field.type, getattr(value, field.name))
        case TupleType():
            for item, part in zip(t.items, value, strict=True):
                _note(found, item, part)
            if len(found.setdefault(t, {})) < _MOST_KNOWN:
                found[t][value] = None
        case SequenceType():
            for part in value:
                _note(found, t.item, part)
        case BoolType():
            pass


def values(
    t: SchemaType, *, max_size: int = 70, max_items: int = 4, known: Known | None = None
) -> st.SearchStrategy[Any]:
    """Values of a type; byte strings and texts have at most `max_size` bytes or characters, sequences `max_items`."""
    fresh = _make_fresh(t, max_size, max_items, known)
    again = None if known is None else known.get(t)
    return st.one_of(st.sampled_from(again), fresh) if again else fresh


def _make_fresh(t: SchemaType, max_size: int, max_items: int, known: Known | None) -> st.SearchStrategy[Any]:
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
            parts = [values(field.type, max_size=max_size, max_items=max_items, known=known) for field in t.fields]
            return st.tuples(*parts).map(construct)
        case TupleType():
            return st.tuples(*[values(item, max_size=max_size, max_items=max_items, known=known) for item in t.items])
        case SequenceType():
            items = st.lists(values(t.item, max_size=max_size, max_items=max_items, known=known), max_size=max_items)
            return items.map(t.container)
