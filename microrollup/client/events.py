"""Events of a receipt as instances of the app's own classes."""

from __future__ import annotations

from typing import TypeVar

from microrollup.action import Event
from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.receipt import Receipt

__all__ = ["read_events"]

E = TypeVar("E", bound=Event)


def read_events(receipt: Receipt, cls: type[E]) -> list[E]:
    """The events of a class in a receipt, in their order. Raises `DecodeError` for bytes that are none of it."""
    codec = compile_codec(describe_struct(cls, where="event"))
    return [codec.decode(data) for name, data in receipt.events if name == cls.__name__]
