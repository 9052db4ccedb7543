"""Random declarations: annotations, and classes made of them, as an app's author might write."""

from __future__ import annotations

from types import GenericAlias
from typing import Any

import msgspec
from hypothesis import strategies as st

from microrollup import primitives
from microrollup.codec.schema import Where
from microrollup.declaration.action import Action

SIZES = (8, 16, 24, 32, 40, 56, 64, 72, 96, 128, 160, 248, 256)
SCALARS = [
    primitives.Address,
    primitives.Bytes32,
    bytes,
    bool,
    str,
    *[getattr(primitives, f"{kind}{bits}") for kind in ("Uint", "Int") for bits in SIZES],
]


@st.composite
def field_annotations(draw: st.DrawFn, where: Where, depth: int = 2) -> Any:
    """An annotation that may stand in a state, an action or an event."""
    kinds = ["scalar", "scalar", "struct", "sequence"] if depth else ["scalar"]
    if where == "state" and depth:
        kinds.append("tuple")
    kind = draw(st.sampled_from(kinds))
    if kind == "scalar":
        return draw(st.sampled_from(SCALARS))
    if kind == "struct":
        return draw(struct_classes(where, depth - 1))
    if kind == "tuple":
        items = draw(st.lists(field_annotations(where, depth - 1), min_size=1, max_size=3))
        return GenericAlias(tuple, tuple(items))
    item = draw(field_annotations(where, depth - 1))
    return GenericAlias(tuple, (item, ...)) if where == "state" else GenericAlias(list, item)


_NAMES = st.integers(0, 2**64).map(lambda number: f"Shape_{number:x}")


@st.composite
def struct_classes(draw: st.DrawFn, where: Where, depth: int = 1) -> type[msgspec.Struct]:
    """A frozen Struct class with one to four fields, strict on the wire or an ordinary one."""
    fields = draw(st.lists(field_annotations(where, depth), min_size=1, max_size=4))
    strict = draw(st.booleans())
    return msgspec.defstruct(
        draw(_NAMES),
        [(f"field_{index}", annotation) for index, annotation in enumerate(fields)],
        frozen=True,
        array_like=strict,
        forbid_unknown_fields=strict,
    )


@st.composite
def action_classes(draw: st.DrawFn) -> type[Action]:
    """An action class with up to four fields."""
    fields = draw(st.lists(field_annotations("action"), max_size=4))
    return define_action("Shaped", [(f"field_{index}", annotation) for index, annotation in enumerate(fields)])


def define_action(name: str, fields: list[tuple[str, Any]]) -> type[Action]:
    """An action class made at run time."""
    cls = msgspec.defstruct(name, fields, bases=(Action,), frozen=True)
    assert issubclass(cls, Action)
    return cls
