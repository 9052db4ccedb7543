"""The explorer page: static files that a node serves as they are, and the headers that go with them.

The page speaks JSON-RPC and WebSocket to the place that it came from and to nothing else. It needs no build step and
loads nothing from outside, so the policy below can forbid everything that the page does not do.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Final

import msgspec

__all__ = ["INDEX_PATH", "SECURITY_HEADERS", "StaticFile", "load_static_files"]

INDEX_PATH: Final = "/"
"""Where the page itself is served; its parts live under `/explorer/`."""

_FOLDER: Final = "/explorer/"

_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every static file. With trusted types, a browser refuses any text that somebody tries to insert as HTML."""


class StaticFile(msgspec.Struct, frozen=True):
    """One file of the page, ready to be sent."""

    body: bytes
    media_type: str
    """Value of `Content-Type`."""
    etag: str
    """Of the body, quoted as the header wants it: a browser asks again each time (`no-cache`) and is answered 304."""


@cache
def load_static_files() -> dict[str, StaticFile]:
    """All files of the page by URL path: `/` for the page, `/explorer/NAME` for its parts. Read once, some 80 KB."""
    found: dict[str, StaticFile] = {}
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        media_type = _MEDIA_TYPES.get(entry.name.rpartition(".")[2])
        if media_type is None:
            continue
        body = entry.read_bytes()
        path = INDEX_PATH if entry.name == "index.html" else _FOLDER + entry.name
        found[path] = StaticFile(body, media_type, f'"{blake2b(body, digest_size=16).hexdigest()}"')
    return found
