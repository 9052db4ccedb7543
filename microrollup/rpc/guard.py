"""Who may speak to the server: pages of other origins may not, whatever name they give this address.

A browser sends `Host` as the page's address has it: a name that an attacker resolves to this machine is refused (DNS
rebinding). `Origin` must be the server's own, or one of those that its operator lists. `application/json` keeps out the
requests that a foreign page may send without asking first.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

__all__ = ["is_allowed_host", "is_allowed_origin", "is_json"]

LOCAL_NAMES: Final = frozenset({"localhost"})


@lru_cache(maxsize=256)
def is_allowed_host(host: str | None, allowed: frozenset[str]) -> bool:
    """Whether a `Host` header names this server: by an address, as localhost, or by a name that was allowed."""
    if not host:
        return False
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if not name:
        return False
    if name in LOCAL_NAMES or name in allowed:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_allowed_origin(origin: str | None, host: str | None, allowed: frozenset[str]) -> bool:
    """Whether an `Origin` header is absent (no browser), of a page that this server itself served, or listed."""
    if origin is None or origin in allowed:
        return True
    return host is not None and origin.partition("://")[2] == host


def is_json(content_type: str | None) -> bool:
    """Whether a body says that it is JSON."""
    return content_type is not None and content_type.partition(";")[0].strip().lower() == "application/json"
