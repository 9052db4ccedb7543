"""How much each remote address may ask for in a second: token buckets in a table that is bounded itself.

A call takes a token, and so does each action of `submitActions`. Who has none is refused, with how long to wait. One
call may overdraw a bucket, so that none is too large for it for ever.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

from microrollup.rpc.limits import RpcLimits

__all__ = ["LOCAL", "RateLimiter", "name_client"]

MAX_CLIENTS: Final = 10_000
"""Addresses that are remembered; the one that asked longest ago is forgotten, and so has a full bucket again."""

LOCAL: Final = "local"
"""All callers on this machine together, a proxy in front of the node among them."""
_IPV6_HOST_BITS: Final = 64
"""A host or site has a whole /64 to choose its addresses from."""


@lru_cache(maxsize=1_024)
def name_client(host: str | None) -> str:
    """Whose bucket an address uses: its own, for IPv6 its /64 (2001:db8::/64), this machine's for loopback or pipes."""
    if host is None:
        return LOCAL
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            network = IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS)
            return LOCAL if address.is_loopback else f"{network}/{128 - _IPV6_HOST_BITS}"
        address = address.ipv4_mapped
    return LOCAL if address.is_loopback else str(address)


class RateLimiter:
    """The buckets of one server, in its event loop."""

    def __init__(self, limits: RpcLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Client -> tokens at a time; the one that asked longest ago comes first."""
        self.refused = 0
        """Calls, and pages of history, for which there was no token."""

    def __len__(self) -> int:
        """Clients that are remembered."""
        return len(self._buckets)

    def take(self, client: str) -> float:
        """Take a token for a call; 0.0 if there was one, else the seconds until there will be."""
        rate = self._get_rate(client)
        if rate <= 0:
            return 0.0
        now, most = self._clock(), max(1.0, rate * self._limits.burst_seconds)
        left, then = self._buckets.get(client, (most, now))
        left = min(most, left + (now - then) * rate)
        wait = 0.0
        if left >= 1:
            left -= 1
        else:
            self.refused += 1
            wait = (1 - left) / rate
        self._buckets[client] = (left, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return wait

    def overdraw(self, client: str, tokens: int) -> None:
        """Take more tokens for a call that had its first one, whether there are so many or not."""
        bucket = self._buckets.get(client)
        if bucket is not None:
            self._buckets[client] = (bucket[0] - tokens, bucket[1])

    def _get_rate(self, client: str) -> float:
        return self._limits.local_rate if client == LOCAL else self._limits.rate
