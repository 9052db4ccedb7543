"""Where a rollup settles, as commands, node and verifier processes pass it on: a value, opened by its user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from microrollup.crypto.ecdsa import SigningKey
from microrollup.errors import UsageError
from microrollup.settlement.ethereum.options import MAX_DEPTH, DaTag, EthereumOptions, check_depth
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.protocol import Inbox

__all__ = ["DEFAULT_DEPTH", "EthereumPlace", "L1Place", "LocalPlace", "describe_place", "make_options", "open_l1"]

DEFAULTS: Final = EthereumOptions("")

DEFAULT_DEPTH: Final = DEFAULTS.depth
"""L1 blocks that a node keeps behind L1's head: a reorg within them changes nothing that a block was built on."""


class LocalPlace(msgspec.Struct, frozen=True, tag="local", forbid_unknown_fields=True):
    """A directory that keeps the inbox's rules."""

    directory: str
    """Absolute, since processes work elsewhere."""


class EthereumPlace(msgspec.Struct, frozen=True, rename="camel", tag="ethereum", forbid_unknown_fields=True):
    """An inbox contract, and how to reach it."""

    url: str
    """JSON-RPC of an L1 node."""
    inbox: Annotated[str, msgspec.Meta(pattern="^0x[0-9a-f]{40}$")]
    """The inbox's address, in lower case."""
    da: DaTag = "blobs"
    """Where batches are published."""
    depth: Annotated[int, msgspec.Meta(ge=0, le=MAX_DEPTH)] = DEFAULT_DEPTH
    """L1 blocks to stay behind L1's head: a reorg within them changes nothing that a block was built on. At
    least 1: opening a place of depth 0 says what to give instead."""
    blobs: tuple[str, ...] = ()
    """Where blobs are looked for, in order: beacon APIs and archives (URLs or absolute directories)."""
    headers: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=8192)], ...], msgspec.Meta(max_length=16)] = ()
    """HTTP headers for each request to the L1 node, as `Name: value`; they may hold a key."""
    archive: str | None = None
    """Directory in which a settling node keeps the blobs of its batches."""
    bump_seconds: Annotated[float, msgspec.Meta(gt=0)] = DEFAULTS.bump_seconds
    """A transaction that is not included for so long is sent again with a higher fee."""
    max_fee_per_gas: Annotated[int, msgspec.Meta(gt=0)] = DEFAULTS.max_fee_per_gas
    """Wei, tip included; the node never offers more."""
    max_priority_fee_per_gas: Annotated[int, msgspec.Meta(gt=0)] = DEFAULTS.max_priority_fee_per_gas
    """Wei; the most that is offered as a tip."""
    max_fee_per_blob_gas: Annotated[int, msgspec.Meta(gt=0)] = DEFAULTS.max_fee_per_blob_gas
    """Wei; the most that is offered for a unit of blob gas."""
    fallbacks: Annotated[tuple[str, ...], msgspec.Meta(max_length=8)] = ()
    """JSON-RPC of other L1 nodes, in the order in which they are asked while those before them fail."""


L1Place = LocalPlace | EthereumPlace


def describe_place(place: L1Place) -> str:
    """In words, without what a URL may hold of keys."""
    if isinstance(place, LocalPlace):
        return place.directory
    parts = urlsplit(place.url)
    return f"the inbox {place.inbox} at {parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def open_l1(place: L1Place, keys: Sequence[SigningKey] = (), *, dry_run: bool = False) -> Inbox:
    """Open it; `keys` sign the transactions of their addresses, and with `dry_run` none of them stays or is sent.

    Raises what opening a backend raises.
    """
    if isinstance(place, LocalPlace):
        return LocalSettlement.open(Path(place.directory), dry_run=dry_run)
    try:
        from microrollup.settlement.ethereum.settlement import EthereumSettlement  # noqa: PLC0415  # 0.7 s
    except ImportError as error:
        raise UsageError(f"{error}: settling on Ethereum needs `pip install 'microrollup[ethereum]'`") from None
    return EthereumSettlement.open(make_options(place), keys, dry_run=dry_run)


def make_options(place: EthereumPlace) -> EthereumOptions:
    """The backend's own options. The L1 node is asked for blobs last: some answer for their beacon node too.

    Raises `UsageError` for a depth of 0.
    """
    check_depth(place.depth)
    return EthereumOptions(
        url=place.url,
        fallbacks=place.fallbacks,
        headers=place.headers,
        inbox=bytes.fromhex(place.inbox[2:]),
        da=place.da,
        depth=place.depth,
        blob_sources=(*place.blobs, place.url, *place.fallbacks),
        archive=None if place.archive is None else Path(place.archive),
        bump_seconds=place.bump_seconds,
        max_fee_per_gas=place.max_fee_per_gas,
        max_priority_fee_per_gas=place.max_priority_fee_per_gas,
        max_fee_per_blob_gas=place.max_fee_per_blob_gas,
    )
