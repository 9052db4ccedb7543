"""Pages of a map field at a height: its entries in the order of encoded keys, a bounded number and size at a time.

A page is one short read transaction. A reader that goes on from `next` at the same height gets each entry exactly once,
whatever is closed meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup.chain.answers.state import EntriesAnswer, EntryForm
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.schema import BytesType, StringType, TupleType
from microrollup.declaration.map_range import compute_stop
from microrollup.declaration.state import StateField
from microrollup.errors import DecodeError, RefusedError, StoreCorrupt, UsageError, ValueOutOfBounds
from microrollup.ledger.proof_json import key_to_json, read_key
from microrollup.ledger.reading import require_retained
from microrollup.store.environment import Environment
from microrollup.store.overlays import Overlays
from microrollup.store.rows_at import RowsAt
from microrollup.store.tables import get_checkpoint

__all__ = [
    "MAX_PAGE_BYTES",
    "MAX_PAGE_ENTRIES",
    "PageRequest",
    "StatePage",
    "make_entries_answer",
    "read_page",
    "read_page_request",
]

MAX_PAGE_ENTRIES: Final = 1_000

MAX_PAGE_BYTES: Final = 1 << 20
"""Stored keys and values of one page, after its first entry; in JSON they take about twice as much."""


class PageRequest(msgspec.Struct, frozen=True):
    """Which entries are wanted."""

    field: StateField
    prefix: bytes
    """What all encoded keys begin with."""
    after: bytes | None
    """The encoded key after which the page begins; None: at the end that is walked from."""
    limit: int
    reverse: bool


class StatePage(msgspec.Struct, frozen=True):
    """Some entries of a map, in order."""

    entries: list[tuple[bytes, Any]]
    """Encoded key and value."""
    next: bytes | None
    """The encoded key after which the next page begins; None if this is the last one."""
    height: int


def read_page_request(
    field: StateField, prefix: Any, after: Any, limit: int = MAX_PAGE_ENTRIES, *, reverse: bool = False
) -> PageRequest:
    """The request of JSON values: a prefix and a key of the field, or None. Raises `UsageError` saying what is wrong.

    A prefix is an array of leading components of a composite key, or the beginning of a key that is text or bytes.
    """
    if field.key_type is None:
        raise UsageError(f"{field.name} is a scalar field: it has no entries, only a value")
    if not 1 <= limit <= MAX_PAGE_ENTRIES:
        raise UsageError(f"a page has 1 to {MAX_PAGE_ENTRIES} entries, not {limit}")
    begins = b"" if prefix is None else _read_prefix(field, prefix)
    last = None if after is None else read_key(field, after, "after")
    if last is not None and not last.startswith(begins):
        raise UsageError("`after` is a key that does not begin with `prefix`")
    return PageRequest(field, begins, last, limit, reverse)


def _read_prefix(field: StateField, prefix: Any) -> bytes:
    match field.key_type:
        case TupleType(items=items):
            if type(prefix) is not list or len(prefix) > len(items):
                raise UsageError(f"a prefix of {field.name} is an array of at most {len(items)} leading components")
            parts = zip(items, prefix, strict=False)
            readers = [
                (compile_json_reader(item, f"prefix[{index}]"), part) for index, (item, part) in enumerate(parts)
            ]
        case BytesType() | StringType():
            readers = [(compile_json_reader(field.key_type, "prefix"), prefix)]
        case _:
            raise UsageError(f"the keys of {field.name} have no prefixes: only text, bytes and composite keys do")
    try:
        values = [read(part) for read, part in readers]
        return field.encode_prefix(tuple(values) if isinstance(field.key_type, TupleType) else values[0])
    except RefusedError as error:
        raise UsageError(error.detail) from None
    except ValueOutOfBounds as error:
        raise UsageError(str(error)) from None


def read_page(
    environment: Environment, request: PageRequest, height: int | None = None, overlays: Overlays | None = None
) -> StatePage:
    """One page at a height (the newest by default).

    With `overlays`, which frequent readers keep, the next page at the same height is cheap. Raises `NotRetained` for a
    height that is no longer kept or too far back to be listed, `UsageError` for one that never was, `StoreCorrupt`.
    """
    field = request.field
    start, stop = request.prefix, compute_stop(request.prefix)
    if request.after is not None:
        if request.reverse:
            stop = request.after
        else:
            start = request.after + b"\0"
    entries: list[tuple[bytes, Any]] = []
    size = 0
    with environment.snapshot() as txn:
        tip = get_checkpoint(txn, environment.tables).height
        height = tip if height is None else height
        require_retained(txn, environment, height, tip)
        rows = RowsAt(txn, environment.tables, height, overlays=overlays or Overlays())
        for row_key, raw in rows.iterate(field.row_prefix, start, stop, reverse=request.reverse):
            size += len(row_key) + len(raw)
            if len(entries) == request.limit or (entries and size > MAX_PAGE_BYTES):
                return StatePage(entries, entries[-1][0], height)
            entries.append((row_key[len(field.row_prefix) :], _decode(field, row_key, raw)))
    return StatePage(entries, None, height)


def _decode(field: StateField, row_key: bytes, raw: bytes) -> Any:
    try:
        return field.decode_row(raw)
    except DecodeError as error:
        raise StoreCorrupt(f"state/0x{row_key.hex()}", error.reason) from None


def make_entries_answer(field: StateField, page: StatePage) -> EntriesAnswer:
    """A page as the command line prints it and RPC answers it."""
    entries = [
        EntryForm(key_to_json(field, key), to_json_value(field.value_type, value)) for key, value in page.entries
    ]
    following = None if page.next is None else key_to_json(field, page.next)
    return EntriesAnswer(field.name, tuple(entries), following, page.height)
