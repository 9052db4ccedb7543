"""Who may use a server, as its operator says."""

from __future__ import annotations

import msgspec

from microrollup.rpc.proxies import TrustedProxies
from microrollup.rpc.write_tokens import WriteTokens

__all__ = ["Access"]


class Access(msgspec.Struct, frozen=True):
    """By default everybody who reaches it by an address, and pages of its own."""

    hosts: frozenset[str] = frozenset()
    """Names by which clients may call the server, in lower case."""
    origins: frozenset[str] = frozenset()
    """Those of other servers' pages that may use it, as `read_origin` gives them."""
    proxies: TrustedProxies = TrustedProxies()
    """Whose word is taken for a client's address."""
    tokens: WriteTokens | None = None
    """One of them is needed to hand in actions; None: none is."""
