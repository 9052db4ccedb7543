"""Proxies whose word is taken for a client's address: from the header that they set, and from nobody else.

Every proxy on the way adds the address that it was called from at the end of the header. The list is read from there
backwards, through the hops that are trusted themselves; the first one that is not is the client. What comes before it
in the list is what the client says, and is not looked at.

    X-Forwarded-For: 203.0.113.9, 10.0.0.2       de facto; an address may have a port
    Forwarded: for=203.0.113.9, for="[2001:db8::1]:80";proto=https       RFC 7239

One header is read, the one that the operator names: a proxy that sets the one leaves a client's other one as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal, get_args

from starlette.types import Scope

from microrollup.errors import UsageError

__all__ = ["FORWARDING", "PROXY_HEADERS", "Network", "ProxyHeader", "TrustedProxies", "describe_client", "read_proxy"]

ProxyHeader = Literal["x-forwarded-for", "forwarded"]
PROXY_HEADERS: Final[tuple[ProxyHeader, ...]] = get_args(ProxyHeader)
FORWARDING: Final = frozenset([header.encode() for header in PROXY_HEADERS])

MAX_HOPS: Final = 16
"""Proxies between a client and the node; beyond, the last one that was looked at is taken for the client."""

_WITH_PORT: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")
_FOR: Final = "for"

_Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def read_proxy(text: str) -> Network:
    """An address or a network, such as 127.0.0.1 or 10.0.0.0/8. Raises `UsageError` for anything else, and for all."""
    try:
        network = ip_network(text.strip())
    except ValueError as error:
        raise UsageError(f"{text!r} is not an address or a network, such as 10.0.0.0/8: {error}") from None
    if network.prefixlen == 0:
        raise UsageError(f"{text!r} is everybody: any client could then choose its address; name the proxies")
    return network


class TrustedProxies:
    """The proxies of one server, and the header that all of them set."""

    def __init__(self, networks: tuple[Network, ...] = (), header: ProxyHeader = "x-forwarded-for") -> None:
        self._networks = networks
        self._header = header.encode()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._networks)

    def find_client(self, scope: Scope) -> tuple[str, int] | None:
        """Who has sent a request: its peer, or the client that a trusted peer names, whose port is 0; None for a pipe.

        A second time it finds the same, in a scope that holds the answer.
        """
        peer: tuple[str, int] | None = scope.get("client")
        address = None if peer is None else _read_address(peer[0])
        if address is None or not self._trusts(address):
            return peer
        for hop in self._list_hops(scope):
            before = _read_address(hop)
            if before is None or (before.is_loopback and not self._trusts(before)):
                break  # not known, or not from this machine: the proxy that says so is all that is known
            address = before
            if not self._trusts(address):
                break
        return str(address), 0

    def describe_client(self, host: str) -> tuple[bytes, bytes]:
        """The header by which this server, as a proxy itself, tells the next one who has called."""
        return describe_client(self._header, host)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

    def _list_hops(self, scope: Scope) -> Iterator[str]:
        """What the proxies have added, the last one first."""
        stated = b",".join([value for name, value in scope["headers"] if name == self._header]).decode("latin-1")
        hops = stated.rsplit(",", MAX_HOPS)
        for hop in reversed(hops[-MAX_HOPS:]):
            yield hop.strip() if self._header != b"forwarded" else _find_for(hop)


def describe_client(header: bytes, host: str) -> tuple[bytes, bytes]:
    """One of the headers that name a client, `FORWARDING`, for one at an address."""
    if header == b"forwarded":
        host = f'for="[{host}]"' if ":" in host else f"for={host}"
    return header, host.encode()


def _find_for(element: str) -> str:
    """The node in `for=` of one element of `Forwarded`; nothing where it is not there exactly once.

    Elements are parted at commas from the end, so that a quote which a client has opened swallows nothing.
    """
    pairs = [pair.partition("=") for pair in element.split(";")]
    found = [value.strip().strip('"') for name, _, value in pairs if name.strip().lower() == _FOR]
    return found[0] if len(found) == 1 else ""


def _read_address(text: str) -> _Address | None:
    """An address, with a port or without; IPv4 in IPv6's notation is IPv4. None for anything else."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((with_port[1] or with_port[2]) if with_port else text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
