"""Events of a receipt as instances of the app's own classes."""

from __future__ import annotations

from typing import TypeAlias, TypeVar, assert_never

from microrollup.chain.acknowledgement import SignedAcknowledgement
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import CheckedReceipt
from microrollup.codec.schema import describe_struct
from microrollup.codec.values import compile_codec
from microrollup.declaration.action import Event

__all__ = ["HasReceipt", "get_receipt", "read_events"]

E = TypeVar("E", bound=Event)

HasReceipt: TypeAlias = Receipt | SignedAcknowledgement | CheckedReceipt
"""A receipt, or what holds one."""


def get_receipt(source: HasReceipt) -> Receipt:
    """The receipt in an acknowledgement or a checked proof."""
    match source:
        case Receipt():
            return source
        case SignedAcknowledgement() | CheckedReceipt():
            return source.receipt
        case _:
            assert_never(source)


def read_events(source: HasReceipt, cls: type[E]) -> list[E]:
    """The events of a class in a receipt, in their order. Raises `DecodeError` for bytes that are none of it."""
    codec = compile_codec(describe_struct(cls, where="event"))
    return [codec.decode(data) for name, data in get_receipt(source).events if name == cls.__name__]
