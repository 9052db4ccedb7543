"""A follower served from its data directory: a node that verifies another's blocks, and serves them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from microrollup.declaration.rollup import MicroRollup
from microrollup.deployment.place_file import resolve_place
from microrollup.errors import StoreMissing, UsageError, WrongRollup
from microrollup.keys.files import builder_key_path
from microrollup.ledger.ledger import Ledger
from microrollup.limits import RECURSION_LIMIT
from microrollup.node.followed import Followed, FollowedL1
from microrollup.node.follower import FollowerNode
from microrollup.node.options import NodeOptions
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.place import EthereumPlace, L1Place, describe_place, open_l1
from microrollup.settlement.protocol import Settlement
from microrollup.verifier.http_source import HttpSource, is_address

__all__ = ["open_follower"]


@contextmanager
def open_follower(
    app: str, directory: Path, rollup: MicroRollup, url: str, l1: L1Place | None, options: NodeOptions
) -> Iterator[FollowerNode]:
    """The follower of the node at a URL, over a data directory, not started yet.

    The directory is made on first use, with the genesis that the source has, which L1 confirms if one is named: for
    that both must answer. Later it starts whatever is away. Raises what opening a store, a source and an L1 raises.
    """
    if not is_address(url):
        raise UsageError(f"{url!r} is not an address of a node, such as http://HOST:PORT")
    if builder_key_path(directory).exists():
        raise UsageError(f"{directory} is a builder's: give --data another directory to follow with")
    sys.setrecursionlimit(RECURSION_LIMIT)
    place = l1 or resolve_place(directory, {}).place
    followed = Followed(url)

    def open_view() -> Settlement:
        if place is None:
            raise AssertionError("no L1 is named")
        return open_l1(place)

    with _open_ledger(directory, rollup, url, place) as ledger:
        inbox = bytes.fromhex(place.inbox[2:]) if isinstance(place, EthereumPlace) else ZERO_ADDRESS
        with closing(FollowedL1(ledger, None if place is None else open_view, inbox)) as view:
            yield FollowerNode(app, ledger, followed, view, options)


def _open_ledger(directory: Path, rollup: MicroRollup, url: str, place: L1Place | None) -> Ledger:
    try:
        return Ledger.open(directory, rollup, audit=True)
    except StoreMissing:
        genesis = HttpSource(url).genesis
    if place is not None:
        with closing(open_l1(place)) as view:
            if view.get_genesis() != genesis:
                raise WrongRollup(f"{describe_place(place)} is the settlement of another rollup than {url} serves")
    return Ledger.create(directory, rollup, genesis, audit=True)
