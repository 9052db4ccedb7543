"""The subscriptions with many plans from the beginning, and the process that upgrades them and is killed meanwhile.

`python -m subs_big DIRECTORY OPTIONS STAGE` opens the ledger in DIRECTORY and the inbox that OPTIONS names, a file of
JSON, and builds the upgrade that is due; at the stage, if there is one of that name, it kills itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

import trial_subs as v1
import trial_subs_v2 as v2
from kernel_fixtures import BUILDER_KEY
from microrollup import Map, MicroRollup, Upgrade
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from shop.big import die_at

__all__ = ["PAYEE", "PAYER", "PLANS", "app", "first"]

PLANS: Final = int(os.environ.get("MICROROLLUP_PLANS", "500"))
"""Of the genesis; the whole run has 100,000."""

PAYER, PAYEE = b"\xa1" * 20, b"\xb2" * 20


def make_first() -> MicroRollup:
    """The first version, in which one payer has all plans and the means for them."""
    numbers = range(1, PLANS + 1)
    genesis = v1.Subs(
        oracle=v1.app.genesis.oracle,  # type: ignore[attr-defined]
        funds=Map({PAYER: 10**18}),
        plans=Map({number: v1.Plan(PAYER, PAYEE, 100, 86_400, 1 + number) for number in numbers}),
        by_due=Map({(1 + number, number): True for number in numbers}),
        by_payer=Map({(PAYER, number): True for number in numbers}),
        next_plan=PLANS + 1,
        price=7,
    )
    return MicroRollup(
        name="subs", version="1", genesis=genesis, stfs=[v1.fund, v1.subscribe, v1.cancel, v1.set_price, v1.tick],
    )  # fmt: skip


first = make_first()
app = MicroRollup(
    name="subs", version="2", state=v2.Subs, stfs=[v2.fund, v2.subscribe, v2.pay], previous=Upgrade(first, v2.migrate)
)


def main() -> None:
    """Build the upgrade."""
    directory, options, stage = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    l1 = EthereumSettlement.open(msgspec.json.decode(options.read_bytes(), type=EthereumOptions), [BUILDER_KEY])
    ledger = Ledger.open(directory, app)
    sequencer: Sequencer[int] = Sequencer(ledger, BUILDER_KEY, l1, upgrade=True)
    die_at(stage, PLANS)
    while sequencer.poll() is not None:
        pass
    sequencer.close()
    ledger.close()
    l1.close()


if __name__ == "__main__":
    main()
