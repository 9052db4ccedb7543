"""A second version whose migration goes wrong in a way that the state chooses."""

from __future__ import annotations

from microrollup import Context, Map, MicroRollup, Uint64, Upgrade, replace, require
from shop import v1

NOT_UTF8 = 1
STACKED = 2
STACKED_IN_VAIN = 3


def keep(_: int, value: bytes) -> bytes:
    """The value as it is."""
    return value


def stack(tags: Map[Uint64, bytes], times: int) -> Map[Uint64, bytes]:
    """A map that is transformed so often."""
    for _ in range(times):
        tags = tags.transform(keep)
    return tags


def migrate(state: v1.Shop, ctx: Context) -> v1.Shop:
    """Go wrong as `total` says."""
    require(state.total != NOT_UTF8, chr(0xD800))
    tags = stack(state.tags, 100)
    if state.total == STACKED:
        tags = stack(tags, 1)
    if state.total == STACKED_IN_VAIN:
        stack(state.tags, 2_000)
    return replace(state, tags=tags)


app = MicroRollup(name="shop", version="2", state=v1.Shop, stfs=[v1.deposit, v1.tag], previous=Upgrade(v1.app, migrate))
