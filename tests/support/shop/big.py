"""A shop with many accounts, and the process that upgrades it and is killed meanwhile.

`python -m shop.big DIRECTORY COUNT SECONDS STAGE` opens what `prepare` made and builds the upgrade that is due; at the
stage, if there is one of that name, it kills itself.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import microrollup.ledger.ledger
from kernel_fixtures import BUILDER_KEY
from microrollup import Map, MicroRollup, Upgrade
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.local import LocalSettlement
from microrollup.store.rows import StateRows
from microrollup.store.tree import FlatTree
from shop import v1, v2
from shop.chain import ShopChain

__all__ = ["make_app", "prepare"]


def make_app(count: int) -> MicroRollup:
    """The second version of a shop that begins with so many accounts."""
    accounts = {number.to_bytes(20, "big"): v1.Account(number) for number in range(1, count + 1)}
    first = MicroRollup(name="shop", version="1", genesis=v1.Shop(accounts=Map(accounts)), stfs=[v1.deposit, v1.tag])
    return MicroRollup(
        name="shop",
        version="2",
        state=v2.Shop,
        stfs=[v2.deposit, v2.order],
        previous=Upgrade(first, v2.migrate, renamed={"tags": "labels"}),
    )


def prepare(root: Path, count: int) -> float:
    """Make a store whose next block upgrades; the time of its L1 in seconds."""
    chain = ShopChain(root, make_app(count))
    chain.do(v1.Deposit(1))
    chain.sequencer.close_block()
    chain.advance()
    chain.announce(chain.app)
    chain.ledger.sync_tree()
    chain.close()
    return chain.seconds


def kill() -> NoReturn:
    """As `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wrap(owner: Any, name: str, *, before: bool) -> None:
    """Kill this process when a function is called, or when it is done."""
    inner = getattr(owner, name)

    def wrapped(*arguments: Any) -> None:
        if not before:
            inner(*arguments)
        kill()

    setattr(owner, name, wrapped)


def die_at(stage: str, count: int) -> None:
    """Kill this process at a stage of the upgrade."""
    match stage:
        case "migrating":
            inner, seen = StateRows.iterate, itertools.count()

            def iterate(*arguments: Any, **named: Any) -> Iterator[tuple[bytes, bytes]]:
                for row in inner(*arguments, **named):
                    if next(seen) > count // 2:
                        kill()
                    yield row

            StateRows.iterate = iterate  # type: ignore[method-assign]
        case "migrated":
            wrap(Ledger, "compute_header", before=True)
        case "writing":
            wrap(microrollup.ledger.ledger, "put_closing", before=False)
        case "committed":
            wrap(FlatTree, "apply", before=True)
        case "applied":
            wrap(FlatTree, "apply", before=False)


def main() -> None:
    """Build the upgrade."""
    root, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    l1 = LocalSettlement.open(root / "l1", lambda: seconds)
    ledger = Ledger.open(root / "builder", make_app(count))
    sequencer: Sequencer[int] = Sequencer(ledger, BUILDER_KEY, l1, clock=lambda: seconds, upgrade=True)
    die_at(sys.argv[4], count)
    sequencer.poll()
    ledger.close()


if __name__ == "__main__":
    main()
