"""An L2 with two bundlers, and Keystore+: what a wallet's operations are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from account_world import World
from bundlers import Bundler, run_bundlers
from plus_accounts import PlusKeystore, run_plus_world

__all__ = ["BundledWorld", "run_bundled_world"]


class BundledWorld(NamedTuple):
    """An L2 on the newest rules, Keystore+, and two bundlers."""

    world: World
    keystore: PlusKeystore
    unsafe: Bundler
    """Trusts simulation alone."""
    safe: Bundler
    """Checks the rules of ERC-7562."""


@contextmanager
def run_bundled_world() -> Iterator[BundledWorld]:
    """Start all of it."""
    with run_plus_world() as (world, keystore), run_bundlers(world.anvil, False, True) as (unsafe, safe):
        yield BundledWorld(world, keystore, unsafe, safe)
