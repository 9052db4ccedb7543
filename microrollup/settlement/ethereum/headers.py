"""HTTP headers that an L1 node's provider asks for, such as `Authorization: Bearer ...`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from microrollup.errors import UsageError

__all__ = ["read_header", "split_headers"]

_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}): *([\x21-\x7e](?:[\x20-\x7e]{0,8000}[\x21-\x7e])?) *")
"""A token, and visible characters (RFC 9110)."""

_OURS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "te", "transfer-encoding"}
)
"""Headers that make an HTTP request what it is."""


def read_header(text: str) -> str:
    """A header as `Name: value`. Raises `UsageError`, which does not repeat what may be a key."""
    found = _HEADER.fullmatch(text)
    if found is None:
        raise UsageError("a header is written `Name: value`, in visible ASCII characters")
    if found[1].lower() in _OURS:
        raise UsageError(f"the header {found[1]} is not one to choose: it describes the request itself")
    return f"{found[1]}: {found[2]}"


def split_headers(headers: Iterable[str]) -> dict[str, str]:
    """Names and values; of a repeated name the last one. Raises `UsageError`."""
    pairs = [read_header(header).split(": ", maxsplit=1) for header in headers]
    return {name.lower(): value for name, value in pairs}
