"""A state within a state, and the whole state as its outermost part: what the kernel knows of how fields are nested.

Everything below the declaration works on the flat list of fields. Only here does a state have a structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, final

import msgspec

if TYPE_CHECKING:
    from microrollup.declaration.state import State, StateField

__all__ = ["StatePart", "make_part"]


@final
class StatePart(msgspec.Struct, frozen=True):
    """A class in the shape of a state, and its place there."""

    cls: type[State]
    path: tuple[str, ...]
    """Names from the whole state to here; empty for the whole state."""
    read: Callable[[Any], Any]
    """Takes this part out of the whole state."""
    members: tuple[tuple[str, StateField | StatePart], ...]
    """Fields and inner parts, in declared order."""

    @property
    def name(self) -> str:
        """The dotted name; empty for the whole state."""
        return ".".join(self.path)

    def iterate(self) -> Iterator[StatePart]:
        """Itself and all parts inside it, depth first."""
        yield self
        for _, member in self.members:
            if isinstance(member, StatePart):
                yield from member.iterate()

    def iterate_fields(self) -> Iterator[StateField]:
        """All fields, those of inner parts included, depth first."""
        for _, member in self.members:
            if isinstance(member, StatePart):
                yield from member.iterate_fields()
            else:
                yield member

    def put(self, whole: State, own: State) -> State:
        """The whole state with `own` as this part: what is outside of it is the same objects."""
        holders = [whole]
        for name in self.path[:-1]:
            holders.append(getattr(holders[-1], name))
        for holder, name in zip(reversed(holders), reversed(self.path), strict=False):
            own = msgspec.structs.replace(holder, **{name: own})
        return own

    def build(self, values: Mapping[str, Any]) -> State:
        """The state of this part whose fields, by their dotted names, have these values."""
        return self.cls(
            **{
                name: member.build(values) if isinstance(member, StatePart) else values[member.name]
                for name, member in self.members
            }
        )


def make_part(
    cls: type[State], path: tuple[str, ...], members: tuple[tuple[str, StateField | StatePart], ...]
) -> StatePart:
    """The part at a path."""
    return StatePart(cls, path, attrgetter(".".join(path)) if path else _get_whole, members)


def _get_whole(state: State) -> State:
    return state
